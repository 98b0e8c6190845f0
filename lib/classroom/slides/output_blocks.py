"""A code cell for a slide: its source, and what it gave, as blocks to be laid out.

Of the forms that an output comes in, the one that shows most is taken: a piece of the stage or a
Plotly figure before a picture before HTML before plain text. What a kernel writes to stderr is not
for a class to see.
"""

import json
import re
from dataclasses import dataclass, field
from html import escape
from typing import Any

from classroom.slides.markdown import (
    Pictures,
    data_url,
    highlight_code,
    link,
    render_markdown,
    words,
)
from classroom.slides.sanitise import sanitise

PLOTLY = "application/vnd.plotly.v1+json"
PIECE = "application/vnd.classroom.piece+json"  # the HTML beside it moves by its own module
PICTURES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
WIDGET = "application/vnd.jupyter.widget-view+json"
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass
class Block:
    """A part of a slide.

    `kind`: text, code, output, picture, figure (of Plotly) or piece (of the stage).
    """

    kind: str
    html: str = ""
    lines: int = 0
    columns: int = 0
    words: int = 0
    fragment: bool = False
    alt: str = ""
    title: str = ""
    subtitle: str = ""
    figure: dict[str, Any] = field(default_factory=dict)
    sliders: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0

    @property
    def visual(self) -> bool:
        return self.kind in ("picture", "figure", "piece")

    @property
    def plays(self) -> bool:
        """Whether the keys for playing and stepping do something."""
        return self.kind == "piece" or bool(self.sliders)


def code_blocks(cell: Any, pictures: Pictures) -> list[Block]:
    """A code cell's blocks, as its metadata classroom.show asks: both, output or code."""
    facts = cell.metadata.get("classroom", {})
    show = facts.get("show", "both")
    if facts.get("widget"):
        return []
    blocks = []
    if show != "output" and cell.source.strip():
        blocks.append(
            _pre("code", cell.source.strip("\n"), highlight_code(cell.source.strip("\n")))
        )
    if show != "code":
        blocks += _outputs(cell.outputs, facts.get("alt", ""), pictures)
    return blocks


def _outputs(outputs: list[Any], alt: str, pictures: Pictures) -> list[Block]:
    blocks: list[Block] = []
    stream = ""
    for output in [*outputs, None]:
        if output is not None and output.output_type == "stream":
            stream += output.text if output.name == "stdout" else ""
            continue
        if stream.strip():
            blocks.append(_plain(stream))
        stream = ""
        if output is None:
            break
        if output.output_type == "error":
            message = f"{output.ename}: {output.evalue}" if output.evalue else output.ename
            blocks.append(_pre("output error", ANSI.sub("", message)))
        else:
            blocks += _displayed(output.data, alt, pictures)
    return blocks


def _displayed(data: dict[str, Any], alt: str, pictures: Pictures) -> list[Block]:
    """The richest form of one displayed result."""
    if PIECE in data:  # the lesson's own script, as it is
        return [
            Block("piece", _join(data["text/html"]), alt=alt, title=escape(data[PIECE]["title"]))
        ]
    if PLOTLY in data:
        return [figure_block(data[PLOTLY], alt)]
    for kind in PICTURES:
        if kind in data:
            address = escape(data_url(kind, _join(data[kind])))
            spoken = f' alt="{escape(alt)}"' if alt else ""
            return [Block("picture", f'<img src="{address}"{spoken}>', alt=alt)]
    if WIDGET in data:
        return []
    if "text/html" in data:
        html = sanitise(_join(data["text/html"]), pictures, link)
        if html.strip():
            return [Block("output", f'<div class="html">{html}</div>', words=words(html))]
    for kind in ("text/markdown", "text/latex"):
        if kind in data:
            html = render_markdown(_join(data[kind]), pictures).body
            return [Block("output", f'<div class="html">{html}</div>', words=words(html))]
    return [_plain(_join(data["text/plain"]))] if "text/plain" in data else []


