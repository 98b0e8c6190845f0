"""An exercise is a run of cells: one or more prompts, one answer, one check.

    # %% [markdown] exercise="02.1" role="prompt" title="…" difficulty=1 minutes=10 points=2
    # %% exercise="02.1" role="answer"     code with at least one solution region
    # %% exercise="02.1" role="check"      code that calls the check, and prints one line

The first prompt carries the facts about the exercise; further prompts, markdown or code, may
follow it (data to work on, a function with a bug). Ids count from 1 within a chapter.
"""

from pathlib import Path

from classroom.chapter import Cell
from classroom.problems import Problem
from classroom.solution_region import split_regions

FACTS = ("title", "difficulty", "minutes", "points")
LESSON_KEYS = ("slide", "show", "to")


def exercise_errors(path: Path, cells: list[Cell]) -> list[Problem]:
    """Every rule of exercises that a chapter's cells break."""
    problems = []
    for cell in cells:
        problems += [Problem(path, cell.line, rule, fix) for rule, fix in _cell_errors(cell)]
    runs: list[list[Cell]] = []
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.exercise is None:
            continue
        if before is None or before.exercise != cell.exercise:
            runs.append([])
        runs[-1].append(cell)
    for position, run in enumerate(runs, 1):
        expected = f"{path.stem[:2]}.{position}"
        if run[0].exercise != expected:
            problems.append(
                Problem(
                    path,
                    run[0].line,
                    f"exercise {position} of this chapter is {expected!r}; "
                    f"got {run[0].exercise!r}.",
                    "Keep an exercise's cells together and count from 1.",
                )
            )
        problems += _run_errors(path, run)
    return problems


def _cell_errors(cell: Cell) -> list[tuple[str, str]]:
    """(rule, fix) for keys and markers that do not fit the cell's part in an exercise."""
    errors = []
    facts = [key for key in FACTS if getattr(cell, key) is not None]
    outside, inside = split_regions(cell.source)
    has_region = len(outside) + len(inside) < cell.source.count("\n") + 1
    if (cell.exercise is None) != (cell.role is None):
        errors.append(("exercise and role stand together.", "Add the other, or drop both."))
    if cell.role != "prompt" and facts:
        errors.append((f"{facts[0]} belongs on an exercise's first prompt.", "Move it there."))
    if has_region and cell.role != "answer":
        errors.append(
            ("a solution region belongs in an answer cell.", 'Add exercise="…" role="answer".')
        )
    if cell.exercise is None:
        return errors
    if cell.role == "answer" and not has_region:
        errors.append(
            (
                "an answer cell needs a solution region.",
                "Put ### BEGIN SOLUTION … ### END SOLUTION around what a student writes.",
            )
        )
    if cell.role != "prompt" and cell.type != "code":
        errors.append((f"an exercise's {cell.role} is code; this is markdown.", "Drop [markdown]."))
    errors += [
        (f"{key} has no meaning in an exercise, which goes to exercises and solutions.", "Drop it.")
        for key in LESSON_KEYS
        if getattr(cell, key) is not None
    ]
    if cell.role != "prompt":
        errors += [
            (f"an exercise's {cell.role} is compared as it is; it takes no {key}.", "Drop it.")
            for key in ("alt", "widget", "volatile", "fails")
            if getattr(cell, key)
        ]
    return errors


def _run_errors(path: Path, run: list[Cell]) -> list[Problem]:
    """Rules about an exercise's cells together."""
    first, name = run[0], run[0].exercise
    problems = []
    roles = [cell.role for cell in run]
    expected = ["prompt"] * (len(run) - 2) + ["answer", "check"]
    if len(run) < 3 or roles != expected:
        problems.append(
            Problem(
                path,
                first.line,
                f"exercise {name} is prompts, then one answer, then one check; "
                f"got {', '.join(map(str, roles))}.",
                "Reorder, or add what is missing.",
            )
        )
    missing = [key for key in FACTS if getattr(first, key) is None]
    if missing and first.role == "prompt":
        what = "it is code" if first.type == "code" else f"missing: {', '.join(missing)}"
        problems.append(
            Problem(
                path,
                first.line,
                f"an exercise's first prompt is markdown with title, difficulty, minutes and "
                f"points; {what}.",
                "Add them to the header.",
            )
        )
    problems += [
        Problem(path, cell.line, f"{FACTS[0]} and its kin stand on the first prompt only.", "Drop.")
        for cell in run[1:]
        if cell.role == "prompt" and any(getattr(cell, key) is not None for key in FACTS)
    ]
    return problems
