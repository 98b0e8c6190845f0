"""Who handed in: the students of a folder, of a zip, or of what a school's system exports.

A folder, a notebook or a zip is a student, by its name. Exports name their files and folders by
rules of their own, unpacked or not, in a folder, or one for each section:

    Moodle              Name Surname_12345_assignsubmission_file/work.ipynb
    Canvas              surnamename_LATE_123_45678_work-1.ipynb
    Blackboard          Assignment_username_attempt_2026-11-01-12-30-00_work.ipynb
    Gradescope          assignment_77_export/submission_456/work.ipynb, submission_metadata.yml
    GitHub Classroom    window-submissions/window-username/work.ipynb
"""

import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from classroom.grade.archive import UNZIPPABLE, Sips, members
from classroom.grade.submission import COPY, clean

IGNORED = {"__MACOSX", "__pycache__", "site-packages", "node_modules"}
# Files beside submissions that are nobody's: lists of the class, notes of the system.
NOBODYS = (".csv", ".tsv", ".xls", ".xlsx", ".ods", ".yml", ".yaml", ".log", ".ini")
MOODLE = re.compile(r"(.+)_(\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?", re.DOTALL)
CANVAS = re.compile(r"([^_]+)(?:_LATE)?_(\d+)_\d{3,}_.+", re.DOTALL)
BLACKBOARD = re.compile(r".+?_([^_]+)_attempt_\d{4}(?:-\d\d){5}(?:[_.].*)?", re.DOTALL)
GRADESCOPE = re.compile(r"(submission_\d+)")
CLASSROOM = re.compile(r"(.+)-submissions")
METADATA = "submission_metadata.yml"  # Gradescope's
SUBMITTER = re.compile(r"^(submission_\d+):\n\s+:submitters:\n\s*- :name: (.+)$", re.MULTILINE)
MAX_SECTIONS = 3  # folders around an export
CHAPTER = re.compile(r"[ _-](\d\d)(?:_[a-z0-9_]+)?$")  # at the end of a notebook's name
ANSWER = re.compile(rb"\bex-(\d\d)-\d+-answer\b")
MAX_HEAD = 2**20


@dataclass(frozen=True)
class Place:
    """Where something of a student's lies: a path, or a folder or file inside a zip."""

    path: Path
    inside: str = ""

    @property
    def name(self) -> str:
        """What it is called, for a look at its name."""
        return (self.inside or self.path.name).rstrip("/").rpartition("/")[2]

    @property
    def is_container(self) -> bool:
        """Whether it may hold submissions of others."""
        if self.inside:
            return self.inside.endswith("/")
        return not self.path.is_symlink() and (self.path.is_dir() or _is_zip(self.path))

    def holds(self, member: str) -> bool:
        """Whether a member of the zip belongs here."""
        return member == self.inside or (self.inside[-1:] == "/" and member.startswith(self.inside))

    def head(self) -> bytes:
        """The first megabyte of a file; nothing of what can't be read."""
        try:
            if not self.inside and (self.path.is_symlink() or not self.path.is_file()):
                return b""
            with ExitStack() as stack:
                file = stack.enter_context(Sips(self.path))
                if self.inside:
                    archive = stack.enter_context(zipfile.ZipFile(file))
                    file = stack.enter_context(archive.open(self.inside))
                return file.read(MAX_HEAD)
        except (OSError, KeyError, *UNZIPPABLE):
            return b""

    def children(self) -> "list[Place]":
        """What lies in it, without what is hidden or a system's own."""
        if not self.is_container:
            return []
        if not self.inside and self.path.is_dir():
            found = [Place(path) for path in sorted(self.path.iterdir())]
        else:
            start = len(self.inside)
            names = [name[start:] for name in members(self.path) if name.startswith(self.inside)]
            heads = {name.partition("/")[0] + ("/" if "/" in name else "") for name in names}
            found = [Place(self.path, self.inside + head) for head in sorted(heads - {""})]
        return [place for place in found if not is_passed_over(place.name)]


@dataclass(frozen=True)
class Entry:
    """A student and the places that bear the student's name."""

    student: str
    places: tuple[Place, ...]


