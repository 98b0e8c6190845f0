"""What the exercises of chapter 11 share."""
