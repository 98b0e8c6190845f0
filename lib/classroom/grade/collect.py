"""Find what a class handed in: a folder, a notebook or a zip a student, however nested.

Nothing is unpacked onto the disk and no link is followed, so names inside a zip are labels only.
What can't be read is kept as a problem beside what can.
"""

import hashlib
import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from classroom.grade.answers import MAX_NOTEBOOK

MAX_ZIP = 200 * 2**20
MAX_MEMBERS = 5_000
MAX_FILES = 200  # notebooks a student
IGNORED = {".ipynb_checkpoints", "__MACOSX", "__pycache__", ".git"}


@dataclass
class Submission:
    """What one student handed in: notebooks as (label, content), and what could not be read."""

    student: str
    notebooks: list[tuple[str, bytes]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Changes whenever anything that was handed in does."""
        hashed = hashlib.sha256(self.student.encode())
        for label, content in self.notebooks:
            hashed.update(hashlib.sha256(content).digest() + label.encode(errors="replace"))
        for problem in self.problems:
            hashed.update(problem.encode(errors="replace"))
        return hashed.hexdigest()


@dataclass(frozen=True)
class Entry:
    """A student and the paths that bear the student's name."""

    student: str
    paths: tuple[Path, ...]


def find_entries(folder: Path) -> list[Entry]:
    """One entry a student, by name.

    Raises:
        ValueError: if the folder is missing or holds nothing that could be a submission.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: submissions are a folder with one folder, notebook or zip a student; "
            "there is no such folder."
        )
    paths: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED:
            continue
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder or path.is_symlink() or path.suffix.lower() in (".ipynb", ".zip"):
            paths.setdefault(clean(path.name if is_folder else path.stem), []).append(path)
    if not paths:
        raise ValueError(f"{folder}: no folder, notebook (.ipynb) or zip of a student in it.")
    return [Entry(student, tuple(found)) for student, found in paths.items()]


def clean(name: str) -> str:
    """A name for reports: composed, printable, never empty.

    >>> clean("Zoe\\u0308 \\x1b[31m")
    'Zoë [31m'
    """
    name = name.encode(errors="replace").decode()  # bytes that are no text become question marks
    name = unicodedata.normalize("NFC", name)
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:120] or "unnamed"


def read_submission(entry: Entry) -> Submission:
    """Everything of an entry that may be a notebook, read; never raises for what it finds."""
    submission = Submission(entry.student)
    for path in entry.paths:
        for file in _walk(path, submission):
            if len(submission.notebooks) >= MAX_FILES:
                submission.problems.append(f"more than {MAX_FILES} notebooks; the rest is unread.")
                return submission
            try:
                _read(file, submission)
            except OSError as error:
                submission.problems.append(f"{clean(file.name)}: {error.strerror or 'unreadable'}.")
    if not submission.notebooks and not submission.problems:
        submission.problems.append("no notebook (.ipynb) in this submission.")
    return submission


def _walk(path: Path, submission: Submission) -> Iterator[Path]:
    """Regular files at or below `path` that may be notebooks, in order of their names."""
    if path.is_symlink():
        submission.problems.append(f"{clean(path.name)} is a link; links are not followed.")
    elif path.is_file():
        yield path
    elif path.is_dir():
        for folder, names, files in os.walk(path):
            names[:] = sorted(name for name in names if name not in IGNORED)
            for name in sorted(files):
                file = Path(folder, name)
                if file.suffix.lower() not in (".ipynb", ".zip") or name.startswith("._"):
                    continue
                if file.is_symlink():
                    submission.problems.append(f"{clean(name)} is a link; links are not followed.")
                elif stat.S_ISREG(file.lstat().st_mode):
                    yield file


def _read(file: Path, submission: Submission) -> None:
    if file.suffix.lower() == ".ipynb":
        with file.open("rb") as stream:
            submission.notebooks.append((clean(file.name), stream.read(MAX_NOTEBOOK + 1)))
        return
    name = clean(file.name)
    if file.stat().st_size > MAX_ZIP:
        submission.problems.append(f"{name} is over {MAX_ZIP // 2**20} MB.")
        return
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                submission.problems.append(f"{name} holds more than {MAX_MEMBERS} files.")
                return
            room = 5 * MAX_NOTEBOOK
            for member in members:
                room -= _read_member(archive, member, name, room, submission)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, MemoryError):
        submission.problems.append(f"{name} is not a zip that can be read.")
    except NotImplementedError:
        submission.problems.append(f"{name} is packed in a way that is not supported.")


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, room: int, submission: Submission
) -> int:
    """Read one notebook out of a zip; returns how many bytes it took."""
    parts = member.filename.split("/")
    label = f"{name}: {clean(parts[-1])}"
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    ignored = IGNORED.intersection(parts) or parts[-1].startswith("._")
    if member.is_dir() or ignored or not parts[-1].lower().endswith(".ipynb"):
        return 0
    if is_link or member.flag_bits & 1:
        submission.problems.append(f"{label} is {'a link' if is_link else 'encrypted'}.")
        return 0
    if len(submission.notebooks) >= MAX_FILES or room <= 0:
        submission.problems.append(f"{label}: too much in one zip; unread.")
        return 0
    with archive.open(member) as stream:  # what the zip says of its size is not believed
        content = stream.read(min(MAX_NOTEBOOK, room) + 1)
    submission.notebooks.append((label, content))
    return len(content)
