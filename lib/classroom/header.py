"""What may stand on a cell's header, `# %% key="value" …`, and what each key must be.

A typo is an error, never a cell that quietly goes nowhere. README.md beside this file explains
the keys to authors.
"""

import re
from typing import Any

from classroom.chapter import Cell

RESERVED_TAGS = re.compile(r"nbval-.*|raises-exception|pytest-validate-ignore-output")
JUPYTEXT_KEYS = {"lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker"}


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
    "myth": (_text, "a sentence that public material has wrong", ("code",)),
    "said": (_text, "where it is said", ("code",)),
    "truth": (_text, "what holds instead", ("code",)),
    "tags": (
        lambda v: isinstance(v, list) and all(isinstance(tag, str) and tag for tag in v),
        'a list of texts, such as ["remove-cell"]',
        ANY,
    ),
}


def header_errors(raw: Any, header: str) -> list[tuple[str, str]]:
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


def combination_errors(cell: Cell) -> list[tuple[str, str]]:
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
    errors += _myth_errors(cell)
    errors += [
        (f"the tag {tag!r} belongs to the builder.", 'Write fails="…", volatile=true or alt="…".')
        for tag in cell.tags
        if RESERVED_TAGS.fullmatch(tag)
    ]
    return errors


def _myth_errors(cell: Cell) -> list[tuple[str, str]]:
    """What is wrong with an entry for the page of public errors: (rule, fix) pairs."""
    parts = {"myth": cell.myth, "said": cell.said, "truth": cell.truth}
    if not any(parts.values()):
        return []
    errors = []
    if missing := [key for key, value in parts.items() if not value]:
        rule = f"a public error has {', '.join(parts)}; {' and '.join(missing)} is missing."
        errors.append((rule, "Add it."))
    if "assert" not in cell.source:
        errors.append(("a public error stands where a cell asserts the truth.", "Assert it."))
    if not cell.goes_to("lesson"):
        errors.append(("a public error is proved in the lesson.", "Move it to a lesson's cell."))
    return errors
