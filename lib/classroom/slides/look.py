"""Look at a deck as a class would: every slide, at two sizes, in Chromium, with no network.

Each finding is a Problem with the slide it is on: a message in the console, a request that leaves
the file, a figure that was not drawn, text that is cut, too small or too faint, a picture without
alternative text. Playwright drives a browser that is already on the machine; none is downloaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from classroom.browser import open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Request

SIZES = ((1280, 720), (1920, 1080))
Walk = tuple[tuple[int, int], str]  # width and height, theme
WALKS: tuple[Walk, ...] = ((SIZES[0], "light"), (SIZES[1], "light"), (SIZES[0], "dark"))
LOCAL = ("file:", "data:", "blob:", "about:")


@dataclass(frozen=True, order=True)
class Problem:
    """Something a viewer would stumble over. `slide` counts from 1; 0 means the deck as a whole."""

    slide: int
    kind: str
    detail: str
    size: str = ""

    def __str__(self) -> str:
        place = f"slide {self.slide}" if self.slide else "deck"
        return f"{place}{f' at {self.size}' if self.size else ''}: {self.kind}: {self.detail}"


def check_deck(
    path: Path, browser: "Browser | None" = None, walks: Sequence[Walk] = WALKS
) -> list[Problem]:
    """Everything wrong with the deck in `path`; an empty list is a deck to be given.

    Visits all slides once a walk: at 1280 × 720 and 1920 × 1080 in the light theme, and once in the
    dark one.
    """
    if browser is None:
        with open_browser() as opened:
            return check_deck(path, opened, walks)
    found: set[Problem] = set()
    slide, size = 0, ""

    def note(kind: str, detail: str) -> None:
        found.add(Problem(slide, kind, " ".join(detail.split())[:200], size))

    def on_console(message: "ConsoleMessage") -> None:
        if message.type == "error":
            note("console error", message.text)

    def on_request(request: "Request") -> None:
        if not request.url.startswith(LOCAL):
            note("request", request.url)

    context = browser.new_context(color_scheme="light", offline=True)
    try:
        page = context.new_page()
        page.on("console", on_console)
        page.on("pageerror", lambda error: note("page error", str(error)))
        page.on("request", on_request)
        page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
        page.goto(path.resolve().as_uri())
        if not page.evaluate("Boolean(window.deck && window.Reveal && Reveal.isReady())"):
            note("not a deck", "reveal.js did not start")
            return sorted(found)
        look = (Path(__file__).parent / "check.js").read_text(encoding="utf-8")
        for (width, height), theme in walks:
            size = f"{width}×{height}" + (", dark" if theme == "dark" else "")
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=theme)
            for number in range(page.evaluate("Reveal.getTotalSlides()")):
                slide = number + 1
                page.evaluate("number => deck.visit(number)", number)
                for kind, detail in page.evaluate(look):
                    note(kind, detail)
    finally:
        context.close()
    return sorted(found)
