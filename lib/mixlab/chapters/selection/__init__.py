"""Chapter 16: what it is about, in a line."""
