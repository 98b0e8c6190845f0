"""An executed notebook to a deck: one HTML file that needs neither network nor server.

Cells become slides by their slide_type; the layout follows from what a slide holds. reveal.js
comes out of the sphinx-revealjs package and Plotly's script out of plotly's: both are found by
path, neither is imported. Left out: vertical slides, raw cells, widgets.
"""

import importlib.util
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from nbformat import NotebookNode

from classroom.slides.markdown import Pictures, render_markdown, words
from classroom.slides.output_blocks import Block, code_blocks

HERE = Path(__file__).parent
# Beside a figure rather than above it: more words than this, or code that is long and narrow.
WORDS_ABOVE, LINES_ABOVE, COLUMNS_BESIDE = 45, 6, 62
CHAPTER = re.compile(r"(?:Chapter\s+)?(\d\d?)\s*[.:·–—-]?\s+(.+)", re.DOTALL)


class SlideError(ValueError):
    """A cell that cannot become a slide; the message names the cell and the fix."""


@dataclass
class Slide:
    """One slide on its way into the deck. `level` is its heading's: 1 makes a cover."""

    level: int = 0
    title: str = ""
    eyebrow: str = ""
    subtitle: str = ""
    blocks: list[Block] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The title as plain text, for screen readers and the deck's own title."""
        text = re.sub(r"<math\b[^>]*alttext=\"([^\"]*)\".*?</math>", r"\1", self.title, flags=re.S)
        return str(Markup(text).striptags())

    @property
    def layout(self) -> str:
        """columns: text or code left, the one figure right; wide: figures fill; else plain."""
        visuals = [block for block in self.blocks if block.visual]
        rest = [block for block in self.blocks if not block.visual]
        if not visuals:
            return "plain"
        tall = sum(block.words for block in rest) > WORDS_ABOVE or any(
            block.lines > LINES_ABOVE for block in rest
        )
        narrow = all(block.columns <= COLUMNS_BESIDE for block in rest)
        return "columns" if len(visuals) == 1 and rest and tall and narrow else "wide"

    @property
    def groups(self) -> list[list[Block]]:
        """The blocks in order, neighbouring figures together; in columns, all figures last."""
        blocks = self.blocks
        if self.layout == "columns":
            return [[b for b in blocks if not b.visual], [b for b in blocks if b.visual]]
        groups: list[list[Block]] = []
        for block in blocks:
            alike = groups and groups[-1][-1].visual == block.visual
            if alike and not (block.visual and block.fragment):
                groups[-1].append(block)
            else:
                groups.append([block])
        return groups


def render(notebook: NotebookNode, title: str | None = None, folder: Path | None = None) -> str:
    """The deck's HTML. `title` stands in the footer; without one, the first heading does.

    `folder` is where the notebook lies: its pictures are looked up there and taken in. Raises
    SlideError for what a deck cannot show: an unknown LaTeX command, a picture from the network.
    """
    slides = _slides(notebook, folder)
    if not slides:
        raise SlideError(
            "no cell of the notebook is a slide. Give cells a slide type (slide, fragment, …)."
        )
    figures = [block for slide in slides for block in slide.blocks if block.kind == "figure"]
    for number, block in enumerate(figures, 1):
        block.number = number
    heading = next((slide.label for slide in slides if slide.title), "Slides")
    chapter = f"{slides[0].eyebrow} {heading}".strip() if slides[0].title else heading
    return template("template.html.j2").render(
        title=title or chapter,
        slides=slides,
        figures=figures,
        styles=[_reveal("dist/reveal.css"), style_sheet()],
        libraries=[
            _script(_reveal("dist/reveal.js")),
            _script(_reveal("plugin/notes/notes.js")),
            *([_script(_plotly())] if figures else []),
        ],
        deck=_script(_text("figure.js") + _text("deck.js")),
    )


def _slides(notebook: NotebookNode, folder: Path | None) -> list[Slide]:
    slides: list[Slide] = []
    for position, cell in enumerate(notebook.cells, 1):
        slide_type = cell.metadata.get("slideshow", {}).get("slide_type") or "-"
        if slide_type == "skip" or cell.cell_type == "raw":
            continue
        if slide_type in ("slide", "subslide") or not slides:
            slides.append(Slide())
        try:
            _add_cell(slides[-1], cell, slide_type, folder)
        except ValueError as error:
            ident = f" ({cell.id})" if "id" in cell else ""
            raise SlideError(f"cell {position}{ident}: {error}") from error
    for slide in slides:
        _set_title(slide)
    return [slide for slide in slides if slide.title or slide.blocks or slide.notes]


def _add_cell(slide: Slide, cell: Any, slide_type: str, folder: Path | None) -> None:
    pictures = Pictures(folder, cell.get("attachments", {}))
    if cell.cell_type == "code":
        blocks = code_blocks(cell, pictures)
    else:
        text = render_markdown(cell.source, pictures)
        heads = text.level and not slide.title and not slide.blocks
        if heads and slide_type not in ("notes", "fragment"):
            slide.level, slide.title = text.level, text.title
            body = text.body
        else:
            body = (f"<h3>{text.title}</h3>\n" if text.level else "") + text.body
        blocks = [Block("text", body, words=words(body))] if body else []
    if slide_type == "notes":
        slide.notes += [block.html for block in blocks]
        return
    for block in blocks:
        block.fragment = slide_type == "fragment"
    slide.blocks += blocks


def _set_title(slide: Slide) -> None:
    """One title a slide: its heading, or the claim that its only figure makes."""
    figures = [block for block in slide.blocks if block.kind in ("figure", "piece")]
    if len(figures) == 1 and figures[0].title:
        figure = figures[0]
        if not slide.title:
            slide.level, slide.title, slide.subtitle = 2, figure.title, figure.subtitle
            figure.title = figure.subtitle = ""
        elif slide.label == Slide(title=figure.title).label:
            slide.subtitle, figure.title, figure.subtitle = figure.subtitle, "", ""
    numbered = CHAPTER.fullmatch(slide.title) if slide.level == 1 else None
    if numbered:
        slide.eyebrow, slide.title = numbered[1].zfill(2), numbered[2]


def template(name: str):
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=select_autoescape(["html.j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["script_json"] = _script_json
    return environment.get_template(name)


def _script_json(value: Any) -> Markup:
    """JSON that may stand in a <script>: no character in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _script(code: str) -> Markup:
    """JavaScript that may stand in a <script>: the letters that steer HTML's parser, escaped.

    They stand in strings and regular expressions only, where \\x3c is the same character.
    """
    code = re.sub(r"^//# sourceMappingURL=.*$", "", code, flags=re.MULTILINE)
    return Markup(re.sub(r"<(?=!--|/?script)", r"\\x3c", code, flags=re.IGNORECASE))


def style_sheet() -> Markup:
    """The style of decks and of the page that lists them."""
    return _text("theme.css")


def _text(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))


def _reveal(name: str) -> Markup:
    return Markup((_package("sphinx_revealjs") / "_static/revealjs" / name).read_text("utf-8"))


def _plotly() -> str:
    return (_package("plotly") / "package_data/plotly.min.js").read_text("utf-8")


def _package(name: str) -> Path:
    """An installed package's folder, found without importing the package."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SlideError(f"slides need the package {name}, which is not installed. Run make setup.")
    return Path(spec.submodule_search_locations[0])
