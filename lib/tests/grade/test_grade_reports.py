"""Reports hold every grade, show nothing of a submission's own words, and compute nothing."""

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom.answers import Answer
from classroom.grade.class_page import class_facts
from classroom.grade.feedback import explain
from classroom.grade.grading import NOTHING, Grade
from classroom.grade.reference import Exercise, Reference, _printed
from classroom.grade.reports import code_marked, grades_csv, junit_xml, page_name, write_reports
from classroom.grade.tables import BOM
from classroom.grade.verdicts import Judgement, judgement

EXERCISE = Exercise(
    ident="02.1",
    title="A <title>",
    points=2,
    seed=7,
    expected="[]",
    atol=1e-4,
    module="mixlab.chapters.sliding_window.exercises.mask",
    packages=("xformers",),
    calls=("window_mask(6, 3)", "window_mask(6, 30)"),
    sayings=("your window has W + 1 keys.",),
    hints=("Count <them>.",),
)
REFERENCE = Reference("02_sliding_window", new_notebook(cells=[]), {"02.1": EXERCISE})
GRADES = [
    Grade("Zoë", "02", "02.1", "A <title>", 2, 2, "passed", seconds=1.5),
    Grade("=cmd()", "02", "02.1", "A <title>", 0, 2, "wrong", "Not <right>.", "W + 1 keys"),
    Grade("<script>alert(1)</script>", "02", "02.1", "A <title>", 0, 2, "missing", "No cell."),
]


def test_the_csv_holds_every_grade_and_no_formula():
    rows = list(csv.DictReader(io.StringIO(grades_csv(GRADES).removeprefix(BOM))))
    assert [row["points"] for row in rows] == ["2", "0", "0"]
    assert rows[1]["student"] == "'=cmd()"


def test_the_junit_report_fails_whatever_did_not_pass():
    suite = ElementTree.fromstring(junit_xml(GRADES))
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert len(suite.findall("testcase/failure")) == 2


def test_pages_escape_names_and_replace_old_ones(tmp_path):
    problems = {"Zoë": [], "=cmd()": [], "<script>alert(1)</script>": ["<b>junk</b>"]}
    reference = {"02": REFERENCE}
    (tmp_path / "feedback").mkdir()
    (tmp_path / "feedback" / "gone-12345678.html").write_text("old")
    write_reports(tmp_path, GRADES, problems, reference, "bubblewrap is missing")
    pages = {path.name: path.read_text() for path in (tmp_path / "feedback").iterdir()}
    assert set(pages) == {page_name(student) for student in problems}
    whole = "".join(pages.values()) + (tmp_path / "class.html").read_text()
    assert "<script>" not in whole
    assert "<b>junk" not in whole
    assert "0123456789abcdef" not in whole
    assert "without a sandbox" in whole
    assert "bubblewrap is missing" in whole
    assert "http" not in whole  # nothing is fetched: the pages work without a network
    assert "1 of 3" in (tmp_path / "class.html").read_text()


def test_students_with_like_names_have_pages_of_their_own():
    names = ["Zoë", "Zoe", "zoe", "佐藤", "斎藤", "a/b", "a-b"]
    assert len({page_name(name) for name in names}) == len(names)


def test_feedback_chooses_among_our_sentences_only():
    secret = "seed 7, expected 0123456789abcdef"
    for kind in ("wrong", "error", "kind", "library", "timeout", "died", "flood", "syntax"):
        judged = Judgement(False, kind, "ValueError" if kind == "error" else "", secret)
        taught = Judgement(False, "error", "", f"{secret} window_mask(6, 30) W + 1")
        told = " ".join(explain(EXERCISE, judged, taught))
        assert "0123456789abcdef" not in told
        assert "seed" not in told
    status, message, misconception = explain(
        EXERCISE,
        Judgement(False, "wrong"),
        Judgement(
            False, "error", "", "window_mask(6, 30)\n  Probably: your window has W + 1\nkeys."
        ),
    )
    assert (status, misconception) == ("wrong", EXERCISE.sayings[0])
    assert "window_mask(6, 30)" in message
    _, message, _ = explain(EXERCISE, Judgement(False, "wrong"), Judgement(True, "passed"))
    assert "fresh" in message


def test_expected_and_got_on_public_inputs_are_told_if_they_are_numbers():
    judged, said = (
        Judgement(False, "wrong"),
        "window_mask(6, 3)\n  expected: {}\n  got: {}\n  hint(",
    )
    for got, told in (("-1.5", True), ("False", True), ("(2, 3)", True), ("secret", False)):
        taught = Judgement(False, "error", "", said.format("12", got))
        message = explain(EXERCISE, judged, taught)[1]
        assert (f"Expected 12, got {got}." in message) == told
        assert "secret" not in message


