"""The page that lists the decks: what each asks, with a picture of it."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import nbformat

from classroom.layout import notebook_path
from classroom.outputs import STILL
from classroom.slides.render import style_sheet, template

# The last chapter of each part of the course.
PARTS = {"Window": 6, "Experts": 11, "Scan": 20}


@dataclass(frozen=True)
class Card:
    """A deck: its file, the chapter's heading and question, and a still (base64 PNG)."""

    file: str
    heading: str
    question: str = ""
    picture: str = ""


def card(root: Path, deck: Path) -> Card:
    """A deck's card, from the lesson's notebook; with the deck's name alone where there is none."""
    try:
        lesson = nbformat.read(notebook_path(root, "lesson", deck.stem), as_version=4)
    except (OSError, ValueError):
        return Card(deck.name, deck.stem.replace("_", " "))
    opening = [line.strip() for line in lesson.cells[0].source.splitlines() if line.strip()]
    heading, question = [*opening, "", ""][:2]
    outputs = [output for cell in lesson.cells for output in cell.get("outputs", [])]
    stills = [output for output in outputs if STILL in output.get("metadata", {})]
    # What moves is what a chapter is about.
    stills.sort(key=lambda still: not still.metadata[STILL].startswith("piece"))
    pictures = [still.data["image/png"] for still in stills]
    return Card(deck.name, heading.lstrip("# "), question.strip("*"), next(iter(pictures), ""))


def render_index(cards: list[Card]) -> str:
    """The page, by the parts of the course and in its order."""

    def part(card: Card) -> str:
        return next((name for name, last in PARTS.items() if int(card.file[:2]) <= last), "More")

    parts = [(name, list(group)) for name, group in groupby(cards, part)]
    return template("index.html.j2").render(
        parts=parts, styles=[style_sheet()], title="Mistral, Mixtral and Mamba from the inside"
    )
