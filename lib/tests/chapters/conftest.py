"""Pieces of the stage as a page shows them: in Chromium, from a file, with no network."""

from collections.abc import Callable, Iterator

import pytest

from mixlab.chapters.stage.host import Piece


@pytest.fixture
def open_piece(browser, tmp_path) -> Iterator[Callable]:
    """Opens a piece's page in a window of its own; nothing may fail there or leave the file."""
    contexts, wrong = [], []

    def open_page(
        piece: Piece, width=1280, height=720, theme="light", motion="reduce", touch=False
    ):
        path = tmp_path / f"{piece.name}.html"
        path.write_text(piece.page(), encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            reduced_motion=motion,
            has_touch=touch,
            offline=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: wrong.append(r.url) if r.url.startswith("http") else None)
        page.goto(path.as_uri())
        page.wait_for_selector(".stage-said:not(:empty)")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
