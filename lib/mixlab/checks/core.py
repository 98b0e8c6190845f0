"""`check` and `hint`: run an exercise's cases, hold them against the oracle, print the digest."""

import importlib
import json
import os
from collections import Counter

import numpy as np

from mixlab.checks.barred import call_answer
from mixlab.checks.cases import Cases
from mixlab.checks.digest import Digest, digest
from mixlab.checks.explain import examine
from mixlab.checks.messages import CheckFailed, UnknownExerciseError, wrapped

__all__ = ["CHAPTERS", "CheckFailed", "cases_of", "check", "hint", "run", "seed_of"]

# Chapter number -> the stem that names its lesson, library file, figures and checks.
CHAPTERS = {
    "02": "sliding_window",
    "03": "receptive_field",
    "04": "rolling_cache",
    "06": "packed_prompts",
    "07": "sparse_moe",
    "08": "router_decisions",
    "17": "parallel_scan",
    "19": "mamba",
}

_hints_shown: Counter[str] = Counter()


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
    """The oracle of an exercise."""
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
    values = [call_answer(exercise, cases, answer, drawn) for drawn in arguments]
    return digest(values, salt=f"{exercise}|{seed}", atol=cases.atol), values


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
    drawn = cases.draw(np.random.default_rng(seed_of(exercise)))
    for arguments in (*oracle.examples, *drawn):
        examine(exercise, cases, oracle, answer, arguments)
    found, _ = run(exercise, answer, seed_of(exercise))
    print(f"{exercise} ✓ {found.text}")


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
    print(wrapped(f"Hint {number} of {len(hints)}: {hints[number - 1]}"))
