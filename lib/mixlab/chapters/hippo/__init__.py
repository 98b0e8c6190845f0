"""Chapter 15: N numbers that remember a signal, and what becomes of them without the 1/t."""
