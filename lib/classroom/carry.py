"""Carry what a student wrote over into a new version of the exercises."""

from copy import deepcopy

from nbformat import NotebookNode
from nbformat.v4.nbbase import random_cell_id

from classroom.given import Written, digests, exercise_of, is_answer, mark, stamp, written

COURSES = ("nbgrader", "classroom", "deletable", "editable")


def carry_over(old: NotebookNode, pristine: NotebookNode) -> NotebookNode:
    """The new exercises with a student's answers, and their own cells next to what they stood by.

    Outputs of those cells and the editor's metadata come along. An answer keeps its cell's type,
    whatever a key has made of it.
    """
    wrote = written(old, pristine)
    merged = deepcopy(pristine)
    merged.metadata = deepcopy({**old.metadata, "classroom": pristine.metadata.classroom})
    merged.cells = _own_cells(wrote, None)
    for cell in deepcopy(pristine.cells):
        name = mark(cell)
        merged.cells.append(_answered(wrote.answers[name], cell) if name in wrote.answers else cell)
        merged.cells += _own_cells(wrote, name)
    _make_ids_unique(merged, digests(pristine))
    return merged


def changed_exercises(old: NotebookNode, pristine: NotebookNode) -> list[str]:
    """Ids of the exercises whose text, stub or check is another than in the student's copy."""
    given = stamp(old) or digests(old)
    names = [name for name, text in digests(pristine).items() if given.get(name) != text]
    return sorted({exercise_of(name) for name in names if name.startswith("ex-")})


def _answered(answer: NotebookNode, stub: NotebookNode) -> NotebookNode:
    """The student's cell with the marks of the new one."""
    cell = deepcopy(answer)
    cell.id, cell.metadata = stub.id, {**cell.metadata, **stub.metadata}
    return cell


def _own_cells(wrote: Written, name: str | None) -> list[NotebookNode]:
    """The student's cells behind this mark. Only the second half of an answer keeps its marks."""
    cells = deepcopy(wrote.own.get(name, []))
    for cell in cells:
        claim = mark(cell)
        if claim is not None and not (is_answer(claim) and claim in wrote.answers):
            cell.metadata = {k: v for k, v in cell.metadata.items() if k not in COURSES}
            cell.id = random_cell_id()
    return cells


def _make_ids_unique(notebook: NotebookNode, ours: dict[str, str]) -> None:
    """Give a cell without an id, or with one that is taken, a new one."""
    taken = set()
    for cell in notebook.cells:
        ident = cell.get("id")
        if ident is None or ident in taken or (ident in ours and ident != mark(cell)):
            cell.id = random_cell_id()
        taken.add(cell.id)
