"""What the exercises of 12 share."""
