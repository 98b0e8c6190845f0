"""What the exercises of chapter 10 share."""
