"""One chapter, three notebooks: lesson, exercise, solution, without outputs.

Everything is derived from the source, ids included, so that a rebuild is byte-identical. Custom
facts stand under a cell's metadata["classroom"]; exercises carry nbgrader's metadata as well
(schema 3), so that a school that runs nbgrader can take the solution notebooks as they are.
"""

import hashlib
import json
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from classroom.chapter import Cell, Chapter
from classroom.given import digests
from classroom.problems import ChapterError, Problem
from classroom.solution_region import clear_regions, leaks, split_regions

SLIDE_TYPES = {"slide": "slide", "same": "-", "fragment": "fragment", "notes": "notes"}
FACTS = ("alt", "show", "widget", "volatile", "fails", "exercise", "role")
PROMPT_FACTS = ("title", "difficulty", "minutes", "points")
# No versions: what is in git must not change with the machine that built it.
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def make_notebook(chapter: Chapter, kind: str) -> tuple[NotebookNode, list[Cell]]:
    """The notebook of this kind, and for each of its cells the one in the source it came from."""
    origins = [cell for cell in chapter.cells if cell.goes_to(kind)]
    shelf = "lesson" if kind == "lesson" else "exercise"
    cells = []
    prompts: dict[str, int] = {}
    for position, cell in enumerate(origins, 1):
        ident = f"{chapter.number}-{shelf}-{position:03d}"
        if cell.exercise is not None:
            ident = "ex-" + cell.exercise.replace(".", "-") + f"-{cell.role}"
            if cell.role == "prompt":
                prompts[ident] = prompts.get(ident, 0) + 1
                ident += f"-{prompts[ident]}" if prompts[ident] > 1 else ""
        cells.append(_make_cell(chapter, cell, kind, ident))
    notebook = new_notebook(cells=cells, metadata=json.loads(json.dumps(NOTEBOOK_METADATA)))
    notebook.nbformat_minor = 5
    version = {"given": digests(notebook)} if kind == "exercise" else {}
    notebook.metadata["classroom"] = {
        "chapter": chapter.number,
        "kind": kind,
        "source": f"course/source/{chapter.path.name}",
        "digest": source_digest(notebook),
        **version,
    }
    if kind != "solution":
        _refuse_leaks(chapter, notebook, kind)
    return notebook, origins


def _make_cell(chapter: Chapter, cell: Cell, kind: str, ident: str) -> NotebookNode:
    source = cell.source
    if cell.title is not None:
        source = f"{exercise_heading(cell)}\n\n{source}"
    if kind == "exercise" and cell.role == "answer":
        source = clear_regions(source, cell.exercise)
    metadata: dict[str, Any] = {}
    if kind == "lesson":
        slide_type = SLIDE_TYPES[cell.slide] if cell.slide else "skip"
        metadata["slideshow"] = {"slide_type": slide_type}
    tags = list(cell.tags)
    if cell.alt or cell.widget or cell.volatile:
        tags.append("nbval-ignore-output")
    if cell.fails:
        tags.append("raises-exception")
    if tags:
        metadata["tags"] = tags
    names = FACTS if kind == "lesson" or cell.title is None else FACTS + PROMPT_FACTS
    facts = {name: getattr(cell, name) for name in names if getattr(cell, name)}
    if facts:
        metadata["classroom"] = facts
    if cell.exercise is not None:
        metadata |= _nbgrader_metadata(chapter, cell, ident)
    make = new_code_cell if cell.type == "code" else new_markdown_cell
    return make(source, id=ident, metadata=metadata)


def to_text(notebook: NotebookNode) -> str:
    """The notebook as it stands in a file."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4) + "\n"


def exercise_heading(cell: Cell) -> str:
    """The two lines that head an exercise, written from its metadata so that they cannot drift."""
    dots = "●" * cell.difficulty + "○" * (3 - cell.difficulty)
    points = f"{cell.points} point" + ("s" if cell.points > 1 else "")
    return (
        f"### {cell.exercise} · {cell.title}\n\n"
        f"*Difficulty {dots} · about {cell.minutes} minutes · {points}*"
    )


def _nbgrader_metadata(chapter: Chapter, cell: Cell, ident: str) -> dict[str, Any]:
    """What nbgrader needs on a cell, and what stops a student from changing or losing it."""
    nbgrader = {
        "grade": cell.role == "check",
        "grade_id": ident,
        "locked": cell.role != "answer",
        "schema_version": 3,
        "solution": cell.role == "answer",
        "task": False,
    }
    if cell.role == "check":
        nbgrader["points"] = chapter.exercises[cell.exercise][0].points
    locks = {"deletable": False}
    if cell.role != "answer":
        locks["editable"] = False
    return {"nbgrader": nbgrader, **locks}


def source_digest(notebook: NotebookNode) -> str:
    """What decides the outputs: the code cells in their order, and what is kept of each."""
    code = [
        [cell.source, cell.metadata.get("tags", []), cell.metadata.get("classroom", {})]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    return hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()


def _refuse_leaks(chapter: Chapter, notebook: NotebookNode, kind: str) -> None:
    """No line of a solution may stand in a notebook that students get."""
    answers = [cell for cell in chapter.cells if cell.role == "answer"]
    elsewhere = "\n".join(line for cell in chapter.cells for line in split_regions(cell.source)[0])
    built = "\n".join(cell.source for cell in notebook.cells)
    problems = [
        Problem(
            chapter.path,
            cell.line,
            f"a solution line of {cell.exercise} stands in the {kind} notebook: {line!r}.",
            "This is a fault of the builder; report it.",
        )
        for cell in answers
        for line in leaks(split_regions(cell.source)[1], elsewhere, built)
    ]
    if problems:
        raise ChapterError(problems)
