"""`check` and `hint`: run an exercise's cases, explain the first difference, print the digest."""

import copy
import importlib
import importlib.util
import inspect
import json
import os
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from mixlab.checks.cases import Cases, Unreadable
from mixlab.checks.digest import Digest, digest

# Chapter number -> the stem that names its lesson, library file, figures and checks.
CHAPTERS = {"02": "sliding_window"}

_hints_shown: Counter[str] = Counter()


class _Plain(Exception):
    """An error that a notebook shows as its message alone: the frames would be ours."""

    def _render_traceback_(self) -> list[str]:  # IPython calls this
        return [f"{type(self).__name__}: {self}"]


class CheckFailed(_Plain, AssertionError):
    """An answer is not right yet; the message says where, and what was probably misunderstood."""


class UnknownExerciseError(_Plain, ValueError):
    """There is no exercise, or no hint, of that name."""


def _chapter(exercise: str, package: str):
    stem = CHAPTERS.get(str(exercise)[:2])
    name = f"mixlab.checks.{package}.{stem}"
    if stem is None or exercise not in (module := importlib.import_module(name)).EXERCISES:
        raise UnknownExerciseError(
            f"there is no exercise {exercise!r}: ids look like '02.1', chapter and number; "
            f"chapters with exercises: {', '.join(CHAPTERS)}"
        )
    return module.EXERCISES[exercise]


def cases_of(exercise: str) -> Cases:
    """The cases of an exercise.

    Raises:
        ValueError: if there is no such exercise.
    """
    return _chapter(exercise, "cases")


def _oracle_of(exercise: str):
    """The oracle, or None in a process that is being graded and doesn't have it."""
    if importlib.util.find_spec("mixlab.checks.oracles") is None:
        return None
    return _chapter(exercise, "oracles")


def seed_of(exercise: str) -> int:
    """The seed of an exercise's inputs: its public one, unless MIXLAB_SEEDS gives another.

    MIXLAB_SEEDS is a JSON object from exercise ids to whole numbers; a grader sets it.
    """
    given = json.loads(os.environ.get("MIXLAB_SEEDS", "{}"))
    return int(given.get(exercise, cases_of(exercise).seed))


def run(exercise: str, answer, seed: int) -> tuple[Digest, list[np.ndarray]]:
    """Call `answer` on the inputs that `seed` draws, and digest what it returned.

    Raises:
        Unreadable: if it returned something of another kind than asked for.
        CheckFailed: if it called the library's implementation of what is asked.
    """
    cases = cases_of(exercise)
    arguments = cases.draw(np.random.default_rng(seed))
    values = [_call(exercise, cases, answer, drawn) for drawn in arguments]
    return digest(values, salt=f"{exercise}|{seed}", atol=cases.atol), values


def _call(exercise: str, cases: Cases, answer, arguments: tuple) -> np.ndarray:
    """One call, on a copy of the arguments, with the forbidden modules' functions barred."""
    with _barred(exercise, cases.forbids) as called:
        value = cases.call(answer, *copy.deepcopy(arguments))
    if called:
        raise CheckFailed(_calls_the_library(exercise, called[0]))
    return cases.read(value)


def _calls_the_library(exercise: str, name: str) -> str:
    return (
        f"{exercise}: the answer calls {name}, which is what this exercise asks you to write. "
        "Use it to compare with, outside the answer."
    )


@contextmanager
def _barred(exercise: str, modules: tuple[str, ...]) -> Iterator[list[str]]:
    """Make the functions of `modules` fail while the answer runs; yield the names it called.

    A function's code is exchanged, not its name, so every alias of it is barred too, and nothing
    has to watch the answer's own calls, which would slow them a hundredfold.
    """
    called: list[str] = []
    swapped = []

    def stop(name):
        called.append(name)
        raise CheckFailed(_calls_the_library(exercise, name))

    for module in map(importlib.import_module, modules):
        for name, value in list(vars(module).items()):
            function = inspect.unwrap(value) if callable(value) else None
            if not inspect.isfunction(function) or function.__code__.co_freevars:
                continue
            if function.__module__ == module.__name__:
                swapped.append((function, function.__code__, function.__kwdefaults__))
                function.__code__ = inspect.unwrap(_stub).__code__
                function.__kwdefaults__ = {"_stop": partial(stop, f"{module.__name__}.{name}")}
    try:
        yield called
    finally:
        for function, code, defaults in swapped:
            function.__code__, function.__kwdefaults__ = code, defaults


def _stub(*args, _stop, **kwargs):
    """What a barred function does instead; it runs with the barred module's globals."""
    _stop()


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
    cases, oracle = cases_of(exercise), _oracle_of(exercise)
    if oracle is not None:
        drawn = cases.draw(np.random.default_rng(seed_of(exercise)))
        for arguments in (*oracle.examples, *drawn):
            _examine(exercise, cases, oracle, answer, arguments)
    found, _ = run(exercise, answer, seed_of(exercise))
    print(f"{exercise} ✓ {found.text}")


