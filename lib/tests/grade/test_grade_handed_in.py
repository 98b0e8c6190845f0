"""What the course wrote is nobody's answer, however it is handed in; a student's part counts."""

import json
import shutil
import time
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output

from classroom.build import build_chapter
from classroom.cells import read_notebook
from classroom.check import check_submission
from classroom.given import answer_id, digests
from classroom.grade.box import bubblewrap
from classroom.grade.collect import read_submission
from classroom.grade.entries import find_entries
from classroom.grade.grading import AS_SOLVED
from classroom.grade.handed_in import answers_of
from classroom.grade.plan import choose_chapters
from classroom.known import known_answers, same_code
from classroom.work import keep_old, prepare, update_copy
from tests.grade.conftest import EXERCISES, ROOT, SOLUTION, filled, grade, right_answers, write

KNOWN = known_answers(ROOT)
STEM = EXERCISES.stem
COUNT = "def n_scores(seq, window):\n    return sum(min(i + 1, window) for i in range(seq))"
LIST = (
    "def window_mask(seq, window):\n"
    "    return [[0 <= i - j < window for j in range(seq)] for i in range(seq)]"
)


def whole_course(folder: Path) -> Path:
    """The folder that a student has: two chapters of it, untouched."""
    for stem in (STEM, "04_rolling_cache"):
        for place in ("course", "exercises", "solutions"):
            (folder / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / place / f"{stem}.ipynb", folder / place)
    hidden = folder / "exercises" / ".ipynb_checkpoints"
    hidden.mkdir()
    shutil.copy(SOLUTION, hidden / f"{STEM}-checkpoint.ipynb")
    (folder / "README.md").write_text("# The course")
    return folder


