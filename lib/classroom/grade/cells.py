"""A notebook that anybody may have written: bytes in, cells out.

A notebook that can't be read, or of another format, is a ValueError that says what to do.
"""

import gc
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from classroom.answers import answer_id
from classroom.given import stamp
from classroom.solution_region import BEGIN

MAX_NOTEBOOK = 20 * 2**20
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


def parse_notebook(content: bytes) -> Notebook:
    """The notebook, of format 4 or 3, that these bytes are.

    Raises:
        ValueError: if the bytes are not such a notebook.
    """
    if len(content) > MAX_NOTEBOOK:
        raise ValueError(
            f"this notebook has {len(content) / 2**20:.0f} MB; {MAX_NOTEBOOK // 2**20} MB are "
            "read at most. Clear its outputs and save it again."
        )
    if content.count(b"[") + content.count(b"{") > MAX_PARTS:
        raise ValueError(
            "this notebook has far too many parts to be read. Clear its outputs and save it again."
        )
    try:
        with _uncollected():
            notebook = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise ValueError(f"this is not a notebook: its text is not JSON. {AGAIN}") from None
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
