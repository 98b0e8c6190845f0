"""A total a student, points by hand, and the questions that a grader asks before it goes on."""

import csv
import io
import os
from dataclasses import replace
from datetime import datetime

import pytest

from classroom.answers import Answer
from classroom.causes import causes
from classroom.grade.entries import find_entries
from classroom.grade.grading import Grade, not_handed_in
from classroom.grade.plan import Plan, choose_chapters
from classroom.grade.reports import write_reports
from classroom.grade.run import grade_command
from classroom.grade.tables import BOM
from classroom.grade.totals import Totals, apply_manual
from classroom.known import known_answers
from tests.grade.conftest import ROOT, filled, write
from tests.grade.test_grade_reports import REFERENCE

KNOWN = known_answers(ROOT)
GRADES = [
    Grade("Zoë Müller_17", "02", "02.1", "A", 2, 2, "passed"),
    Grade("Zoë Müller_17", "02", "02.2", "B", 0, 3, "wrong"),
    Grade("=bob", "02", "02.1", "A", 0, 2, "missing"),
    Grade("=bob", "02", "02.2", "B", 0, 3, "missing"),
]
NOON = datetime(2026, 11, 30, 12)
TIMES = {"Zoë Müller_17": NOON.timestamp() + 60, "=bob": NOON.timestamp() - 60}


def rows(text):
    assert text.startswith(BOM)
    return list(csv.DictReader(io.StringIO(text.removeprefix(BOM))))


def test_a_total_a_student():
    zoe, bob = rows(Totals(due=NOON).write(GRADES, TIMES))
    assert zoe == {
        **{"student": "Zoë Müller_17", "points": "2", "out_of": "5"},
        **{"percent": "40.0", "late": "late"},
    }
    assert (bob["student"], bob["points"], bob["late"]) == ("'=bob", "0", "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_roster_gives_its_columns_and_those_who_handed_in_nothing(tmp_path, encoding, separator):
    lines = ["id,name", "17,Zoë", "bob,Bob", "19,Ümit"]
    file = tmp_path / "class.csv"
    file.write_bytes("\r\n".join(lines).replace(",", separator).encode(encoding))
    found = rows(Totals(file).write(GRADES, TIMES))
    assert [(row["student"], row["id"], row["name"]) for row in found] == [
        ("Zoë Müller_17", "17", "Zoë"),
        ("'=bob", "bob", "Bob"),
        ("", "19", "Ümit"),
    ]
    assert [row["out_of"] for row in found] == ["5"] * 3
    found = rows(Totals(file, pattern=r"_(\d+)$").write(GRADES, TIMES))
    assert [row["name"] for row in found] == ["Zoë", "", "Bob", "Ümit"]


def test_points_and_comments_by_hand_survive(tmp_path):
    file = tmp_path / "manual.csv"
    assert apply_manual(GRADES, file) == GRADES
    file.write_text("student;exercise;points;comment\n=bob;02.2;1;a good idea\n=bob;02.1;;see me\n")
    given = apply_manual(GRADES, file)
    assert given[:2] == GRADES[:2]
    assert [(one.points, one.status, one.comment) for one in given[2:]] == [
        (0, "missing", "see me"),
        (1, "by hand", "a good idea"),
    ]


def test_a_student_reads_the_comment_and_their_own_code(tmp_path):
    grade = replace(GRADES[0], status="by hand", comment="<b>Well done", code="return 1 < 2")
    write_reports(tmp_path, [grade], {grade.student: []}, {"02": REFERENCE})
    (page,) = (tmp_path / "feedback").glob("*.html")
    text = page.read_text()
    assert "<strong>Your teacher:</strong> &lt;b&gt;Well done" in text
    assert "<pre>return 1 &lt; 2</pre>" in text
    assert 'failures="0"' in (tmp_path / "junit.xml").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("student,exercise\n", "its first line is"),
        ("student,exercise,points,comment\nzoe,02.1,1,\n", "line 2: 'zoe' has no exercise"),
        ("student,exercise,points,comment\n=bob,02.1,-1,\n", "points are a whole number"),
    ],
)
def test_a_line_by_hand_that_means_nothing_is_refused(tmp_path, text, said):
    (tmp_path / "manual.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        apply_manual(GRADES, tmp_path / "manual.csv")


def test_whoever_handed_in_anything_is_told_the_true_reason():
    (one,) = not_handed_in("ann", "02", REFERENCE, ["a.ipynb: it is empty."])
    assert (one.status, one.message, one.handed_in) == ("unreadable", "a.ipynb: it is empty.", True)
    (one,) = not_handed_in("ann", "02", REFERENCE, ["a.ipynb: it is empty."], others=True)
    assert (one.status, one.handed_in) == ("missing", False)
    assert one.message.endswith("handed in. a.ipynb: it is empty.")


def test_a_section_is_no_student(tmp_path):
    for number in range(5):
        answer = {"02.3": f"def n_scores(s, w): return {number}"}
        write(tmp_path / "in" / "Section A", f"student {number}", filled(answer))
    with pytest.raises(ValueError, match="Section A looks like the submissions of several"):
        choose_chapters(ROOT, find_entries(tmp_path / "in"), [], KNOWN)
    assert choose_chapters(ROOT, find_entries(tmp_path / "in"), [], KNOWN, anyway=True) == ["02"]
    for path in list((tmp_path / "in" / "Section A").iterdir())[2:]:
        os.remove(path)
    assert choose_chapters(ROOT, find_entries(tmp_path / "in"), ["02,4"], KNOWN) == ["02", "04"]


def test_a_class_without_a_point_is_a_question(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Plan, "rehearse", lambda plan, course: {})  # nothing is run
    for student in "abc":
        write(tmp_path / "in", student, filled({}))
    assert grade_command(ROOT, tmp_path / "in", tmp_path / "out", chapters=["02"]) == 3
    assert "None of 3 submissions has a single point" in capsys.readouterr().err
    assert (tmp_path / "out" / "totals.csv").exists()
    again = grade_command(ROOT, tmp_path / "in", tmp_path / "out", chapters=["02"], anyway=True)
    assert again == 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def my_mask(s, w):\n    return 1", "It defines my_mask; the check calls window_mask."),
        ("def window_mask(s, w):\n    return input()", "It asks for input()"),
        ("%%bash\nls", "Its first line, %%bash, makes"),
        ("def window_mask(s, w):\n    return ‘x’", "Line 2 holds ‘ (U+2018), not Python's '"),
        ("def window_mask(s, w):\n\u00a0   return 1", "looks like a space (U+00A0)"),
        ("<<<<<<< HEAD\nx = 1\n=======\n>>>>>>> mine", "both sides of a merge conflict"),
        ("def window_mask(s, w:\n    return 1", "Line 1: '(' was never closed."),
    ],
)
def test_everyday_slips_are_told_by_their_cause(code, said):
    assert any(said in one for one in causes(Answer.of(code), "window_mask"))


def test_an_answer_without_a_slip_has_no_cause():
    assert causes(Answer.of("%%time\ndef window_mask(s, w):\n    return 1"), "window_mask") == []