def zipped(folder: Path, target: Path) -> None:
    """The folder as a zip, as an archive of a repository is."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.ipynb")):
            archive.write(path, Path("course-main", path.relative_to(folder)))


def taken(folder: Path) -> tuple[dict[str, str], list[str]]:
    """What counts of the one submission in a folder, without what is untouched; and problems."""
    (entry,) = find_entries(folder)
    found, problems = answers_of(read_submission(entry), KNOWN)
    return {ident: answer.code for ident, answer in found.items() if answer}, problems


def handed_in(folder: Path, packed: bool) -> Path:
    """The whole course, as the one submission of a class, perhaps zipped."""
    if packed:
        target = folder.parent / f"{folder.name} zipped"
        target.mkdir()
        zipped(folder / "ann", target / "ann.zip")
        return target
    return folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["work", "exercises", "solutions", "anywhere"])
def test_honest_answers_count_wherever_they_stand_in_the_whole_course(tmp_path, place, packed):
    course = whole_course(tmp_path / "in" / "ann")
    name = STEM if place in ("work", "exercises") else "mine"
    write(course / place, name, filled({"02.3": COUNT}))
    found, problems = taken(handed_in(tmp_path / "in", packed))
    assert found == {"02.3": COUNT}
    assert len(problems) == 1
    assert problems[0].startswith("The course's own solutions are nobody's answers: ")
    assert f"solutions/{STEM}.ipynb" in problems[0]


@pytest.mark.parametrize("packed", [False, True])
def test_in_the_whole_course_untouched_nothing_is_answered(tmp_path, packed):
    whole_course(tmp_path / "in" / "ann")
    folder = handed_in(tmp_path / "in", packed)
    assert taken(folder)[0] == {}
    assert choose_chapters(ROOT, find_entries(folder), [], KNOWN) == ["02", "04"]


def test_whoever_hands_in_the_whole_course_means_the_chapter_they_answered(tmp_path):
    course = whole_course(tmp_path / "in" / "ann")
    write(course / "work", STEM, filled({"02.3": COUNT}))
    assert choose_chapters(ROOT, find_entries(tmp_path / "in"), [], KNOWN) == ["02"]
    shutil.copy(ROOT / "exercises" / "04_rolling_cache.ipynb", tmp_path / "in" / "bob.ipynb")
    assert choose_chapters(ROOT, find_entries(tmp_path / "in"), [], KNOWN) == ["02", "04"]


def solution() -> dict:
    return json.loads(SOLUTION.read_text())


def unnamed(book: dict) -> dict:
    """Without what the notebook says of itself."""
    return {**book, "metadata": {}}


def bare(book: dict) -> dict:
    """With the marks of its cells alone."""
    cells = [{**cell, "metadata": {}} for cell in book["cells"]]
    return {**unnamed(book), "cells": cells}


@pytest.mark.parametrize("change", [dict, unnamed, bare])
def test_a_solution_is_known_by_what_it_is(tmp_path, change):
    write(tmp_path / "in" / "ann", "my answers", change(solution()))
    found, problems = taken(tmp_path / "in")
    assert found == {}
    assert problems == ["The course's own solutions are nobody's answers: my answers.ipynb."]


def test_a_solution_that_nbgrader_released_is_an_exercise(tmp_path):
    book = nbformat.read(SOLUTION, as_version=4)
    for cell in book.cells:
        if ident := answer_id(cell):
            cell.source = (
                COUNT if ident == "02.3" else "# YOUR CODE HERE\nraise NotImplementedError()"
            )
    write(tmp_path / "in" / "ann", STEM, book)
    found, problems = taken(tmp_path / "in")
    assert found["02.3"] == COUNT
    assert problems == []


def test_a_notebook_of_nothing_but_answers_is_read_in_seconds(tmp_path):
    cell = next(cell for cell in solution()["cells"] if cell["id"] == "ex-02-3-answer")
    long = {**cell, "source": "".join(cell["source"]) + "\n#" + " x" * 1000}
    write(tmp_path / "in", "eve", {**unnamed(solution()), "cells": [long] * 4990})
    (entry,) = find_entries(tmp_path / "in")
    started = time.process_time()
    found, _ = answers_of(read_submission(entry), KNOWN)
    assert time.process_time() - started < 20
    assert found == {"02.3": None}


def test_what_a_student_wrote_into_a_solution_counts(tmp_path):
    book = nbformat.read(SOLUTION, as_version=4)
    next(cell for cell in book.cells if answer_id(cell) == "02.3").source = COUNT + "  # mine"
    write(tmp_path / "in" / "ann", STEM, book)
    found, problems = taken(tmp_path / "in")
    assert found == {"02.3": COUNT + "  # mine"}
    assert problems == [
        f"{STEM}.ipynb: a copy of the course's solutions; only what differs from them is graded."
    ]


def test_lessons_are_no_answers_and_no_fault(tmp_path):
    (tmp_path / "in" / "ann").mkdir(parents=True)
    shutil.copy(ROOT / "course" / f"{STEM}.ipynb", tmp_path / "in" / "ann")
    assert taken(tmp_path / "in") == (
        {},
        ["Lessons of the course hold no answers, and nothing else was handed in."],
    )
    write(tmp_path / "in" / "ann", "mine", filled({"02.3": COUNT}))
    assert taken(tmp_path / "in") == ({"02.3": COUNT}, [])


def test_a_students_own_place_goes_before_exercises_and_both_before_backups(tmp_path):
    course = whole_course(tmp_path / "in" / "ann")
    shutil.rmtree(course / "solutions")

    def version(number: int, *idents: str) -> dict:
        return filled(dict.fromkeys(idents, f"def n_scores(s, w): return {number}"))

    for number in (1, 2):
        write(course / "work", STEM, version(number, "02.1", "02.2", "02.3"))
        kept = keep_old(course, course / "work" / f"{STEM}.ipynb")
        kept.rename(kept.with_name(f"{STEM}-2026-11-0{number}-120000.ipynb"))
    write(course / "exercises", STEM, version(3, "02.2", "02.3"))
    write(course / "work", STEM, version(4, "02.3"))
    found, problems = taken(tmp_path / "in")
    assert [code[-1] for code in found.values()] == ["2", "3", "4"]
    assert problems == []


def test_an_untouched_cell_of_an_older_version_is_no_answer(tmp_path):
    course = whole_course(tmp_path / "in" / "ann")
    shutil.rmtree(course / "solutions")
    old = older_version(course / "exercises" / f"{STEM}.ipynb")
    next(cell for cell in old.cells if answer_id(cell) == "02.3").source = COUNT
    write(course / "work", STEM, old)
    assert taken(tmp_path / "in") == ({"02.3": COUNT}, [])


def older_version(path: Path) -> nbformat.NotebookNode:
    """The exercises before they changed: a prompt, and a stub's docstring."""
    book = read_notebook(path)
    for cell in book.cells:
        if cell.id == "ex-02-1-prompt":
            cell.source = "### 02.1 · An older text"
        elif cell.id == "ex-02-2-answer":
            cell.source = cell.source.replace('"""', '"""Older: ', 1)
    book.metadata.classroom.given = digests(book)
    return book


