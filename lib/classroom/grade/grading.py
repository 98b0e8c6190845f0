"""Grade one submission against the references of its chapters: run its answers, then word that."""

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_bytes

from classroom.answers import MAX_ANSWER, Answer
from classroom.causes import causes
from classroom.grade.box import Limits
from classroom.grade.feedback import explain
from classroom.grade.handed_in import Taken
from classroom.grade.judge import Job, judge
from classroom.grade.reference import Exercise, Reference
from classroom.grade.stage import stage_examiner, stage_library
from classroom.grade.verdicts import Judgement
from classroom.grade.workshop import Workshop
from classroom.known import Known, same_code

MAX_SHOWN = 20_000  # characters of an answer on its feedback page
NOTHING = "Nothing of this chapter was handed in."
AS_SOLVED = "the same code as the course's solution"


@dataclass(frozen=True)
class Grade:
    """One exercise of one student. `message` is safe to show; `misconception` one of our own.

    `note` is for the teacher alone, `comment` the teacher's, `code` the student's own."""

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
    note: str = ""
    code: str = ""
    comment: str = ""

    @property
    def handed_in(self) -> bool:
        """Whether the student handed in anything of the chapter."""
        return not self.message.startswith(NOTHING)


@dataclass(frozen=True)
class Course:
    """What every submission is graded with; `scratch` is the run's own folder."""

    root: Path
    hidden: tuple[Path, ...]
    references: dict[str, Reference]
    scratch: Path
    cell_seconds: float
    limits: Limits
    known: Known
    imports: tuple[str, ...] = ()
    slowest: dict[str, float] = field(default_factory=dict)
    key: bytes = field(default_factory=partial(token_bytes, 32), repr=False)

    def library(self, exercise: str, teaching: bool) -> Path:
        """The staged library for an exercise: one for all graded runs, one a chapter to teach."""
        return self.scratch / "stages" / (exercise[:2] if teaching else "graded")

    def workshop(self, teaching: bool) -> Workshop:
        """Where graded notebooks are run, or those that teach; to be entered, and left again."""
        examiner = None if teaching else self.examiner
        return Workshop(self.hidden, self.scratch, self.limits, self.imports, examiner)

    @property
    def examiner(self) -> Path:
        """What the exercises' examiners are made from."""
        return self.scratch / "stages" / "examiner.zip"

    def seconds(self, exercise: str) -> float:
        """What a cell of this exercise may take: more where the solution itself takes long."""
        return max(self.cell_seconds, 5 * self.slowest.get(exercise, 0.0))


def stage(course: Course) -> None:
    """Lay out the parts of the library that answers may see, and those for their examiners."""
    library, examined = course.root / "lib", {}
    for reference in course.references.values():
        topic = reference.stem[3:]
        for ident, exercise in reference.exercises.items():
            examined[ident] = (exercise.module, exercise.seed)
            for teaching in (False, True):
                target = course.library(ident, teaching)
                if not target.exists():
                    seen = topic if teaching else None
                    stage_library(library, target, exercise.packages, seen)
    stage_examiner(library, course.examiner, examined, course.key)


def judge_all(course: Course, answers: Taken, graded: Workshop) -> dict[str, Judgement]:
    """Run what needs to be run, on hidden inputs."""
    return judge_answers(course, _runs(course, answers), graded)


def grade_answers(
    course: Course,
    student: str,
    answers: Taken,
    judged: dict[str, Judgement],
    teaching: Workshop,
) -> list[Grade]:
    """A grade for every exercise of the chapters that these answers belong to."""
    runs = _runs(course, answers)
    asked = {i: runs[i] for i, found in judged.items() if found.kind in ("wrong", "error", "kind")}
    taught = judge_answers(course, asked, teaching)
    grades = []
    for number, ident, exercise in _exercises(course, answers):
        passed, seconds = False, 0.0
        if reason := _not_run(answers, ident):
            status, message, misconception = *reason, ""
        else:
            passed, seconds = judged[ident].passed, judged[ident].seconds
            status, message, misconception = explain(
                *(exercise, judged[ident], taught.get(ident)),
                *(runs[ident], course.seconds(ident)),
                [] if passed else causes(runs[ident], course.known.asked.get(ident)),
            )
        grades.append(
            Grade(
                student=student,
                chapter=number,
                exercise=ident,
                title=exercise.title,
                points=exercise.points if passed else 0,
                out_of=exercise.points,
                status=status,
                message=message,
                misconception=misconception,
                seconds=seconds,
                code=runs[ident].code[:MAX_SHOWN] if ident in runs else "",
                note=_note(course, runs.get(ident), ident),
            )
        )
    return grades


def _exercises(course: Course, answers: Taken) -> list[tuple[str, str, Exercise]]:
    """(chapter, id, exercise) of every chapter that these answers belong to."""
    handed_in = {exercise[:2] for exercise in answers}
    return [
        (number, ident, exercise)
        for number, reference in course.references.items()
        if number in handed_in
        for ident, exercise in reference.exercises.items()
    ]


def _runs(course: Course, answers: Taken) -> dict[str, Answer]:
    """The answers that need a run."""
    return {
        ident: answers[ident]
        for _, ident, _ in _exercises(course, answers)
        if not _not_run(answers, ident)
    }


def _note(course: Course, answer: Answer | None, ident: str) -> str:
    """What a teacher should look at. Of a short exercise, an honest answer may be the same."""
    same = answer is not None and same_code(answer.code, course.known.solved[ident])
    return AS_SOLVED if same else ""


def _not_run(answers: Taken, exercise: str) -> tuple[str, str] | None:
    """(status, message) of an answer that needs no run, or None."""
    if exercise not in answers:
        return "missing", "There is no answer cell of this exercise. Start from a fresh copy."
    answer = answers[exercise]
    if answer is None:
        return "not answered", ""
    if len(answer) > MAX_ANSWER:
        return "too long", f"The answer has more than {MAX_ANSWER:,} characters."
    try:
        answer.code.encode()
    except UnicodeEncodeError:
        return "not text", "The answer holds characters that are no text (lone surrogates)."
    return None


def judge_answers(
    course: Course, runs: dict[str, Answer], workshop: Workshop
) -> dict[str, Judgement]:
    """Run answers: on hidden inputs, or, for words alone, on public ones beside what is right."""
    jobs = []
    for ident, answer in runs.items():
        reference = course.references[ident[:2]]
        jobs.append(
            Job(
                exercise=ident,
                notebook=reference.notebook(ident, answer, public=workshop.teaches),
                library=course.library(ident, workshop.teaches),
                seconds=course.seconds(ident),
                room=None if workshop.teaches else reference.exercises[ident].room,
                atol=reference.exercises[ident].atol,
                key=None if workshop.teaches else course.key,
            )
        )
    return judge(jobs, workshop)


def not_handed_in(
    student: str, number: str, reference: Reference, problems: list[str], others: bool = False
) -> list[Grade]:
    """The grades of a chapter of which nothing could be taken from what a student handed in.

    `others` says whether other chapters were: then this one may well not have been meant.
    """
    told = " ".join(problems)
    if others or not told:
        status, message = "missing", f"{NOTHING} {told}".strip()
    else:
        status, message = "unreadable", told
    return [
        Grade(student, number, ident, one.title, 0, one.points, status, message)
        for ident, one in reference.exercises.items()
    ]


def to_record(grades: list[Grade], problems: list[str], modified: float = 0.0) -> dict:
    """What is kept of a graded submission; `modified` is when it was, in seconds."""
    kept = [asdict(grade) for grade in grades]
    return {"grades": kept, "problems": problems, "modified": modified}
