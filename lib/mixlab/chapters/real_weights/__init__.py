"""Chapter 11: real weights in our engine, under a window, in four bits, and as experts."""
