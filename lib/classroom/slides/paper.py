"""A deck on paper: a PDF with a slide a page, figures as they rest."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def print_deck(deck: Path, browser: "Browser") -> Path:
    """Write a deck's PDF beside it, in the light theme, every figure drawn."""
    context = browser.new_context(color_scheme="light", reduced_motion="reduce", offline=True)
    page = context.new_page()
    page.goto(f"{deck.resolve().as_uri()}?print-pdf")
    page.locator("html[data-printable]").wait_for(state="attached", timeout=120_000)
    out = deck.with_suffix(".pdf")
    page.pdf(path=out, prefer_css_page_size=True, print_background=True)
    context.close()
    return out
