"""Grade every submission of a class: parallel, kept as it goes, continued after any interruption.

First all of them are judged, then all explained. A run that only words what was wrong holds public
inputs and what is right beside a student's code: while it lasts, no run that counts may be there to
be told of it, by whatever way out of a box.

A result counts only for exactly the submission, the course and the seeds that it was made from.
"""

import json
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm import tqdm

from classroom.grade.collect import read_submission
from classroom.grade.entries import Entry
from classroom.grade.grading import Course, grade_answers, judge_all, not_handed_in, to_record
from classroom.grade.handed_in import answers_of
from classroom.grade.protection import bubblewrap
from classroom.grade.reference import to_json
from classroom.grade.submission import Submission
from classroom.grade.verdicts import Judgement
from classroom.grade.workshop import Workshop
from classroom.layout import write_atomically


def grade_all(course: Course, entries: list[Entry], results: Path, workers: int) -> dict[str, dict]:
    """Student -> record, in the entries' order; at most `workers` submissions are in memory."""
    results.mkdir(exist_ok=True)
    failed: dict[str, str] = {}

    def judged(graded: Workshop, entry: Entry) -> None:
        submission = read_submission(entry)
        record, kept = _files(course, submission, results)
        if _read(record) or _read(kept) is not None:
            return
        try:
            answers, _ = answers_of(submission, course.known)
            found = judge_all(course, answers, graded)
            write_atomically(kept, json.dumps({i: asdict(one) for i, one in found.items()}))
        except Exception as error:  # one submission never costs another
            failed[entry.student] = type(error).__name__

    def explained(teaching: Workshop, entry: Entry) -> dict:
        submission = read_submission(entry)
        file, kept = _files(course, submission, results)
        if record := _read(file):
            return record
        try:
            found = json.loads(kept.read_text(encoding="utf-8"))
            answers, problems = answers_of(submission, course.known)
            verdicts = {ident: Judgement(**one) for ident, one in found.items()}
            grades = grade_answers(course, submission.student, answers, verdicts, teaching)
        except Exception as error:
            return _not_graded(course, entry.student, failed.get(entry.student, str(error)))
        record = to_record(grades, problems, submission.modified)
        write_atomically(file, json.dumps(record))
        kept.unlink()
        return record

    with course.workshop(teaching=False) as graded:
        _each(entries, partial(judged, graded), workers, "judged")
    with course.workshop(teaching=True) as teaching:
        return _each(entries, partial(explained, teaching), workers, "explained")


def _files(course: Course, submission: Submission, results: Path) -> tuple[Path, Path]:
    """Where a submission's record is kept, and, until there is one, how its answers were judged."""
    name = _fingerprint(course, submission)[:32]
    return results / f"{name}.json", results / f"{name}.judged"


def _read(file: Path) -> dict | None:
    """What a file of ours holds; None if there is none that can be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _fingerprint(course: Course, submission: Submission) -> str:
    """All that a submission's result depends on; another chapter's seeds are not part of it."""
    answers, _ = answers_of(submission, course.known)
    numbers = {exercise[:2] for exercise in answers} & set(course.references)
    facts = {number: to_json(course.references[number]) for number in sorted(numbers)}
    known = [submission.digest, facts, float(course.cell_seconds), bool(bubblewrap())]
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _each(
    entries: list[Entry], work: Callable[[Entry], Any], workers: int, done: str
) -> dict[str, Any]:
    """Student -> what `work` returns, in the entries' order."""
    results: dict[str, Any] = {}
    with ThreadPoolExecutor(workers) as pool:
        waiting = {pool.submit(work, entry): entry for entry in entries}
        with tqdm(total=len(entries), unit="submission", desc=done, disable=None) as bar:
            try:
                while waiting:
                    finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in finished:
                        results[waiting.pop(future).student] = future.result()
                        bar.update()
            except BaseException:  # Ctrl-C: what has begun is finished and kept, no more
                pool.shutdown(cancel_futures=True)
                raise
    return {entry.student: results[entry.student] for entry in entries}


def _not_graded(course: Course, student: str, error: str) -> dict:
    """The record of a submission that broke the grader: 0 with a reason, tried again next time."""
    grades = [
        replace(grade, status="not graded", message="")
        for number, reference in course.references.items()
        for grade in not_handed_in(student, number, reference, [])
    ]
    reason = f"it could not be graded ({error}); tell whoever runs the course"
    return to_record(grades, [reason])
