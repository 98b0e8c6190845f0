"""Where a chapter's files live: one stem, `NN_topic`, names its source and its three notebooks.

Everything here takes the project's root as a parameter, so that the same code builds this course
and the tests' small ones.
"""

import os
import re
import tempfile
from pathlib import Path

STEM = re.compile(r"(?P<number>\d\d)_(?P<topic>[a-z0-9]+(?:_[a-z0-9]+)*)")
FOLDERS = {"lesson": "course", "exercise": "exercises", "solution": "solutions"}
WORK = "work"  # a student's own copies of the exercises; git ignores it


def find_root(start: Path | None = None) -> Path:
    """The project's root: the nearest folder at or above `start` that holds course/source.

    Falls back to the folder that this file was installed from, so that commands work anywhere.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "course" / "source").is_dir():
            return folder
    raise ValueError(
        f"a course needs a folder course/source; none at or above {here}. "
        "Run the command inside the project, or name its root with --root."
    )


def sources(root: Path) -> list[Path]:
    """All chapter sources in order of their numbers; a name that breaks the rule is an error."""
    paths = sorted((root / "course" / "source").glob("*.py"))
    numbers: dict[str, Path] = {}
    for path in paths:
        match = STEM.fullmatch(path.stem)
        if not match:
            raise ValueError(
                f"{path}: a chapter's file is named NN_topic.py, two digits and a lower-case "
                f"topic; got {path.name}. Rename it."
            )
        twin = numbers.setdefault(match["number"], path)
        if twin != path:
            raise ValueError(f"{path}: chapter {match['number']} is also {twin.name}. Rename one.")
    return paths


def select(root: Path, names: list[str]) -> list[Path]:
    """The sources that `names` ask for: numbers ("2", "02"), stems or paths; none means all."""
    paths = sources(root)
    if not names:
        return paths
    chosen = []
    for name in names:
        stem = Path(name).stem
        wanted = stem.zfill(2) if stem.isdigit() else stem
        found = [path for path in paths if wanted in (path.stem, path.stem[:2])]
        if not found:
            known = ", ".join(path.stem for path in paths) or "none"
            raise ValueError(f"no chapter {name!r} in course/source; there are: {known}.")
        chosen += [path for path in found if path not in chosen]
    return sorted(chosen)


def notebook_path(root: Path, kind: str, stem: str) -> Path:
    """Where the notebook of this kind ("lesson", "exercise", "solution") lies.

    >>> notebook_path(Path("."), "lesson", "02_sliding_window").as_posix()
    'course/02_sliding_window.ipynb'
    """
    return root / FOLDERS[kind] / f"{stem}.ipynb"


def is_exercise(path: Path) -> bool:
    """Whether a notebook lies where the course hands out its exercises."""
    return path.parent.name == FOLDERS["exercise"]


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write so that a reader, or a killed run, sees the old file or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        Path(temporary).chmod(path.stat().st_mode if path.exists() else 0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
