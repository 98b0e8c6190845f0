"""Reports hold every grade, show nothing of a submission's own words, and compute nothing."""

import csv
import io
import xml.etree.ElementTree as ElementTree

from classroom.grade.feedback import explain
from classroom.grade.grading import Grade
from classroom.grade.judge import Judgement, judgement
from classroom.grade.reference import Exercise, Reference, _printed
from classroom.grade.reports import grades_csv, junit_xml, page_name, write_reports

EXERCISE = Exercise(
    ident="02.1",
    title="A <title>",
    points=2,
    seed=7,
    line="02.1 ✓ 0123456789abcdef\n",
    forbids=("mixlab.transformer.window",),
    calls=("window_mask(6, 3)", "window_mask(6, 30)"),
    sayings=("your window has W + 1 keys.",),
    hints=("Count <them>.",),
)
GRADES = [
    Grade("Zoë", "02", "02.1", "A <title>", 2, 2, "passed", seconds=1.5),
    Grade("=cmd()", "02", "02.1", "A <title>", 0, 2, "wrong", "Not <right>.", "W + 1 keys"),
    Grade("<script>alert(1)</script>", "02", "02.1", "A <title>", 0, 2, "missing", "No cell."),
]


def test_the_csv_holds_every_grade_and_no_formula():
    rows = list(csv.DictReader(io.StringIO(grades_csv(GRADES))))
    assert [row["points"] for row in rows] == ["2", "0", "0"]
    assert rows[1]["student"] == "'=cmd()"


def test_the_junit_report_fails_whatever_did_not_pass():
    suite = ElementTree.fromstring(junit_xml(GRADES))
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert len(suite.findall("testcase/failure")) == 2


def test_pages_escape_names_and_replace_old_ones(tmp_path):
    problems = {"Zoë": [], "=cmd()": [], "<script>alert(1)</script>": ["<b>junk</b>"]}
    reference = {"02": Reference("02_x", None, {"02.1": EXERCISE})}
    (tmp_path / "feedback").mkdir()
    (tmp_path / "feedback" / "gone-12345678.html").write_text("old")
    write_reports(tmp_path, GRADES, problems, reference, protected=False)
    pages = {path.name: path.read_text() for path in (tmp_path / "feedback").iterdir()}
    assert set(pages) == {page_name(student) for student in problems}
    whole = "".join(pages.values()) + (tmp_path / "class.html").read_text()
    assert "<script>" not in whole
    assert "<b>junk" not in whole
    assert "0123456789abcdef" not in whole
    assert "without a sandbox" in whole
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


def test_only_a_whole_set_of_passed_cells_passes():
    cell = _printed("")
    cell.cell_type, cell.metadata = "code", {}
    notebook = type("Notebook", (), {"cells": [cell, cell]})
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
