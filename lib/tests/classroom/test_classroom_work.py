"""A student's own place: nothing that was written is lost, whatever runs and whenever it dies."""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from classroom import build, layout, work
from classroom.__main__ import main
from classroom.build import build_chapter
from classroom.cells import read_notebook
from classroom.check import check_submission
from classroom.drift import drift, orphans
from classroom.given import is_current, mark, stamp, written
from classroom.work import BACKUP, prepare, pristine_exercises, update_copy

STEM = "02_windows"
RIGHT = "def count_pairs(length):\n    return one_more(length)"
HELPER = "def one_more(length):\n    return length + 1"
NOTE = "I wonder why it is one more."
SETUP = "import math"
TRIED = "count_pairs(3)"
EVERYTHING = (RIGHT, HELPER, NOTE, SETUP, TRIED)


def mine(root: Path) -> Path:
    return root / "work" / f"{STEM}.ipynb"


def handed_out(root: Path) -> Path:
    return root / "exercises" / f"{STEM}.ipynb"


def source_of(root: Path) -> Path:
    return root / "course" / "source" / f"{STEM}.py"


def answer(path: Path) -> None:
    """Work on a notebook as a student does in an editor: answers, own cells, Run All, save."""
    book = nbformat.read(path, as_version=4)
    cells = {mark(cell): cell for cell in book.cells}
    cells["ex-02-1-answer"].source = RIGHT
    setup = next(cell for cell in book.cells if cell.source.startswith("class CheckFailed"))
    setup.source += f"\n{SETUP}"
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.execution_count = 7
            cell.outputs = [new_output("stream", text="it ran\n")]
            cell.metadata["collapsed"] = False
            cell.metadata["execution"] = {"iopub.status.idle": "2026-01-01T00:00:00Z"}
    place = book.cells.index(cells["ex-02-1-answer"])
    book.cells.insert(place, new_code_cell(HELPER))
    book.cells.insert(place + 2, new_code_cell(TRIED))
    book.cells += [new_markdown_cell(NOTE), new_code_cell("")]
    book.metadata["language_info"]["version"] = "3.12.4"
    book.metadata["kernelspec"]["display_name"] = "Python 3"
    book.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    nbformat.write(book, path)


@pytest.fixture(scope="session")
def new_version(built_course, tmp_path_factory) -> Path:
    """The course with other exercises: 02.2's text, and the shared cells."""
    root = Path(shutil.copytree(built_course, tmp_path_factory.mktemp("new") / "course"))
    text = source_of(root).read_text()
    for old, new in (
        ("This function is wrong.", "This function is wrong, in one place."),
        ("# Work through", "# Now work through"),
        ("class CheckFailed(AssertionError):\n    pass", "class CheckFailed(AssertionError): ..."),
    ):
        assert old in text
        text = text.replace(old, new)
    source_of(root).write_text(text)
    build_chapter(root, source_of(root), say=lambda _: None)
    return root


@pytest.fixture
def change_course(course, new_version):
    """Let the course change, as a pull would, in these folders."""

    def change(*folders: str) -> None:
        for folder in folders or ("course", "exercises", "solutions"):
            shutil.copytree(new_version / folder, course / folder, dirs_exist_ok=True)

    return change


def texts_in(folder: Path) -> str:
    """All cells of all notebooks at or below a folder."""
    books = [nbformat.read(path, as_version=4) for path in folder.rglob("*.ipynb")]
    return "\n".join(cell.source for book in books for cell in book.cells)


