"""Find what a class handed in: a folder, a notebook or a zip a student, however nested.

Nothing is unpacked onto the disk and no link is followed, so names inside a zip are labels only.
What can't be read is kept as a problem beside what can.
"""

import hashlib
import io
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from classroom.grade.cells import MAX_NOTEBOOK, Notebook, parse_notebook

MAX_ZIP = 200 * 2**20
MAX_ARCHIVES = 50  # zips a student
MAX_MEMBERS = 5_000  # files in them, all together
MAX_READ = 4 * 2**20  # a zip's table of contents; that of MAX_MEMBERS files takes less
MAX_FILES = 200  # notebooks a student
MAX_BYTES = 5 * MAX_NOTEBOOK  # a student, also of what turned out to be unreadable
SIP = 2**16
MAX_DEPTH = 20  # folders inside one another
MAX_FOLDERS = 2_000
MAX_PROBLEMS = 20
MAX_OTHERS = 5  # files that are named where there is no notebook
IGNORED = {"__MACOSX", "__pycache__"}
# name_number_assignsubmission_file, perhaps with a file's name behind; and
# name_LATE_number-of-the-student_number-of-the-submission_file's-name.
MOODLE = re.compile(r"(.+)_(\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?", re.DOTALL)
CANVAS = re.compile(r"([^_]+)(?:_LATE)?_(\d+)_\d{3,}_.+", re.DOTALL)
UNZIPPABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, MemoryError),
    struct.error,
)


