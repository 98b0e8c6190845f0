"""What the chapters' figures share."""