def find_entries(folder: Path) -> list[Entry]:
    """One entry a student, by name.

    Raises:
        ValueError: if the folder is missing or holds nothing that could be a submission.
    """
    top = Place(folder)
    if not top.is_container:
        found = (
            "this is a file: put it into a folder" if folder.exists() else "there is no such folder"
        )
        raise ValueError(
            f"{folder}: submissions are a folder with one folder, notebook or zip a student, or "
            f"what a school's system exports; {found}."
        )
    places: dict[str, list[Place]] = {}
    for name, place in _owned(top):
        places.setdefault(name, []).append(place)
    if not places:
        raise ValueError(f"{folder}: no folder, notebook (.ipynb) or zip of a student in it.")
    students = _names(list(places))
    return [Entry(student, tuple(places[raw])) for raw, student in students.items()]


def not_looked_at(folder: Path) -> str:
    """The names beside the submissions that are none, for one line of text."""
    names = [clean(place.name) for place in Place(folder).children() if _is_nobodys(place)]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def is_passed_over(name: str) -> bool:
    """Whether a folder is hidden (.git, .venv, .ipynb_checkpoints) or a system's own."""
    return name in IGNORED or (name.startswith(".") and name != "..")


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip" and path.is_file()


def _is_nobodys(place: Place) -> bool:
    return not place.is_container and place.name.lower().endswith(NOBODYS)


def _owned(container: Place) -> Iterator[tuple[str, Place]]:
    """(whose, where) of everything in a folder or zip.

    What lies inside is looked through for names only if all of it is exports: or a student's zip,
    packed to look like one, could be handed in in somebody else's name.
    """
    everything = container.children()
    exported = _exported(container, everything)
    children = [place for place in everything if not _is_nobodys(place)]
    if children and not exported and all(map(_looks_like_an_export, children)):
        for place in children:
            yield from _owned(place)
        return
    plain = {_stem(place) for place in children}
    for place in children:
        yield exported.get(place) or _whose(place, plain), place


def _exported(container: Place, children: list[Place]) -> dict[Place, str]:
    """Whose what lies in an export is, of what bears a name by its rules."""
    names = _gradescope_names(children)
    prefix = CLASSROOM.fullmatch(container.name.removesuffix(".zip"))
    found = {}
    for place in children:
        stem = _stem(place)
        if match := MOODLE.fullmatch(stem) or CANVAS.fullmatch(stem) or BLACKBOARD.fullmatch(stem):
            found[place] = "_".join(match.groups())
        elif place.is_container and GRADESCOPE.fullmatch(stem):
            found[place] = names.get(stem, stem)
        elif prefix and place.is_container and stem.startswith(f"{prefix[1]}-"):
            found[place] = stem[len(prefix[1]) + 1 :]
    return found


def _looks_like_an_export(place: Place, depth: int = 1) -> bool:
    """Whether most of what lies in a folder or zip is named as an export names it, or all of it is
    folders of which that is so: sections."""
    if depth > MAX_SECTIONS or not place.is_container:
        return False
    everything = place.children()
    children = [child for child in everything if not _is_nobodys(child)]
    if 2 * len(_exported(place, everything)) > len(children):
        return True
    return bool(children) and all(_looks_like_an_export(child, depth + 1) for child in children)


def _gradescope_names(children: list[Place]) -> dict[str, str]:
    """Folder -> student's name, from what Gradescope lays beside the folders."""
    content = b"".join(place.head() for place in children if place.name == METADATA)
    return dict(SUBMITTER.findall(content.decode(errors="replace").replace("\r\n", "\n")))


def _stem(place: Place) -> str:
    """A name without its ending: .ipynb with all that follows, or another file's."""
    name, found, _ = place.name.partition(".ipynb")
    if found or (place.inside.endswith("/") or place.path.is_dir()):
        return name
    return name.rpartition(".")[0] or name


def _whose(place: Place, others: Iterable[str]) -> str:
    """Whose a folder or file is that bears a student's name.

    A notebook's name may end with its chapter, and with the number of a copy.
    """
    stem = _stem(place)
    if place.is_container:
        return stem
    copy = COPY.search(stem)
    if copy and copy.start() and stem[: copy.start()] in others:
        stem = stem[: copy.start()]
    chapter = CHAPTER.search(stem)
    if chapter and chapter.start() and chapter[1].encode() in _chapters(place):
        stem = stem[: chapter.start()]
    return stem


def _chapters(place: Place) -> set[bytes]:
    """The chapters whose answer cells a notebook holds, by a look at its bytes."""
    return set(ANSWER.findall(place.head()))


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