@pytest.mark.parametrize(
    ("code", "other", "same"),
    [
        ("def f(x):\n    return x", "def f( x ):  # mine\n\n\treturn x\n", True),
        ("def f(x):\n    ### BEGIN SOLUTION\n    return x\n", "def f(x):\n    return x", True),
        ("def f(x):\n    return x", "def f(y):\n    return y", False),
    ],
)
def test_a_program_is_the_same_whatever_its_layout(code, other, same):
    assert same_code(code, other) == same


def work_on(path: Path) -> None:
    """Answer two exercises, one with a helper, and save as an editor does."""
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = 3, [new_output("stream", text="✓\n")]
            cell.metadata["collapsed"] = True
    cells = {answer_id(cell): cell for cell in book.cells}
    cells["02.1"].source = LIST
    cells["02.3"].source = COUNT.replace("min(", "smaller(")
    helper = "def smaller(a, b):\n    return a if a < b else b"
    book.cells.insert(book.cells.index(cells["02.3"]), new_code_cell(helper))
    book.metadata["language_info"]["version"] = "3.13.1"
    nbformat.write(book, path)


@pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap is missing")
@pytest.mark.slow
def test_a_students_day(tmp_path):
    """Lab, answers, a changed course, update, check, hand in, grade; and others' whole folders."""
    folder = tmp_path / "in"
    ann = whole_course(folder / "ann")
    (ann / "course" / "source").mkdir()
    shutil.copy(ROOT / "course" / "source" / f"{STEM}.py", ann / "course" / "source")
    handed_out, mine = (ann / place / f"{STEM}.ipynb" for place in ("exercises", "work"))
    nbformat.write(older_version(handed_out), handed_out)
    prepare(ann)
    work_on(mine)
    shutil.copy(EXERCISES, handed_out)
    assert any("have changed" in line for line in prepare(ann))
    assert "Carried over: answers 02.1, 02.3; own cells 1." in update_copy(ann, STEM)
    assert build_chapter(ann, ann / "course" / "source" / f"{STEM}.py") == []
    passed = [one.exercise for one in check_submission(ann, mine) if one.passed]
    assert passed == ["02.1", "02.3"]
    zipped(ann, folder / "ann at home.zip")
    whole_course(folder / "bob")
    shutil.copy(SOLUTION, folder / "cem.ipynb")
    write(folder, "dan", filled({"02.1": LIST, "02.3": right_answers()["02.3"]}))

    rows = grade(folder, tmp_path / "out")

    assert {number for _, number in rows} == set(right_answers())
    told = {
        student: [
            (rows[student, ident]["status"], rows[student, ident]["note"])
            for ident in ("02.1", "02.2", "02.3")
        ]
        for student in ("ann", "ann at home", "bob", "cem", "dan")
    }
    nothing, right = ("not answered", ""), ("passed", "")
    assert told == {
        "ann": [right, nothing, right],
        "ann at home": [right, nothing, right],
        "bob": [nothing] * 3,
        "cem": [nothing] * 3,
        "dan": [right, nothing, ("passed", AS_SOLVED)],
    }
    page = (tmp_path / "out" / "class.html").read_text()
    assert page.count("the solution's code") == 1
    assert "02.3: the solution's code" in page.replace("&#39;", "'")
