"""Chapter 03: how far a token reaches through layers of windows."""
