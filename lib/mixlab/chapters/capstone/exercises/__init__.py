"""What the exercises of 20 share."""
