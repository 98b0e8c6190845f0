"""Read a chapter: course/source/NN_topic.py, jupytext's percent format, into validated cells.

Every key on a cell's header is checked; a typo is an error with its file and line, never a cell
that quietly goes nowhere. README.md beside this file lists the keys. Left out: raw cells, other
languages, jupytext's own notebook header.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import ValidationError

from classroom.exercises import exercise_errors
from classroom.layout import STEM
from classroom.problems import ChapterError, Problem
from classroom.solution_region import NEAR, clear_regions, marker_errors

HEADER = re.compile(r"\s*#\s*%%+(\s.*)?")
NBVAL_COMMENT = re.compile(r"\s*#+\s*(NBVAL_[A-Z_]+|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*")
RESERVED_TAGS = re.compile(r"nbval-.*|raises-exception|pytest-validate-ignore-output")
JUPYTEXT_KEYS = {"lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker"}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell as its author wrote it. `line` is its header's, `body_line` its text's first."""

    line: int
    body_line: int
    type: str
    source: str
    slide: str | None = None
    show: str | None = None
    alt: str | None = None
    widget: bool = False
    volatile: bool = False
    fails: bool | str = False
    to: str | None = None
    exercise: str | None = None
    role: str | None = None
    title: str | None = None
    difficulty: int | None = None
    minutes: int | None = None
    points: int | None = None
    tags: list[str] = field(default_factory=list)

    def goes_to(self, kind: str) -> bool:
        """Whether the cell belongs in the notebook of this kind: lesson, exercise, solution."""
        if self.exercise is not None:
            return kind != "lesson"
        where = self.to or "lesson"
        return where == "both" or (where == "lesson") == (kind == "lesson")


@dataclass(frozen=True)
class Chapter:
    """A chapter's cells in the order of the file."""

    path: Path
    cells: list[Cell]

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return self.stem[:2]

    @property
    def exercises(self) -> dict[str, list[Cell]]:
        """Each exercise's cells by its id, in order."""
        runs: dict[str, list[Cell]] = {}
        for cell in self.cells:
            if cell.exercise is not None:
                runs.setdefault(cell.exercise, []).append(cell)
        return runs


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\n" not in value


def _whole(low: int, high: int):
    return lambda value: type(value) is int and low <= value <= high


# key -> (accepts, what it must be, cell types that may carry it)
ANY = ("markdown", "code")
KEYS = {
    "slide": (
        lambda v: v in ("slide", "same", "fragment", "notes"),
        '"slide", "same", "fragment" or "notes"',
        ANY,
    ),
    "show": (
        lambda v: v in ("output", "code", "both"),
        '"output", "code" or "both"',
        ("code",),
    ),
    "alt": (_text, "a sentence that says what the figure shows", ("code",)),
    "widget": (lambda v: v is True, "true", ("code",)),
    "volatile": (lambda v: v is True, "true", ("code",)),
    "fails": (
        lambda v: v is True or (isinstance(v, str) and v.isidentifier()),
        'the name of the error it raises, such as "ValueError", or true',
        ("code",),
    ),
    "to": (
        lambda v: v in ("lesson", "exercise", "both"),
        '"lesson", "exercise" or "both"',
        ANY,
    ),
    "exercise": (
        lambda v: isinstance(v, str) and re.fullmatch(r"\d\d\.[1-9]\d*", v) is not None,
        'a chapter and a number in quotes, such as "02.1"',
        ANY,
    ),
    "role": (
        lambda v: v in ("prompt", "answer", "check"),
        '"prompt", "answer" or "check"',
        ANY,
    ),
    "title": (_text, "a short text", ("markdown",)),
    "difficulty": (_whole(1, 3), "1, 2 or 3", ("markdown",)),
    "minutes": (_whole(5, 15), "a whole number from 5 to 15", ("markdown",)),
    "points": (_whole(1, 100), "a whole number from 1", ("markdown",)),
    "tags": (
        lambda v: isinstance(v, list) and all(isinstance(tag, str) and tag for tag in v),
        'a list of texts, such as ["remove-cell"]',
        ANY,
    ),
}


def read_chapter(path: Path, text: str | None = None) -> Chapter:
    """The chapter in `path`, or ChapterError with everything that is wrong in it."""
    if not STEM.fullmatch(path.stem):
        raise ChapterError([Problem(path, 0, "a chapter's file is named NN_topic.py.", "Rename.")])
    if text is None:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ChapterError(
                [Problem(path, 0, f"a source is UTF-8 text ({error}).", "Save it as UTF-8.")]
            ) from error
    lines = text.split("\n")
    headers = [number for number, line in enumerate(lines, 1) if HEADER.fullmatch(line)]
    if not headers or any(line.strip() for line in lines[: headers[0] - 1]):
        problem = Problem(path, 1, "a source begins with a cell.", 'Start with "# %% [markdown]".')
        raise ChapterError([problem])
    try:
        raw_cells = jupytext.reads(text, fmt="py:percent").cells
    except ValidationError as error:
        line = next((n for n in headers if "tags" in lines[n - 1]), headers[0])
        problem = Problem(path, line, f"tags must be {KEYS['tags'][1]}.", "Correct the header.")
        raise ChapterError([problem]) from error
    if len(raw_cells) != len(headers):
        line = next((n for n in headers if lines[n - 1][:1].isspace()), headers[0])
        problem = Problem(
            path,
            line,
            f"found {len(headers)} lines that look like cell headers, jupytext reads "
            f"{len(raw_cells)} cells.",
            'Keep "# %%" out of indented code and of texts.',
        )
        raise ChapterError([problem])

    problems, cells = [], []
    for raw, line, after in zip(raw_cells, headers, [*headers[1:], len(lines) + 1], strict=True):
        body = next((n for n in range(line + 1, after) if lines[n - 1].strip()), line)
        found = _header_errors(raw, lines[line - 1])
        problems += [Problem(path, line, rule, fix) for rule, fix in found]
        if found:
            continue
        keys = {key: value for key, value in raw.metadata.items() if key in KEYS}
        cell = Cell(
            line=line, body_line=body, type=raw.cell_type, source=raw.source.strip("\n"), **keys
        )
        cells.append(cell)
        problems += _body_errors(path, cell, lines[body - 1 : after - 1])
        problems += [Problem(path, line, rule, fix) for rule, fix in _combination_errors(cell)]
    if not problems:  # an exercise cannot be judged while some of its cells are missing
        problems = exercise_errors(path, cells)
    if problems:
        raise ChapterError(problems)
    return Chapter(path, cells)


