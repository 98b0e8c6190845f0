"""Before a class is graded: which chapters, on which hidden inputs, and does the machine grade?

What is decided here is kept in OUT/state/run.json, so that a run that was killed goes on with the
same inputs.
"""

import json
import secrets
from dataclasses import replace
from pathlib import Path

from classroom.answers import Answer
from classroom.grade.collect import read_submission
from classroom.grade.entries import Entry
from classroom.grade.grading import Course, grade_answers, judge_all, judge_answers
from classroom.grade.handed_in import answers_of, several_students
from classroom.grade.reference import (
    Reference,
    course_digest,
    find_references,
    from_json,
    to_json,
)
from classroom.grade.verdicts import Judgement
from classroom.grade.workshop import Workshop
from classroom.known import Known, chapters
from classroom.layout import write_atomically

SEVERAL = (
    "{} looks like the submissions of several students: {} answer the same exercise differently. "
    "If so, grade that folder by itself, or lay theirs beside the others'; if it is one student, "
    'of whom the newest answers count, say so: ARGS="--anyway".'
)
REHEARSAL_SECONDS = 90  # a cell of a solution, on however slow a machine


def choose_chapters(
    root: Path, entries: list[Entry], asked: list[str], known: Known, anyway: bool = False
) -> list[str]:
    """The chapters to grade: those asked for, or all that anybody handed in.

    Whoever hands in the course's whole folder has not handed in every chapter: of several, those
    with an answer count.

    Raises:
        ValueError: if a chapter is asked for that has no exercises, or nobody handed any in; and,
            unless `anyway`, if a submission looks like those of several students.
    """
    there = set(chapters(root))
    wanted = sorted({number.zfill(2)[:2] for part in asked for number in part.split(",")})
    if unknown := [number for number in wanted if number not in there]:
        raise ValueError(
            f"no exercises of chapter {', '.join(unknown)} in solutions/; there are: "
            f"{', '.join(sorted(there))}."
        )
    held: set[str] = set()
    meant: set[str] = set()
    for entry in entries:
        submission = read_submission(entry)
        if not anyway and (several := several_students(submission, known)):
            raise ValueError(SEVERAL.format(submission.student, ", ".join(several[:5])))
        answers, _ = answers_of(submission, known)
        own = {exercise[:2] for exercise in answers} & there
        answered = {exercise[:2] for exercise, answer in answers.items() if answer} & there
        held |= own
        meant |= own if len(own) == 1 else answered
    if not (held or wanted):
        raise ValueError(
            "none of the submissions holds an answer cell of a chapter in solutions/; are they "
            "filled-in copies of the notebooks in exercises/?"
        )
    return wanted or sorted(meant or held)


class Plan:
    """A run's references and the seconds that its solutions took, kept in a file."""

    def __init__(self, root: Path, file: Path, seed: int | None):
        self.root, self.file = root, file
        digest = course_digest(root)
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = {}
        if kept.get("course") != digest or seed not in (None, kept.get("base")):
            base = secrets.randbits(48) if seed is None else seed
            kept = {"course": digest, "base": base, "chapters": {}, "seconds": {}}
        self.kept = kept

    def references(self, numbers: list[str]) -> dict[str, Reference]:
        """The chapters' references: those that an interrupted run began with, or new ones."""
        known = self.kept["chapters"]
        if fresh := [number for number in numbers if number not in known]:
            found = find_references(self.root, fresh, self.kept["base"])
            known |= {number: to_json(reference) for number, reference in found.items()}
            self._keep()
        return {number: from_json(self.root, number, known[number]) for number in numbers}

    def rehearse(self, course: Course) -> dict[str, float]:
        """The seconds that each exercise's solution takes in a sandbox.

        Raises:
            ValueError: if a solution does not pass, or a wrong result does: then this machine, not
                the class, is at fault, and nothing is graded.
        """
        seconds = self.kept["seconds"]
        fresh = {n: r for n, r in course.references.items() if n not in seconds}
        if fresh:
            solved = {
                ident: Answer.of(course.known.solved[ident])
                for reference in fresh.values()
                for ident in reference.exercises
            }
            unhurried = replace(course, cell_seconds=max(course.cell_seconds, REHEARSAL_SECONDS))
            with course.workshop(teaching=False) as graded, course.workshop(True) as teaching:
                judged = judge_all(unhurried, solved, graded)
                grades = grade_answers(unhurried, "the solution", solved, judged, teaching)
                altered = _judge_altered(course, next(iter(fresh.values())), graded)
            if failed := [grade for grade in grades if grade.status != "passed"]:
                what = "; ".join(f"{one.exercise}: {one.status} {one.message}" for one in failed)
                raise ValueError(
                    f"the course's own solution does not pass in the sandbox of this machine "
                    f"({what}). Nothing was graded. Run: make doctor, and make test"
                )
            if altered.kind != "wrong":
                raise ValueError(
                    f"nbval on this machine does not tell a wrong result from a right one "
                    f"({altered.kind}). Nothing was graded. Run: make doctor, and make test"
                )
            for number in fresh:
                seconds[number] = {g.exercise: g.seconds for g in grades if g.chapter == number}
            self._keep()
        return {
            exercise: found
            for number in course.references
            for exercise, found in seconds[number].items()
        }

    def _keep(self) -> None:
        write_atomically(self.file, json.dumps(self.kept))


def _judge_altered(course: Course, reference: Reference, graded: Workshop) -> Judgement:
    """A right answer, held against a wrong result: a referee that lets anything pass is found out
    before it grades."""
    ident, exercise = next(iter(reference.exercises.items()))
    other = replace(exercise, expected="[]")
    altered = replace(reference, exercises=reference.exercises | {ident: other})
    course = replace(course, references=course.references | {ident[:2]: altered})
    answer = Answer.of(course.known.solved[ident])
    return judge_answers(course, {ident: answer}, graded)[ident]
