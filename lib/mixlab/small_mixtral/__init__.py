"""The small Mixtral that the course ships, and everything that it is made from.

    text/          eight kinds of text in documents, with their origins and licences
    arithmetic.py  the eighth kind, which a program writes
    corpus.py      reads them
    recipe.py      tokenizer, configuration, loss, training
    card.py        measures a trained model and writes README.md, the model card
    __main__.py    `make train`

`mixlab.load(folder())` reads the shipped model and `mixlab.tokenizer(folder())` its tokenizer.
"""

from pathlib import Path


def folder() -> Path:
    """Where the shipped model lies: config.json, model.safetensors, tokenizer.json, README.md.

    >>> folder().name
    'small_mixtral'
    """
    return Path(__file__).parent
