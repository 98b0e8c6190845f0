"""What the exercises of chapter 12 share."""
