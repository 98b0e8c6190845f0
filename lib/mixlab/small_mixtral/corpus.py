"""Eight kinds of text, each as documents: most to train on, the others held out.

Seven kinds are excerpts that lie in `text/`, whose README says where each comes from and under
which licence; the eighth is written by `arithmetic.py`. The text is part of the project, so it is
the same on every machine.
"""

import json
import lzma
from functools import cache
from pathlib import Path

from mixlab.small_mixtral.arithmetic import arithmetic

# File name -> what figures and tables call it.
KINDS = {
    "english_bible": "English Bible",
    "spanish_bible": "Spanish Bible",
    "jargon": "Jargon File",
    "python_manual": "Python manual",
    "python": "Python code",
    "cpp": "C++ headers",
    "json": "JSON",
    "arithmetic": "arithmetic",
}
_TEXT = Path(__file__).parent / "text"
_ARITHMETIC = {"train": (250, 1), "held_out": (40, 2)}  # documents, seed


def documents(kind: str, part: str = "train") -> list[str]:
    """The documents of one kind of text.

    Args:
        kind: one of `KINDS`.
        part: "train", or "held_out": documents that the model never saw.

    Raises:
        ValueError: if there is no such kind or part.

    >>> documents("english_bible")[0][:32]
    'In the beginning God created the'
    >>> min(len(documents(kind, "held_out")) for kind in KINDS)
    33
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}: got {kind!r}")
    if part not in _ARITHMETIC:
        raise ValueError(f"part must be 'train' or 'held_out': got {part!r}")
    if kind == "arithmetic":
        return arithmetic(*_ARITHMETIC[part])
    return list(_stored(kind)[part])


@cache
def _stored(kind: str) -> dict[str, list[str]]:
    with lzma.open(_TEXT / f"{kind}.json.xz", "rt", encoding="utf-8") as file:
        return json.load(file)
