"""A still picture of each figure, kept in a lesson's notebook for readers without a kernel.

A code host, or a notebook that hasn't run yet, shows it where the live figure will stand. It is
drawn in a browser from what the run gave, and carries a fingerprint of that, so that a build draws
anew only what has changed. Where there is no browser, a notebook keeps what it has.
"""

import base64
import hashlib
import io
import json
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image, ImageChops, ImageOps
from plotly.offline import get_plotlyjs

from classroom.browser import missing, open_browser
from classroom.outputs import PIECE, PLOTLY, STILL

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTH, SHARPNESS = 840, 1.5  # pixels, about a notebook's column; and pixels drawn for each
COLORS = 64  # a chart has few, and takes a third of the bytes
MARGIN = 10  # pixels of paper left around what is drawn
KINDS = {PIECE: "piece", PLOTLY: "plot", "image/png": "picture"}
PAGE = """<!doctype html><meta charset="utf-8"><style>
:root { font: 16px system-ui, sans-serif } body { margin: 0; background: white }
.stage .stage-bar { display: none }</style>"""
DRAW = """async ([figure, width]) => {
  const place = document.body.appendChild(document.createElement("div"));
  const layout = { ...figure.layout, width, autosize: false };
  delete layout.sliders; delete layout.updatemenus; // nothing can be pressed
  await Plotly.newPlot(place, { data: figure.data, layout, config: { staticPlot: true } });
}"""


def draws_figures(cell: NotebookNode) -> bool:
    """Whether a lesson's cell shows a figure."""
    return bool(cell.metadata.get("classroom", {}).get("alt"))


def cells_without_still(lesson: NotebookNode) -> list[NotebookNode]:
    """Cells that show a figure, of which a lesson keeps no picture."""
    if lesson.metadata["classroom"]["kind"] != "lesson":
        return []
    return [cell for cell in lesson.cells if draws_figures(cell) and not cell.outputs]


def stills_of(lesson: NotebookNode, before: NotebookNode | None) -> dict[str, list[NotebookNode]]:
    """Outputs that show the figures of a lesson that has run, by its cells' ids.

    Args:
        lesson: with all outputs of the run.
        before: as it stands; a still of the same figure is taken over from there.
    """
    stills = _kept(before)
    cells = list(filter(draws_figures, lesson.cells))
    figures = {_mark(*figure): (cell, figure) for cell in cells for figure in _figures(cell)}
    undrawn = figures.keys() - stills.keys()
    if undrawn and not missing():
        with open_browser() as browser:
            page = _page(browser)
            for mark in undrawn:
                cell, figure = figures[mark]
                picture = _smaller(_drawn(page, *figure))
                stills[mark] = _output(picture, mark, cell.metadata.classroom.alt)
    return {
        cell.id: [stills[mark] for figure in _figures(cell) if (mark := _mark(*figure)) in stills]
        for cell in cells
    }


def _kept(notebook: NotebookNode | None) -> dict[str, NotebookNode]:
    """A notebook's stills, by the marks that they carry."""
    cells = notebook.cells if notebook else []
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return {out.metadata[STILL]: out for out in outputs if STILL in out.get("metadata", {})}


def _page(browser: "Browser") -> "Page":
    context = browser.new_context(
        viewport={"width": WIDTH, "height": 900},
        device_scale_factor=SHARPNESS,
        color_scheme="light",
        reduced_motion="reduce",
        offline=True,
    )
    return context.new_page()


def _figures(cell: NotebookNode) -> Iterator[tuple[str, object]]:
    """The form and the content of each figure that a cell gave."""
    for output in cell.outputs:
        data = output.get("data", {})
        if PIECE in data:
            yield PIECE, data["text/html"]
        elif PLOTLY in data:
            yield PLOTLY, data[PLOTLY]
        elif "image/png" in data:
            yield "image/png", data["image/png"]


def _mark(form: str, content: object) -> str:
    """A figure's kind and fingerprint."""
    fingerprint = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{KINDS[form]}-{fingerprint[:16]}"


def _drawn(page: "Page", form: str, content) -> bytes:
    """A figure as PNG."""
    if form == "image/png":
        return base64.b64decode(content)
    if form == PIECE:
        page.set_content(f"{PAGE}{content}")
        page.wait_for_selector(".stage-said:not(:empty)")
    else:
        page.set_content(f"{PAGE}<script>{get_plotlyjs()}</script>")
        page.evaluate(DRAW, [content, WIDTH])
    return page.screenshot(full_page=True)


def _smaller(picture: bytes) -> bytes:
    """The same picture without the paper around it, in few colours."""
    image = ImageOps.expand(Image.open(io.BytesIO(picture)).convert("RGB"), MARGIN, "white")
    paper = Image.new("RGB", image.size, "white")
    left, top, right, bottom = ImageChops.difference(image, paper).getbbox() or (0, 0, *image.size)
    box = (left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN)
    out = io.BytesIO()
    image.crop(box).quantize(COLORS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _output(picture: bytes, mark: str, alt: str) -> NotebookNode:
    data = {"image/png": base64.b64encode(picture).decode(), "text/plain": alt}
    width = struct.unpack_from("!I", picture, 16)[0]  # as the PNG's head says
    size = {"image/png": {"width": round(width / SHARPNESS)}}
    return new_output("display_data", data=data, metadata={STILL: mark, **size})