def test_an_error_is_told_at_the_students_own_line():
    said = (
        "CheckFailed: 02.1 is not right yet: window_mask(6, 3)\n  in line 2 of the answer: SECRET"
    )
    judged = Judgement(False, "error", "TypeError", "SECRET")
    taught = Judgement(False, "error", "", said)
    code = "def window_mask(seq, window):\n    return seq[window]"
    _, message, _ = explain(EXERCISE, judged, taught, Answer.of(code))
    assert message.endswith("It stops at its line 2: return seq[window]")
    assert "SECRET" not in message
    for line in ("0", "3", "99999999999999999999"):  # no such line: nothing is said of it
        other = Judgement(False, "error", "", said.replace("line 2", f"line {line}"))
        assert "stops" not in explain(EXERCISE, judged, other, Answer.of(code))[1]


def test_a_line_that_no_report_could_hold_is_cleaned(tmp_path):
    """One student's escape character would make the whole class's junit.xml unreadable."""
    code = "def window_mask(seq, window):\n    return 1 / 0  # \x1b[31m \x08\ufffe\r\u202e ]]> <b>"
    taught = Judgement(False, "error", "", "window_mask(6, 3)\n  in line 2 of the answer: x")
    _, message, _ = explain(
        EXERCISE, Judgement(False, "error", "ZeroDivisionError"), taught, Answer.of(code)
    )
    assert message.endswith("return 1 / 0 # [31m ]]> <b>")
    assert message.isprintable()
    grade = replace(GRADES[1], message=message)
    failure = ElementTree.fromstring(junit_xml([grade])).find("testcase/failure")
    assert failure.text == message
    assert "<b>" not in code_marked(message)


def test_names_in_full_width_signs_are_no_formula_either():
    row = list(csv.reader(io.StringIO(grades_csv([replace(GRADES[1], student="＝cmd()")]))))[1]
    assert row[0] == "'＝cmd()"


@pytest.mark.parametrize("sign", [*"=+-@−﹦", "'="])
def test_no_cell_of_any_countrys_spreadsheet_is_computed(sign):
    """Where the comma is the decimal sign, a semicolon separates, and quotes in a comma's cell
    don't hold it together."""
    line = f"It stops at its line 1: return 1  #;{sign}HYPERLINK(1);\t{sign}2| {sign}3"
    text = grades_csv([replace(GRADES[1], student=f"ann;{sign}1+1", message=line)])
    cells = [cell for row in text.splitlines() for cell in re.split(r"[;,|\t]", row)]
    assert not [cell for cell in cells if cell.strip(' "').startswith(tuple("=+-@−﹦"))]
    assert "'" + sign in text


def test_a_name_and_its_quoted_twin_stay_two():
    names = ("=1", "'=1", "''=1", "'t Hooft")
    rows = csv.reader(io.StringIO(grades_csv([replace(GRADES[1], student=n) for n in names])))
    assert [row[0] for row in rows][1:] == ["'=1", "''=1", "'''=1", "'t Hooft"]


def test_what_is_not_installed_and_how_long_it_may_take_are_said():
    code = "import numpy as np\nfrom no_such_package.x import y\nimport __main__"
    judged = Judgement(False, "error", "ModuleNotFoundError", "")
    message = explain(EXERCISE, judged, None, Answer.of(code))[1]
    assert message.endswith("not among the course's packages: no_such_package.")
    judged = Judgement(False, "timeout")
    assert (
        "a cell has 7 seconds" in explain(EXERCISE, judged, None, Answer.of(code), seconds=7.0)[1]
    )


def test_an_error_the_check_knows_is_told_as_a_misconception():
    tip = "`and`, `or` and `0 <= x < w` ask for one truth value, and a tensor or array has many."
    exercise = replace(EXERCISE, sayings=(*EXERCISE.sayings, tip))
    wrapped = "window_mask(6, 3)\n  Probably: `and`, `or` and `0 <= x < w` ask for one\n    truth "
    taught = Judgement(False, "error", "", wrapped + "value, and a tensor or array has many.")
    judged = Judgement(False, "error", "RuntimeError", "")
    assert explain(exercise, judged, taught)[2] == tip


def test_an_error_of_torchs_is_not_taken_for_an_exercise_left_open():
    judged = Judgement(False, "empty", "NotImplementedError")
    assert explain(EXERCISE, judged, None, Answer.of("x.half() @ y"))[0] == "wrong"
    assert (
        explain(EXERCISE, judged, None, Answer.of("raise NotImplementedError()"))[0]
        == "not answered"
    )


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("02.1: replace this line with your answer", "empty"),
        ("", "empty"),  # nbgrader's own
        ("\"addmm_impl_cpu_\" not implemented for 'Half'", "error"),
        ("Could not run 'aten::_mm' with arguments from the 'Sparse' backend", "error"),
    ],
)
def test_only_the_line_that_awaits_an_answer_is_no_answer(message, kind):
    said = f"NotImplementedError: {message}" if message else "NotImplementedError: "
    header = f"{'NotImplementedError':<40}Traceback (most recent call last)"
    report = f"{header}\nCell In[3], line 2\n----> 2 x @ y\n\n{said}"
    failed = {"passed": False, "report": report, "seconds": 0.1, "outcome": "failed"}
    cell = _printed("")
    cell.cell_type, cell.metadata = "code", {"classroom": {"role": "check"}}
    found = judgement(NotebookNode(cells=[cell], metadata={}), [failed])
    assert (found.kind, found.error) == (kind, "NotImplementedError")
    # Who leaves our line somewhere behind an answer has answered all the same.
    code = "if x.dtype == 'float':\n    raise NotImplementedError('02.1: …')\nreturn x.half() @ y"
    told = "not answered" if kind == "empty" else "wrong"
    assert explain(EXERCISE, found, None, Answer.of(code))[0] == told


