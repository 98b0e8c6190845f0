"""`classroom slides`: each chapter's lesson, run for its figures, as one offline HTML deck."""

import sys
from pathlib import Path

from classroom.build import run_and_judge
from classroom.layout import notebook_path, write_atomically
from classroom.notebook import make_notebook
from classroom.problems import ChapterError
from classroom.source import read_chapter


def deck_path(root: Path, stem: str) -> Path:
    """Where a chapter's deck lies."""
    return root / "build" / "slides" / f"{stem}.html"


def make_deck(root: Path, source: Path) -> Path:
    """Run one chapter's lesson and render it. Figures are not in git, so it always runs."""
    from classroom.slides import render

    chapter = read_chapter(source)
    notebook, origins = make_notebook(chapter, "lesson")
    path = notebook_path(root, "lesson", chapter.stem)
    run_and_judge(chapter, notebook, origins, path)
    deck = deck_path(root, chapter.stem)
    write_atomically(deck, render(notebook, folder=path.parent))
    return deck


def slides_command(root: Path, chosen: list[Path]) -> int:
    """Render the chosen chapters; 0 when all could be."""
    wrong = 0
    for source in chosen:
        try:
            print(make_deck(root, source).relative_to(root), flush=True)
        except (ChapterError, ValueError) as error:
            wrong += 1
            print(f"{source.stem}: {error}", file=sys.stderr)
    return 1 if wrong else 0
