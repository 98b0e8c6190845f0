"""The page of public errors: built from the lessons, and only where a cell asserts."""

from pathlib import Path

import nbformat
import pytest

from classroom.__main__ import main
from classroom.layout import find_root, sources
from classroom.problems import ChapterError
from classroom.public_errors import PAGE, build_page, page
from classroom.source import read_chapter

ROOT = find_root(Path(__file__))
MYTH = 'myth="Sums are slow" said="a blog" truth="Three are not."'
CHAPTER = f"""# %% [markdown]
# # 02 · Sums

# %% [markdown]
# ## Three of `them`

# %% {MYTH}
assert sum([1, 2]) == 3
"""


@pytest.fixture
def course(tmp_path) -> Path:
    (tmp_path / "course" / "source").mkdir(parents=True)
    (tmp_path / "course" / "source" / "02_sums.py").write_text(CHAPTER)
    return tmp_path


def test_an_entry_links_to_the_heading_above_its_cell(course):
    text = page(map(read_chapter, sources(course)))
    assert "## [02 · Sums](02_sums.ipynb)" in text
    assert "> **Sums are slow**\\\n> a blog\n\nThree are not.\n" in text
    assert "[Three of `them`](02_sums.ipynb#Three-of-them)" in text


def test_building_writes_the_page_and_checking_notices_another(course, capsys):
    assert main(["--root", str(course), "notebooks", "--check"]) == 1
    assert "public_errors.md: is not what the lessons' myths give" in capsys.readouterr().out
    assert build_page(course) == "wrote course/public_errors.md"
    assert build_page(course) is build_page(course, check=True) is None
    (course / PAGE).write_text("mine")
    assert build_page(course, check=True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("assert sum([1, 2]) == 3", "print(sum([1, 2]))", "where a cell asserts the truth"),
        (' truth="Three are not."', "", "truth is missing"),
        ('said="a blog" ', 'to="exercise" said="a blog" ', "proved in the lesson"),
    ],
)
def test_an_entry_without_proof_is_an_error(course, old, new, said):
    path = course / "course" / "source" / "02_sums.py"
    with pytest.raises(ChapterError, match=said):
        read_chapter(path, CHAPTER.replace(old, new))


def test_every_link_of_the_courses_page_leads_to_a_heading():
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert text == page(map(read_chapter, sources(ROOT)))
    links = [line for line in text.split("\n") if line.startswith("Proof: ")]
    assert len(links) > 20
    for line in links:
        heading, target = line.removeprefix("Proof: [").removesuffix(")").split("](")
        lesson = nbformat.read(ROOT / "course" / target.partition("#")[0], as_version=4)
        texts = [cell.source for cell in lesson.cells if cell.cell_type == "markdown"]
        assert any(f"# {heading}" in text.split("\n") or f"## {heading}" in text for text in texts)
