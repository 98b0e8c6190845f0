"""What the exercises of chapter 04 share."""
