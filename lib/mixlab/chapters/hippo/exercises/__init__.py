"""What the exercises of chapter 15 share."""
