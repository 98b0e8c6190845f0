"""This course's own chapters: built from their sources, within budgets, honest to nbval."""

from pathlib import Path

import nbformat
import pytest

from classroom.drift import drift, orphans
from classroom.layout import FOLDERS, find_root, sources
from classroom.lint import lint_chapter
from classroom.source import read_chapter

ROOT = find_root(Path(__file__).parent)
CHAPTERS = {path.stem: path for path in sources(ROOT)}
COMPARED = [
    path
    for kind in ("lesson", "solution")
    for path in sorted((ROOT / FOLDERS[kind]).glob("*.ipynb"))
]


@pytest.mark.parametrize("stem", CHAPTERS)
def test_notebooks_are_what_their_source_gives(stem):
    assert drift(ROOT, CHAPTERS[stem]) == [], "run: make notebooks"


@pytest.mark.parametrize("stem", CHAPTERS)
def test_the_chapter_keeps_its_budgets(stem):
    chapter = read_chapter(CHAPTERS[stem])
    if chapter.draft:
        pytest.skip("a draft: its lint lists what is missing")
    assert [str(problem) for problem in lint_chapter(ROOT, chapter)] == []


def test_no_notebook_is_without_a_source():
    assert orphans(ROOT) == []


@pytest.mark.parametrize("path", COMPARED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nbval_has_something_to_compare_in_every_cell(path):
    # nbval passes a cell that was never run, one tagged nbval-skip, and one that may raise.
    for position, cell in enumerate(nbformat.read(path, as_version=4).cells, 1):
        facts, tags = cell.metadata.get("classroom", {}), set(cell.metadata.get("tags", []))
        place = f"cell {position} ({cell.id})"
        if cell.cell_type != "code":
            continue
        assert cell.execution_count, f"{place} was never run"
        assert "NBVAL" not in cell.source, place
        ignored = any(facts.get(key) for key in ("alt", "widget", "volatile"))
        assert ("nbval-ignore-output" in tags) == ignored, place
        assert ("raises-exception" in tags) == bool(facts.get("fails")), place
        assert not tags & {"nbval-skip", "nbval-raises-exception"}, place
        if facts.get("fails"):
            assert [output.output_type for output in cell.outputs][-1:] == ["error"], place
        if facts.get("role") == "check":
            assert cell.outputs, f"{place} prints nothing that could be compared"


@pytest.mark.parametrize("stem", CHAPTERS)
def test_the_readmes_table_counts_a_chapters_exercises(stem):
    number = len(read_chapter(CHAPTERS[stem]).exercises)
    assert f"[{number}](exercises/{stem}.ipynb)" in (ROOT / "README.md").read_text("utf-8")
