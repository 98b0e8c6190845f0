"""Grade a folder of submissions: parallel, kept as it goes, continued after any interruption.

OUT/state/run.json holds the seeds and expected lines of this run, OUT/state/results/ one file a
submission. Both are written whole or not at all, and a result counts only for exactly the
submission, the course and the seeds that it was made from. So a run that was killed at any moment
is continued by the same command, with the same seeds, and repeats nothing that was finished.
"""

import json
import os
import secrets
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from hashlib import sha256
from pathlib import Path

from tqdm import tqdm

from classroom.grade.answers import read_cells, take_answers
from classroom.grade.box import UNPROTECTED, Limits, bubblewrap
from classroom.grade.collect import Entry, Submission, find_entries, read_submission
from classroom.grade.grading import Course, Grade, grade_submission, staged, to_record
from classroom.grade.reference import (
    Reference,
    chapters,
    course_digest,
    find_reference,
    from_json,
    to_json,
)
from classroom.grade.reports import write_reports
from classroom.layout import write_atomically

PRIVATE = 0o700


def grade_command(
    root: Path,
    submissions: Path,
    out: Path,
    seed: int | None = None,
    workers: int | None = None,
    cell_seconds: float = 20,
) -> int:
    """Grade every submission and write the reports to `out`; 0 when all could be graded."""
    limits = Limits()
    entries = find_entries(submissions)
    if not bubblewrap():
        print(f"\n*** NO SANDBOX: {UNPROTECTED}\n", file=sys.stderr)
    state = out / "state"
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(PRIVATE)
    references = _references(root, state, _chapters_in(root, entries), seed)
    hidden = (root.resolve(), submissions.resolve(), out.resolve())
    workers = workers or _workers(limits)
    with staged(root, hidden, references, cell_seconds, limits) as course:
        fingerprint = _fingerprint(course)
        rehearsed = state / "rehearsed"
        if not rehearsed.exists() or rehearsed.read_text() != fingerprint:
            _rehearse(course)
            write_atomically(rehearsed, fingerprint)
        records = _grade_all(course, entries, state / "results", fingerprint, workers)
    grades = [Grade(**grade) for record in records.values() for grade in record["grades"]]
    problems = {student: record["problems"] for student, record in records.items()}
    write_reports(out, grades, problems, references, protected=bubblewrap() is not None)
    earned = sum(grade.status == "passed" for grade in grades)
    print(f"{len(records)} submissions, {earned} of {len(grades)} exercises passed.")
    print(f"Grades: {out / 'grades.csv'}   Class: {out / 'class.html'}   Feedback: {out}/feedback/")
    return 0


def _workers(limits: Limits) -> int:
    """As many as there are cores, and as memory has room for their largest kernels."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        free = limits.memory
    return max(1, min(os.cpu_count() or 1, free // limits.memory))


def _chapters_in(root: Path, entries: list[Entry]) -> list[str]:
    """The chapters that anybody handed in."""
    known, found = chapters(root), set()
    for entry in entries:
        for _, content in read_submission(entry).notebooks:
            try:
                found |= {exercise[:2] for exercise in take_answers(read_cells(content))}
            except ValueError:
                continue
    wanted = sorted(found & set(known))
    if not wanted:
        raise ValueError(
            "none of the submissions holds an answer cell of a chapter in solutions/; are they "
            "filled-in copies of the notebooks in exercises/?"
        )
    return wanted


def _references(
    root: Path, state: Path, numbers: list[str], seed: int | None
) -> dict[str, Reference]:
    """The run's references: those that an interrupted run began with, or new ones."""
    file, digest = state / "run.json", course_digest(root)
    kept: dict = {}
    if file.exists():
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            kept = {}
    if kept.get("course") != digest or seed not in (None, kept.get("base")):
        kept = {"course": digest, "base": secrets.randbits(48) if seed is None else seed}
        kept["chapters"] = {}
    references = {}
    for number in numbers:
        if number not in kept["chapters"]:
            found = find_reference(root, number, kept["base"])
            kept["chapters"][number] = to_json(found)
        references[number] = from_json(root, number, kept["chapters"][number])
    write_atomically(file, json.dumps(kept))
    return references


def _rehearse(course: Course) -> None:
    """The solution itself must pass in the box; else the machine is at fault, not the class."""
    notebooks = [
        (f"{reference.stem}.ipynb", json.dumps(reference.pristine).encode())
        for reference in course.references.values()
    ]
    grades, _ = grade_submission(course, Submission("the solution", notebooks))
    failed = [grade for grade in grades if grade.status != "passed"]
    if failed:
        what = "; ".join(f"{grade.exercise}: {grade.status} {grade.message}" for grade in failed)
        raise ValueError(
            f"the course's own solution does not pass in the sandbox of this machine ({what}). "
            "Nothing was graded. Run: make doctor, and make test"
        )


def _fingerprint(course: Course) -> str:
    facts = {number: to_json(reference) for number, reference in course.references.items()}
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _grade_all(
    course: Course, entries: list[Entry], results: Path, fingerprint: str, workers: int
) -> dict[str, dict]:
    """Student -> record, in the entries' order; at most `workers` submissions are in memory."""
    results.mkdir(exist_ok=True)
    records: dict[str, dict] = {}

    def one(entry: Entry) -> dict:
        submission = read_submission(entry)
        digest = sha256(f"{fingerprint}|{submission.digest}".encode()).hexdigest()
        file = results / f"{digest[:32]}.json"
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass
        try:
            record = to_record(*grade_submission(course, submission))
        except Exception as error:  # one submission never costs another
            reason = (
                f"it could not be graded ({type(error).__name__}); tell whoever runs the course"
            )
            return {"grades": _nothing(course, submission.student), "problems": [reason]}
        write_atomically(file, json.dumps(record))
        return record

    with ThreadPoolExecutor(workers) as pool:
        waiting = {pool.submit(one, entry): entry for entry in entries}
        with tqdm(total=len(entries), unit="submission", disable=None) as bar:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    records[waiting.pop(future).student] = future.result()
                    bar.update()
    return {entry.student: records[entry.student] for entry in entries}


def _nothing(course: Course, student: str) -> list[dict]:
    """Grades of a submission that broke the grader: 0 with a reason."""
    return to_record(
        [
            Grade(student, number, ident, one.title, 0, one.points, "not graded")
            for number, reference in course.references.items()
            for ident, one in reference.exercises.items()
        ],
        [],
    )["grades"]
