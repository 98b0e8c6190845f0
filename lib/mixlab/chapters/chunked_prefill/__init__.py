"""Chapter 05: a prompt read in chunks, and the faults that a chunk's border hides."""
