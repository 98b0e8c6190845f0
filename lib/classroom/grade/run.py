"""Grade a folder of submissions: from the folder to the reports.

OUT/state/run.json holds the seeds and expected lines of this run, OUT/state/results/ what is known
of each submission. Everything is written whole or not at all. So a run that was killed at any
moment is continued by the same command, with the same seeds, and repeats nothing that was finished.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from classroom.environment import CELL_SECONDS
from classroom.grade.box import Limits, installed
from classroom.grade.entries import find_entries, not_looked_at
from classroom.grade.everybody import grade_all
from classroom.grade.grading import Course, Grade, not_handed_in, stage
from classroom.grade.plan import Plan, choose_chapters
from classroom.grade.protection import unprotected
from classroom.grade.reference import Reference, imports
from classroom.grade.reports import write_reports
from classroom.grade.scratch import scratch_folder
from classroom.grade.totals import MANUAL, Totals, apply_manual
from classroom.known import known_answers
from classroom.layout import write_atomically

PRIVATE = 0o700
CLASS = 3  # students of whom some should have a point
NOBODY = (
    "None of {} submissions has a single point. Is this the version of the course that they were "
    "handed out, and the folder you meant? What each lacks stands in the reports. If it is right, "
    'say so: ARGS="--anyway".'
)


def grade_command(
    root: Path,
    submissions: Path,
    out: Path,
    seed: int | None = None,
    workers: int | None = None,
    cell_seconds: float = CELL_SECONDS,
    chapters: list[str] | None = None,
    totals: Totals | None = None,
    anyway: bool = False,
) -> int:
    """Grade every submission and write the reports to `out`; 0 when all could be graded.

    Raises:
        ValueError: if nothing can be graded, or, unless `anyway`, if something looks so odd that a
            teacher should say whether it was meant.
    """
    if cell_seconds <= 0 or (workers is not None and workers < 1):
        raise ValueError(
            "--timeout is a number of seconds above 0 and --workers a number of processes above 0: "
            f"got {cell_seconds} and {workers}."
        )
    if out.resolve().is_relative_to(submissions.resolve()):
        raise ValueError(
            f"{out}: the reports must lie outside the submissions ({submissions}), or they would "
            "be graded too. Name another OUT."
        )
    limits = Limits()
    entries = find_entries(submissions)
    if others := not_looked_at(submissions):
        print(f"Lists and notes, not looked at: {others}", file=sys.stderr)
    if danger := unprotected():
        print(f"\n*** NO SANDBOX: {danger}\n", file=sys.stderr)
    state = out / "state"
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(PRIVATE)
    _warm_up()
    plan = Plan(root, state / "run.json", seed)
    known = known_answers(root)
    references = plan.references(choose_chapters(root, entries, chapters or [], known, anyway))
    wanted = set().union(*(imports(reference.pristine) for reference in references.values()))
    hidden = (root.resolve(), submissions.resolve(), out.resolve(), *_ready_made(references))
    with scratch_folder() as scratch:
        course = Course(
            *(root, hidden, references, scratch, cell_seconds, limits, known),
            imports=tuple(sorted(wanted)),
        )
        stage(course)
        course = replace(course, slowest=plan.rehearse(course))
        records = grade_all(course, entries, state / "results", workers or _workers(limits))
    grades = [
        grade for student, record in records.items() for grade in _all(course, student, record)
    ]
    grades = apply_manual(grades, out / MANUAL)
    problems = {student: record["problems"] for student, record in records.items()}
    write_reports(out, grades, problems, references, unprotected())
    handed_in = {student: record.get("modified", 0.0) for student, record in records.items()}
    write_atomically(out / "totals.csv", (totals or Totals()).write(grades, handed_in))
    _say(grades, len(records), out)
    if len(records) >= CLASS and not anyway and not any(grade.points for grade in grades):
        print(NOBODY.format(len(records)), file=sys.stderr)
        return 3
    return 0


def _ready_made(references: dict[str, Reference]) -> tuple[Path, ...]:
    """Where packages that no answer may use are installed; what stands in for them comes first, but
    an answer might look further."""
    every = (one for reference in references.values() for one in reference.exercises.values())
    return installed(*{name for exercise in every for name in exercise.packages})


def _warm_up() -> None:
    """Read from the disk, once, what an answer may import beside what all do.

    On a cold disk that takes ten seconds, and the first student who plots would pay for it with
    their time limit.
    """
    code = "import einops, matplotlib.pyplot, plotly.graph_objects"
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-c", code], check=False, **quiet)


def _all(course: Course, student: str, record: dict) -> list[Grade]:
    """A student's grades of every chapter, also of those they handed nothing in of."""
    found = [Grade(**grade) for grade in record["grades"]]
    return [
        grade
        for number, reference in course.references.items()
        for grade in [one for one in found if one.chapter == number]
        or not_handed_in(student, number, reference, record["problems"], others=bool(found))
    ]


def _say(grades: list[Grade], submissions: int, out: Path) -> None:
    for number in dict.fromkeys(grade.chapter for grade in grades):
        own = [grade for grade in grades if grade.chapter == number and grade.handed_in]
        students = len({grade.student for grade in own})
        passed = sum(grade.status == "passed" for grade in own)
        print(
            f"Chapter {number}: handed in by {students} of {submissions}, {passed} of their "
            f"{len(own)} exercises passed."
        )
    print(
        f"Grades: {out / 'grades.csv'}   Totals: {out / 'totals.csv'}   "
        f"Class: {out / 'class.html'}   Feedback: {out}/feedback/"
    )


def _workers(limits: Limits) -> int:
    """As many as there are cores, and as memory has room for their largest kernels."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            facts = dict(line.split(":") for line in file)
        free = int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        free = limits.memory
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    both = limits.memory * 3 // 2  # a kernel's, and half as much for its examiner
    return max(1, min(cores or 1, free // both))
