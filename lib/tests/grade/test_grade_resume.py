"""A run killed at any moment goes on where it was; a class of two hundred is graded right."""

import os
import resource
import signal
import subprocess
import sys
import time

from tests.grade.attacks import attacks, code_of
from tests.grade.conftest import NAMES, ROOT, filled, grade, right_answers, write
from tests.grade.test_grade_honest import VARIETY
from tests.thorough import long


def _start(folder, out, *options):
    command = [sys.executable, "-m", "classroom", "--root", str(ROOT), "grade", str(folder)]
    return subprocess.Popen(
        [*command, "--out", str(out), *options],
        env=os.environ | {"PYTHONPATH": str(ROOT / "lib"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _kill_after(folder, out, finished: int, limit: float, *options):
    """Start grading and kill it once so many submissions are done; the results until then."""
    process = _start(folder, out, *options)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        results = list((out / "state" / "results").glob("*.json"))
        if len(results) >= finished:
            break
        time.sleep(0.05)
        assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    return {path: path.stat().st_mtime_ns for path in results}


def test_a_killed_run_is_continued_and_repeats_nothing(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    right = right_answers()
    for student in ("a", "b", "c"):
        write(folder, student, filled({"02.3": right["02.3"] + f"\n# {student}"}))
    write(folder, "d", filled({"02.3": "def n_scores(seq, window):\n    return seq * window"}))
    kept = _kill_after(folder, out, 1, 300, "--workers", "1")
    assert kept
    assert not (out / "grades.csv").exists()
    secrets = (out / "state" / "run.json").read_text()

    rows = grade(folder, out)

    assert {student: rows[student, "02.3"]["status"] for student in "abcd"} == {
        **dict.fromkeys("abc", "passed"),
        "d": "wrong",
    }
    assert (out / "state" / "run.json").read_text() == secrets
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    # A submission that is handed in again is graded again; the others are not.
    results = set((out / "state" / "results").glob("*.json"))
    write(folder, "d", filled({"02.3": right["02.3"]}))
    assert grade(folder, out)["d", "02.3"]["status"] == "passed"
    assert len(set((out / "state" / "results").glob("*.json")) - results) == 1


@long
def test_two_hundred_submissions_killed_in_the_middle(tmp_path):
    """A tenth is hostile; seeds differ between two runs and grades don't.

    A cell has the time that a teacher's run gives it: one right answer walks through every pair of
    eleven thousand tokens. MIXLAB_CLASS=60 makes the class smaller.
    """
    size = int(os.environ.get("MIXLAB_CLASS", "200"))
    folder = tmp_path / "in"
    right = right_answers()
    variants = {ident: [right[ident]] for ident in NAMES}
    for ident, code in VARIETY.values():
        variants[ident].append(code)
    for number in range(size - size // 10):
        chosen = {ident: texts[number % len(texts)] for ident, texts in variants.items()}
        write(folder, f"honest {number:03d}", filled(chosen))
    tricks = attacks()
    for number in range(size // 10):
        cells = {}
        for place, ident in enumerate(NAMES):
            _, fixed, code = tricks[(5 * number + place) % len(tricks)]
            if fixed in (None, ident):
                cells[ident] = code_of(code, {}, ident, NAMES[ident])
        write(folder, f"hostile {number:03d}", filled(cells))

    started = time.monotonic()
    kept = _kill_after(folder, tmp_path / "one", size // 2, 3600, "--workers", "2")
    rows = grade(folder, tmp_path / "one")
    seconds = time.monotonic() - started
    largest, grader = (
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)
    )
    print(
        f"{size} submissions by two workers: {seconds:.0f} s, {seconds / size:.1f} s each; "
        f"largest child {largest:.0f} MiB, grader {grader:.0f} MiB"
    )
    assert len(kept) >= size // 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "finished work was repeated"
    for (student, _), row in rows.items():
        assert (row["status"] == "passed") == student.startswith("honest"), row
    again = grade(folder, tmp_path / "two", seed=11)
    assert {key: row["points"] for key, row in again.items()} == {
        key: row["points"] for key, row in rows.items()
    }
