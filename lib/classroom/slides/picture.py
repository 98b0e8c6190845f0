"""A still picture of a slide's figure, for pages that can't show the figure itself."""

from pathlib import Path
from typing import TYPE_CHECKING

from classroom.browser import open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def take_picture(
    deck: Path,
    slide: int,
    out: Path,
    step: int = 0,
    width: int = 1280,
    browser: "Browser | None" = None,
) -> Path:
    """Save what a slide's figure shows after `step` steps, with its title, as PNG.

    Args:
        deck: a file that `build_deck` wrote.
        slide: its number in the deck, from 1.
        out: the PNG to write; its folder is made.
        step: how often to press the full stop, which moves an animation on by one.
        width: of the slide, in pixels; the picture has twice as many.
        browser: from `open_browser`; one of its own by default.

    Raises:
        ValueError: if there is no browser, no such slide, or no figure on it.
    """
    if browser is None:
        with open_browser() as opened:
            return take_picture(deck, slide, out, step, width, opened)
    size = {"width": width, "height": width * 9 // 16}
    context = browser.new_context(
        viewport=size,
        device_scale_factor=2,
        color_scheme="light",
        reduced_motion="reduce",
        offline=True,
    )
    try:
        page = context.new_page()
        page.goto(deck.resolve().as_uri())
        total = page.evaluate("Reveal.getTotalSlides()")
        if not 1 <= slide <= total:
            raise ValueError(f"{deck.name} has slides 1 to {total}: got {slide}")
        page.evaluate("number => deck.visit(number)", slide - 1)
        shown = page.locator("section.present .slide")
        if not shown.locator(".figure, .piece").count():
            raise ValueError(f"slide {slide} of {deck.name} has no figure; slides count from 1")
        if step and shown.locator(".piece").count():
            for _ in range(step):
                page.keyboard.press(".")
        elif step:
            figure = "document.querySelector('section.present .figure').figure"
            page.evaluate(f"{figure}.step(0, {figure}.active(0) + {step})")
        out.parent.mkdir(parents=True, exist_ok=True)
        shown.screenshot(path=out)
    finally:
        context.close()
    return out
