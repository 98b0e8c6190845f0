"""What a school's system exports is read as its senders meant it, packed or not.

These read submissions only; no kernel starts.
"""

import io
import json
import zipfile

import pytest

from classroom.grade.collect import read_submission
from classroom.grade.entries import find_entries
from classroom.grade.handed_in import answers_of
from classroom.known import known_answers
from tests.grade.conftest import ROOT, filled

KNOWN = known_answers(ROOT)
WORK = json.dumps(filled({"02.3": "def n_scores(s, w): return 1"})).encode()
FOUR = json.dumps(filled({}, exercises=ROOT / "exercises" / "04_rolling_cache.ipynb")).encode()


def packed(files):
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


METADATA = b"""\
submission_456:
  :submitters:
  - :name: Anna M\xc3\xbcller
    :sid: '17'
submission_457:
  :submitters:
  - :name: Bob
"""
# Name -> files of the export, and the notebooks that each student handed in.
EXPORTS = {
    "Moodle": (
        {
            "Anna Müller_12345_assignsubmission_file/02.ipynb": WORK,
            "Anna Müller_12345_assignsubmission_file/04.ipynb": FOUR,
            "Anna Müller_12345_assignsubmission_onlinetext/onlinetext.html": b"",
            "Bob_12346_assignsubmission_file/b.zip": packed({"x/02.ipynb": WORK}),
        },
        {"Anna Müller_12345": 2, "Bob_12346": 1},
    ),
    "Canvas": (
        {
            "mulleranna_1234_5678_02_sliding_window-1.ipynb": WORK,
            "mulleranna_1234_5679_04_rolling_cache.ipynb": FOUR,
            "schmidtbert_LATE_1235_5680_mine.ipynb": WORK,
        },
        {"mulleranna_1234": 2, "schmidtbert_1235": 1},
    ),
    "Gradescope": (
        {
            "assignment_77_export/submission_metadata.yml": METADATA,
            "assignment_77_export/submission_456/02.ipynb": WORK,
            "assignment_77_export/submission_457/02.ipynb": WORK,
            "assignment_77_export/submission_458/02.ipynb": WORK,
        },
        {"Anna Müller": 1, "Bob": 1, "submission_458": 1},
    ),
    "GitHub Classroom": (
        {
            "window-submissions/window-annam/exercises/02_sliding_window.ipynb": WORK,
            "window-submissions/window-annam/README.md": b"",
            "window-submissions/window-bob/02.ipynb": WORK,
        },
        {"annam": 1, "bob": 1},
    ),
    "Moodle, flat": (
        {
            "Anna_12_assignsubmission_file_02.ipynb": WORK,
            "Anna_12_assignsubmission_file_04.ipynb": FOUR,
            "Bob_13_assignsubmission_file_02.ipynb": WORK,
        },
        {"Anna_12": 2, "Bob_13": 1},
    ),
    "Blackboard": (
        {
            "Window_annam_attempt_2026-11-01-12-30-00_02.ipynb": WORK,
            "Window_annam_attempt_2026-11-01-12-30-00.txt": b"",
            "Window_bob_attempt_2026-11-02-09-00-00_mine.ipynb": WORK,
        },
        {"annam": 1, "bob": 1},
    ),
    "sections": (
        {
            "Section A/Anna_12_assignsubmission_file/02.ipynb": WORK,
            "Section A/Bob_13_assignsubmission_file/02.ipynb": WORK,
            "Section B/Cem_14_assignsubmission_file/02.ipynb": WORK,
            "Grades-Window-101.csv": b"",
        },
        {"Anna_12": 1, "Bob_13": 1, "Cem_14": 1},
    ),
    "a notebook a chapter": (
        {"s17_02.ipynb": WORK, "s17_04.ipynb": FOUR, "s18-02_sliding_window.ipynb": WORK},
        {"s17": 2, "s18": 1},
    ),
    "teams are no chapters": (
        {"team_02.ipynb": WORK, "team_03.ipynb": WORK, "team_04.ipynb": WORK},
        {"team": 1, "team_03": 1, "team_04": 1},
    ),
    "copies": (
        {"ann.ipynb": WORK, "ann (1).ipynb": WORK, "ann-Copy1.ipynb": WORK, "bo (1).ipynb": WORK},
        {"ann": 3, "bo (1)": 1},
    ),
    "odd endings": (
        {"ann.ipynb.txt": WORK, "bob.ipynb.json": WORK, "cem/a.ipynb (1)": WORK, "dan.docx": b""},
        {"ann": 1, "bob": 1, "cem": 1, "dan": 0},
    ),
    "zips in a zip": (
        {"Anna_12_assignsubmission_file/a.zip": packed({"b.zip": packed({"02.ipynb": WORK})})},
        {"Anna_12": 0},
    ),
}


def read(folder):
    """Student -> notebooks with an answer cell."""
    found = {entry.student: read_submission(entry) for entry in find_entries(folder)}
    return {
        student: sum(not isinstance(book, ValueError) for _, book in submission.parsed)
        for student, submission in found.items()
    }


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_read_unpacked(name, tmp_path):
    files, students = EXPORTS[name]
    for file, content in files.items():
        (tmp_path / "in" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / file).write_bytes(content)
    found = read(tmp_path / "in")
    if name == "zips in a zip":  # unpacked once, it is one less
        students = {"Anna_12": 1}
    assert found == students


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_read_as_it_was_downloaded(name, tmp_path):
    """The zip itself, and alone in a folder where its names tell whose what is."""
    files, students = EXPORTS[name]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "export.zip").write_bytes(packed(files))
    assert read(tmp_path / "in" / "export.zip") == students
    if any(mark in next(iter(files)) for mark in ("_assign", "_5678", "_export", "-sub", "_att")):
        assert read(tmp_path / "in") == students


def test_nobody_hands_in_in_anothers_name(tmp_path):
    """A zip that is packed like an export is a student's, where other students are."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "mulleranna_1234_5678_02.ipynb").write_bytes(WORK)
    (folder / "eve.zip").write_bytes(packed({"mulleranna_1234_9999_02.ipynb": WORK}))
    assert read(folder) == {"mulleranna_1234": 1, "eve": 1}
    (folder / "mulleranna_1234_5678_02.ipynb").rename(folder / "anna.ipynb")
    assert read(folder) == {"anna": 1, "eve": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("\\n", "\\r\\n").encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace(
            '"outputs": []', f'"outputs": ["{"x[{" * 10_000_000}"]', 1
        ).encode(),
    ],
)
def test_a_file_counts_however_it_was_saved(change, tmp_path):
    book = filled({"02.3": "def n_scores(s, w):\n    return 1"})
    (tmp_path / "ann.ipynb").write_bytes(change(json.dumps(book)))
    (entry,) = find_entries(tmp_path)
    found, problems = answers_of(read_submission(entry), KNOWN)
    answered = [exercise for exercise, answer in found.items() if answer]
    assert (answered, problems) == (["02.3"], [])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\0" * 100, "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b'{\n<<<<<<< HEAD\n"a": 1\n=======\n>>>>>>> x\n}', "merge conflict"),
        (WORK[:-300], "cut off"),
        (packed({"a.ipynb": WORK}), "it is a zip"),
        (b"def n_scores(", "not JSON"),
    ],
)
def test_a_file_that_is_no_notebook_is_told_for_what_it_is(content, said, tmp_path):
    (tmp_path / "ann.ipynb").write_bytes(content)
    (entry,) = find_entries(tmp_path)
    (problem,) = answers_of(read_submission(entry), KNOWN)[1]
    assert said in problem
