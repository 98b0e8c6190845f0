"""What the exercises of chapter 05 share."""