def sources(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def assert_carried_over(path: Path) -> None:
    """Everything stands in the new version, next to what it stood by, and only once."""
    book, found = nbformat.read(path, as_version=4), sources(path)
    nbformat.validate(book)
    assert [sum(text in source for source in found) for text in EVERYTHING] == [1] * 5
    assert (
        "This function is wrong, in one place."
        in found[[mark(c) for c in book.cells].index("ex-02-2-prompt")]
    )
    names = [mark(cell) for cell in book.cells]
    at = names.index("ex-02-1-answer")
    assert found[at - 1 : at + 2] == [HELPER, RIGHT, TRIED]
    assert found[-1] == NOTE
    assert names[-2] == "ex-02-2-check"
    shared = next(
        i
        for i, source in enumerate(found)
        if source.startswith("class CheckFailed(AssertionError): ...")
    )
    assert SETUP in found[shared + 1]


def test_each_chapter_is_copied_once_and_never_again(course, change_course):
    assert prepare(course) == [f"Your own copies of the exercises, in work/: {STEM}.ipynb"]
    assert mine(course).read_bytes() == handed_out(course).read_bytes()
    answer(mine(course))
    saved = mine(course).read_bytes()
    assert prepare(course) == []
    change_course()
    (said,) = prepare(course)
    assert "exercises of 02 have changed" in said
    assert "make update" in said
    assert mine(course).read_bytes() == saved
    assert not (course / "work" / "old").exists()


def test_a_first_copy_holds_what_already_stands_in_exercises(course):
    answer(handed_out(course))
    prepare(course)
    assert RIGHT in sources(mine(course))
    handed_out(course).write_text("<<<<<<< HEAD\n")  # a pull that conflicted
    mine(course).unlink()
    prepare(course)
    assert written(read_notebook(mine(course)), pristine_exercises(course, STEM)).answers == {}


def test_an_update_carries_everything_over_and_keeps_the_old_version(course, change_course, capsys):
    prepare(course)
    answer(mine(course))
    before = mine(course).read_bytes()
    assert main(["--root", str(course), "update"]) == 0
    assert capsys.readouterr().out == f"work/{STEM}.ipynb: up to date\n"
    change_course()
    assert main(["--root", str(course), "update", "02"]) == 0
    said = capsys.readouterr().out
    assert "changed in the course: 02.2. Carried over: answers 02.1; own cells 4." in said
    assert_carried_over(mine(course))
    (kept,) = (course / "work" / "old").iterdir()
    assert kept.read_bytes() == before
    assert BACKUP.fullmatch(kept.name)
    book = nbformat.read(mine(course), as_version=4)
    assert book.metadata.language_info.version == "3.12.4"
    assert "widgets" in book.metadata
    assert is_current(book, nbformat.read(handed_out(course), as_version=4))
    passed = {one.exercise: one.passed for one in check_submission(course, mine(course), 20)}
    assert passed == {"02.1": True, "02.2": False}
    assert main(["--root", str(course), "update"]) == 0
    assert "up to date" in capsys.readouterr().out


@pytest.mark.parametrize("step", ["before", "half", "after"])
@pytest.mark.parametrize("write", [1, 2])
def test_an_update_that_is_killed_has_lost_nothing(course, change_course, monkeypatch, write, step):
    """The first write is the backup, the second the new version."""
    prepare(course)
    answer(mine(course))
    change_course()
    real, calls = layout.write_atomically, []

    def killed(path, content):
        calls.append(path)
        if len(calls) == write and step == "half":
            monkeypatch.setattr(Path, "replace", _die)
        if len(calls) != write or step != "before":
            real(path, content)
        if len(calls) == write:
            raise KeyboardInterrupt

    monkeypatch.setattr(work, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        update_copy(course, STEM)
    monkeypatch.undo()
    assert all(text in texts_in(course / "work") for text in EVERYTHING)
    assert all(text in "\n".join(sources(mine(course))) for text in EVERYTHING)
    update_copy(course, STEM)
    assert_carried_over(mine(course))
    assert len(list((course / "work" / "old").iterdir())) == 1


def _die(*_):
    raise KeyboardInterrupt


def test_a_first_copy_that_is_killed_leaves_none(course, monkeypatch):
    monkeypatch.setattr(Path, "replace", _die)
    with pytest.raises(KeyboardInterrupt):
        prepare(course)
    assert list((course / "work").iterdir()) == []


def test_no_backup_replaces_another(course):
    prepare(course)
    answer(mine(course))
    kept = set()
    for number in range(3):  # within one second
        book = nbformat.read(mine(course), as_version=4)
        book.cells[-1].source = f"x = {number}"
        nbformat.write(book, mine(course))
        kept.add(work.keep_old(course, mine(course)))
    assert len(kept) == 3
    assert work.keep_old(course, mine(course)) in kept  # the same content: once is enough
    assert all(BACKUP.fullmatch(path.name) for path in kept)


def drop_stamp(book):
    book.metadata = {}


def drop_nbgrader(book):
    for cell in book.cells:
        cell.metadata = {}


def drop_ids(book):
    book.nbformat_minor = 4
    for cell in book.cells:
        cell.pop("id", None)


def drop_all(book):
    drop_stamp(book)
    drop_nbgrader(book)
    drop_ids(book)


@pytest.mark.parametrize("drop", [drop_stamp, drop_nbgrader, drop_ids, drop_all])
def test_what_an_editor_drops_loses_nothing(course, change_course, drop):
    prepare(course)
    answer(mine(course))
    book = nbformat.read(mine(course), as_version=4)
    drop(book)
    mine(course).write_text(json.dumps(book))
    change_course()
    update_copy(course, STEM)
    found = "\n".join(sources(mine(course)))
    assert all(text in found for text in EVERYTHING)
    assert update_copy(course, STEM).endswith("up to date")
    if drop in (drop_nbgrader, drop_ids):  # one of the two marks is enough
        assert mark_of(mine(course), RIGHT) == "ex-02-1-answer"


def mark_of(path: Path, source: str) -> str | None:
    book = nbformat.read(path, as_version=4)
    return next(mark(cell) for cell in book.cells if cell.source == source)


def test_an_answer_that_was_split_or_turned_stays_as_it_is(course, change_course):
    prepare(course)
    book = nbformat.read(mine(course), as_version=4)
    cells = {mark(cell): cell for cell in book.cells}
    cells["ex-02-1-answer"].source = "def count_pairs(length):"
    half = deepcopy(cells["ex-02-1-answer"])  # JupyterLab copies the metadata
    half.id, half.source = "a1b2c3", "    return length + 1"
    book.cells.insert(book.cells.index(cells["ex-02-1-answer"]) + 1, half)
    cells["ex-02-2-answer"].update(cell_type="raw", source="repaired_count = count_pairs")
    for name in ("outputs", "execution_count"):
        del cells["ex-02-2-answer"][name]
    nbformat.write(book, mine(course))
    change_course()
    update_copy(course, STEM)
    after = nbformat.read(mine(course), as_version=4)
    assert [(c.cell_type, c.source) for c in after.cells if mark(c) == "ex-02-1-answer"] == [
        ("code", "def count_pairs(length):"),
        ("code", "    return length + 1"),
    ]
    assert [(c.cell_type, c.source) for c in after.cells if mark(c) == "ex-02-2-answer"] == [
        ("raw", "repaired_count = count_pairs")
    ]


def test_the_answer_to_an_exercise_that_is_gone_stays(course):
    prepare(course)
    book = nbformat.read(mine(course), as_version=4)
    next(cell for cell in book.cells if mark(cell) == "ex-02-2-answer").source = RIGHT
    nbformat.write(book, mine(course))
    text = source_of(course).read_text()
    source_of(course).write_text(text[: text.index('# %% [markdown] exercise="02.2"')])
    handed_out(course).unlink()  # it is made from the source, then
    update_copy(course, STEM)
    assert sources(mine(course))[-1] == RIGHT
    assert mark_of(mine(course), RIGHT) is None


def test_a_copy_that_cannot_be_read_is_left_alone(course, change_course, capsys):
    prepare(course)
    mine(course).write_text('{"cells": [')
    change_course()
    assert main(["--root", str(course), "update"]) == 1
    assert "not a notebook that can be read" in capsys.readouterr().out
    assert "not a notebook" in prepare(course)[0]
    assert mine(course).read_text() == '{"cells": ['


def test_a_check_finds_the_students_copy_by_its_number(course, capsys):
    assert main(["--root", str(course), "check", "2"]) == 1
    said = capsys.readouterr().out
    assert f"There is no work/{STEM}.ipynb yet; make lab puts it there." in said
    assert str(handed_out(course)) in said
    prepare(course)
    answer(mine(course))
    assert main(["--root", str(course), "check", "02"]) == 1
    said = capsys.readouterr().out
    assert str(mine(course)) in said
    assert "1 of 2 exercises passed" in said
    assert main(["--root", str(course), "check", "07"]) == 2
    assert "no chapter '07'" in capsys.readouterr().err


def test_work_in_exercises_is_no_drift_and_no_reason_to_write(course):
    answer(handed_out(course))
    before = handed_out(course).read_bytes()
    assert drift(course, source_of(course)) == []
    assert build_chapter(course, source_of(course), say=lambda _: None) == []
    assert handed_out(course).read_bytes() == before
    handed_out(course).with_name(f"{STEM}-Copy1.ipynb").write_bytes(before)
    assert orphans(course) == []


@pytest.mark.parametrize("drop", [drop_stamp, drop_nbgrader, drop_ids, drop_all])
def test_what_an_editor_drops_in_exercises_is_no_drift(course, drop):
    answer(handed_out(course))
    book = nbformat.read(handed_out(course), as_version=4)
    drop(book)
    handed_out(course).write_text(json.dumps(book))
    assert drift(course, source_of(course)) == []


def test_what_stands_in_exercises_is_saved_before_it_is_rewritten(course, change_course, capsys):
    answer(handed_out(course))
    before = handed_out(course).read_bytes()
    change_course("course", "solutions")
    assert drift(course, source_of(course)) == [
        f"exercises/{STEM}.ipynb: {cell} differs in source"
        for cell in (
            "cell 1 (02-exercise-001)",
            "cell 2 (02-exercise-002)",
            "cell 6 (ex-02-2-prompt)",
        )
    ]
    assert main(["--root", str(course), "notebooks"]) == 0
    said = f"exercises/{STEM}.ipynb: what you wrote there is saved in work/"
    assert f"{said}{STEM}.ipynb" in capsys.readouterr().out
    assert mine(course).read_bytes() == before
    assert RIGHT not in texts_in(course / "exercises")
    handed_out(course).write_bytes(before)  # once more, where there is a copy
    book = nbformat.read(handed_out(course), as_version=4)
    book.cells.append(new_code_cell("x = 1"))
    nbformat.write(book, handed_out(course))
    second = handed_out(course).read_bytes()
    assert main(["--root", str(course), "notebooks"]) == 0
    (kept,) = (course / "work" / "old").iterdir()
    assert f"{said}old/{kept.name}" in capsys.readouterr().out
    assert (mine(course).read_bytes(), kept.read_bytes()) == (before, second)
    handed_out(course).write_text("{")
    build_chapter(course, source_of(course), say=lambda _: None)
    assert len(list((course / "work" / "old").iterdir())) == 2


def test_building_that_is_killed_has_lost_nothing(course, change_course, monkeypatch):
    answer(handed_out(course))
    before = handed_out(course).read_bytes()
    change_course("course", "solutions")
    monkeypatch.setattr(build, "write_atomically", _die)
    with pytest.raises(KeyboardInterrupt):
        build_chapter(course, source_of(course))
    monkeypatch.undo()
    assert mine(course).read_bytes() == handed_out(course).read_bytes() == before
    build_chapter(course, source_of(course))
    assert mine(course).read_bytes() == before
    assert not (course / "work" / "old").exists()
    assert drift(course, source_of(course)) == []


def test_what_the_course_wrote_in_exercises_must_be_what_its_source_gives(course):
    text = source_of(course).read_text()
    changes = {
        "Return how many.": ("How many?", "cell 3 (ex-02-1-prompt) differs in source"),
        '"""How many."""': ('"""Pairs."""', "cell 4 (ex-02-1-answer) differs in source"),
        'check("02.1", count': ('check("02.1", 0 or count', "cell 5 (ex-02-1-check) differs in so"),
        "minutes=5 points=2": ("minutes=5 points=3", "cell 5 (ex-02-1-check) differs in metadata"),
        "for length in (1, 5)": ("for length in (1, 6)", "cell 1 (02-exercise-001) differs in so"),
    }
    answer(handed_out(course))
    for old, (new, said) in changes.items():
        assert old in text
        source_of(course).write_text(text.replace(old, new))
        found = [line for line in drift(course, source_of(course)) if "exercises/" in line]
        assert any(said in line for line in found), found


def test_a_stamp_tells_the_version(built_course):
    book = read_notebook(handed_out(built_course))
    assert set(stamp(book)) == {mark(cell) for cell in book.cells}
    assert not written(book, book)
    assert stamp({"metadata": {"classroom": 3}}) == {}
