"""Mistral, Mixtral and Mamba from the inside: the library that the course's lessons stand on."""

__version__ = "0.1.0"
