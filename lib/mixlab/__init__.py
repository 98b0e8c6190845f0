"""Mistral, Mixtral and Mamba from the inside: the library that the course's lessons stand on.

`load` reads a model, `save` writes one, `tokenizer` reads a tokenizer, `generate` continues
prompts, and `stream` shows the text while it is made; `compiled` makes a model write faster. `chat`
writes a question in the form that a model answers, and `stop_tokens` end its answer; `smollm2` is
the path of the real weights that the course installs.
"""

from mixlab.compiled import compiled
from mixlab.generate import generate, stream
from mixlab.weights import chat, load, save, smollm2, stop_tokens, tokenizer

__all__ = [
    "chat",
    "compiled",
    "generate",
    "load",
    "save",
    "smollm2",
    "stop_tokens",
    "stream",
    "tokenizer",
]
__version__ = "0.1.0"
