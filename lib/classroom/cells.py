"""A notebook that anybody may have written: bytes in, cells out.

A notebook that can't be read, or of another format, is a ValueError that says what to do.
"""

import gc
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import nbformat
from nbformat import NotebookNode, ValidationError

from classroom.given import answer_id, stamp
from classroom.solution_region import BEGIN

MAX_NOTEBOOK = 100 * 2**20
TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
MAX_CELLS = 5_000
MAX_PARTS = 1_000_000  # lists and objects: some seconds and a gigabyte make ten million
KEPT = ("cell_type", "id", "metadata")
LESSON_ID = re.compile(r"\d\d-lesson-\d{3}")
AGAIN = "Save it again in JupyterLab, or start from a fresh copy of the exercises."


@dataclass(frozen=True)
class Notebook:
    """What is kept of a notebook: its cells, without outputs, each with a text as its source.

    `kind` is what the course called it ("lesson", "exercise", "solution") and `given` the digests
    of its cells as they were handed out; both are empty where an editor dropped them.
    """

    cells: list[dict]
    kind: str = ""
    given: dict = field(default_factory=dict)

    @cached_property
    def is_lesson(self) -> bool:
        """Whether this is a lesson of ours."""
        if self.kind:
            return self.kind == "lesson"
        idents = (cell.get("id") for cell in self.cells)
        return any(isinstance(ident, str) and LESSON_ID.fullmatch(ident) for ident in idents)

    @cached_property
    def is_solution(self) -> bool:
        """Whether this is a solution notebook of ours, perhaps with changes.

        nbgrader releases our solutions without the code, and what they are called stays: so the
        markers count, some where the notebook calls itself a solution, all where it says nothing.
        """
        marked = [
            any(map(BEGIN.fullmatch, cell["source"].split("\n")))
            for cell in self.cells
            if answer_id(cell)
        ]
        return any(marked) and (self.kind == "solution" or (not self.kind and all(marked)))


def read_notebook(path: Path) -> NotebookNode:
    """A notebook file with all that is in it, or a ValueError that says what is the matter."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an editor's duplicate cell ids are nobody's concern
            notebook = nbformat.reads(decoded(path.read_bytes()), as_version=4)
        if not all(isinstance(cell.source, str) for cell in notebook.cells):
            raise ValueError("a cell holds no text")
        return notebook
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file.") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ValidationError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ValueError(
            f"{path}: this is not a notebook that can be read ({reason}). "
            "Open it in JupyterLab and save it again, or start from a fresh copy."
        ) from error


def decoded(content: bytes) -> str:
    """The text of a JSON file: UTF-8, or what Windows makes of it, UTF-16 or a mark at its start.

    >>> decoded("[1]".encode("utf-16")), decoded(b"\\xef\\xbb\\xbf[1]")
    ('[1]', '[1]')
    """
    return content.decode(json.detect_encoding(content))


def parse_notebook(content: bytes) -> Notebook:
    """The notebook, of format 4 or 3, that these bytes are.

    Raises:
        ValueError: if the bytes are not such a notebook.
    """
    if len(content) > MAX_NOTEBOOK:
        raise ValueError(
            f"this notebook has over {MAX_NOTEBOOK // 2**20} MB, which are read at most. "
            "Clear its outputs and save it again."
        )
    try:
        text = decoded(content)
    except UnicodeDecodeError:
        text = ""
    if _has_too_many_parts(text):
        raise ValueError(
            "this notebook has far too many parts to be read. Clear its outputs and save it again."
        )
    try:
        with _uncollected():
            notebook = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"this is not a notebook: {_what_it_is(content)}. {AGAIN}") from None
    return _read(notebook)


def _has_too_many_parts(text: str) -> bool:
    """Whether Python would make more objects of a text than memory and time allow.

    What stands inside its own texts, such as a page with scripts among the outputs, makes none.
    """
    if text.count("[") + text.count("{") <= MAX_PARTS:
        return False
    bare = TEXT.sub("", text)
    return bare.count("[") + bare.count("{") > MAX_PARTS


def _what_it_is(content: bytes) -> str:
    """What a file is that is no JSON, as far as its bytes tell."""
    head = content[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not content.strip(b"\0 \t\r\n"):
        return "it is empty"
    if head.startswith(b"version https://git-lfs"):
        return "it is what Git LFS leaves in a file's place (git lfs pull brings the file)"
    if b"\n<<<<<<< " in content or head.startswith(b"<<<<<<< "):
        return "it holds both sides of a merge conflict (lines with <<<<<<<), unresolved"
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page. Save the notebook itself: File, Download"
    if head.startswith(b"pk\3\4"):
        return "it is a zip. Name it .zip"
    if head.startswith(b"{") and not content.rstrip().endswith(b"}"):
        return "it was cut off in the middle"
    return "its text is not JSON"


def _read(notebook: object) -> Notebook:
    """What is kept of a notebook that was parsed.

    Raises:
        ValueError: if it is of another format.
    """
    version = notebook.get("nbformat") if isinstance(notebook, dict) else None
    if version == 4:
        cells = notebook.get("cells")
    elif version == 3:
        sheets = notebook.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        cells = [
            {**cell, "source": cell.get("input", cell.get("source", ""))}
            for sheet in sheets
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
            if isinstance(cell, dict)
        ]
    else:
        raise ValueError(f"this is not a notebook of format 4 or 3. {AGAIN}")
    if not isinstance(cells, list) or len(cells) > MAX_CELLS:
        raise ValueError(f"this notebook has no list of cells, or too long a one. {AGAIN}")
    kept = [
        {name: cell[name] for name in KEPT if name in cell}
        | {"source": _text(cell.get("source", ""))}
        for cell in cells
        if isinstance(cell, dict)
    ]
    return Notebook(kept, _kind(notebook), stamp(notebook))


def _kind(notebook: dict) -> str:
    """What the course called the notebook."""
    facts: object = notebook
    for key in ("metadata", "classroom", "kind"):
        facts = facts.get(key) if isinstance(facts, dict) else None
    return facts if isinstance(facts, str) else ""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection, which looks at all parts again and again while they are made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _text(source) -> str:
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""
