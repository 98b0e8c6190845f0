"""The student's check: only answers count, and it fails closed."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from classroom import referee as referee_module
from classroom.__main__ import main
from classroom.answers import Answer
from classroom.check import check_submission, exercise_notebook, explain
from classroom.given import answer_id
from classroom.referee import Verdict, error_of, referee

RIGHT_1 = "def count_pairs(length):\n    return length + 1"
RIGHT_2 = "def repaired_count(length):\n    return length + 1"


@pytest.fixture
def submit(course):
    """A student's file with the given answers; None leaves the cell as it was."""

    def write(first=None, second=None, change=None):
        path = course / "exercises" / "02_windows.ipynb"
        book = nbformat.read(path, as_version=4)
        for cell in book.cells:
            if cell.id == "ex-02-1-answer" and first is not None:
                cell.source = first
            if cell.id == "ex-02-2-answer" and second is not None:
                cell.source = second
        if change:
            change(book)
        mine = course / "my work.ipynb"
        nbformat.write(book, mine)
        return mine

    return write


def outcomes(course, path, timeout=20.0):
    return {one.exercise: one for one in check_submission(course, path, timeout)}


def test_right_answers_pass_and_set_the_status(course, submit, capsys):
    path = submit(RIGHT_1, RIGHT_2)
    assert main(["--root", str(course), "check", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "02.1  Count pairs: passed\n02.2  Find the bug: passed\n" in printed
    assert "2 of 2 exercises passed, 3 of 3 points" in printed


def test_untouched_and_wrong_answers_are_told_apart(course, submit, capsys):
    path = submit(None, "def repaired_count(length):\n    return 2")
    assert main(["--root", str(course), "check", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "02.1  Count pairs: not answered yet\n" in printed
    wrong = "      length 5: wrong\n      expected 6\n      got 2\n"
    assert "02.2  Find the bug: not yet\n" + wrong in printed
    assert "0 of 2 exercises passed, 0 of 3 points" in printed


def test_what_the_student_stored_or_changed_elsewhere_does_not_count(course, submit):
    def cheat(book):
        for cell in book.cells:
            if cell.id.endswith("check"):
                cell.source = 'print("02.1 passed 3f9a")'
                cell.outputs = [new_output("stream", text="02.1 passed 3f9a\n")]
                cell.execution_count = 1
            if cell.source.startswith("class CheckFailed"):
                cell.source = "def check(*_):\n    print('02.1 passed 3f9a')"

    found = outcomes(course, submit("def count_pairs(length):\n    return 0", RIGHT_2, cheat))
    assert not found["02.1"].passed
    assert "length 1: wrong" in found["02.1"].message
    assert found["02.2"].passed


def test_one_bad_answer_costs_only_itself(course, submit):
    loop = "def count_pairs(length):\n    while True:\n        pass"
    found = outcomes(course, submit(loop, RIGHT_2), timeout=3)
    assert "took too long" in found["02.1"].message
    assert found["02.2"].passed
    found = outcomes(course, submit("import os\nos._exit(0)", RIGHT_2), timeout=3)
    assert not found["02.1"].passed
    assert found["02.2"].passed


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("def count_pairs(length:", "your answer raises SyntaxError"),
        ("count_pairs = 3", "your answer raises TypeError: 'int' object is not callable"),
        ("# NBVAL_SKIP\n" + RIGHT_1, "skipped"),
        ("def check(*_):\n    pass", "NameError"),  # the check's own is put back
        (
            "get_ipython().showtraceback = lambda *_, **__: None\n"
            "def count_pairs(length):\n    return 0",
            "did not print",
        ),
        (
            "get_ipython().set_custom_exc((Exception,), lambda *_, **__: None)\n"
            "def count_pairs(length):\n    return 0",
            "did not print",
        ),
        ("raise SystemExit", "SystemExit"),
        ("raise NotImplementedError()", ""),  # nbgrader's stub
    ],
)
def test_ways_around_the_check_do_not_pass(built_course, answer, said):
    pristine = nbformat.read(built_course / "solutions" / "02_windows.ipynb", as_version=4)
    book = exercise_notebook(pristine, "02.1", Answer.of(answer))
    passed, _, message = explain(book, referee(book, 10), "02.1")
    assert not passed
    assert said in message


def test_a_missing_answer_is_told_and_one_of_two_cells_is_run_in_order(course, submit):
    def retry(book):
        book.cells = [cell for cell in book.cells if cell.id != "ex-02-1-answer"]
        place = next(n for n, cell in enumerate(book.cells) if cell.id == "ex-02-2-answer")
        first = book.cells[place].copy()
        first["id"], first["source"] = (
            "b",
            "def repaired_count(length):\n    return nonsense\n1 / 0",
        )
        book.cells.insert(place, first)

    found = outcomes(course, submit(None, RIGHT_2, retry))
    assert (found["02.1"].status, found["02.2"].status) == ("missing", "passed")
    assert "take it from a fresh copy" in found["02.1"].message


def test_files_that_cannot_be_checked_are_told(course, submit, tmp_path, capsys):
    def status(path):
        code = main(["--root", str(course), "check", str(path)])
        return code, capsys.readouterr().err

    assert status(tmp_path / "none.ipynb") == (
        2,
        f"{tmp_path}/none.ipynb: there is no such file.\n",
    )
    broken = tmp_path / "broken.ipynb"
    for text in ("{", "[]", "{}", '{"cells": 3, "nbformat": 4, "nbformat_minor": 5}'):
        broken.write_text(text)
        code, said = status(broken)
        assert code == 2
        assert "this is not a notebook" in said or "no list of cells" in said
    nbformat.write(new_notebook(cells=[new_code_cell("x")]), broken)
    assert "no answer cells" in status(broken)[1]
    path = submit(RIGHT_1, RIGHT_2)
    solution = course / "solutions" / "02_windows.ipynb"
    book = nbformat.read(solution, as_version=4)
    for cell in book.cells:
        cell.get("outputs", []).clear()
    nbformat.write(book, solution)
    assert "that of 02.1 has none. Run: make notebooks" in status(path)[1]
    solution.unlink()
    assert "needs chapter 02's solution notebook; found 0" in status(path)[1]


def test_answers_are_known_by_any_of_their_three_marks():
    cell = new_code_cell("x", id="ex-02-1-answer")
    assert answer_id(cell) == "02.1"
    assert answer_id(new_code_cell("x", metadata={"nbgrader": {"grade_id": "ex-12-3-answer"}})) == (
        "12.3"
    )
    marked = {"classroom": {"exercise": "02.2", "role": "answer"}}
    assert answer_id(new_code_cell("x", metadata=marked)) == "02.2"
    assert answer_id(new_code_cell("x", metadata={"classroom": 3, "nbgrader": []})) is None


def test_an_exercise_runs_without_the_other_answers(built_course):
    pristine = nbformat.read(built_course / "solutions" / "02_windows.ipynb", as_version=4)
    sources = [cell.source for cell in exercise_notebook(pristine, "02.2", Answer.of("MINE")).cells]
    assert [source.split("\n")[0] for source in sources] == [
        "class CheckFailed(AssertionError):",
        "def wrong(length):",
        "MINE",
        "class CheckFailed(AssertionError):",
        'check("02.2", repaired_count)',
    ]


def notebook(*sources):
    return new_notebook(cells=[new_code_cell(source) for source in sources])


def test_the_referee_fails_closed(monkeypatch):
    assert referee(notebook("x = 1", "assert x == 1"), 20) == [Verdict(True), Verdict(True)]

    def no_run(folder, *_):
        return True

    monkeypatch.setattr(referee_module, "_run_pytest", no_run)
    assert [one.message for one in referee(notebook("x = 1"), 1)] == ["nbval left no report"]

    def short_report(folder, *_):
        (folder / "report.xml").write_text("<testsuites><testcase name='a'/></testsuites>")
        return True

    monkeypatch.setattr(referee_module, "_run_pytest", short_report)
    found = referee(notebook("x = 1", "y = 1"), 1)
    assert [one.passed for one in found] == [False, False]
    assert found[0].message == "nbval reported 1 of 2 cells"
    monkeypatch.setattr(referee_module, "_run_pytest", lambda *_: False)
    assert "took longer" in referee(notebook("x = 1"), 1)[0].message


def test_the_message_is_the_whole_message_of_the_last_error():
    report = (
        "KeyError          Traceback (most recent call last)\nKeyError: 3\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "Wrong             Traceback (most recent call last)\nCell In[1], line 1\n"
        "----> 1 check(f)\n\nWrong: at (2, 0)\nexpected: 1\nWrong: is part of it\n\ngot: 0\n"
    )
    assert error_of(report) == ("Wrong", "at (2, 0)\nexpected: 1\nWrong: is part of it\n\ngot: 0")
    assert error_of("ValueError      Traceback (most recent call last)\n\nValueError\n") == (
        "ValueError",
        "",
    )
    assert error_of("  Cell In[1], line 1\n    f(\n\nSyntaxError: bad\n") == ("SyntaxError", "bad")


def test_a_flood_and_a_hoard_are_cut_off(course, submit):
    flood = "while True:\n    print('x' * 100_000)"
    hoard = "def repaired_count(length):\n    return len(bytearray(2**33))"
    found = outcomes(course, submit(flood, hoard))
    assert found["02.1"].message == "the answer cell printed or drew far too much"
    assert "MemoryError" in found["02.2"].message
