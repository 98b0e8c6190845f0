"""What the exercises of 01 share."""
