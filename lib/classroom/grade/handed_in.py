"""What of a hand-in is a student's: answers by exercise, without what the course wrote.

Whoever hands in the course's whole folder hands in our lessons and solutions too, untouched
exercises beside answered ones, and the old versions in work/old. In a solution notebook, wherever
it lies and whatever it is called, the solution's code is nobody's answer; code that differs from it
is a student's, and graded. The same code in any other notebook is an answer like others, and a
teacher is told.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from classroom.answers import Answer, answer_id, take_answers
from classroom.check import read_notebook, untouched_answers
from classroom.given import answer_mark, digest
from classroom.grade.cells import Notebook
from classroom.grade.collect import Submission
from classroom.grade.reference import chapters
from classroom.layout import FOLDERS
from classroom.work import BACKUP

LAYOUT = re.compile(r"#.*|\s+")
# Where a notebook lies: an answer in a student's own place goes before one that stands in
# exercises/, and this before one in a backup.
OWN, HANDED_OUT, OLD = range(3)


@dataclass(frozen=True)
class Known:
    """The course's own answer cells by exercise: as they were handed out, and solved."""

    untouched: dict[str, str]
    solved: dict[str, str]


def known_answers(root: Path) -> Known:
    """The answer cells of every chapter that has exercises."""
    known = Known({}, {})
    for path in chapters(root).values():
        pristine = read_notebook(path)
        known.untouched.update(untouched_answers(pristine))
        known.solved.update({i: cell.source for cell in pristine.cells if (i := answer_id(cell))})
    return known


def answers_of(submission: Submission, known: Known) -> tuple[dict[str, list[Answer]], list[str]]:
    """Exercise id -> answers, from all notebooks; and what is the matter with some of these.

    Copies of one answer count once. An exercise of which nothing is answered has its untouched
    cell as the answer; one of which no cell was handed in has none.
    """
    found: dict[str, dict[int, list[Answer]]] = {}
    problems, solutions = list(submission.problems), []
    for label, notebook in sorted(submission.parsed, key=lambda pair: pair[0]):
        if isinstance(notebook, ValueError):
            problems.append(f"{label}: {notebook}")
            continue
        own = _own_answers(notebook, known)
        if notebook.is_solution and not any(own.values()):
            solutions.append(label)
        elif what := _problem(notebook, own):
            problems.append(f"{label}: {what}")
        place = _place(label)
        for exercise, given in own.items():
            places = found.setdefault(exercise, {})
            if given and place == OLD:
                places[OLD] = given  # of several backups, the newest
            elif given:
                places.setdefault(place, []).extend(given)
    if solutions:
        named = ", ".join(solutions[:10]) + (" and others" if len(solutions) > 10 else "")
        problems.append(f"The course's own solutions are nobody's answers: {named}.")
    if submission.parsed and not found and not problems:
        problems.append("Lessons of the course hold no answers, and nothing else was handed in.")
    best = {exercise: _best(places, exercise, known) for exercise, places in found.items()}
    return best, problems


def _own_answers(notebook: Notebook, known: Known) -> dict[str, list[Answer]]:
    """What a student answered in a notebook; nothing for an exercise of which a cell is there."""
    return {
        exercise: [one for one in given if not _is_ours(exercise, one.code, notebook, known)]
        for exercise, given in take_answers(notebook.cells).items()
    }


def _problem(notebook: Notebook, own: dict[str, list[Answer]]) -> str:
    """What is the matter with a notebook that could be read."""
    if notebook.is_solution:
        return "a copy of the course's solutions; only what differs from them is graded."
    if own or notebook.is_lesson:
        return ""
    return (
        "no cell of it is an exercise's answer cell. "
        "Put your answers into a fresh copy of the exercises and hand that in."
    )


def answered_chapters(submission: Submission, known: Known) -> set[str]:
    """The chapters of which a student answered anything."""
    return {
        exercise[:2]
        for _, notebook in submission.parsed
        if isinstance(notebook, Notebook)
        for cell in notebook.cells
        if (exercise := answer_id(cell)) and not _is_ours(exercise, cell["source"], notebook, known)
    }


def same_code(code: str, other: str) -> bool:
    """Whether two programs are one, comments and layout aside.

    >>> same_code("x = 1  # one", "x=1"), same_code("x = 1", "y = 1")
    (True, False)
    """
    return LAYOUT.sub("", code) == LAYOUT.sub("", other)


def _is_ours(exercise: str, code: str, notebook: Notebook, known: Known) -> bool:
    """Whether a cell is blank, or as the course wrote it: now, when handed out, or solved."""
    untouched = digest(known.untouched.get(exercise, ""))
    if digest(code) in (digest(""), untouched, notebook.given.get(answer_mark(exercise))):
        return True
    return notebook.is_solution and same_code(code, known.solved.get(exercise, ""))


def _place(label: str) -> int:
    path = PurePosixPath(label.rpartition(": ")[2])
    if BACKUP.fullmatch(path.name):
        return OLD
    return HANDED_OUT if path.parent.name == FOLDERS["exercise"] else OWN


def _best(places: dict[int, list[Answer]], exercise: str, known: Known) -> list[Answer]:
    """The answers that count, without copies of one another."""
    if not places:
        return [Answer(known.untouched.get(exercise, ""))]
    return list({answer.code.strip(): answer for answer in places[min(places)]}.values())
