"""What the exercises of chapter 09 share."""
