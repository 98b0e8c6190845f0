"""A student's own place: `work/` at the project's root, which git ignores.

`classroom lab` puts a copy of each exercise notebook there, once; from then on the file is the
student's. Where the course's exercises change later, `classroom update` carries the student's part
over into the new ones. What it replaces lies in work/old beforehand, so that a run that is killed
at any point has lost nothing.
"""

import re
from datetime import datetime
from pathlib import Path

from nbformat import NotebookNode, ValidationError

from classroom.carry import carry_over, changed_exercises
from classroom.cells import read_notebook
from classroom.given import exercise_of, is_current, is_pristine, written
from classroom.layout import FOLDERS, WORK, notebook_path, select, write_atomically
from classroom.notebook import make_notebook, to_text

OLD = "old"
BACKUP = re.compile(r"\d\d_[a-z0-9_]+-\d{4}-\d\d-\d\d-\d{6}(?:-\d+)?\.ipynb")


def work_path(root: Path, stem: str) -> Path:
    """Where a student's copy of a chapter's exercises lies.

    >>> work_path(Path("."), "02_sliding_window").as_posix()
    'work/02_sliding_window.ipynb'
    """
    return root / WORK / f"{stem}.ipynb"


def exercise_stems(root: Path) -> list[str]:
    """The chapters of which there are exercises, in order."""
    folder = root / FOLDERS["exercise"]
    return [path.stem for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]


def pristine_exercises(root: Path, stem: str) -> NotebookNode:
    """A chapter's exercises as the course hands them out, without outputs.

    They are read from exercises/, or built where somebody has written into that file.
    """
    try:
        notebook = read_notebook(notebook_path(root, "exercise", stem))
    except ValueError:
        notebook = None
    if notebook is None or not is_pristine(notebook):
        from classroom.source import read_chapter  # jupytext, seconds to load and rarely needed

        (source,) = select(root, [stem])
        return make_notebook(read_chapter(source), "exercise")[0]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def keep_old(root: Path, path: Path) -> Path:
    """Copy a notebook to work/old, under a name that no other has; returns where it lies.

    What lies there already, from a run that was killed, isn't copied again.
    """
    content, folder = path.read_bytes(), root / WORK / OLD
    for kept in sorted(folder.glob(f"{path.stem}-*.ipynb")):
        if kept.read_bytes() == content:
            return kept
    name = f"{path.stem}-{datetime.now():%Y-%m-%d-%H%M%S}"
    target, number = folder / f"{name}.ipynb", 1
    while target.exists():
        number += 1
        target = folder / f"{name}-{number}.ipynb"
    write_atomically(target, content)
    return target


def save_written(root: Path, path: Path, pristine: NotebookNode) -> Path | None:
    """Copy a notebook in exercises/ that is about to be rewritten, if a student wrote into it.

    It becomes the student's copy, or lies in work/old beside it. So does what can't be read: who
    knows what it holds.
    """
    try:
        if not written(read_notebook(path), pristine):
            return None
    except ValueError:
        return keep_old(root, path)
    target, content = work_path(root, path.stem), path.read_bytes()
    if not target.exists():
        write_atomically(target, content)
    return target if target.read_bytes() == content else keep_old(root, path)


def prepare(root: Path) -> list[str]:
    """Give the student a copy of each exercise notebook that has none yet; returns what to say."""
    made, outdated, said = [], [], []
    for stem in exercise_stems(root):
        path = work_path(root, stem)
        try:
            if not path.exists():
                _make_copy(root, stem)
                made.append(path.name)
            elif not is_current(read_notebook(path), pristine_exercises(root, stem)):
                outdated.append(stem[:2])
        except ValueError as error:
            said.append(str(error))
    if made:
        said.append(f"Your own copies of the exercises, in {WORK}/: {', '.join(made)}")
    if outdated:
        said.append(
            f"The course's exercises of {', '.join(outdated)} have changed since you have your "
            f"copies. make update carries your answers over into the new ones."
        )
    return said


def _make_copy(root: Path, stem: str) -> None:
    """A student's first copy, with the answers that stand in exercises/, if there are any."""
    path = notebook_path(root, "exercise", stem)
    try:
        read_notebook(path)
        content: str | bytes = path.read_bytes()
    except ValueError:
        content = to_text(pristine_exercises(root, stem))
    write_atomically(work_path(root, stem), content)


def update_copy(root: Path, stem: str) -> str:
    """Bring a student's copy up to date; returns what was done.

    Raises:
        ValueError: if the copy can't be read; it stays as it is.
    """
    path = work_path(root, stem)
    name = f"{WORK}/{path.name}"
    if not path.exists():
        _make_copy(root, stem)
        return f"{name}: a copy of your own"
    old, pristine = read_notebook(path), pristine_exercises(root, stem)
    if is_current(old, pristine):
        return f"{name}: up to date"
    wrote = written(old, pristine)
    try:
        text = to_text(carry_over(old, pristine))
    except ValidationError as error:
        raise ValueError(
            f"{path}: this notebook has a fault ({error.message[:120]}) and was left as it is. "
            "Save it again in JupyterLab, then run make update."
        ) from error
    kept = keep_old(root, path)
    write_atomically(path, text)
    answers = ", ".join(map(exercise_of, wrote.answers)) or "none"
    own = sum(map(len, wrote.own.values()))
    changed = ", ".join(changed_exercises(old, pristine)) or "none of its exercises"
    return (
        f"{name}: changed in the course: {changed}. Carried over: answers {answers}; own cells "
        f"{own}. The old version: {WORK}/{OLD}/{kept.name}"
    )


def update_command(root: Path, chosen: list[Path]) -> int:
    """Bring the copies of the chosen chapters up to date; 0 when all could be read."""
    stems = [source.stem for source in chosen if source.stem in exercise_stems(root)]
    faults = 0
    for stem in stems:
        try:
            print(update_copy(root, stem))
        except ValueError as error:
            faults += 1
            print(error)
    return 1 if faults else 0


def find_notebook(root: Path, name: str) -> Path:
    """The notebook that a student means: a path, or a chapter's number for their own copy.

    Where there is no copy yet, the notebook in exercises/ stands in, and that is said.

    Raises:
        ValueError: if there is no such chapter.
    """
    if Path(name).suffix or Path(name).is_file():
        return Path(name)
    stem = select(root, [name])[0].stem
    mine, handed_out = work_path(root, stem), notebook_path(root, "exercise", stem)
    if mine.exists():
        return mine
    print(
        f"There is no {WORK}/{mine.name} yet; make lab puts it there. "
        f"The one in {FOLDERS['exercise']}/ is checked:"
    )
    return handed_out
