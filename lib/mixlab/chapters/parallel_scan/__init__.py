"""Chapter 17: prefixes of everything in a few rounds: the parallel scan."""
