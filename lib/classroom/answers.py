"""A student's answers out of a notebook: whole cells by exercise, in the notebook's order.

What runs from top to bottom in the student's notebook and passes its own check there shall pass
wherever it is checked again. So nothing is picked out of a cell: an answer is the run of the
student's cells that leads up to its check. Python sees there what it saw in the notebook, whatever
the shape of the code: a table filled by a loop, a star import, a name that is bound twice.

Which cells: those with the answer's mark, several where it was split, copied or tried again; the
student's own cells between prompt and check and before the first exercise, and changes to what was
given; and of all others before the check, another exercise's answer among them, those that give a
name which the former lean on. Whatever has nothing to do with an exercise stays out, so that an
endless loop or a slow plot elsewhere costs no other answer. A cell that fails costs none either:
the check alone decides (`referee.telling`).

Safety does not rest on the choice. A cell could always stand in the answer's own, and all of them
run where that does: in a kernel that holds neither inputs nor what is right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from classroom.cells import Notebook
from classroom.given import digest, exercise_of, is_answer, is_check, mark
from classroom.known import Known, same_code
from classroom.names import STAR, Names, names_of

MAX_ANSWER = 100_000  # characters
MAX_LOOKED_AT = 500_000  # characters of a student's cells in a notebook
PREAMBLE = ""  # the section before the first exercise


@dataclass(frozen=True)
class Piece:
    """A cell of a student's: part of the answer itself, or one that it leans on."""

    source: str
    is_answer: bool = True


@dataclass(frozen=True)
class Answer:
    """The cells that lead up to an exercise's check, in order."""

    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, code: str) -> "Answer":
        """An answer of one cell."""
        return cls((Piece(code),))

    @property
    def code(self) -> str:
        """The answer itself, in one text."""
        return "\n\n".join(piece.source for piece in self.pieces if piece.is_answer)

    def __len__(self) -> int:
        return len(self.code)


@dataclass(frozen=True, eq=False)
class _Cell:
    """A cell in its place; `answers` is the exercise whose answer it is marked as, and `section`
    the one that it stands in, up to its check."""

    place: int
    source: str
    name: str | None
    section: str | None
    is_written: bool

    @property
    def answers(self) -> str | None:
        return exercise_of(self.name) if self.name and is_answer(self.name) else None

    @cached_property
    def names(self) -> Names:
        return names_of(self.source)


def take_answers(notebook: Notebook, known: Known) -> dict[str, Answer | None]:
    """What a student answered, by exercise; None where its cell is there, and nothing in it."""
    cells = list(_in_their_places(notebook, known))
    own = _readable([cell for cell in cells if cell.is_written])
    marked: dict[str, list[_Cell]] = {}
    for cell in cells:
        if cell.answers in known.untouched:
            marked.setdefault(cell.answers, [])
    for cell in own:
        exercise = cell.answers or _named(cell, known)
        if exercise in known.untouched:
            marked.setdefault(exercise, []).append(cell)
    for exercise, found in _by_name(own, cells, marked, known).items():
        marked[exercise] = found
    owners = {cell: exercise for exercise, answer in marked.items() for cell in answer}
    return {
        exercise: _lead_up(exercise, owners, own, cells) if answer else None
        for exercise, answer in marked.items()
    }


def _in_their_places(notebook: Notebook, known: Known) -> Iterator[_Cell]:
    """A notebook's cells of code, and what an answer's mark makes one, with their sections."""
    section: str | None = PREAMBLE
    for place, cell in enumerate(notebook.cells):
        source = cell["source"]
        name = mark(cell) or known.marks.get(digest(source))
        if name and name.startswith("ex-"):
            section = exercise_of(name)
        answers = name is not None and is_answer(name)
        is_code = answers or cell.get("cell_type") == "code"
        ours = name is not None and (is_check(name) or _is_ours(name, source, notebook, known))
        yield _Cell(place, source, name, section, is_code and not ours and bool(source.strip()))
        if name and is_check(name):
            section = None


def _is_ours(name: str, source: str, notebook: Notebook, known: Known) -> bool:
    """Whether a marked cell stands as the course wrote it: now, when handed out, or solved."""
    if digest(source) in (known.given.get(name), notebook.given.get(name)):
        return True
    solved = known.solved.get(exercise_of(name)) if is_answer(name) else None
    return solved is not None and notebook.is_solution and same_code(source, solved)


def _readable(own: list[_Cell]) -> list[_Cell]:
    """The student's cells up to a bound, without own ones that no kernel can be sent."""
    kept, room = [], MAX_LOOKED_AT
    for cell in own:
        room -= len(cell.source)
        if cell.answers or (room >= 0 and _is_text(cell.source)):
            kept.append(cell)
    return kept


def _is_text(source: str) -> bool:
    try:
        source.encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(cell: _Cell, known: Known) -> str | None:
    """The exercise that an unmarked cell stands in, if it defines what is asked for there."""
    asked = known.asked.get(cell.section or "")
    return cell.section if not cell.name and asked in cell.names.binds else None


def _by_name(
    own: list[_Cell], cells: list[_Cell], marked: dict[str, list[_Cell]], known: Known
) -> dict[str, list[_Cell]]:
    """Answers whose marks an editor dropped, by the names that they define.

    They are looked for in the chapter of the notebook's other marks or, without any, in that of
    which most names are found: a helper may well be called what another chapter asks for.
    """
    found: dict[str, list[_Cell]] = {}
    for exercise, name in known.asked.items():
        if exercise not in marked:
            giving = [cell for cell in own if not cell.name and name in cell.names.binds]
            if giving:
                found[exercise] = giving
    chapters = {exercise[:2] for exercise in marked}
    chapters |= {cell.section[:2] for cell in cells if cell.section}
    if not chapters and found:
        numbers = [exercise[:2] for exercise in found]
        chapters = {max(sorted(set(numbers)), key=numbers.count)}
    return {exercise: given for exercise, given in found.items() if exercise[:2] in chapters}


def _lead_up(
    exercise: str, owners: dict[_Cell, str], own: list[_Cell], cells: list[_Cell]
) -> Answer:
    """The cells up to an exercise's check that its answer may need.

    Args:
        owners: the cells that are answers -> whose.
        own: the student's cells, and `cells` all of the notebook.
    """
    answer = [cell for cell in own if owners.get(cell) == exercise]
    end = _end(exercise, answer, owners, cells)
    before = [cell for cell in own if cell.place < end]
    chosen = set(answer) | {
        cell
        for cell in before
        if cell not in owners and not cell.answers and cell.section in (PREAMBLE, exercise)
    }
    wanted: set[str] = set()
    while needed := set().union(*(cell.names.uses for cell in chosen)) - wanted:
        wanted |= needed
        chosen |= {cell for cell in before if cell.names.gives & (wanted | {STAR})}
    pieces = [Piece(cell.source, cell in answer) for cell in before if cell in chosen]
    return Answer(tuple(pieces))


def _end(exercise: str, answer: list[_Cell], owners: dict[_Cell, str], cells: list[_Cell]) -> int:
    """Where an exercise's cells end: at its check or, without one, where another exercise begins.

    An answer that was tried again below its check extends them.
    """
    last = answer[-1].place + 1
    for cell in cells[answer[0].place :]:
        is_marked = cell.name is not None and cell.name.startswith("ex-")
        another = owners.get(cell, cell.section if is_marked else exercise) != exercise
        if another or (is_marked and is_check(cell.name)):
            return max(cell.place, last)
    return len(cells)
