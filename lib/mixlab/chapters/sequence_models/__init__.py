"""Chapter 12: what it is about, in a line."""
