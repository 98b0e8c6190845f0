"""Mistral, Mixtral and Mamba from the inside: the library that the course's lessons stand on.

`load` reads a model, `save` writes one, `tokenizer` reads a tokenizer, `generate` continues
prompts, and `smollm2` is the path of the real weights that the course installs.
"""

from mixlab.generate import generate
from mixlab.weights import load, save, smollm2, tokenizer

__all__ = ["generate", "load", "save", "smollm2", "tokenizer"]
__version__ = "0.1.0"
