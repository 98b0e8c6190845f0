"""Chapter 03: how far a token reaches, layer by layer."""
