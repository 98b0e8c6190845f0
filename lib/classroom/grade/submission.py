"""What one student handed in, as far as there is room for it."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import BinaryIO

from classroom.cells import MAX_NOTEBOOK, Notebook, parse_notebook

MAX_ARCHIVES = 50  # zips a student
MAX_FILES = 200  # notebooks a student
MAX_BYTES = 2 * MAX_NOTEBOOK  # a student, also of what turned out to be unreadable
MAX_PROBLEMS = 20
MAX_OTHERS = 5  # files that are named where there is no notebook
SIP = 2**16
# What browsers, editors and file managers add to a copy's name, with its number.
COPY = re.compile(
    r"(?: ?\((\d+)\)|[ _-]*(?:copy|copie|kopie|copia)[ _-]*(\d*)(?: ?\((\d+)\))?)$", re.I
)


@dataclass(frozen=True)
class File:
    """A notebook: its name for reports, its content, and when it was last changed, in seconds."""

    label: str
    content: bytes
    modified: float = 0.0

    @property
    def age(self) -> tuple[float, int, str]:
        """What grows from one version to the next: the time, or else the number of the copy."""
        copy = COPY.search(PurePosixPath(self.label).name.partition(".ipynb")[0])
        number = int("0" + "".join(filter(None, copy.groups()))[:6]) + 1 if copy else 0
        return self.modified, number, self.label


@dataclass
class Submission:
    """A student's notebooks, and what could not be read."""

    student: str
    notebooks: list[File] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    read: int = 0  # bytes, of notebooks that were kept and of what broke off
    others: list[str] = field(default_factory=list)  # files that are no notebooks
    archives: int = 0

    def keep(self, label: str, stream: BinaryIO, modified: float) -> None:
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
        self.notebooks.append(File(label, b"".join(parts), modified))

    def enter_archive(self, label: str) -> bool:
        """Whether another zip may be opened."""
        self.archives += 1
        if self.archives > MAX_ARCHIVES:
            self.trouble(f"{label}: more than {MAX_ARCHIVES} zips; the rest is unread.")
        return self.archives <= MAX_ARCHIVES

    @cached_property
    def parsed(self) -> list[tuple[str, Notebook | ValueError]]:
        """Each notebook, or what is the matter with it, the oldest first."""
        found: list[tuple[str, Notebook | ValueError]] = []
        for file in sorted(self.notebooks, key=lambda file: file.age):
            try:
                found.append((file.label, parse_notebook(file.content)))
            except ValueError as error:
                found.append((file.label, error))
        return found

    @property
    def modified(self) -> float:
        """When the newest notebook was last changed, in seconds."""
        return max((file.modified for file in self.notebooks), default=0.0)

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
        """Changes whenever anything that was handed in does, or which of it is the newest."""
        hashed = hashlib.sha256(self.student.encode())
        for file in sorted(self.notebooks, key=lambda file: file.age):
            hashed.update(hashlib.sha256(file.content).digest())
            hashed.update(file.label.encode(errors="replace"))
        for problem in self.problems:
            hashed.update(problem.encode(errors="replace"))
        return hashed.hexdigest()


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
