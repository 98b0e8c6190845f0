"""Building: three notebooks, the same bytes each time, drift found and named."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from copy import deepcopy

import nbformat
import pytest
from PIL import Image

from classroom import browser, build, stills
from classroom.__main__ import main
from classroom.build import build_chapter
from classroom.drift import drift, orphans
from classroom.execute import run_notebook
from classroom.layout import FOLDERS, select
from classroom.problems import ChapterError

STEM = "02_windows"


def notebook(root, kind):
    return nbformat.read(root / FOLDERS[kind] / f"{STEM}.ipynb", as_version=4)


def source_of(root):
    return root / "course" / "source" / f"{STEM}.py"


def cell(book, start):
    return next(cell for cell in book.cells if cell.source.startswith(start))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def no_kernel(monkeypatch):
    def refuse(*_):
        raise AssertionError("a notebook ran although nothing changed")

    monkeypatch.setattr(build, "run_notebook", refuse)


def test_what_a_lesson_keeps(built_course):
    book = notebook(built_course, "lesson")
    nbformat.validate(book)
    printing = cell(book, "window = 3")
    assert printing.outputs[0].text == "window 3\n"
    assert printing.outputs[1].data == {"text/plain": "4"}
    figure = cell(book, "from IPython")
    assert figure.metadata.tags == ["nbval-ignore-output"]
    assert figure.metadata.classroom.alt.startswith("A line")
    failing = cell(book, "window / 0")
    assert failing.metadata.tags == ["raises-exception"]
    assert (failing.outputs[0].ename, failing.outputs[0].evalue) == (
        "ZeroDivisionError",
        "division by zero",
    )
    assert cell(book, "import time").outputs == []
    counts = [cell.execution_count for cell in book.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not any("execution" in cell.metadata for cell in book.cells)
    types = [cell.metadata.slideshow.slide_type for cell in book.cells]
    assert types == ["slide", "-", "slide", "notes", "skip", "skip", "skip"]
    assert "version" not in book.metadata.language_info


def test_what_a_student_gets(built_course):
    book = notebook(built_course, "exercise")
    text = "\n".join(cell.source for cell in book.cells)
    assert "fence_posts" not in text
    assert "1 + length" not in text
    assert "SOLUTION" not in text
    assert text.count("replace this line with your answer") == 2
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in book.cells)
    heading = cell(book, "### 02.2 · Find the bug\n\n*Difficulty ●●● · about 15 minutes · 1 point*")
    assert heading.source.endswith("\n\nThis function is wrong.")
    answer = cell(book, "def count_pairs")
    assert answer.metadata.nbgrader == {
        "grade": False,
        "grade_id": "ex-02-1-answer",
        "locked": False,
        "schema_version": 3,
        "solution": True,
        "task": False,
    }
    assert "editable" not in answer.metadata
    check = cell(book, 'check("02.1"')
    assert check.metadata.nbgrader.points == 2
    assert check.metadata.nbgrader.grade
    assert check.metadata.nbgrader.locked
    for locked in (check, heading, cell(book, "def wrong")):
        assert (locked.metadata.editable, locked.metadata.deletable) == (False, False)
    assert [cell.id for cell in book.cells if cell.id.startswith("ex-02-2")] == [
        "ex-02-2-prompt",
        "ex-02-2-prompt-2",
        "ex-02-2-answer",
        "ex-02-2-check",
    ]


@pytest.mark.skipif(bool(browser.missing()), reason="no Chromium, or no Playwright")
def test_a_lesson_keeps_a_still_of_each_figure(course, no_kernel):
    lesson = notebook(course, "lesson")
    assert stills.cells_without_still(lesson) == []
    still = cell(lesson, "from IPython").outputs[0]
    picture = base64.b64decode(still.data["image/png"])
    image = Image.open(io.BytesIO(picture))
    assert len(picture) < 60_000
    assert image.width / still.metadata["image/png"]["width"] == pytest.approx(1.5, abs=0.01)
    assert len(image.convert("RGB").getcolors()) > 2
    assert still.data["text/plain"].startswith("A line")


def test_a_still_of_the_same_figure_is_taken_over(built_course, monkeypatch):
    lesson = notebook(built_course, "lesson")
    ran = deepcopy(lesson)
    run_notebook(ran, built_course)
    monkeypatch.setattr(stills, "open_browser", None)  # would fail if it were opened
    figure = cell(lesson, "from IPython")
    assert stills.stills_of(ran, lesson)[figure.id] == figure.outputs


def test_without_a_browser_a_lesson_is_built_and_the_check_says_what_is_missing(
    course, monkeypatch
):
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    edit(source_of(course), "window = 3", "window = 4")
    edit(source_of(course), "[1, 2, 3]", "[1, 2, 5]")
    build_chapter(course, source_of(course), say=lambda _: None)
    assert drift(course, source_of(course)) == [
        "course/02_windows.ipynb: 02-lesson-003 keeps no still; build it where Chromium is"
    ]


def test_a_solution_has_the_same_cells_filled_in(built_course):
    exercise, solution = (notebook(built_course, kind) for kind in ("exercise", "solution"))
    assert [cell.id for cell in exercise.cells] == [cell.id for cell in solution.cells]
    assert "### BEGIN SOLUTION" in cell(solution, "def count_pairs").source
    assert cell(solution, 'check("02.1"').outputs[0].text == "02.1 passed 3f9a\n"


def test_a_rebuild_is_byte_identical_and_runs_nothing(course, no_kernel):
    before = {path: path.read_bytes() for path in course.rglob("*.ipynb")}
    assert len(before) == 3
    assert build_chapter(course, source_of(course)) == []
    assert {path: path.read_bytes() for path in course.rglob("*.ipynb")} == before
    assert drift(course, source_of(course)) == []


def test_a_fresh_build_elsewhere_gives_the_same_bytes(built_course, tmp_path):
    target = tmp_path / "elsewhere"
    shutil.copytree(built_course / "course" / "source", target / "course" / "source")
    build_chapter(target, source_of(target), say=lambda _: None)
    for kind in FOLDERS.values():
        name = f"{kind}/{STEM}.ipynb"
        assert (target / name).read_bytes() == (built_course / name).read_bytes()
    assert drift(target, source_of(target), execute=True, say=lambda _: None) == []


def test_prose_changes_run_nothing(course, no_kernel):
    edit(source_of(course), "A query sees its window.", "A query sees no more than its window.")
    assert drift(course, source_of(course)) == [
        "course/02_windows.ipynb: cell 1 (02-lesson-001) differs in source"
    ]
    changed = build_chapter(course, source_of(course))
    assert [path.parent.name for path in changed] == ["course"]
    assert cell(notebook(course, "lesson"), "window = 3").outputs


def test_changed_code_runs_again(course):
    edit(source_of(course), "window = 3", "window = 4")
    assert drift(course, source_of(course)) == [
        "course/02_windows.ipynb: cell 2 (02-lesson-002) differs in source"
    ]
    ran = []
    build_chapter(course, source_of(course), say=ran.append)
    assert [line.split(":")[0] for line in ran] == ["course/02_windows.ipynb"]
    assert cell(notebook(course, "lesson"), "window = 4").outputs[0].text == "window 4\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"window 3\\n"', '"window 7\\n"', "its outputs are not those of the last build"),
        ("# Windows\\n", "# Doors\\n", "cell 1 (02-lesson-001) differs in source"),
        ('"slide_type": "notes"', '"slide_type": "skip"', "cell 4 (02-lesson-004) differs in meta"),
        ('"name": "python3"', '"name": "other"', "its notebook metadata differs"),
        ('"nbformat": 4', '"nbformat": "x"', "not a notebook"),
    ],
)
def test_a_notebook_edited_by_hand_has_drifted(course, no_kernel, old, new, said, capsys):
    edit(course / "course" / f"{STEM}.ipynb", old, new)
    assert any(said in line for line in drift(course, source_of(course)))
    assert main(["--root", str(course), "notebooks", "--check"]) == 1
    printed = capsys.readouterr()
    assert said in printed.out
    assert "make notebooks" in printed.err


def test_missing_and_stray_notebooks_are_named(course, no_kernel, capsys):
    (course / "exercises" / f"{STEM}.ipynb").unlink()
    (course / "solutions" / "09_gone.ipynb").write_text("{}")
    assert drift(course, source_of(course)) == ["exercises/02_windows.ipynb: is missing"]
    assert orphans(course) == ["solutions/09_gone.ipynb has no course/source/09_gone.py"]
    assert main(["--root", str(course), "notebooks", "--check"]) == 1
    assert "delete it" in capsys.readouterr().err


FIGURE = 'display({"application/vnd.plotly.v1+json": {"data": []}}, raw=True)'
PIECE = 'display({"application/vnd.classroom.piece+json": {"title": ""}}, raw=True)'


@pytest.mark.parametrize(
    ("header", "code", "said"),
    [
        ("# %%", "print(1)\nint('x')", "raised ValueError: invalid literal"),
        ("# %%", "import os\nos._exit(1)", "ended the kernel"),
        ("# %%", "import warnings\nwarnings.warn('careful')", "shows no warnings"),
        ("# %%", "object()", "memory address"),
        ("# %%", f"from IPython.display import display\n{FIGURE}", "figure without alt"),
        ("# %%", f"from IPython.display import display\n{PIECE}", "figure without alt"),
        ('# %% alt="A figure of nothing at all"', "x = 1", "draws no figure"),
        ("# %% widget=true", "x = 1", "shows none"),
        ("# %% fails=true", "x = 1", "meant to fail and did not"),
        ('# %% fails="KeyError"', "int('x')", "should raise KeyError; it raised ValueError"),
        (
            '# %% alt="A figure of far too many points"',
            "from IPython.display import display\n"
            'display({"application/vnd.plotly.v1+json": {"data": ["x" * 1_000_001]}}, raw=True)',
            "at most 1 MB; this one is 1.0 MB",
        ),
    ],
)
def test_a_run_that_goes_wrong_writes_nothing(tmp_path, header, code, said):
    source = tmp_path / "course" / "source" / "03_wrong.py"
    source.parent.mkdir(parents=True)
    source.write_text(f"# %% [markdown]\n# # Wrong\n\n{header}\n{code}\n")
    with pytest.raises(ChapterError, match=re.escape(said)) as caught:
        build_chapter(tmp_path, source)
    line = 6 if "int('x')" in code and header == "# %%" else 5
    assert str(caught.value).startswith(f"{source}:{line}: course/03_wrong.ipynb, cell 2: ")
    assert not list(tmp_path.rglob("*.ipynb"))


def test_the_command_names_file_and_line_of_an_unclosed_marker(course):
    edit(
        source_of(course), "    return fence_posts\n    ### END SOLUTION", "    return fence_posts"
    )
    line = source_of(course).read_text().split("\n").index("    ### BEGIN SOLUTION") + 1
    finished = subprocess.run(
        [sys.executable, "-m", "classroom", "notebooks"],
        cwd=course / "exercises",
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 1
    assert f"02_windows.py:{line}: a solution region opens here and never ends." in finished.stderr


def test_chapters_are_chosen_by_number_or_name(course):
    for name in ("2", "02", STEM, f"course/{STEM}.ipynb"):
        assert select(course, [name]) == [source_of(course)]
    with pytest.raises(ValueError, match="there are: 02_windows"):
        select(course, ["3"])
    shutil.copy(source_of(course), source_of(course).with_name("02_again.py"))
    with pytest.raises(ValueError, match=r"is also 02_again\.py"):
        select(course, [])


def test_notebooks_are_plain_json_without_figure_data(built_course):
    for path in built_course.rglob("*.ipynb"):
        text = path.read_text()
        assert "vnd.plotly" not in json.dumps([c.get("outputs") for c in json.loads(text)["cells"]])
        assert text.endswith("}\n")


def test_a_widget_that_shows_output_can_be_run(tmp_path):
    """`interact` draws into an Output widget, and nothing of its state stays in the notebook."""
    code = "import ipywidgets\nipywidgets.interact(lambda n: print(n), n=(0, 3));"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    run = run_notebook(book, tmp_path)
    assert run.stopped_at is None, run.reason
    assert "widgets" not in book.metadata
