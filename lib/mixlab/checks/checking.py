"""`check` and `hint`: call an answer, hold it against what is right, print the digest."""

import json
import os
from collections import Counter

import numpy as np

from mixlab.checks.digest import Digest, digest
from mixlab.checks.exercise import find
from mixlab.checks.explain import examine
from mixlab.checks.forbidden import call_answer
from mixlab.checks.messages import CheckFailed, UnknownExerciseError, wrapped

__all__ = ["CheckFailed", "check", "hint", "run", "seed_of"]

_hints_shown: Counter[str] = Counter()


def seed_of(exercise: str) -> int:
    """The seed of an exercise's inputs: its public one, unless MIXLAB_SEEDS gives another.

    MIXLAB_SEEDS is a JSON object from exercise ids to whole numbers; a grader sets it.
    """
    given = json.loads(os.environ.get("MIXLAB_SEEDS", "{}"))
    return int(given.get(exercise, find(exercise).ASKED.seed))


def run(exercise: str, answer, seed: int) -> tuple[Digest, list[np.ndarray]]:
    """Call `answer` on the inputs that `seed` draws, and digest what it returned.

    Raises:
        Unreadable: if it returned something of another kind than asked for.
        CheckFailed: if it called the library's implementation of what is asked.
    """
    asked = find(exercise).ASKED
    values = [call_answer(exercise, asked, answer, drawn) for drawn in asked.drawn(seed)]
    return digest(values, salt=f"{exercise}|{seed}", atol=asked.atol), values


def check(exercise: str, answer) -> None:
    """Check an answer: print a digest if it is right, raise CheckFailed with an explanation if not.

    Args:
        exercise: its id, such as "02.1".
        answer: the function or value that the exercise asks for.

    Raises:
        CheckFailed: if the answer is wrong; NotImplementedError passes through, for an exercise
            that has not been answered yet.
        ValueError: if there is no such exercise.
    """
    module = find(exercise)
    for arguments in (*module.KNOWN.examples, *module.ASKED.drawn(seed_of(exercise))):
        examine(exercise, module.ASKED, module.KNOWN, answer, arguments)
    found, _ = run(exercise, answer, seed_of(exercise))
    print(f"{exercise} ✓ {found.text}")


def hint(exercise: str, number: int | None = None) -> None:
    """Print the next hint of an exercise, from gentle to telling; `number` picks one, from 1.

    Raises:
        ValueError: if there is no such exercise or hint.
    """
    hints = find(exercise).ASKED.hints
    if number is None:
        _hints_shown[exercise] = min(_hints_shown[exercise] + 1, len(hints))
        number = _hints_shown[exercise]
    if not 1 <= number <= len(hints):
        raise UnknownExerciseError(f"exercise {exercise} has hints 1 to {len(hints)}: got {number}")
    print(wrapped(f"Hint {number} of {len(hints)}: {hints[number - 1]}"))
