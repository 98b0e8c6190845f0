"""Read what a student handed in: folders, notebooks and zips, however nested.

Nothing is unpacked onto the disk and no link is followed, so names inside a zip are labels only.
What can't be read is kept as a problem beside what can.
"""

import io
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from classroom.grade.archive import MAX_ZIP, UNZIPPABLE, Sips, inner, modified, why_not
from classroom.grade.entries import Entry, Place, is_passed_over
from classroom.grade.submission import Submission, clean

# As people send them: mail programs and browsers add an ending, or a number behind it.
NOTEBOOK = re.compile(r"\.ipynb(?:\.(?:txt|json|download))?(?: ?\(\d+\))?$", re.IGNORECASE)
MAX_DEPTH = 20  # folders inside one another
MAX_FOLDERS = 2_000


def read_submission(entry: Entry) -> Submission:
    """Everything of an entry that may be a notebook, read; never raises for what it finds."""
    submission = Submission(entry.student)
    for place in entry.places:
        try:
            if place.inside:
                _read_zip(place.path, clean(place.path.name), submission, place)
                continue
            for file in _walk(place.path, submission):
                try:
                    label = _label(file.relative_to(place.path).parts or (file.name,))
                    _read(file, label, submission)
                except OSError as error:
                    submission.trouble(f"{clean(file.name)}: {error.strerror or 'unreadable'}.")
        except Exception as error:  # whatever it was that somebody handed in
            submission.trouble(f"{clean(place.path.name)}: unreadable ({type(error).__name__}).")
    if not submission.notebooks and not submission.problems:
        others = f": it holds {', '.join(submission.others)}" if submission.others else ""
        submission.trouble(f"no notebook (.ipynb) in this submission{others}.")
    return submission


def _walk(path: Path, submission: Submission) -> Iterator[Path]:
    """Regular files at or below `path` that may be notebooks, in order of their names."""
    if path.is_symlink():
        submission.trouble(f"{clean(path.name)} is a link; links are not followed.")
    elif path.is_file():
        if _is_wanted(path.name):
            yield path
        else:
            submission.pass_over(clean(path.name))
    elif path.is_dir():
        depth = len(path.parts)
        for number, (folder, names, files) in enumerate(os.walk(path)):
            names[:] = sorted(name for name in names if not is_passed_over(name))
            if number >= MAX_FOLDERS or len(Path(folder).parts) - depth >= MAX_DEPTH:
                submission.trouble(f"{clean(path.name)}: too many folders; the rest is unread.")
                names.clear()
            for name in sorted(files):
                file = Path(folder, name)
                if not _is_wanted(name):
                    submission.pass_over(clean(name))
                elif file.is_symlink():
                    submission.trouble(f"{clean(name)} is a link; links are not followed.")
                elif stat.S_ISREG(file.lstat().st_mode):
                    yield file


def _is_wanted(name: str) -> bool:
    """Whether a file may be a notebook, or hold some. macOS puts a ._file beside each file."""
    return not name.startswith("._") and bool(NOTEBOOK.search(name) or _is_zip(name))


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _label(parts: Sequence[str]) -> str:
    """A file's name for reports, with the folder that it lies in."""
    return "/".join(clean(part) for part in parts[-2:])


def _read(file: Path, name: str, submission: Submission) -> None:
    if _is_zip(file.name):
        _read_zip(file, name, submission)
        return
    with file.open("rb") as stream:
        submission.keep(name, stream, file.stat().st_mtime)


def _read_zip(file: Path, name: str, submission: Submission, place: Place | None = None) -> None:
    """Read the notebooks of a zip, or of a place in it."""
    if file.stat().st_size > MAX_ZIP:
        submission.trouble(f"{name} is over {MAX_ZIP // 2**20} MB.")
        return
    with Sips(file) as stream:
        _read_members(stream, name, submission, place)


def _read_members(
    stream: io.IOBase, name: str, submission: Submission, place: Place | None = None
) -> None:
    """Read the notebooks of a zip; of zips inside it, too, but not of those in these."""
    if not submission.enter_archive(name):
        return
    try:
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                if place and not place.holds(member.filename):
                    continue
                try:
                    _read_member(archive, member, name, submission)
                except UNZIPPABLE:  # which says nothing of the others
                    label = _label(member.filename.split("/"))
                    submission.trouble(f"{name}: {label} can't be unpacked.")
    except UNZIPPABLE:
        submission.trouble(f"{name} is not a zip that can be read.")


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, submission: Submission
) -> None:
    """Read one file of a zip."""
    parts = member.filename.split("/")
    label = f"{name}: {_label(parts)}"
    if member.is_dir() or any(map(is_passed_over, parts[:-1])) or parts[-1].startswith("._"):
        return
    if not _is_wanted(parts[-1]):
        submission.pass_over(label)
    elif reason := why_not(member):
        submission.trouble(f"{label} {reason}")
    elif not _is_zip(parts[-1]):
        with archive.open(member) as stream:  # what the zip says of its size is not believed
            submission.keep(label, stream, modified(member))
    elif ": " in name:
        submission.trouble(f"{label} is a zip inside a zip inside a zip, which is not looked into.")
    elif content := inner(archive, member):
        _read_members(content, label, submission)
    else:
        submission.trouble(f"{label} is too large for a zip inside a zip.")
