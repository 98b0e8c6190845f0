"""Chapter 13: what it is about, in a line."""
