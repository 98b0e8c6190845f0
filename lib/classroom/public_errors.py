"""The page of what public material gets wrong, built from the cells that prove it.

An entry stands on the header of the lesson's cell that asserts what is so: `myth` is what one
reads, `said` where, `truth` what holds. So no entry lives longer than its proof.
"""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from classroom.chapter import Chapter
from classroom.layout import sources, write_atomically
from classroom.problems import ChapterError
from classroom.source import read_chapter

PAGE = Path("course", "public_errors.md")

_HEAD = """\
# What public material gets wrong

Papers, reference code, blogs and trackers are how everybody learns this field, the authors of this
course included. Some sentences in them are not so, and are copied because nobody runs them. Here
are those that a lesson meets. Each names where it is said, what holds instead, and the place in
the lesson where a cell proves it: by assertions, which fail where they aren't so.

This page is built from the lessons by `make notebooks`.
"""


def page(chapters: Iterable[Chapter]) -> str:
    """The whole page, chapter by chapter, in the order of the lessons."""
    parts = [_HEAD]
    for chapter in chapters:
        entries = [_entry(chapter, at) for at, cell in enumerate(chapter.cells) if cell.myth]
        if entries:
            title = chapter.cells[0].source.partition("\n")[0].lstrip("# ")
            parts += [f"## [{title}]({chapter.stem}.ipynb)\n", *entries]
    return "\n".join(parts)


def _entry(chapter: Chapter, at: int) -> str:
    cell = chapter.cells[at]
    heading = _heading_above(chapter, at)
    # As JupyterLab and code hosts make a heading's anchor.
    anchor = quote(heading.replace("`", "").replace(" ", "-"))
    return (
        f"> **{cell.myth}**\\\n> {cell.said}\n\n{cell.truth}\n"
        f"Proof: [{heading}]({chapter.stem}.ipynb#{anchor})\n"
    )


def _heading_above(chapter: Chapter, at: int) -> str:
    for cell in reversed(chapter.cells[:at]):
        if cell.type == "markdown":
            for line in reversed(cell.source.split("\n")):
                if line.startswith("#"):
                    return line.lstrip("# ")
    return chapter.cells[0].source.lstrip("# ")


def build_page(root: Path, check: bool = False) -> str | None:
    """Write the page, or with `check` only compare it; what was done or is wrong, None if nothing.

    While a chapter can't be read, nothing happens here: its own build says what is wrong.
    """
    try:
        text = page(map(read_chapter, sources(root)))
    except ChapterError:
        return None
    path = root / PAGE
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    if found == text or (not found and text == _HEAD):
        return None
    if check:
        return f"{PAGE.as_posix()}: is not what the lessons' myths give"
    write_atomically(path, text)
    return f"wrote {PAGE.as_posix()}"