def test_the_class_page_counts_those_who_handed_in():
    grades = [
        Grade("a", "02", "02.1", "A", 2, 2, "passed", seconds=1.0),
        Grade("b", "02", "02.1", "A", 0, 2, "wrong", "no", "W + 1 keys", 3.0),
        Grade("c", "02", "02.1", "A", 0, 2, "timeout"),
        Grade("d", "02", "02.1", "A", 0, 2, "missing", NOTHING),
    ]
    (chapter,) = class_facts(grades, {"02": "Windows"})
    assert (chapter["students"], chapter["of"]) == (3, 4)
    (row,) = chapter["exercises"]
    assert row["counts"] == {"right": 1, "wrong": 1, "refused": 1, "empty": 0}
    assert (row["share"], row["median"], row["refused"]) == (33, 3.0, "1 timeout")
    (said,) = chapter["misconceptions"]
    assert (said["count"], said["of"]) == (1, 1)
    assert [bar["count"] for bar in chapter["points"]] == [2, 0, 1]
    (nobody,) = class_facts(grades[3:], {"02": "Windows"})
    assert (nobody["students"], nobody["exercises"]) == (0, [])


def test_a_chapter_is_called_by_its_heading():
    cells = [new_code_cell("# no"), new_markdown_cell("text\n# Sliding windows\n# more")]
    assert replace(REFERENCE, pristine=new_notebook(cells=cells)).title == "Sliding windows"
    assert REFERENCE.title == "Sliding window"


def test_an_interrupted_import_is_told_as_a_timeout():
    cell = _printed("")
    cell.cell_type, cell.metadata = "code", {"classroom": {"role": "answer"}}
    check = NotebookNode(cell, metadata={"classroom": {"role": "check"}})
    notebook = NotebookNode(cells=[cell, check], metadata={"seconds": 10})
    failed = {"passed": False, "report": "OddError: no", "outcome": "failed"}
    undefined = {**failed, "seconds": 0.1}
    assert judgement(notebook, [{**failed, "seconds": 9.0}, undefined]).kind == "error"
    assert judgement(notebook, [{**failed, "seconds": 12.4}, undefined]).kind == "timeout"


def test_the_check_decides_whatever_a_students_cells_did():
    roles = ("own", "answer", "check")
    cells = [
        NotebookNode(cell_type="code", metadata={"classroom": {"role": role}}) for role in roles
    ]
    notebook = NotebookNode(cells=cells, metadata={})
    fine = {"passed": True, "report": "", "seconds": 0.1, "outcome": "passed"}
    failed = {**fine, "passed": False, "report": "NameError: x", "outcome": "failed"}
    wrong = {**failed, "report": "ValueError: y"}
    assert judgement(notebook, [failed, failed, fine]).passed
    assert judgement(notebook, [failed, fine, wrong]).error == "ValueError"
    assert judgement(notebook, [fine, failed, wrong]).error == "NameError"
    assert not judgement(notebook, [failed, failed]).passed
    assert not judgement(notebook, [{**failed, "outcome": "skipped"}, fine, fine]).passed
    died = {**failed, "report": "pytest plugin exception: Died: "}
    assert judgement(notebook, [died, failed, failed]).kind == "died"


def test_what_runs_again_after_an_answer_is_spoiled_by_the_answer_alone():
    roles = (None, "answer", None, "check")
    cells = [
        NotebookNode(cell_type="code", metadata={"classroom": {"role": role}}) for role in roles
    ]
    notebook = NotebookNode(cells=cells, metadata={})
    fine = {"passed": True, "report": "", "seconds": 0.1, "outcome": "passed"}
    failed = {**fine, "passed": False, "report": "ImportError: hint", "outcome": "failed"}
    assert judgement(notebook, [failed, fine, failed, failed]).kind == "setup"
    assert judgement(notebook, [fine, fine, failed, failed]).kind == "error"


def test_only_a_whole_set_of_passed_cells_passes():
    cell = _printed("")
    cell.cell_type, cell.metadata = "code", {}
    notebook = NotebookNode(cells=[cell, cell], metadata={})
    fine = {"passed": True, "report": "", "seconds": 0.1, "outcome": "passed"}
    assert judgement(notebook, [fine, fine]).passed
    for verdicts in (
        [],
        [fine],
        [fine, fine, fine],
        [fine, {**fine, "passed": False, "outcome": "skipped"}],
        [fine, {**fine, "passed": False, "outcome": "xfailed"}],
        [{**fine, "passed": False, "report": "Cell 0: Timeout of 2 seconds"}, fine],
    ):
        assert not judgement(notebook, verdicts).passed
