"""Chapter 17: a loop in a few rounds."""
