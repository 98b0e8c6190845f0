"""Chapter 19: the Mamba block and the model."""
