"""Exercises stand alone: none needs another's answer, none shows it.

Each exercise is checked in a notebook of its own, so an answer that another exercise needs would
be missing there; and one gap must cost a student one mark.
"""

import ast

from IPython.core.inputtransformer2 import TransformerManager

from classroom.chapter import Cell, Chapter
from classroom.problems import Problem
from classroom.solution_region import split_regions

GIVEN_AWAY = 30  # characters; shorter lines of an answer are anybody's


def dependence_problems(chapter: Chapter) -> list[Problem]:
    """No exercise may need another's answer: each runs alone, and one gap must cost one mark."""
    problems = []
    shared: set[str] = set()
    for cell in chapter.cells:
        if cell.exercise is None and cell.goes_to("exercise"):
            shared |= _names(cell, bound=True)
    for name, run in chapter.exercises.items():
        answer = next(cell for cell in run if cell.role == "answer")
        own = _names(answer, bound=True) - shared
        for cell in chapter.cells:
            if cell.exercise == name or not cell.goes_to("exercise"):
                continue
            used = own & (_names(cell, bound=False) - _bound_by_run(chapter, cell))
            if used:
                problems.append(
                    Problem(
                        chapter.path,
                        cell.line,
                        f"this cell uses {', '.join(sorted(used))}, "
                        f"which only the answer of {name} defines.",
                        "Give it in a prompt, or take it from the library.",
                    )
                )
    return problems


def _bound_by_run(chapter: Chapter, cell: Cell) -> set[str]:
    run = chapter.exercises.get(cell.exercise, [cell])
    return set().union(*(_names(one, bound=True) for one in run))


def _names(cell: Cell, bound: bool) -> set[str]:
    """Names a code cell binds (`bound`) or reads, by its syntax tree."""
    if cell.type != "code":
        return set()
    names: set[str] = set()
    for node in ast.walk(ast.parse(TransformerManager().transform_cell(cell.source))):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load) != bound:
                names.add(node.id)
        elif not bound:
            continue
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
    return names


def given_away_problems(chapter: Chapter) -> list[Problem]:
    """A telling line of an answer must not stand elsewhere in the exercise notebook."""
    problems = []
    for cell in chapter.cells:
        if not cell.goes_to("exercise"):
            continue
        shown = "\n".join(split_regions(cell.source)[0])
        for name, run in chapter.exercises.items():
            answer = next(cell for cell in run if cell.role == "answer")
            lines = {line.strip() for line in split_regions(answer.source)[1]}
            problems += [
                Problem(
                    chapter.path,
                    cell.line,
                    f"this cell gives away a line of {name}: {line!r}.",
                    "Reword it, or leave the line out of the solution region.",
                )
                for line in sorted(lines)
                if len(line) >= GIVEN_AWAY and line in shown
            ]
    return problems
