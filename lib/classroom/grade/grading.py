"""Grade one submission against the references of its chapters."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from classroom.grade.answers import MAX_ANSWER, read_cells, take_answers
from classroom.grade.box import Limits
from classroom.grade.collect import Submission
from classroom.grade.feedback import explain
from classroom.grade.judge import Job, Judgement, judge
from classroom.grade.reference import Reference
from classroom.grade.stage import stage_library
from classroom.solution_region import stub


@dataclass(frozen=True)
class Grade:
    """One exercise of one student. `message` is safe to show; `misconception` one of our own."""

    student: str
    chapter: str
    exercise: str
    title: str
    points: int
    out_of: int
    status: str
    message: str = ""
    misconception: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Course:
    """What every submission is graded with."""

    root: Path
    hidden: tuple[Path, ...]
    references: dict[str, Reference]
    stages: Path
    cell_seconds: float
    limits: Limits

    def library(self, exercise: str, teaching: bool) -> Path:
        """The staged library for an exercise: exercises that forbid the same share one."""
        forbids = self.references[exercise[:2]].exercises[exercise].forbids
        name = ("teaching|" if teaching else "graded|") + "|".join(sorted(forbids))
        return self.stages / sha256(name.encode()).hexdigest()[:12]


@contextmanager
def staged(
    root: Path, hidden: tuple[Path, ...], references: dict, cell_seconds: float, limits: Limits
) -> Iterator[Course]:
    """A course with the parts of the library that its exercises may see laid out on disk."""
    with tempfile.TemporaryDirectory(prefix="stages-") as temporary:
        course = Course(root, hidden, references, Path(temporary), cell_seconds, limits)
        for reference in references.values():
            for ident, exercise in reference.exercises.items():
                for teaching in (False, True):
                    target = course.library(ident, teaching)
                    if not target.exists():
                        stage_library(root / "lib", target, exercise.forbids, teaching)
        yield course


def answers_of(submission: Submission) -> tuple[dict[str, list[str]], list[str]]:
    """Exercise id -> answers, from all notebooks; and what is the matter with those unread.

    The same answer in two notebooks counts as one: people hand in copies.
    """
    found: dict[str, list[str]] = {}
    problems = list(submission.problems)
    for label, content in submission.notebooks:
        try:
            answers = take_answers(read_cells(content))
        except ValueError as error:
            problems.append(f"{label}: {error}")
            continue
        for exercise, given in answers.items():
            here = found.setdefault(exercise, [])
            here += given if len(given) > 1 else [one for one in given if one not in here]
    return found, problems


def grade_submission(course: Course, submission: Submission) -> tuple[list[Grade], list[str]]:
    """A grade for every exercise of every chapter of the course, and the submission's problems."""
    answers, problems = answers_of(submission)
    grades = []
    for number, reference in course.references.items():
        runs, decided = {}, {}
        for ident in reference.exercises:
            given = answers.get(ident, [])
            reason = _not_run(ident, given)
            if reason:
                decided[ident] = reason
            else:
                runs[ident] = given[0]
        judgements = _judge(course, reference, runs, teaching=False)
        asked = {
            ident: runs[ident]
            for ident, found in judgements.items()
            if found.kind in ("wrong", "error", "kind")
        }
        taught = _judge(course, reference, asked, teaching=True)
        for ident, exercise in reference.exercises.items():
            if ident in decided:
                status, message, misconception = *decided[ident], ""
                seconds, passed = 0.0, False
            else:
                found = judgements[ident]
                status, message, misconception = explain(exercise, found, taught.get(ident))
                seconds, passed = found.seconds, found.passed
            grades.append(
                Grade(
                    student=submission.student,
                    chapter=number,
                    exercise=ident,
                    title=exercise.title,
                    points=exercise.points if passed else 0,
                    out_of=exercise.points,
                    status=status,
                    message=message,
                    misconception=misconception,
                    seconds=seconds,
                )
            )
    return grades, problems


def _not_run(ident: str, given: list[str]) -> tuple[str, str] | None:
    """(status, message) of an answer that needs no run, or None."""
    if not given:
        return "missing", "There is no answer cell of this exercise. Start from a fresh copy."
    if len(given) > 1:
        return "doubled", f"{len(given)} cells claim to be this answer. Keep one."
    answer = given[0]
    if len(answer) > MAX_ANSWER:
        return "too long", f"The answer has more than {MAX_ANSWER:,} characters."
    try:
        answer.encode()
    except UnicodeEncodeError:
        return "not text", "The answer holds characters that are no text (lone surrogates)."
    if stub(ident) in map(str.strip, answer.split("\n")):
        return "not answered", ""
    return None


def _judge(
    course: Course, reference: Reference, runs: dict[str, str], teaching: bool
) -> dict[str, Judgement]:
    """Run answers: on hidden inputs without oracles, or, for words alone, on the public ones."""
    jobs = []
    for ident, answer in runs.items():
        seeds = {} if teaching else {ident: reference.exercises[ident].seed}
        jobs.append(
            Job(
                exercise=ident,
                notebook=reference.notebook(ident, answer, public=teaching),
                library=course.library(ident, teaching),
                environment={"MIXLAB_SEEDS": json.dumps(seeds)},
            )
        )
    if not jobs:
        return {}
    return judge(jobs, course.hidden, course.cell_seconds, course.limits)


def to_record(grades: list[Grade], problems: list[str]) -> dict:
    """What is kept of a graded submission."""
    return {"grades": [asdict(grade) for grade in grades], "problems": problems}
