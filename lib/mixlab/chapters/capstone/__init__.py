"""Chapter 20: what it is about, in a line."""
