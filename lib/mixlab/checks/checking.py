"""`check` and `hint`: call an answer, hold it against what is right, print a line."""

from collections import Counter
from functools import cache
from typing import Any

from mixlab.checks.exercise import Asked, find
from mixlab.checks.explain import examine
from mixlab.checks.messages import CheckFailed, UnknownExerciseError, wrapped
from mixlab.checks.ready_made import ready_made_in

__all__ = ["CheckFailed", "check", "hint"]

_inputs = cache(Asked.inputs)  # whoever tries again need not wait until they are drawn again
PUBLIC = 0  # the seed of the inputs that everybody may see
_hints_shown: Counter[str] = Counter()


def check(exercise: str, answer: Any) -> None:
    """Check an answer: print a line if it is right, raise CheckFailed with an explanation if not.

    Args:
        exercise: its id, such as "02.1".
        answer: the function or value that the exercise asks for.

    Raises:
        CheckFailed: if the answer is wrong; NotImplementedError passes through, for an exercise
            that has not been answered yet.
        ValueError: if there is no such exercise.
    """
    print(f"{exercise} ✓ right on {hold(exercise, answer, PUBLIC)} inputs")


def hold(exercise: str, answer: Any, seed: int) -> int:
    """Hold an answer against a right one, on the examples and what a seed draws; returns how many.

    Raises:
        Exception: as `check`.
    """
    module = find(exercise)
    if name := ready_made_in(answer):
        raise CheckFailed(
            f"{exercise}: the answer calls {name}. An answer stands on its own, on Python, NumPy "
            "and PyTorch; use what is ready-made to compare with, outside the answer."
        )
    inputs = _inputs(module.ASKED, seed)
    for arguments in inputs:
        examine(exercise, module.ASKED, module.KNOWN, answer, arguments)
    return len(inputs)


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
