"""Hold an answer against a right one: where it first goes wrong, and why it probably does."""

import sysconfig
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mixlab.checks.exercise import Asked, Known, each
from mixlab.checks.messages import CheckFailed, Unreadable
from mixlab.checks.patience import patience
from mixlab.checks.readers import read_verdict

# What an error's text says to who has met it before.
_ONE_TRUTH = (
    "`and`, `or` and `0 <= x < w` ask for one truth value, and a tensor or array has many. Write "
    "`(x >= 0) & (x < w)`, with the brackets."
)
MEANINGS = {
    "Boolean value of Tensor with more than one value": _ONE_TRUTH,
    "ambiguous. Use a.any()": _ONE_TRUTH,
    "Subtraction, the `-` operator, with two bool tensors": (
        "truth values can't be subtracted. Combine them with `&` and `~`, or subtract numbers."
    ),
    "not implemented for 'Bool'": (
        "PyTorch multiplies matrices of numbers, not of truth values: `.float()` makes numbers, "
        "`> 0` truth values again."
    ),
    "allocate": "an array is larger than all memory. Can the result be had without building it?",
    "'NoneType'": (
        "something is None here: an argument that may be None, or what a function without `return` "
        "gives back."
    ),
    "division by zero": "where there is nothing to divide by, the answer is a case of its own.",
    "non-empty TensorList": "nothing is left to stack: a case of its own, with its own shape.",
    "index out of range": "a place beyond the end. Places count from 0, and the length is none.",
}
ASSERTED = "an `assert` ends the test with an error. Return False instead, and True at the end."

_OURS = str(Path(__file__).parents[1])
_PYTHONS = sysconfig.get_paths()["stdlib"]


def examine(
    exercise: str, asked: Asked, known: Known, answer: Any, arguments: tuple[Any, ...]
) -> None:
    """Hold one call against the first right answer's.

    Raises:
        CheckFailed: if the answer raises, or returns another result or kind of result; the
            message names the call, the first wrong place and a known mistake.
    """
    call = known.show(*arguments)
    begins = f"{exercise} is not right yet: {call}"
    try:
        with patience(exercise, call):
            got = asked.outcome(answer, arguments)
    except CheckFailed:
        raise
    except Unreadable as error:
        raise CheckFailed(f"{begins}\n  {error}") from None
    except Exception as error:
        text = str(error)  # PyTorch raises the same kind of error as the line that awaits an answer
        if isinstance(error, NotImplementedError) and (not text or text.startswith(exercise)):
            # The student's own line is all there is to see: no frames of ours above it.
            error._render_traceback_ = lambda: [f"NotImplementedError: {text}"]
            raise
        lines, cause = _raised(error, asked), error
    else:
        expected = asked.outcome(known.right[0], arguments)
        if agree(got, expected, asked.atol):
            return
        lines, cause = _difference(known, got, expected, asked.atol), None
        said = mistake_of(exercise, asked, known, answer)
        if said is None and known.advice:
            said = known.advice(*arguments)
        if said:
            lines.append(f"  Probably: {said}")
    helps = f'  hint("{exercise}") helps a step further.'
    raise CheckFailed("\n".join([begins, *lines, helps])) from cause


def _raised(error: Exception, asked: Asked) -> list[str]:
    """What an answer raised, in which line of whose code, and what it usually means.

    Each cell of a notebook is a file of its own to Python. The outermost frame that is neither
    ours nor of an installed package is the answer's; an error may stem from a helper that the
    answer calls in another cell.
    """
    lines = [f"  it raised {type(error).__name__}: {str(error).strip()}"]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _students(frame)]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    if frames and frames[-1].filename == frames[0].filename:
        lines.append(f"  in line {own[-1].lineno} of the answer: {own[-1].line.strip()}")
    elif frames:
        last = frames[-1]
        lines.append(f"  in line {last.lineno} of another cell: {last.line.strip()}")
        lines.append(f"  called from line {own[-1].lineno} of the answer: {own[-1].line.strip()}")
    meanings = [says for text, says in MEANINGS.items() if text in str(error)]
    if isinstance(error, AssertionError) and asked.read is read_verdict:
        meanings.append(ASSERTED)
    return [*lines, *(f"  Probably: {says}" for says in meanings)]


def _students(frame: traceback.FrameSummary) -> bool:
    """Whether this code is the student's: with a text, and neither ours nor installed."""
    installed = {"site-packages", "lib-dynload"} & set(Path(frame.filename).parts)
    return bool(frame.line) and not (installed or frame.filename.startswith((_OURS, _PYTHONS)))


def agree(got: np.ndarray, expected: np.ndarray, atol: float) -> bool:
    """Whether two results are the same, real numbers to a tolerance; NaN is like NaN."""
    if got.shape != expected.shape or (got.dtype.kind == "U") != (expected.dtype.kind == "U"):
        return False
    if expected.dtype.kind == "f":
        return bool(np.allclose(got, expected, rtol=0, atol=atol, equal_nan=True))
    return bool((got == expected).all())


def _difference(known: Known, got: np.ndarray, expected: np.ndarray, atol: float) -> list[str]:
    """The first wrong place, expected, got; or the shapes, if these differ."""
    if got.shape != expected.shape:
        return [f"  expected shape: {expected.shape}", f"  got shape:      {got.shape}"]
    if expected.dtype.kind == "f":
        wrong = ~np.isclose(got, expected, rtol=0, atol=atol)
    else:
        wrong = got != expected
    index = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
    lines = [f"  first wrong place: {known.place(index)}"] if known.place(index) else []
    return [
        *lines,
        f"  expected: {known.name(expected[index].item())}",
        f"  got:      {known.name(got[index].item())}",
    ]


def mistake_of(exercise: str, asked: Asked, known: Known, answer: Any) -> str | None:
    """What to say, if the answer behaves like a known mistake on every example."""
    results = {}
    for number, arguments in enumerate(asked.examples):
        with suppress(Exception):  # which says nothing for or against a mistake
            try:
                results[number] = asked.outcome(answer, arguments)
            except Unreadable:
                results[number] = np.array("unreadable")  # which is no mistake's result
    for words, mistaken in each(known.mistakes):
        if _behaves_like(mistaken, asked, results):
            return words
    return None


def _behaves_like(mistaken, asked: Asked, results: dict[int, np.ndarray]) -> bool:
    """Whether a mistake gives these results, wherever it gives any."""
    compared = 0
    for number, got in results.items():
        wrong = _made_by(mistaken, asked, number)
        if wrong is not None:
            if not agree(got, wrong, asked.atol):
                return False
            compared += 1
    return compared > 0


@cache  # whoever tries again need not wait for all mistakes again
def _made_by(mistaken, asked: Asked, number: int) -> np.ndarray | None:
    """A mistake's result on an example, if it has one."""
    with suppress(Exception):
        return asked.outcome(mistaken, asked.examples[number])
    return None
