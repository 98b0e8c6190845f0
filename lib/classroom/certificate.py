"""`classroom certificate`: how far somebody has come in the whole course, as a page to print.

Each chapter's notebook in work/ that holds an answer is checked as `check` does it, and nothing is
called passed that wasn't run and didn't pass just now. Where there is no answer nothing runs, and
no chapter is begun once the time is up; the page says so. It is a reader's own result, on their own
machine, from checks whose inputs stand in the course: what a teacher grades by is `grade`.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from classroom.answers import take_answers
from classroom.cells import read_notebook
from classroom.check import check_submission, students_notebook
from classroom.known import chapters, known_answers
from classroom.layout import write_atomically
from classroom.work import work_path

PAGE = Path("build", "certificate.html")
PASSED, WRONG, OPEN = "passed", "not yet", "not answered yet"
LONGEST_NAME = 80  # characters
RADIUS, GAP = 40, 0.12  # of a badge's ring, and radians between two of its arcs


@dataclass(frozen=True)
class Row:
    """One exercise, and how it went; `status` is PASSED if it ran and passed, else why not."""

    exercise: str
    title: str
    points: int
    status: str

    @property
    def mark(self) -> str:
        """A sign for the status."""
        return {PASSED: "✓", WRONG: "✗"}.get(self.status, "·")


@dataclass(frozen=True)
class Chapter:
    """A chapter's exercises, in order."""

    number: str
    title: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> int:
        """How many passed."""
        return sum(row.status == PASSED for row in self.rows)

    @property
    def alike(self) -> str:
        """The status that all exercises share if none of them ran, else nothing."""
        found = {row.status for row in self.rows}
        return found.pop() if len(found) == 1 and not found & {PASSED, WRONG} else ""

    @property
    def arcs(self) -> list[tuple[str, Row]]:
        """The badge: for each exercise the path of an arc, clockwise from the top."""
        whole = 2 * math.pi / len(self.rows)
        return [
            (arc(n * whole + GAP / 2, (n + 1) * whole - GAP / 2), row)
            for n, row in enumerate(self.rows)
        ]


def arc(start: float, end: float) -> str:
    """The path of an arc from one angle to another, in radians clockwise from the top.

    >>> arc(0, math.pi / 2)
    'M0.0 -40.0A40 40 0 0 1 40.0 -0.0'
    """
    x, y, to_x, to_y = (
        RADIUS * part for angle in (start, end) for part in (math.sin(angle), -math.cos(angle))
    )
    large = int(end - start > math.pi)
    return f"M{x:.1f} {y:.1f}A{RADIUS} {RADIUS} 0 {large} 1 {to_x:.1f} {to_y:.1f}"


def progress(root: Path, cell_timeout: float, seconds: float) -> Iterator[Chapter]:
    """Each chapter with exercises, checked where somebody has answered anything.

    Args:
        root: of the course.
        cell_timeout: seconds that a cell may take.
        seconds: after which no further chapter is begun.
    """
    known, end = known_answers(root), time.monotonic() + seconds
    for number, pristine in chapters(root).items():
        cells = read_notebook(pristine).cells
        prompts = [facts for cell in cells if "title" in (facts := _facts(cell))]
        if not prompts:
            continue
        path, why = work_path(root, pristine.stem), {}
        if not path.exists():
            otherwise = "no notebook in work/"
        else:
            try:
                answers = take_answers(students_notebook(path), known)
                otherwise = (
                    OPEN if set(answers) & {one["exercise"] for one in prompts} else "missing"
                )
                if any(answers.values()):
                    if time.monotonic() < end:
                        outcomes = check_submission(root, path, cell_timeout)
                        why = {one.exercise: one.status for one in outcomes}
                    else:
                        why = {ident: "not run: time was up" for ident in answers if answers[ident]}
            except ValueError as error:
                print(error)
                otherwise, why = "its notebook can't be checked", {}
        rows = [
            Row(one["exercise"], one["title"], one["points"], why.get(one["exercise"], otherwise))
            for one in prompts
        ]
        yield Chapter(number, _title(cells, pristine), tuple(rows))


def _facts(cell) -> dict:
    return cell.metadata.get("classroom", {})


def _title(cells: list, pristine: Path) -> str:
    """The chapter's name as its exercises bear it, "02 · Windows: exercises", or its stem."""
    head = cells[0].source.partition("\n")[0] if cells else ""
    name = head.lstrip("# ").partition("·")[2].strip().removesuffix(": exercises")
    return name or pristine.stem[3:].replace("_", " ").capitalize()


def certificate_command(
    root: Path, name: str, minutes: float, cell_timeout: float, today: date | None = None
) -> int:
    """Check what is answered, print how it went, and write the page.

    Raises:
        ValueError: for a name that is too long for a page, or no time.
    """
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"a certificate bears a name of at most {LONGEST_NAME} characters: got {len(name)}. "
            "Shorten it, or leave --name away and sign by hand."
        )
    if not minutes > 0:
        raise ValueError(f"minutes must be above 0: got {minutes}. Leave --minutes away for 30.")
    found = []
    for chapter in progress(root, cell_timeout, 60 * minutes):
        found.append(chapter)
        if chapter.passed or any(row.status == WRONG for row in chapter.rows):
            said = f"{chapter.passed} of {len(chapter.rows)} passed"
        else:
            said = ", ".join(Counter(row.status for row in chapter.rows))
        print(f"{chapter.number}  {chapter.title}: {said}", flush=True)
    if not found:
        raise ValueError(f"{root}: no chapter here has exercises. Build them: make notebooks")
    pages = Environment(
        loader=PackageLoader("classroom", "pages"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [row for chapter in found for row in chapter.rows]
    facts = dict(
        name=name.strip(),
        chapters=found,
        exercises=len(rows),
        passed=sum(row.status == PASSED for row in rows),
        points=sum(row.points for row in rows if row.status == PASSED),
        of=sum(row.points for row in rows),
        day=today or date.today(),
    )
    write_atomically(root / PAGE, pages.get_template("certificate.html").render(facts))
    print(f"\n{facts['passed']} of {len(rows)} exercises passed: {PAGE.as_posix()}")
    return 0
