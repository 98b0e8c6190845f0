"""Build each chapter's three notebooks: `classroom notebooks`.

Building is deterministic. Outputs are carried over from the notebook in place while the code cells
are the ones that made them; otherwise the notebook runs on a fresh kernel. Nothing is written
unless the whole chapter is sound.

In exercises/ a student may have worked. While what the course wrote there is what its source gives,
the file is left alone, and before it is rewritten, what a student wrote is saved to work/.
"""

from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom.browser import missing
from classroom.cells import read_notebook
from classroom.chapter import Cell, Chapter
from classroom.execute import run_notebook
from classroom.given import differences, stamp
from classroom.layout import FOLDERS, is_exercise, notebook_path, write_atomically
from classroom.notebook import make_notebook, to_text
from classroom.outputs import keep_text_outputs, output_errors, outputs_digest
from classroom.problems import ChapterError, Problem
from classroom.source import read_chapter
from classroom.stills import cells_without_still, draws_figures, stills_of
from classroom.work import save_written

BUDGET_SECONDS = 60
Say = Callable[[str], None]


def build_chapter(root: Path, source: Path, execute: bool = False, say: Say = print) -> list[Path]:
    """Build one chapter; returns the notebooks that changed. Raises ChapterError, writes nothing.

    Runs a notebook when its code changed, when its outputs aren't the build's, or on `execute`.
    """
    notebooks = compose(root, read_chapter(source), execute, say)
    texts = {path: to_text(notebook) for path, notebook in notebooks.items()}
    changed = [path for path, text in texts.items() if _is_stale(path, text, notebooks[path])]
    for path in changed:
        if is_exercise(path) and path.exists():
            saved = save_written(root, path, notebooks[path])
            if saved:
                where = saved.relative_to(root)
                say(f"{path.parent.name}/{path.name}: what you wrote there is saved in {where}")
        write_atomically(path, texts[path])
    return changed


def _is_stale(path: Path, text: str, notebook: NotebookNode) -> bool:
    """Whether the notebook at `path` is to be written."""
    found = read_text(path)
    if found in (None, text) or not is_exercise(path):
        return found != text
    try:
        old = read_notebook(path)
    except ValueError:
        return True
    return stamp(old) != stamp(notebook) or bool(differences(old, notebook))


def compose(root: Path, chapter: Chapter, execute: bool, say: Say) -> dict[Path, NotebookNode]:
    """A chapter's finished notebooks by the path they belong at; writes nothing."""
    notebooks = {}
    for kind in kinds(chapter):
        notebook, origins = make_notebook(chapter, kind)
        path = notebook_path(root, kind, chapter.stem)
        # A student's notebook holds no outputs.
        if kind != "exercise" and (execute or not _has_outputs(notebook, path)):
            seconds = run_and_judge(chapter, notebook, origins, path)
            _seal(notebook, stills_of(notebook, _stored(path)) if kind == "lesson" else {})
            over = f" – a chapter may take {BUDGET_SECONDS} s" if seconds > BUDGET_SECONDS else ""
            say(f"{path.parent.name}/{path.name}: ran in {seconds:.1f} s{over}")
        notebooks[path] = notebook
    return notebooks


def _has_outputs(notebook: NotebookNode, path: Path) -> bool:
    """Take outputs over; False if there are none, or a figure's still is missing that could be."""
    return carry_outputs(notebook, path) and not (cells_without_still(notebook) and not missing())


def kinds(chapter: Chapter) -> list[str]:
    """The notebooks a chapter has; without exercises only the lesson."""
    return list(FOLDERS) if chapter.exercises else ["lesson"]


def carry_outputs(notebook: NotebookNode, path: Path) -> bool:
    """Take outputs over from the notebook at `path`; False if they were made by other code."""
    old = _stored(path)
    if old is None:
        return False
    facts, own = old.metadata.get("classroom", {}), notebook.metadata["classroom"]
    if facts.get("digest") != own["digest"] or facts.get("outputs") != outputs_digest(old):
        return False
    before = [cell for cell in old.cells if cell.cell_type == "code"]
    after = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.source for cell in before] != [cell.source for cell in after]:
        return False
    for old_cell, cell in zip(before, after, strict=True):
        cell.outputs = old_cell.outputs
    _seal(notebook, {cell.id: cell.outputs for cell in after if draws_figures(cell)})
    return True


def _stored(path: Path) -> NotebookNode | None:
    """The notebook at `path`, None if there is none that can be read."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, KeyError, AttributeError, nbformat.ValidationError):
        return None


def run_and_judge(
    chapter: Chapter, notebook: NotebookNode, origins: list[Cell], path: Path
) -> float:
    """Run the notebook in place and judge what its cells showed; returns the seconds it took.

    Outputs stay whole, figures included. Raises ChapterError with the source lines to blame.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = notebook.metadata.copy()
    run = run_notebook(notebook, path.parent)
    notebook.metadata = metadata  # a run adds the kernel's version
    problems = []
    name = f"{path.parent.name}/{path.name}"
    for position, (cell, origin) in enumerate(zip(notebook.cells, origins, strict=True)):
        where = f"{name}, cell {position + 1}: "
        if position == run.stopped_at:
            line = origin.body_line + run.line - 1
            problems.append(Problem(chapter.path, line, f"{where}{run.reason}."))
            break
        if cell.cell_type == "code":
            problems += [
                Problem(chapter.path, origin.body_line, where + rule, fix)
                for rule, fix in output_errors(cell)
            ]
    if problems:
        raise ChapterError(problems)
    return run.seconds


def _seal(notebook: NotebookNode, stills: dict[str, list[NotebookNode]]) -> None:
    """Reduce outputs to what git keeps, with stills by cell, and note their fingerprint."""
    keep_text_outputs(notebook)
    for cell in notebook.cells:
        if cell.id in stills:
            cell.outputs = stills[cell.id]
    notebook.metadata["classroom"]["outputs"] = outputs_digest(notebook)


def read_text(path: Path) -> str | None:
    """The text of a file, None where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else None
