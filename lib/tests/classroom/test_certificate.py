"""The certificate: what passed is told, what didn't is told, and nothing passes that wasn't run."""

import re
import shutil
from datetime import date

import nbformat
import pytest

from classroom import certificate
from classroom.__main__ import main
from classroom.build import build_chapter
from classroom.certificate import PAGE, Chapter, Row, arc, certificate_command, progress
from classroom.work import prepare

RIGHT_1 = "def count_pairs(length):\n    return length + 1"
RIGHT_2 = "def repaired_count(length):\n    return length + 1"
WRONG_2 = "def repaired_count(length):\n    return 2"


def renumbered(text: str, number: str) -> str:
    return re.sub(r'(["(])02\.', rf"\g<1>{number}.", text)


@pytest.fixture(scope="session")
def two_chapters(tmp_path_factory, chapter_text):
    """A course of chapters 02 and 03, built once."""
    root = tmp_path_factory.mktemp("two")
    (root / "course" / "source").mkdir(parents=True)
    for number, stem in (("02", "windows"), ("03", "rings")):
        source = root / "course" / "source" / f"{number}_{stem}.py"
        source.write_text(renumbered(chapter_text, number))
        build_chapter(root, source, say=lambda _: None)
    return root


@pytest.fixture
def working(two_chapters, tmp_path):
    """That course, with untouched copies in work/, in a folder of its own."""
    root = tmp_path / "course"
    shutil.copytree(two_chapters, root)
    prepare(root)
    return root


def write(root, stem: str, answers: dict[str, str]) -> None:
    path = root / "work" / f"{stem}.ipynb"
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        cell.source = answers.get(cell.id, cell.source)
    nbformat.write(book, path)


def statuses(chapters) -> dict[str, str]:
    return {row.exercise: row.status for chapter in chapters for row in chapter.rows}


def test_a_page_of_two_chapters_with_one_wrong_answer(working, capsys):
    write(working, "02_windows", {"ex-02-1-answer": RIGHT_1, "ex-02-2-answer": WRONG_2})
    write(working, "03_rings", {"ex-03-1-answer": RIGHT_1})
    assert main(["--root", str(working), "certificate", "--name", "Ada <Lovelace>"]) == 0
    printed = capsys.readouterr().out
    assert "02  Windows: 1 of 2 passed\n03  Rings: 1 of 2 passed\n" in printed
    assert "2 of 4 exercises passed: build/certificate.html" in printed
    page = (working / PAGE).read_text()
    assert "2 of 4 exercises pass" in page
    assert "4 of 6 points" in page
    assert "Ada &lt;Lovelace&gt;" in page
    found = re.findall(r"</b>(\d\d\.\d) [^<]*, <span>([^<]*)</span></li>", page)
    assert dict(found) == {
        **{"02.1": "passed", "02.2": "not yet"},
        **{"03.1": "passed", "03.2": "not answered yet"},
    }
    arcs = re.findall(r'<path d="[^"]*"( class="\w+")?/>', page)
    assert arcs == [' class="passed"', ' class="wrong"', ' class="passed"', ""]
    assert "http" not in page.replace("http-equiv", "")  # it needs no network


def test_nothing_runs_where_nothing_is_answered(working, monkeypatch, capsys):
    def never(*_):
        raise AssertionError("a notebook without answers was run")

    monkeypatch.setattr(certificate, "check_submission", never)
    (working / "work" / "03_rings.ipynb").unlink()
    assert certificate_command(working, "", 30, 20, date(2026, 1, 2)) == 0
    assert "02  Windows: not answered yet\n03  Rings: no notebook in work/\n" in (
        capsys.readouterr().out
    )
    page = (working / PAGE).read_text()
    assert "0 of 4 exercises pass" in page
    assert "2026-01-02" in page
    assert 'class="passed"' not in page
    assert "2 exercises, <span>no notebook in work/</span>" in page


def test_when_time_is_up_what_was_not_run_is_not_passed(working, monkeypatch):
    write(working, "02_windows", {"ex-02-1-answer": RIGHT_1})
    monkeypatch.setattr(certificate, "check_submission", lambda *_: pytest.fail("too late"))
    found = statuses(progress(working, 20, 0))
    assert found["02.1"] == "not run: time was up"
    assert found["02.2"] == found["03.1"] == "not answered yet"


def test_a_broken_notebook_costs_its_own_chapter_only(working, capsys):
    (working / "work" / "02_windows.ipynb").write_text("{")
    write(working, "03_rings", {"ex-03-1-answer": RIGHT_1, "ex-03-2-answer": RIGHT_2})
    found = statuses(progress(working, 20, 60))
    assert found["02.1"] == "its notebook can't be checked"
    assert found["03.1"] == found["03.2"] == "passed"
    assert "this is not a notebook" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "x" * 81], "at most 80 characters: got 81"),
        (["--minutes", "0"], "minutes must be above 0: got 0.0"),
    ],
)
def test_what_is_refused_says_why(working, arguments, said, capsys):
    assert main(["--root", str(working), "certificate", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_badge_has_an_arc_for_each_exercise():
    rows = tuple(Row(f"02.{n}", "t", 1, "passed" if n < 3 else "not yet") for n in range(1, 7))
    badge = Chapter("02", "Windows", rows)
    assert badge.passed == 2
    assert [row.exercise for _, row in badge.arcs] == [row.exercise for row in rows]
    assert len({path for path, _ in badge.arcs}) == 6
    assert " 0 1 1 " in arc(0, 4)  # more than half a turn
