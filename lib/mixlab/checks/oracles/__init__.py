"""What is right, and what usual mistakes look like: the half that grading keeps to itself."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Misconception:
    """A usual mistake, as the result it would give, and what to say to someone who made it.

    Attributes:
        says: the message; names the mistake and points at the idea, not at the fix.
        gives: maps the arguments to the array that the mistake returns, or None where it would
            give nothing comparable.
    """

    says: str
    gives: Callable[..., np.ndarray | None]


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """What an exercise's answer must return.

    Attributes:
        expected: maps the arguments to the right array; independent of library and solution.
        show: the call as the reader would write it, for the message.
        place: maps an index of the result to words ("query 3, key 0").
        name: maps one value of the result to words ("visible", "hidden").
        examples: small arguments, tried before the drawn ones, so that a first message is about
            numbers that fit in one's head.
        misconceptions: usual mistakes, the most specific first.
    """

    expected: Callable[..., np.ndarray]
    show: Callable[..., str]
    place: Callable[[tuple[int, ...]], str]
    name: Callable = str
    examples: tuple[tuple, ...] = ()
    misconceptions: tuple[Misconception, ...] = ()
