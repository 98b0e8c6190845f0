"""A class to grade: submissions written from the course's own notebook."""

import csv
import json
from pathlib import Path

import pytest

from classroom.cells import read_notebook
from classroom.given import answer_id
from classroom.grade.run import grade_command
from classroom.work import pristine_exercises

ROOT = Path(__file__).parents[3]
SOLUTION = ROOT / "solutions" / "02_sliding_window.ipynb"
EXERCISES = ROOT / "exercises" / "02_sliding_window.ipynb"
NAMES = {
    "02.1": "window_mask",
    "02.2": "chunk_mask",
    "02.3": "n_scores",
    "02.4": "banded",
    "02.5": "is_window_mask",
}


def filled(
    answers: dict[str, str], before: dict[str, str] | None = None, exercises: Path = EXERCISES
) -> dict:
    """The exercise notebook with these answers; `before` puts a cell ahead of an answer."""
    notebook = pristine_exercises(ROOT, exercises.stem)
    cells = []
    for cell in notebook.cells:
        ident = answer_id(cell)
        if ident in (before or {}):
            extra = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
            cells.append({**extra, "source": before[ident]})
        if ident in answers:
            cell.source = answers[ident]
        cells.append(cell)
    return {**notebook, "cells": cells}


def right_answers() -> dict[str, str]:
    """The solution's answer cells."""
    notebook = read_notebook(SOLUTION)
    return {ident: cell.source for cell in notebook.cells if (ident := answer_id(cell))}


def write(folder: Path, student: str, notebook: dict) -> Path:
    """Hand a notebook in."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{student}.ipynb"
    path.write_text(json.dumps(notebook, ensure_ascii=True))
    return path


_planned: list[str] = []  # the run.json of the last run that drew its own seeds


def grade(folder: Path, out: Path, **options) -> dict[tuple[str, str], dict]:
    """Grade and read grades.csv back: (student, exercise) -> row.

    Unless a seed is asked for, it goes on with the seeds of the last run: to draw new ones and to
    rehearse on them takes longer than to grade what most tests hand in.
    """
    plan, own_seed = out / "state" / "run.json", "seed" in options
    if _planned and not own_seed and not plan.exists():
        plan.parent.mkdir(parents=True)
        plan.write_text(_planned[-1])
    assert grade_command(ROOT, folder, out, workers=2, **options) == 0
    if not own_seed:
        _planned[:] = [plan.read_text()]
    with (out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return {(row["student"], row["exercise"]): row for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def answers() -> dict[str, str]:
    """The solution's answers."""
    return right_answers()