def _examine(exercise: str, cases: Cases, oracle, answer, arguments: tuple) -> None:
    """Hold one call against the oracle."""
    call = oracle.show(*arguments)
    try:
        got = _call(exercise, cases, answer, arguments)
    except NotImplementedError as error:
        # The student's own line is all there is to see: no frames of ours above it.
        shown = [f"NotImplementedError: {error}"]
        error._render_traceback_ = lambda: shown
        raise
    except CheckFailed:
        raise
    except Unreadable as error:
        raise CheckFailed(f"{exercise} is not right yet: {call}\n  {error}") from None
    except Exception as error:
        lines = [f"{exercise} is not right yet: {call}", *_raised(error)]
        lines.append(f'  hint("{exercise}") helps a step further.')
        raise CheckFailed("\n".join(lines)) from error
    expected = oracle.expected(*arguments)
    if _agree(got, expected, cases.atol):
        return
    lines = [f"{exercise} is not right yet: {call}", *_difference(oracle, got, expected, cases)]
    if said := _misconception(exercise, cases, oracle, answer):
        lines.append(f"  Probably: {said}")
    lines.append(f'  hint("{exercise}") helps a step further.')
    raise CheckFailed("\n".join(lines))


# What an error's text says to who has met it before.
_MEANINGS = {
    "Boolean value of Tensor with more than one value": (
        "`and`, `or` and `0 <= x < w` ask for one truth value, and a tensor has many. Write "
        "`(x >= 0) & (x < w)`, with the brackets."
    ),
    "ambiguous. Use a.any()": (
        "`and`, `or` and `0 <= x < w` ask for one truth value, and an array has many. Write "
        "`(x >= 0) & (x < w)`, with the brackets."
    ),
    "Subtraction, the `-` operator, with two bool tensors": (
        "truth values can't be subtracted. Combine them with `&` and `~`, or subtract numbers."
    ),
}


def _raised(error: Exception) -> list[str]:
    """What an answer raised, where in the answer, and what it usually means."""
    lines = [f"  it raised {type(error).__name__}: {str(error).strip()}"]
    ours = str(Path(__file__).parents[1])
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        installed = {"site-packages", "lib-dynload"} & set(Path(frame.filename).parts)
        if not frame.filename.startswith(ours) and not installed and frame.line:
            lines.append(f"  in line {frame.lineno} of the answer: {frame.line.strip()}")
            break
    known = (says for text, says in _MEANINGS.items() if text in str(error))
    return [*lines, *(f"  Probably: {says}" for says in known)]


def _agree(got: np.ndarray, expected: np.ndarray, atol: float) -> bool:
    if got.shape != expected.shape:
        return False
    if expected.dtype.kind == "f":
        return bool(np.allclose(got, expected, rtol=0, atol=atol))
    return bool((got == expected).all())


def _difference(oracle, got: np.ndarray, expected: np.ndarray, cases: Cases) -> list[str]:
    """The first wrong place, expected, got; or the shapes, if these differ."""
    if got.shape != expected.shape:
        return [f"  expected shape: {expected.shape}", f"  got shape:      {got.shape}"]
    if expected.dtype.kind == "f":
        wrong = ~np.isclose(got, expected, rtol=0, atol=cases.atol)
    else:
        wrong = got != expected
    index = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
    lines = [f"  first wrong place: {oracle.place(index)}"] if oracle.place(index) else []
    return [
        *lines,
        f"  expected: {oracle.name(expected[index].item())}",
        f"  got:      {oracle.name(got[index].item())}",
    ]


def _misconception(exercise: str, cases: Cases, oracle, answer) -> str | None:
    """What to say, if the answer behaves like a known mistake on every example."""
    behaviour = []
    for arguments in oracle.examples:
        try:
            behaviour.append(_call(exercise, cases, answer, arguments))
        except Exception:
            behaviour.append(None)
    for known in oracle.misconceptions:
        outcomes = [known.gives(*copy.deepcopy(arguments)) for arguments in oracle.examples]
        compared = [
            _agree(got, np.asarray(wrong), cases.atol)
            for got, wrong in zip(behaviour, outcomes, strict=True)
            if got is not None and wrong is not None
        ]
        if compared and all(compared):
            return known.says
    return None


def hint(exercise: str, number: int | None = None) -> None:
    """Print the next hint of an exercise, from gentle to telling; `number` picks one, from 1.

    Raises:
        ValueError: if there is no such exercise or hint.
    """
    hints = cases_of(exercise).hints
    if number is None:
        _hints_shown[exercise] = min(_hints_shown[exercise] + 1, len(hints))
        number = _hints_shown[exercise]
    if not 1 <= number <= len(hints):
        raise UnknownExerciseError(f"exercise {exercise} has hints 1 to {len(hints)}: got {number}")
    print(f"Hint {number} of {len(hints)}: {hints[number - 1]}")