def _header_errors(raw: Any, header: str) -> list[tuple[str, str]]:
    """What is wrong with a header's keys: (rule, fix) pairs."""
    if raw.cell_type not in ANY:
        return [(f"cells are markdown or code; got {raw.cell_type}.", 'Write "# %% [markdown]".')]
    metadata = {key: value for key, value in raw.metadata.items() if key not in JUPYTEXT_KEYS}
    if "incorrectly_encoded_metadata" in metadata:
        return [
            (
                f"cannot read the keys in {header.strip()!r}.",
                'Write them as key="text", key=3 or key=true, with spaces between.',
            )
        ]
    if "title" in metadata and "title=" not in header:  # jupytext takes loose words for a title
        return [(f"a header holds keys only; got {metadata['title']!r}.", 'Write key="value".')]
    errors = []
    for key, value in metadata.items():
        if key not in KEYS:
            known = ", ".join(KEYS)
            errors.append((f"unknown key {key!r}.", f"Known keys: {known}."))
            continue
        accepts, expected, types = KEYS[key]
        if not accepts(value):
            errors.append((f"{key} must be {expected}; got {value!r}.", "Correct the header."))
        elif raw.cell_type not in types:
            errors.append(
                (f"{key} belongs on a {types[0]} cell; this one is {raw.cell_type}.", "Move it.")
            )
    return errors


def _combination_errors(cell: Cell) -> list[tuple[str, str]]:
    """Keys that contradict each other: (rule, fix) pairs."""
    errors = []
    if cell.show and not cell.slide:
        errors.append(("show says what the deck shows; this cell has no slide.", "Add slide=…"))
    if cell.slide == "notes" and cell.type == "code":
        errors.append(("speaker notes are markdown; this is code.", "Drop slide or use markdown."))
    if cell.widget and cell.slide:
        errors.append(
            ("a widget needs a kernel, slides have none.", "Drop slide; show a static figure.")
        )
    if cell.widget and cell.alt:
        errors.append(("a cell is a figure (alt) or a widget, not both.", "Make two cells of it."))
    if cell.fails and (cell.alt or cell.widget or cell.volatile):
        errors.append(
            (
                "a cell that fails is compared; it cannot be a figure, a widget or volatile.",
                "Make two cells of it.",
            ),
        )
    if cell.slide and not cell.goes_to("lesson"):
        errors.append(("slides come from the lesson; this cell is not in it.", "Drop slide."))
    errors += [
        (f"the tag {tag!r} belongs to the builder.", 'Write fails="…", volatile=true or alt="…".')
        for tag in cell.tags
        if RESERVED_TAGS.fullmatch(tag)
    ]
    return errors


def _body_errors(path: Path, cell: Cell, raw_lines: list[str]) -> list[Problem]:
    """What is wrong with a cell's text."""
    if not cell.source.strip():
        return [Problem(path, cell.line, "a cell holds something; this one is empty.", "Fill it.")]
    if cell.type == "markdown":
        return [
            Problem(path, cell.body_line + number, "solution markers belong in code.", "Move it.")
            for number, line in enumerate(cell.source.split("\n"))
            if NEAR.search(line)
        ]
    problems = [
        Problem(path, cell.body_line + number, what) for number, what in marker_errors(cell.source)
    ]
    for number, (raw, line) in enumerate(zip(raw_lines, cell.source.split("\n"), strict=False)):
        if NBVAL_COMMENT.fullmatch(line):
            problems.append(
                Problem(
                    path,
                    cell.body_line + number,
                    f"{line.strip()!r} switches nbval's check.",
                    'Use the keys alt, volatile or fails="…" on the header.',
                )
            )
        if raw.startswith("#") and line != raw and line.lstrip()[:1] not in ("%", "!"):
            problems.append(
                Problem(
                    path,
                    cell.body_line + number,
                    f"jupytext reads the comment {raw!r} as a shell command.",
                    "Begin it with another word.",
                )
            )
    if not problems:
        problems += _syntax_errors(path, cell)
    return problems


def _syntax_errors(path: Path, cell: Cell) -> list[Problem]:
    """Python that does not parse, in the cell or in what a student gets of it."""
    code = TransformerManager().transform_cell(cell.source)
    try:
        ast.parse(code)
    except SyntaxError as error:
        line = cell.body_line + (error.lineno or 1) - 1
        return [Problem(path, line, f"the code does not parse: {error.msg}.", "Correct it.")]
    try:
        ast.parse(TransformerManager().transform_cell(clear_regions(cell.source, "00.0")))
    except SyntaxError as error:
        return [
            Problem(
                path,
                cell.body_line,
                f"without its solution the cell does not parse: {error}.",
                "Give the markers the indentation of the code between them.",
            )
        ]
    return []
