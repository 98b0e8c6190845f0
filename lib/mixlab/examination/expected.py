"""What a grader must know of an exercise before it grades: a safe seed, and what to expect.

`python -m mixlab.examination.expected` reads JSON from standard input: {"base": number,
"exercises": {id: [cell source, …, check cell source]}}, the cells being the solution's. For each
exercise it draws seeds from `base` until one keeps the solution's result clear of every rounding
border, and writes JSON: {id: {"seed", "line", "module", "forbids", "room", "calls", "sayings",
"hints"}}. `line` is what the check prints for the solution; `calls` and `sayings` are all that the
check may say, on public inputs, about a call and about a misunderstanding. It runs the solution,
and belongs in a process of its own.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator

import mixlab.checks
from mixlab.checks.checking import CheckFailed, check, run
from mixlab.checks.digest import SAFE_MARGIN
from mixlab.checks.exercise import find
from mixlab.checks.explain import ASSERTED, MEANINGS
from mixlab.checks.ready_made import PACKAGES

TRIES = 200
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


def safe_seeds(exercise: str, answer, base: int) -> Iterator[int]:
    """Seeds drawn from `base` at which the answer's result lies clear of rounding borders.

    Raises:
        ValueError: if one seed after another lies near a border; then the exercise's tolerance is
            too wide for its digest.
    """
    rng = np.random.default_rng([base, *exercise.encode()])
    refused = 0
    while refused < TRIES:
        seed = int(rng.integers(1, 2**31))
        if run(exercise, answer, seed)[0].margin >= SAFE_MARGIN:
            yield seed
            refused = 0
        else:
            refused += 1
    raise ValueError(f"{exercise}: none of {TRIES} seeds keeps {SAFE_MARGIN} tolerances' distance")


def _line(exercise: str, answer, seed: int) -> str:
    """What the check prints, which holds the answer against the oracle too."""
    printed = io.StringIO()
    os.environ["MIXLAB_SEEDS"] = json.dumps({exercise: seed})
    try:
        with contextlib.redirect_stdout(printed):
            check(exercise, answer)
    finally:
        del os.environ["MIXLAB_SEEDS"]
    return printed.getvalue()


def expect(cells: list[str], base: int) -> dict:
    """Everything a grader needs of one exercise.

    Raises:
        ValueError: if the solution fails on one seed after another. Failing on a single one, by a
            rounding error in some extreme case, must not keep a class from being graded: then the
            next is taken.
    """
    exercise, answer = solution_of(cells)
    failures = []
    for seed in safe_seeds(exercise, answer, base):
        try:
            line = _line(exercise, answer, seed)
            break
        except CheckFailed as failure:
            failures.append(f"on seed {seed}: {failure}")
        if len(failures) == UNLUCKY:
            raise ValueError(f"the solution itself fails {failures[0]}")
    module = find(exercise)
    asked, known = module.ASKED, module.KNOWN
    public = [*known.examples, *asked.drawn(asked.seed)]
    advice = {known.advice(*arguments) for arguments in public} if known.advice else set()
    return {
        "seed": seed,
        "line": line,
        "module": module.__name__,
        "forbids": [*asked.forbids, *PACKAGES],
        "room": asked.room,
        "calls": sorted({known.show(*arguments) for arguments in public}),
        "sayings": [*known.mistakes, *sorted(advice), *MEANINGS.values(), ASSERTED],
        "hints": list(asked.hints),
    }


def main() -> None:
    """Standard input to standard output; nothing that a cell prints comes between."""
    asked = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        found = {name: expect(cells, asked["base"]) for name, cells in asked["exercises"].items()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
