"""What the exercises of chapter 13 share."""
