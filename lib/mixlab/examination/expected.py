"""What a grader must know of an exercise before it grades: a seed, and what to expect.

`python -m mixlab.examination.expected` reads JSON from standard input: {"base": number,
"chapters": [{id: [cell source, …, check cell source]}]}, the cells being the solution's. It writes
JSON, for each chapter {id: {"seed", "expected", "atol", "module", "packages", "room", "calls",
"sayings", "hints"}}.
`expected` is what a right answer returns on the seed's inputs, by which the solution has been
judged; `calls` and `sayings` are all that the check may say, on public inputs, about a call and
about a misunderstanding. It runs the solution, and belongs in a process of its own, in which each
chapter gets a child: what one sets for its process, torch's default dtype, is no other's business.
"""

import contextlib
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

import mixlab.checks
from mixlab.checks.checking import PUBLIC, CheckFailed, hold
from mixlab.checks.exercise import find
from mixlab.checks.explain import ASSERTED, MEANINGS
from mixlab.checks.ready_made import PACKAGES
from mixlab.examination.results import to_text

UNLUCKY = 3  # seeds on which a solution fails before it is called wrong


def solution_of(cells: list[str]) -> tuple[str, object]:
    """(exercise, answer) that the last cell hands to `check`."""
    handed = []
    original, mixlab.checks.check = mixlab.checks.check, lambda *given: handed.append(given)
    try:
        namespace = {"__name__": "__main__", "display": lambda *shown, **options: None}
        for cell in cells:
            exec(compile(cell, "<solution>", "exec"), namespace)
    finally:
        mixlab.checks.check = original
    if len(handed) != 1:
        raise ValueError(
            f"an exercise's check cell calls check(id, answer) once: got {len(handed)} calls in "
            f"{cells[-1]!r}"
        )
    return handed[0]


def fair_seed(exercise: str, answer, base: int) -> int:
    """A seed drawn from `base` on which the solution is right.

    Failing on a single one, by a rounding error in some extreme case, must not keep a class from
    being graded: then the next is taken.

    Raises:
        ValueError: if the solution fails on one seed after another.
    """
    rng = np.random.default_rng([base, *exercise.encode()])
    for _ in range(UNLUCKY):
        seed = int(rng.integers(1, 2**31))
        try:
            hold(exercise, answer, seed)
            return seed
        except CheckFailed as failure:
            told = f"on seed {seed}: {failure}"
    raise ValueError(f"the solution itself fails {told}")


def expect(cells: list[str], base: int) -> dict:
    """Everything a grader needs of one exercise.

    Raises:
        ValueError: if the solution is wrong.
    """
    exercise, answer = solution_of(cells)
    seed = fair_seed(exercise, answer, base)
    module = find(exercise)
    asked, known = module.ASKED, module.KNOWN
    public = asked.inputs(PUBLIC)
    advice = {known.advice(*arguments) for arguments in public} if known.advice else set()
    advice.discard(None)  # not every argument has words of its own
    expected = [asked.outcome(known.right[0], arguments) for arguments in asked.inputs(seed)]
    return {
        "seed": seed,
        "expected": to_text(expected),
        "atol": asked.atol,
        "module": module.__name__,
        "packages": list(PACKAGES),
        "room": asked.room,
        "calls": sorted({known.show(*arguments) for arguments in public}),
        "sayings": [*known.mistakes, *sorted(advice), *MEANINGS.values(), ASSERTED],
        "hints": list(asked.hints),
    }


def expect_all(exercises: dict[str, list[str]], base: int) -> dict[str, dict]:
    """Everything a grader needs of a chapter."""
    return {name: expect(cells, base) for name, cells in exercises.items()}


def main() -> None:
    """Standard input to standard output; nothing that a cell prints comes between."""
    given = json.load(sys.stdin)
    found = []
    with contextlib.redirect_stdout(sys.stderr):
        for exercises in given["chapters"]:
            with ProcessPoolExecutor(1, get_context("fork")) as child:
                found.append(child.submit(expect_all, exercises, given["base"]).result())
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
