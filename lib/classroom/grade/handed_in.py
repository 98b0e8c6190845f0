"""What of a hand-in is a student's: answers by exercise, without what the course wrote.

Whoever hands in the course's whole folder hands in our lessons and solutions too, untouched
exercises beside answered ones, and the old versions in work/old. In a solution notebook, wherever
it lies and whatever it is called, the solution's code is nobody's answer; code that differs from it
is a student's, and graded. The same code in any other notebook is an answer like others, and a
teacher is told.
"""

from pathlib import PurePosixPath

from classroom.answers import Answer, take_answers
from classroom.cells import Notebook
from classroom.grade.submission import Submission
from classroom.known import Known
from classroom.layout import FOLDERS
from classroom.work import BACKUP

# Where a notebook lies: an answer in a student's own place goes before one that stands in
# exercises/, and this before one in a backup.
OWN, HANDED_OUT, OLD = range(3)
VERSIONS = 4  # of an answer that one student may hand in; of one file's name, half as many
Taken = dict[str, Answer | None]


def answers_of(submission: Submission, known: Known) -> tuple[Taken, list[str]]:
    """Exercise id -> answer, from all notebooks; and what is the matter with some of these.

    Of several answers in the same kind of place the one in the newest notebook counts, and that is
    said. None stands for an exercise of which a cell is there, and nothing in it.
    """
    found: dict[str, dict[int, dict[str, Answer]]] = {}
    problems, solutions = list(submission.problems), []
    for label, notebook in submission.parsed:
        if isinstance(notebook, ValueError):
            problems.append(f"{label}: {notebook}")
            continue
        own = _own_answers(notebook, known)
        if notebook.is_solution and not any(own.values()):
            solutions.append(label)
        elif what := _problem(notebook, own):
            problems.append(f"{label}: {what}")
        place = _place(label)
        for exercise, answer in own.items():
            places = found.setdefault(exercise, {})
            if answer:
                places.setdefault(place, {})[label] = answer
    if solutions:
        named = ", ".join(solutions[:10]) + (" and others" if len(solutions) > 10 else "")
        problems.append(f"The course's own solutions are nobody's answers: {named}.")
    problems += _superseded(found)
    if submission.parsed and not found and not problems:
        problems.append("Lessons of the course hold no answers, and nothing else was handed in.")
    return {exercise: _best(places) for exercise, places in found.items()}, problems


def several_students(submission: Submission, known: Known) -> list[str]:
    """The notebooks by which a submission looks like those of several students; [] if it doesn't.

    Versions of one student's have names of their own, and are few.
    """
    given: dict[str, dict[str, str]] = {}
    for label, notebook in submission.parsed:
        if isinstance(notebook, Notebook) and _place(label) == OWN:
            for exercise, answer in _own_answers(notebook, known).items():
                if answer:
                    given.setdefault(exercise, {}).setdefault(answer.code.strip(), label)
    for different in given.values():
        labels = list(different.values())
        names = [PurePosixPath(label).name for label in labels]
        if len(labels) > VERSIONS or max(map(names.count, names)) > VERSIONS - 2:
            return labels
    return []


def _own_answers(notebook: Notebook, known: Known) -> Taken:
    """What a student answered in a notebook; nothing in a lesson of ours."""
    return {} if notebook.is_lesson else take_answers(notebook, known)


def _problem(notebook: Notebook, own: Taken) -> str:
    """What is the matter with a notebook that could be read."""
    if notebook.is_solution:
        return "a copy of the course's solutions; only what differs from them is graded."
    if own or notebook.is_lesson:
        return ""
    return (
        "no cell of it is an exercise's answer cell, and none defines what an exercise asks for. "
        "Put your answers into a fresh copy of the exercises and hand that in."
    )


def _place(label: str) -> int:
    path = PurePosixPath(label.rpartition(": ")[2])
    if BACKUP.fullmatch(path.name):
        return OLD
    return HANDED_OUT if path.parent.name == FOLDERS["exercise"] else OWN


def _best(places: dict[int, dict[str, Answer]]) -> Answer | None:
    """The newest answer of the best place; notebooks come in the order of their age."""
    return list(places[min(places)].values())[-1] if places else None


def _superseded(found: dict[str, dict[int, dict[str, Answer]]]) -> list[str]:
    """Which notebooks' answers give way to newer ones, unless these are the same."""
    newer: dict[tuple[str, ...], list[str]] = {}
    for exercise, places in found.items():
        given = places.get(min(places, default=OLD), {})
        if min(places, default=OLD) != OLD and len({a.code.strip() for a in given.values()}) > 1:
            newer.setdefault(tuple(given), []).append(exercise)
    return [
        f"Several answers to {', '.join(exercises)}: the newest counts, {labels[-1]}; "
        f"not {', '.join(labels[:-1][-5:])}."
        for labels, exercises in newer.items()
    ]
