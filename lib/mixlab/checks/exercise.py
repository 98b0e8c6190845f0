"""One exercise, one file: what an answer is handed, what it must return, what people get wrong.

A file has two halves, parted by the line `CUT`. The upper one makes `ASKED` and is all that an
examiner is given: it knows nothing of what is right. The lower one makes `KNOWN` and never leaves
the reader's own machine. A mistake is written once, as the answer that makes it: it runs like an
answer, words the message to whoever makes it, and is a mutant that the tests try.

The file's first line begins with the exercise's id; its place says which chapter it belongs to:
`mixlab/chapters/<stem>/exercises/<name>.py`. What a chapter's exercises share stands beside them in
`__init__.py`, in the same two halves. There is no registry.
"""

import copy
import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import ModuleType
from typing import Any

import numpy as np

from mixlab.checks.messages import UnknownExerciseError

CUT = "# --- kept back while grading ---"
CHAPTERS = "mixlab.chapters"

Answers = Mapping[str, Callable[..., Any] | tuple[Callable[..., Any], ...]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """What an answer is handed, and how its result is read.

    Attributes:
        draw: maps a NumPy generator to a list of argument tuples.
        examples: small arguments, tried before the drawn ones, so that a first message is about
            numbers that fit in one's head.
        read: maps what the answer returned to an array, or raises Unreadable.
        call: calls the answer with one argument tuple; plain application by default.
        atol: tolerance of real numbers.
        room: bytes that an answer may hold, if that is part of the exercise. A grader sees to it
            from outside the answer's process.
        hints: where to look; the idea; nearly the answer.
    """

    draw: Callable[[np.random.Generator], list[tuple[Any, ...]]]
    examples: tuple[tuple[Any, ...], ...]
    read: Callable
    call: Callable = lambda answer, *arguments: answer(*arguments)
    atol: float = 1e-4
    room: int | None = None
    hints: tuple[str, ...] = ()

    def inputs(self, seed: int) -> list[tuple[Any, ...]]:
        """The arguments that an answer is tried on: the examples, and what a seed draws."""
        return [*self.examples, *self.draw(np.random.default_rng(seed))]

    def outcome(self, answer: Any, arguments: tuple[Any, ...]) -> np.ndarray:
        """What an answer returns for a copy of the arguments, read as an array.

        Raises:
            Unreadable: if it returned something of another kind than asked for.
        """
        returned = self.call(answer, *copy.deepcopy(arguments))
        return np.asarray(self.read(returned))


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is right, and what is usually wrong.

    Attributes:
        right: answers that must pass, differently written, none of them the library's; the first
            is what other answers are held against.
        mistakes: what to say to whoever made a mistake, and the answers that make it; the most
            specific first. The words name the mistake and point at the idea, not at the fix.
        slips: wrong answers that no mistake explains, and a part of what they are told.
        show: the call as its writer would write it.
        place: words for an index of the result, such as "query 3, key 0".
        name: words for one value of the result, such as "hidden".
        advice: words about the arguments at which an answer first goes wrong, where no mistake
            explains it: for an exercise that asks for a test, about the suspect.
    """

    right: tuple[Callable[..., Any], ...]
    mistakes: Answers
    show: Callable[..., str]
    slips: Answers = field(default_factory=dict)
    place: Callable[[tuple[int, ...]], str] = lambda index: ""
    name: Callable = str
    advice: Callable[..., str | None] | None = None


def suspects(
    make: Callable, families: Iterable[str], numbers_of: Callable[[str], Sequence[int]], again: int
) -> dict[str, Any]:
    """`draw` and `examples` of an exercise that asks for a test of what it is handed.

    Every family comes with a number of its own, so that nobody can learn its suspects by heart, in
    any order; examples have each family's first number.

    Args:
        make: maps a family and a number to what the answer is handed.
        families: by name, the right ones first.
        numbers_of: maps a family to the numbers that it may have.
        again: how many of the first families come twice.
    """
    families = list(families)

    def draw(rng: np.random.Generator) -> list[tuple]:
        drawn = [*families, *families[:again]]
        return [
            (make(drawn[at], int(rng.choice(numbers_of(drawn[at])))),)
            for at in rng.permutation(len(drawn))
        ]

    return dict(
        draw=draw, examples=tuple((make(family, numbers_of(family)[0]),) for family in families)
    )


def each(table: Answers) -> list[tuple[str, Callable[..., Any]]]:
    """(words, answer) for every answer of a table."""
    return [
        (words, answer)
        for words, made in table.items()
        for answer in (made if isinstance(made, tuple) else (made,))
    ]


def varied(make: Callable, part: str, table: Answers) -> dict[str, tuple[Callable[..., Any], ...]]:
    """Mistakes that have a part in common: an answer for each wrong way to go about it.

    >>> doubling = lambda by=lambda x: 2 * x: lambda numbers: [by(x) for x in numbers]
    >>> wrong = varied(doubling, "by", {"that is the square.": lambda x: x * x})
    >>> [answer([3, 4]) for answer in wrong["that is the square."]]
    [[9, 16]]
    """
    return {
        words: tuple(make(**{part: way}) for _, way in each({words: ways}))
        for words, ways in table.items()
    }


@cache
def files() -> dict[str, str]:
    """Exercise id -> the full name of its module, in order, found by their places."""
    found = {}
    for chapter in resources.files(CHAPTERS).iterdir():
        folder = chapter / "exercises"
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name.endswith(".py"):
                with file.open(encoding="utf-8") as text:
                    first = re.match(r'"""(\d\d\.\d+) ', text.readline())
                if first:
                    stem = file.name.removesuffix(".py")
                    found[first[1]] = f"{CHAPTERS}.{chapter.name}.exercises.{stem}"
    return dict(sorted(found.items()))


def find(exercise: str) -> ModuleType:
    """The module of an exercise, which has `ASKED` and `KNOWN`.

    Raises:
        ValueError: if there is no such exercise.
    """
    name = files().get(exercise)
    if name is None:
        chapters = sorted({known.partition(".")[0] for known in files()})
        raise UnknownExerciseError(
            f"there is no exercise {exercise!r}: ids look like '02.1', chapter and number; "
            f"chapters with exercises: {', '.join(chapters)}"
        )
    return importlib.import_module(name)