@dataclass
class Submission:
    """What one student handed in: notebooks as (label, content), and what could not be read."""

    student: str
    notebooks: list[tuple[str, bytes]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    read: int = 0  # bytes, of notebooks that were kept and of what broke off
    others: list[str] = field(default_factory=list)  # files that are no notebooks
    archives: int = 0
    members: int = 0

    def keep(self, label: str, stream: BinaryIO) -> None:
        """Read a notebook to its end, or as far as there is room."""
        if len(self.notebooks) >= MAX_FILES:
            self.trouble(f"more than {MAX_FILES} notebooks; the rest is unread.")
            return
        room = MAX_BYTES - self.read
        if room <= 0:
            self.trouble(f"{label}: more than {MAX_BYTES // 2**20} MB in all; unread.")
            return
        room = min(room, MAX_NOTEBOOK) + 1  # one more tells a notebook that is too large
        parts = []
        while room > 0:
            asked = min(SIP, room)
            self.read += asked  # before: what can't be unpacked has cost as much
            part = stream.read(asked)
            self.read -= asked - len(part)
            if not part:
                break
            room -= len(part)
            parts.append(part)
        self.notebooks.append((label, b"".join(parts)))

    def enter_archive(self, label: str) -> bool:
        """Whether another zip may be opened."""
        if self.members > MAX_MEMBERS:  # told already
            return False
        self.archives += 1
        if self.archives > MAX_ARCHIVES:
            self.trouble(f"{label}: more than {MAX_ARCHIVES} zips; the rest is unread.")
        return self.archives <= MAX_ARCHIVES

    def enter_members(self, label: str, number: int) -> bool:
        """Whether a zip of this many files may be looked through."""
        self.members += number
        if self.members > MAX_MEMBERS:
            self.trouble(f"{label} holds more than {MAX_MEMBERS} files, or brings them to that.")
        return self.members <= MAX_MEMBERS

    @cached_property
    def parsed(self) -> list[tuple[str, Notebook | ValueError]]:
        """Each notebook, or what is the matter with it."""
        found: list[tuple[str, Notebook | ValueError]] = []
        for label, content in self.notebooks:
            try:
                found.append((label, parse_notebook(content)))
            except ValueError as error:
                found.append((label, error))
        return found

    def pass_over(self, label: str) -> None:
        """Note a file that is no notebook, for those who handed in nothing else."""
        if len(self.others) < MAX_OTHERS:
            self.others.append(label)

    def trouble(self, problem: str) -> None:
        """Note what could not be read, once."""
        if problem not in self.problems and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

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
        found = (
            "this is a file: put it into a folder" if folder.exists() else "there is no such folder"
        )
        raise ValueError(
            f"{folder}: submissions are a folder with one folder, notebook or zip a student; "
            f"{found}."
        )
    paths: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if _is_an_entry(path):
            is_folder = path.is_dir() and not path.is_symlink()
            paths.setdefault(_who(path.name if is_folder else path.stem), []).append(path)
    if not paths:
        raise ValueError(f"{folder}: no folder, notebook (.ipynb) or zip of a student in it.")
    students = _names(list(paths))
    return [Entry(student, tuple(paths[raw])) for raw, student in students.items()]


def not_looked_at(folder: Path) -> str:
    """The names beside the submissions that are none, for one line of text."""
    names = [
        clean(path.name)
        for path in sorted(folder.iterdir())
        if not (_is_an_entry(path) or _is_passed_over(path.name))
    ]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def _is_an_entry(path: Path) -> bool:
    if _is_passed_over(path.name):
        return False
    return path.is_dir() or path.is_symlink() or path.suffix.lower() in (".ipynb", ".zip")


def _is_passed_over(name: str) -> bool:
    """Whether a folder is hidden (.git, .venv, .ipynb_checkpoints) or a system's own."""
    return name in IGNORED or (name.startswith(".") and name != "..")


def _who(name: str) -> str:
    """Whose a file or folder is: Moodle and Canvas export several a student.

    >>> _who("Müller Anna_12345_assignsubmission_file")
    'Müller Anna_12345'
    >>> _who("mulleranna_LATE_1234_5678_02_sliding_window-1")
    'mulleranna_1234'
    >>> _who("anna_02_sliding_window")
    'anna_02_sliding_window'
    """
    if match := MOODLE.fullmatch(name) or CANVAS.fullmatch(name):
        return "_".join(match.groups())
    return name


def _names(raw: list[str]) -> dict[str, str]:
    """A name for reports for each name on disk, none twice.

    Who is called so on disk keeps the name; one that only looks the same gets a number.

    >>> _names(["ann ", "ann", "bob"])
    {'ann': 'ann', 'ann ': 'ann (2)', 'bob': 'bob'}
    """
    names: dict[str, str] = {}
    taken = set()
    for name in sorted(raw, key=lambda name: (name != clean(name), name)):
        student, number = clean(name), 1
        while student in taken:
            number += 1
            student = f"{clean(name)} ({number})"
        taken.add(student)
        names[name] = student
    return dict(sorted(names.items(), key=lambda pair: pair[1]))


def clean(name: str) -> str:
    """A name for reports: composed, printable, never empty.

    >>> clean("Zoe\\u0308 \\x1b[31m")
    'Zoë [31m'
    """
    name = name.encode(errors="replace").decode()  # bytes that are no text become question marks
    return printable(unicodedata.normalize("NFC", name))[:120] or "unnamed"


def printable(text: str) -> str:
    """A text in one line, without what no report can hold or what would turn it round.

    >>> printable("1 / 0  # \\x08\\u202e")
    '1 / 0 #'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def read_submission(entry: Entry) -> Submission:
    """Everything of an entry that may be a notebook, read; never raises for what it finds."""
    submission = Submission(entry.student)
    for path in entry.paths:
        try:
            for file in _walk(path, submission):
                try:
                    _read(file, _label(file.relative_to(path).parts or (file.name,)), submission)
                except OSError as error:
                    submission.trouble(f"{clean(file.name)}: {error.strerror or 'unreadable'}.")
        except Exception as error:  # whatever it was that somebody handed in
            submission.trouble(f"{clean(path.name)}: unreadable ({type(error).__name__}).")
    if not submission.notebooks and not submission.problems:
        others = f": it holds {', '.join(submission.others)}" if submission.others else ""
        submission.trouble(f"no notebook (.ipynb) in this submission{others}.")
    return submission


def _walk(path: Path, submission: Submission) -> Iterator[Path]:
    """Regular files at or below `path` that may be notebooks, in order of their names."""
    if path.is_symlink():
        submission.trouble(f"{clean(path.name)} is a link; links are not followed.")
    elif path.is_file():
        yield path
    elif path.is_dir():
        depth, folders = len(path.parts), 0
        for folder, names, files in os.walk(path):
            names[:] = sorted(name for name in names if not _is_passed_over(name))
            folders += 1
            if folders > MAX_FOLDERS or len(Path(folder).parts) - depth >= MAX_DEPTH:
                submission.trouble(f"{clean(path.name)}: too many folders; the rest is unread.")
                names.clear()
            for name in sorted(files):
                file = Path(folder, name)
                if file.suffix.lower() not in (".ipynb", ".zip") or name.startswith("._"):
                    submission.pass_over(clean(name))
                    continue
                if file.is_symlink():
                    submission.trouble(f"{clean(name)} is a link; links are not followed.")
                elif stat.S_ISREG(file.lstat().st_mode):
                    yield file


def _label(parts: Sequence[str]) -> str:
    """A file's name for reports, with the folder that it lies in."""
    return "/".join(clean(part) for part in parts[-2:])


def _read(file: Path, name: str, submission: Submission) -> None:
    if file.suffix.lower() == ".ipynb":
        with file.open("rb") as stream:
            submission.keep(name, stream)
        return
    if file.stat().st_size > MAX_ZIP:
        submission.trouble(f"{name} is over {MAX_ZIP // 2**20} MB.")
        return
    if not submission.enter_archive(name):
        return
    try:
        with _Sips(file) as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if not submission.enter_members(name, len(members)):
                return
            for member in members:
                try:
                    _read_member(archive, member, name, submission)
                except UNZIPPABLE:  # which says nothing of the others
                    label = _label(member.filename.split("/"))
                    submission.trouble(f"{name}: {label} can't be unpacked.")
    except UNZIPPABLE:
        submission.trouble(f"{name} is not a zip that can be read.")


class _Sips(io.FileIO):
    """A file that gives a little at a time, however much is asked for.

    `zipfile` reads a whole table of contents at once and makes an object of each entry: of 200 MB
    without any file, four million. Cut off, the table is refused; files are read on.
    """

    def read(self, size: int = -1) -> bytes:
        """At most MAX_READ bytes."""
        return super().read(MAX_READ if size < 0 else min(size, MAX_READ))


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, submission: Submission
) -> None:
    """Read one notebook out of a zip."""
    parts = member.filename.split("/")
    label = f"{name}: {_label(parts)}"
    if member.is_dir() or any(map(_is_passed_over, parts[:-1])) or parts[-1].startswith("._"):
        return
    if parts[-1].lower().endswith(".zip"):
        submission.trouble(f"{label} is a zip inside a zip, which is not looked into.")
        return
    if not parts[-1].lower().endswith(".ipynb"):
        submission.pass_over(label)
        return
    if stat.S_ISLNK(member.external_attr >> 16) or member.flag_bits & 1:
        submission.trouble(f"{label} is {'encrypted' if member.flag_bits & 1 else 'a link'}.")
    elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        submission.trouble(f"{label} is packed in a way that is not supported.")
    else:
        with archive.open(member) as stream:  # what the zip says of its size is not believed
            submission.keep(label, stream)
