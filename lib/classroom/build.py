"""`classroom notebooks`: build each chapter's three notebooks, or say how they have drifted.

Building is deterministic. Outputs are carried over from the notebook in place while the code cells
are the ones that made them; otherwise the notebook runs on a fresh kernel. Nothing is written
unless the whole chapter is sound.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom.chapter import Cell, Chapter
from classroom.execute import run_notebook
from classroom.layout import FOLDERS, notebook_path, sources, write_atomically
from classroom.notebook import make_notebook
from classroom.outputs import keep_text_outputs, output_errors, outputs_digest
from classroom.problems import ChapterError, Problem
from classroom.source import read_chapter

BUDGET_SECONDS = 60
Say = Callable[[str], None]


def build_chapter(root: Path, source: Path, execute: bool = False, say: Say = print) -> list[Path]:
    """Build one chapter; returns the notebooks that changed. Raises ChapterError, writes nothing.

    Runs a notebook when its code changed, when its outputs aren't the build's, or on `execute`.
    """
    texts = {
        path: to_text(notebook)
        for path, notebook in compose(root, read_chapter(source), execute, say).items()
    }
    changed = [path for path, text in texts.items() if _read(path) != text]
    for path in changed:
        write_atomically(path, texts[path])
    return changed


def compose(root: Path, chapter: Chapter, execute: bool, say: Say) -> dict[Path, NotebookNode]:
    """A chapter's finished notebooks by the path they belong at; writes nothing."""
    notebooks = {}
    for kind in kinds(chapter):
        notebook, origins = make_notebook(chapter, kind)
        path = notebook_path(root, kind, chapter.stem)
        # A student's notebook holds no outputs.
        if kind != "exercise" and (execute or not carry_outputs(notebook, path)):
            seconds = run_and_judge(chapter, notebook, origins, path)
            _seal(notebook)
            over = f" – a chapter may take {BUDGET_SECONDS} s" if seconds > BUDGET_SECONDS else ""
            say(f"{path.parent.name}/{path.name}: ran in {seconds:.1f} s{over}")
        notebooks[path] = notebook
    return notebooks


def kinds(chapter: Chapter) -> list[str]:
    """The notebooks a chapter has; without exercises only the lesson."""
    return list(FOLDERS) if chapter.exercises else ["lesson"]


def to_text(notebook: NotebookNode) -> str:
    """The notebook as it stands in git."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4) + "\n"


def carry_outputs(notebook: NotebookNode, path: Path) -> bool:
    """Take outputs over from the notebook at `path`; False if they were made by other code."""
    try:
        old = nbformat.read(path, as_version=4)
        facts = old.metadata["classroom"]
        if facts["digest"] != notebook.metadata["classroom"]["digest"]:
            return False
        if facts["outputs"] != outputs_digest(old):
            return False
    except (OSError, ValueError, KeyError, AttributeError, nbformat.ValidationError):
        return False
    before = [cell for cell in old.cells if cell.cell_type == "code"]
    after = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.source for cell in before] != [cell.source for cell in after]:
        return False
    for old_cell, cell in zip(before, after, strict=True):
        cell.outputs = old_cell.outputs
    _seal(notebook)
    return True


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


def _seal(notebook: NotebookNode) -> None:
    """Reduce outputs to what git keeps and note their fingerprint."""
    keep_text_outputs(notebook)
    notebook.metadata["classroom"]["outputs"] = outputs_digest(notebook)


def drift(root: Path, source: Path, execute: bool = False, say: Say = print) -> list[str]:
    """How the chapter's notebooks differ from what their source gives; [] when they do not.

    Without `execute` outputs are only held against the build's fingerprint of them; whether they
    are still true is nbval's question. With it, everything runs again and outputs are compared.
    """
    chapter = read_chapter(source)
    if execute:
        notebooks = compose(root, chapter, True, say)
        stale = dict.fromkeys(notebooks, False)
    else:
        notebooks, stale = {}, {}
        for kind in kinds(chapter):
            path = notebook_path(root, kind, chapter.stem)
            notebooks[path], _ = make_notebook(chapter, kind)
            stale[path] = kind != "exercise" and not carry_outputs(notebooks[path], path)
    differences = []
    for path, notebook in notebooks.items():
        text = _read(path)
        if text is None:
            found = ["is missing"]
        elif text == to_text(notebook):
            found = []
        else:
            found = _cell_differences(text, notebook, with_outputs=not stale[path])
            if stale[path] and not found:
                found = ["its outputs are not those of the last build"]
            found = found or ["its formatting differs"]
        differences += [f"{path.parent.name}/{path.name}: {what}" for what in found]
    return differences


def _cell_differences(text: str, expected: NotebookNode, with_outputs: bool) -> list[str]:
    """Which cells differ between a notebook's text and the one its source gives."""
    try:
        found = nbformat.reads(text, as_version=4)
    except (ValueError, AttributeError, KeyError, nbformat.ValidationError) as error:
        return [f"not a notebook ({str(error).splitlines()[0][:80]})"]
    differences = []
    if len(found.cells) != len(expected.cells):
        differences.append(f"has {len(found.cells)} cells, its source gives {len(expected.cells)}")
    left_out = set() if with_outputs else {"outputs", "execution_count"}
    for position, (a, b) in enumerate(zip(found.cells, expected.cells, strict=False), 1):
        keys = [key for key in sorted({*a, *b} - left_out) if a.get(key) != b.get(key)]
        if keys:
            differences.append(f"cell {position} ({b.id}) differs in {', '.join(keys)}")
    mine = {key: value for key, value in expected.metadata.items() if key != "classroom"}
    if any(found.metadata.get(key) != value for key, value in mine.items()):
        differences.append("its notebook metadata differs")
    return differences


def orphans(root: Path) -> list[str]:
    """Notebooks that no source gives."""
    stems = {path.stem for path in sources(root)}
    return [
        f"{folder}/{path.name} has no course/source/{path.stem}.py"
        for folder in FOLDERS.values()
        for path in sorted((root / folder).glob("*.ipynb"))
        if path.stem not in stems
    ]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def build_command(root: Path, chosen: list[Path], check: bool, execute: bool) -> int:
    """Build or check the chosen chapters; 0 when all is well."""
    wrong, drifted = 0, 0
    for source in chosen:
        try:
            if check:
                differences = drift(root, source, execute)
                drifted += len(differences)
                print("\n".join(differences) if differences else f"{source.stem}: up to date")
            else:
                changed = build_chapter(root, source, execute)
                names = ", ".join(f"{path.parent.name}/{path.name}" for path in changed)
                print(f"{source.stem}: {f'wrote {names}' if names else 'unchanged'}")
        except ChapterError as error:
            wrong += len(error.problems)
            print(error, file=sys.stderr)
    stray = orphans(root)
    for what in stray:
        print(f"{what}; delete it, or restore its source", file=sys.stderr)
    if drifted:
        print("\nNotebooks differ from course/source. Run: make notebooks", file=sys.stderr)
    return 1 if wrong or drifted or stray else 0