def figure_block(spec: dict[str, Any], alt: str) -> Block:
    """An interactive figure, its title taken out to be set in the slide's type."""
    parts = {key: spec.get(key) for key in ("data", "layout", "frames")}
    figure = json.loads(json.dumps(parts, allow_nan=False))
    layout = figure["layout"] = figure["layout"] or {}
    figure["data"], figure["frames"] = figure["data"] or [], figure["frames"] or []
    _refuse_formulas(layout)
    block = Block("figure", alt=alt, figure=figure)
    _take_title(block)
    block.sliders = [_slider(slider) for slider in layout.get("sliders") or []]
    if not block.sliders and figure["frames"]:
        names = [str(frame.get("name", n)) for n, frame in enumerate(figure["frames"], 1)]
        block.sliders = [{"name": "frame", "steps": len(names), "active": 0}]
    return block


def _take_title(block: Block) -> None:
    """Move the figure's title to the block: the first line as title, what follows as subtitle.

    Where frames change the title, only lines that all of them share leave the figure.
    """
    layout = block.figure["layout"]
    owners = [layout, *(frame.get("layout") or {} for frame in block.figure["frames"])]
    owners = [owner for owner in owners if owner.get("title")]
    for owner in owners:
        if not isinstance(owner["title"], dict):
            owner["title"] = {"text": owner["title"]}
    steps = json.dumps([layout.get("sliders"), layout.get("updatemenus")])
    if not layout.get("title") or re.search(r'"title(\.text)?":', steps):
        return
    texts = [re.sub(r"<br\s*/?>", "\n", owner["title"].get("text") or "") for owner in owners]
    first = {text.partition("\n")[0] for text in texts}
    if len(first) > 1 or not texts[0]:
        return
    block.title = _inline(first.pop())
    rest = [" ".join(text.split("\n")[1:]) for text in texts]
    if len(owners) == 1:
        subtitle = (layout.pop("title").get("subtitle") or {}).get("text") or ""
        block.subtitle = _inline(f"{rest[0]} {subtitle}")
        return
    for owner, text in zip(owners, rest, strict=True):
        small = re.fullmatch(r"<(sup|sub)>(.*)</\1>", text.strip())
        owner["title"]["text"] = small[2] if small else text.strip()


def _slider(slider: dict[str, Any]) -> dict[str, Any]:
    prefix = (slider.get("currentvalue") or {}).get("prefix") or "step"
    name = re.sub(r"<[^>]+>", "", prefix).strip(" =:") or "step"
    return {
        "name": name,
        "steps": len(slider.get("steps") or []),
        "active": slider.get("active") or 0,
    }


def _inline(text: str) -> str:
    """Plotly's own small HTML (b, i, sub, sup, …) as the page's."""
    return sanitise(text.strip(), _no_picture, lambda _: None)


def _no_picture(address: str) -> str:
    raise ValueError(f"a figure's title holds a picture, {address[:60]}. Take it out.")


def _refuse_formulas(part: Any) -> None:
    """Plotly sets $…$ with MathJax, which a deck does not carry."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("text", "title") and isinstance(value, str) and re.search(r"\$.+\$", value):
                raise ValueError(
                    f"a figure's text {value!r} is a formula, which Plotly would load MathJax "
                    "for. Write it with <i>, <sub> and Unicode letters."
                )
            _refuse_formulas(value)
    elif isinstance(part, list):
        for value in part:
            _refuse_formulas(value)


def _plain(text: str) -> Block:
    """Text as a terminal would leave it: no colours, and only the last state of a line."""
    lines = [
        line.rstrip("\r").rsplit("\r", 1)[-1] for line in ANSI.sub("", text).rstrip().split("\n")
    ]
    return _pre("output", "\n".join(lines))


def _pre(kind: str, text: str, html: str | None = None) -> Block:
    """Lines in fixed type; `html` is the same text highlighted."""
    lines = text.split("\n")
    inner = escape(text, quote=False) if html is None else html
    return Block(
        kind.split()[0],
        f'<pre class="{kind}"><code>{inner}</code></pre>',
        lines=len(lines),
        columns=max(map(len, lines)),
    )


def _join(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)
