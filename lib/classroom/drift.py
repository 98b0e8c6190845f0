"""`classroom notebooks --check`: how the notebooks have drifted from their sources.

Lessons and solutions are held against their sources whole. In exercises/ a student may have worked,
so there only what the course wrote is.
"""

import sys
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom.build import Say, build_chapter, carry_outputs, compose, kinds, read_text
from classroom.cells import read_notebook
from classroom.given import differences
from classroom.layout import FOLDERS, STEM, is_exercise, notebook_path, sources
from classroom.notebook import make_notebook, to_text
from classroom.outputs import keep_text_outputs, without_stills
from classroom.problems import ChapterError
from classroom.public_errors import build_page
from classroom.source import read_chapter
from classroom.stills import cells_without_still


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
    result = []
    for path, notebook in notebooks.items():
        text = read_text(path)
        if text is None:
            found = ["is missing"]
        elif text == to_text(notebook):
            bare = cells_without_still(notebook)
            found = [f"{cell.id} keeps no still; build it where Chromium is" for cell in bare]
        elif is_exercise(path):
            found = _exercise_differences(path, notebook)
        else:
            found = _cell_differences(text, notebook, with_outputs=not stale[path])
            if stale[path] and not found:
                found = ["its outputs are not those of the last build"]
            found = found or ["its formatting differs"]
        result += [f"{path.parent.name}/{path.name}: {what}" for what in found]
    return result


def run_differences(path: Path, ran: NotebookNode) -> list[str]:
    """How what a run printed differs from what the notebook at `path` keeps of the last build."""
    notebook = deepcopy(ran)
    keep_text_outputs(notebook)
    kept = nbformat.read(path, as_version=4)
    for cell in kept.cells:
        if cell.cell_type == "code":
            cell.outputs = without_stills(cell.outputs)
    return _cell_differences(to_text(kept), notebook, with_outputs=True)


def _exercise_differences(path: Path, expected: NotebookNode) -> list[str]:
    """How what the course wrote differs, whatever a student did beside it."""
    try:
        return differences(read_notebook(path), expected)
    except ValueError as error:
        return [str(error).removeprefix(f"{path}: ")]


def _cell_differences(text: str, expected: NotebookNode, with_outputs: bool) -> list[str]:
    """Which cells differ between a notebook's text and the one its source gives."""
    try:
        found = nbformat.reads(text, as_version=4)
    except (ValueError, AttributeError, KeyError, nbformat.ValidationError) as error:
        return [f"not a notebook ({str(error).splitlines()[0][:80]})"]
    result = []
    if len(found.cells) != len(expected.cells):
        result.append(f"has {len(found.cells)} cells, its source gives {len(expected.cells)}")
    left_out = set() if with_outputs else {"outputs", "execution_count"}
    for position, (a, b) in enumerate(zip(found.cells, expected.cells, strict=False), 1):
        keys = [key for key in sorted({*a, *b} - left_out) if a.get(key) != b.get(key)]
        if keys:
            result.append(f"cell {position} ({b.id}) differs in {', '.join(keys)}")
    mine = {key: value for key, value in expected.metadata.items() if key != "classroom"}
    if any(found.metadata.get(key) != value for key, value in mine.items()):
        result.append("its notebook metadata differs")
    return result


def orphans(root: Path) -> list[str]:
    """Notebooks named like a chapter's that no source gives; others are a student's own."""
    stems = {path.stem for path in sources(root)}
    return [
        f"{folder}/{path.name} has no course/source/{path.stem}.py"
        for folder in FOLDERS.values()
        for path in sorted((root / folder).glob("*.ipynb"))
        if STEM.fullmatch(path.stem) and path.stem not in stems
    ]


def notebooks_command(root: Path, chosen: list[Path], check: bool, execute: bool) -> int:
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
    if done := build_page(root, check):
        print(done)
        drifted += check
    stray = orphans(root)
    for what in stray:
        print(f"{what}; delete it, or restore its source", file=sys.stderr)
    if drifted:
        print("\nNotebooks differ from course/source. Run: make notebooks", file=sys.stderr)
    return 1 if wrong or drifted or stray else 0
