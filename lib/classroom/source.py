"""Read a chapter: course/source/NN_topic.py, jupytext's percent format, into validated cells.

All mistakes of a file are told in one go, each with its line. Left out: raw cells, other
languages, jupytext's own notebook header.
"""

import ast
import re
from pathlib import Path

import jupytext
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import ValidationError

from classroom.chapter import Cell, Chapter
from classroom.exercises import exercise_errors
from classroom.header import KEYS, combination_errors, header_errors
from classroom.layout import STEM
from classroom.problems import ChapterError, Problem
from classroom.solution_region import NEAR, clear_regions, marker_errors

HEADER = re.compile(r"\s*#\s*%%+(\s.*)?")
NBVAL_COMMENT = re.compile(r"\s*#+\s*(NBVAL_[A-Z_]+|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*")


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
        found = header_errors(raw, lines[line - 1])
        problems += [Problem(path, line, rule, fix) for rule, fix in found]
        if found:
            continue
        keys = {key: value for key, value in raw.metadata.items() if key in KEYS}
        cell = Cell(
            line=line, body_line=body, type=raw.cell_type, source=raw.source.strip("\n"), **keys
        )
        cells.append(cell)
        problems += _body_errors(path, cell, lines[body - 1 : after - 1])
        problems += [Problem(path, line, rule, fix) for rule, fix in combination_errors(cell)]
    if not problems:  # an exercise cannot be judged while some of its cells are missing
        problems = exercise_errors(path, cells)
    if problems:
        raise ChapterError(problems)
    return Chapter(path, cells)


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
