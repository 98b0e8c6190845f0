"""Chapter 18: bytes between memory and chip, and kernels that move fewer of them."""
