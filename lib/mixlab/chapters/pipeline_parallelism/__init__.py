"""Chapter 10: what it is about, in a line."""
