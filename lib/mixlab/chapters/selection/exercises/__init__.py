"""What the exercises of 16 share."""
