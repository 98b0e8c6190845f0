"""Chapter 04: a K/V cache that keeps a window, in a ring."""
