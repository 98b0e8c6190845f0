"""A total a student, ready for a school's own system; points given by hand; a class's list.

OUT/manual.csv is the teacher's: `student,exercise,points,comment`, a line for what was graded by
hand. It is read at every run and never written, so that a regrade keeps it.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from classroom.grade.grading import Grade
from classroom.grade.tables import table, uncomputed

MANUAL = "manual.csv"
HEADER = ("student", "exercise", "points", "comment")


@dataclass(frozen=True)
class Totals:
    """How totals are written: with the columns of a class list, and when a hand-in was late.

    `pattern` finds, in a submission's name, what the first column of the roster says; without it a
    name is looked for that holds it.
    """

    roster: Path | None = None
    pattern: str = ""
    due: datetime | None = None

    def write(self, grades: list[Grade], handed_in: dict[str, float]) -> str:
        """The table as CSV, with those of the roster who handed in nothing.

        Args:
            handed_in: student -> when, in seconds.

        Raises:
            ValueError: if the roster can't be read.
        """
        header, people = _rows(self.roster) if self.roster else ([], [])
        late = ["late"] if self.due else []
        person = {student: self._person(student, people) for student in handed_in}
        columns = ["student", *header, "points", "out_of", "percent", *late]
        rows = []
        for student, modified in handed_in.items():
            own = [grade for grade in grades if grade.student == student]
            rows.append(
                [student, *_fitted(person[student], header), *_points(own), *self._late(modified)]
            )
        most = max((row[-2 - len(late)] for row in rows), default=0)
        present = [one for one in person.values() if one]
        for one in people:
            if one not in present:
                rows.append(["", *_fitted(one, header), 0, most, 0, *self._late(None)])
        return table(columns, [[uncomputed(str(cell)) for cell in row] for row in rows])

    def _person(self, student: str, people: Sequence[Sequence[str]]) -> Sequence[str]:
        """The line of the roster that a submission belongs to; () if none, or several, do."""
        match = re.search(self.pattern, student) if self.pattern else None
        key = match[match.lastindex or 0] if match else None
        words = set(re.split(r"[\W_]+", student.casefold()))
        found = [
            one
            for one in people
            if one and one[0] and (one[0] == key if self.pattern else one[0].casefold() in words)
        ]
        return found[0] if len(found) == 1 else ()

    def _late(self, modified: float | None) -> list[str]:
        if not self.due:
            return []
        return ["late" if modified and modified > self.due.timestamp() else ""]


def apply_manual(grades: list[Grade], file: Path) -> list[Grade]:
    """The grades with what a teacher has entered by hand.

    Raises:
        ValueError: if a line names nobody, no exercise of theirs, or no points that there are.
    """
    if not file.exists():
        return grades
    header, rows = _rows(file)
    if tuple(header) != HEADER:
        raise ValueError(f"{file}: its first line is {','.join(HEADER)}; got {','.join(header)}.")
    places = {(grade.student, grade.exercise): n for n, grade in enumerate(grades)}
    given = list(grades)
    for number, row in enumerate(rows, 2):
        student, exercise, points, comment = _fitted(row, HEADER)
        place = places.get((student, exercise))
        if place is None:
            raise ValueError(f"{file}, line {number}: {student!r} has no exercise {exercise!r}.")
        changed = replace(given[place], comment=comment)
        if points:
            if not re.fullmatch(r"\d{1,3}", points):
                raise ValueError(f"{file}, line {number}: points are a whole number: {points!r}.")
            changed = replace(changed, points=int(points), status="by hand")
        given[place] = changed
    return given


def _points(own: list[Grade]) -> list[int | float]:
    """Points, of how many, and percent."""
    points, most = sum(grade.points for grade in own), sum(grade.out_of for grade in own)
    return [points, most, round(100 * points / most, 1) if most else 0]


def _fitted(row: Sequence[str], header: Sequence[str]) -> list[str]:
    return [*row, *[""] * len(header)][: len(header)]


def _rows(file: Path) -> tuple[list[str], list[list[str]]]:
    """A CSV's first line and the others, whatever separates its cells.

    Raises:
        ValueError: if it can't be read.
    """
    try:
        content = file.read_bytes()
        wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: can't be read ({error}). Save it as CSV, UTF-8.") from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(row)]
    return [cell.strip() for cell in rows[0]] if rows else [], [
        [cell.strip() for cell in row] for row in rows[1:]
    ]
