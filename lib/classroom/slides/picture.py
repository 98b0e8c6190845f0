"""Pictures of a slide's figure, for pages that can't show the figure itself: still, or moving."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from classroom.browser import open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

FRAMES_A_MOVE = 12
MOVES_LAST, REST = 55, 900  # milliseconds: a frame of a move, and the pause after it
COLORS = 64

# A piece's move hangs on one animation without keyframes: held at a moment, the picture stands.
HOLD = """async (part) => {
  const [clock] = document.querySelector("section.present .stage > svg").getAnimations();
  if (!clock) return false;
  clock.pause();
  clock.currentTime = part * clock.effect.getComputedTiming().duration;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return true;
}"""


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
    with _slide(deck, slide, width, sharpness=2, browser=browser) as (page, shown):
        if step and shown.locator(".piece").count():
            for _ in range(step):
                page.keyboard.press(".")
        elif step:
            figure = "document.querySelector('section.present .figure').figure"
            page.evaluate(f"{figure}.step(0, {figure}.active(0) + {step})")
        out.parent.mkdir(parents=True, exist_ok=True)
        shown.screenshot(path=out)
    return out


def take_film(
    deck: Path,
    slide: int,
    out: Path,
    keys: str = "",
    width: int = 800,
    browser: "Browser | None" = None,
) -> Path:
    """Save a piece of the stage as it plays from its first step to its last, as GIF.

    Args:
        deck: a file that `build_deck` wrote.
        slide: its number in the deck, from 1.
        out: the GIF to write; its folder is made.
        keys: of the piece, pressed at the end, each with the move that it makes.
        width: of the slide, in pixels; the film has half as many again.
        browser: from `open_browser`; one of its own by default.

    Raises:
        ValueError: if there is no browser, no such slide, or no piece on it.
    """
    settings = {"sharpness": 1.5, "motion": "no-preference", "browser": browser}
    with _slide(deck, slide, width, **settings) as (page, shown):
        if not shown.locator(".piece").count():
            raise ValueError(f"slide {slide} of {deck.name} has no piece that could move")
        page.add_style_tag(content=".stage .stage-bar { visibility: hidden }")
        images, times = zip(*_played(page, shown.locator(".piece"), keys), strict=True)
    frames = [Image.open(io.BytesIO(image)).convert("RGB") for image in images]
    palette = frames[-1].quantize(COLORS)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    out.parent.mkdir(parents=True, exist_ok=True)
    small[0].save(out, save_all=True, append_images=small[1:], duration=times, loop=0)
    return out


def _played(page: "Page", piece: "Locator", keys: str) -> Iterator[tuple[bytes, int]]:
    """The piece's pictures from its first step on, each with the milliseconds that it stands."""
    scrub = piece.locator("input[type=range]")
    scrub.evaluate("(node) => { node.value = 1; node.dispatchEvent(new Event('input')) }")
    page.evaluate(HOLD, 1)
    yield piece.screenshot(), REST
    for key in "." * (int(scrub.get_attribute("max")) - 1) + keys:
        page.keyboard.press(key)
        for number in range(1, FRAMES_A_MOVE + 1):
            page.evaluate(HOLD, number / (FRAMES_A_MOVE + 0.001))
            yield piece.screenshot(), MOVES_LAST
        yield piece.screenshot(), REST
    yield piece.screenshot(), 3 * REST


@contextmanager
def _slide(
    deck: Path,
    slide: int,
    width: int,
    sharpness: float,
    motion: str = "reduce",
    browser: "Browser | None" = None,
) -> Iterator[tuple["Page", "Locator"]]:
    """A deck's page at a slide that has a figure, and what is on the slide."""
    with nullcontext(browser) if browser else open_browser() as opened:
        context = opened.new_context(
            viewport={"width": width, "height": width * 9 // 16},
            device_scale_factor=sharpness,
            color_scheme="light",
            reduced_motion=motion,
            offline=True,
        )
        page = context.new_page()
        page.goto(deck.resolve().as_uri())
        total = page.evaluate("Reveal.getTotalSlides()")
        if not 1 <= slide <= total:
            raise ValueError(f"{deck.name} has slides 1 to {total}: got {slide}")
        page.evaluate("number => deck.visit(number)", slide - 1)
        shown = page.locator("section.present .slide")
        if not shown.locator(".figure, .piece").count():
            raise ValueError(f"slide {slide} of {deck.name} has no figure; slides count from 1")
        yield page, shown
        context.close()
