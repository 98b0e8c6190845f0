"""Pieces of the stage as a page shows them: in Chromium, from a file, with no network."""

from collections.abc import Callable, Iterator

import pytest

from mixlab.chapters.stage.host import Piece


class Windows:
    """Windows of a browser, kept from test to test: a new one takes a second of the processor."""

    def __init__(self, browser):
        self.browser, self.wrong = browser, []
        self.idle: dict[tuple, list] = {}
        self.lent: list[tuple] = []

    def lend(self, theme: str, motion: str, touch: bool):
        """A window that nobody else has in this test, its mouse in the corner."""
        kind = theme, motion, touch
        page = self.idle[kind].pop() if self.idle.get(kind) else self._new(*kind)
        self.lent.append((kind, page))
        page.mouse.move(0, 0)
        return page

    def take_back(self) -> list[str]:
        """End a test; what failed in it or left the file."""
        for kind, page in self.lent:
            page.goto("about:blank")
            self.idle.setdefault(kind, []).append(page)
        wrong, self.wrong, self.lent = self.wrong, [], []
        return wrong

    def _new(self, theme: str, motion: str, touch: bool):
        context = self.browser.new_context(
            color_scheme=theme, reduced_motion=motion, has_touch=touch, offline=True
        )
        page = context.new_page()
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda m: self.wrong.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: self.wrong.append(r.url) if r.url.startswith("http") else None)
        return page


@pytest.fixture(scope="module")
def windows(browser) -> Windows:
    """The windows of a module; they close with its browser."""
    return Windows(browser)


@pytest.fixture
def open_piece(windows, tmp_path) -> Iterator[Callable]:
    """Opens a piece's page in a window of its own; nothing may fail there or leave the file."""

    def open_page(
        piece: Piece, width=1280, height=720, theme="light", motion="reduce", touch=False
    ):
        path = tmp_path / f"{piece.name}.html"
        path.write_text(piece.page(), encoding="utf-8")
        page = windows.lend(theme, motion, touch)
        page.set_viewport_size({"width": width, "height": height})
        page.goto(path.as_uri())
        page.wait_for_selector(".stage-said:not(:empty)")
        return page

    yield open_page
    assert windows.take_back() == []
