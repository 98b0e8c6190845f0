"""What the exercises of 18 share."""
