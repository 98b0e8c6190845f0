"""Chapter 14: a state space model read as a convolution, and what the FFT makes of it."""
