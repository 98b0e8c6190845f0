"""Every chapter's deck: run its lesson, render it, list the decks on one page.

Lessons run on their own kernels, at most one a core; a chapter that fails costs no other its deck.
"""

import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from jupyter_core.utils import ensure_event_loop
from nbformat import NotebookNode

from classroom.browser import missing, open_browser
from classroom.build import run_and_judge
from classroom.layout import STEM, notebook_path, select, write_atomically
from classroom.notebook import make_notebook
from classroom.slides.index import card, render_index
from classroom.slides.paper import print_deck
from classroom.slides.render import render
from classroom.source import read_chapter


def run_lesson(root: Path, source: Path) -> NotebookNode:
    """One chapter's lesson after a run, with all its outputs. Raises ChapterError.

    It always runs: notebooks in git hold no figures.
    """
    chapter = read_chapter(source)
    notebook, origins = make_notebook(chapter, "lesson")
    run_and_judge(chapter, notebook, origins, notebook_path(root, "lesson", chapter.stem))
    return notebook


def write_deck(root: Path, source: Path, lesson: NotebookNode, out: Path) -> Path:
    """Write the deck of a lesson that has run, out/NN_topic.html. Raises SlideError."""
    deck = out / f"{source.stem}.html"
    folder = notebook_path(root, "lesson", source.stem).parent
    write_atomically(deck, render(lesson, folder=folder))
    return deck


def build_deck(root: Path, source: Path, out: Path) -> Path:
    """Run one chapter's lesson and write its deck. Raises ChapterError or SlideError."""
    return write_deck(root, source, run_lesson(root, source), out)


def build_all(
    root: Path, chapters: Iterable[str | Path] = (), out: Path | None = None
) -> dict[str, Path | ValueError]:
    """The decks of the chapters named ("02", a stem, a source's path; none means all).

    Written to `out` (default root/build/slides) with an index.html over all decks that lie there.
    Returns, by stem, each deck's path, or the error that kept it from being written.
    """
    out = out or root / "build" / "slides"
    sources = select(root, [str(chapter) for chapter in chapters])

    def build(source: Path) -> Path | ValueError:
        try:
            return build_deck(root, source, out)
        except ValueError as error:
            return error
        finally:
            ensure_event_loop().close()  # nbclient opened one in this thread

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = dict(zip((s.stem for s in sources), pool.map(build, sources), strict=True))
    decks = [path for path in sorted(out.glob("*.html")) if STEM.fullmatch(path.stem)]
    write_atomically(out / "index.html", render_index([card(root, deck) for deck in decks]))
    return results


def main(
    root: Path,
    chapters: Iterable[str | Path] = (),
    out: Path | None = None,
    on_paper: bool = False,
) -> int:
    """build_all for the command line: says what it wrote and what it could not; 0 if all went."""
    if on_paper and (lacking := missing()):
        raise ValueError(f"to print decks takes {lacking}.")
    results = build_all(root, chapters, out)
    decks = [result for result in results.values() if isinstance(result, Path)]
    with open_browser() if on_paper else nullcontext() as browser:
        for deck in decks:
            for path in (deck, print_deck(deck, browser)) if on_paper else (deck,):
                print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    for stem, result in results.items():
        if not isinstance(result, Path):
            print(f"{stem}: {result}", file=sys.stderr)
    return int(len(decks) < len(results))
