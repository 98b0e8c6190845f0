"""What every piece of the stage keeps to, on a phone, on a laptop and on a wall."""

import re
from pathlib import Path

import anywidget
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from classroom.slides import render
from classroom.slides.picture import take_film
from mixlab.chapters.stage import host
from mixlab.chapters.stage.host import piece
from tests.chapters.stage_page import AS_WIDGET, finish, said

pytestmark = pytest.mark.browser
FILES = Path(host.__file__).parent
PIECES = sorted(path.stem for path in FILES.glob("*.css") if path.stem != "stage")
every_piece = pytest.mark.parametrize("name", PIECES)
SIZES = [(390, 844), (1280, 720), (1920, 1080)]
FOCUSABLE = ".stage :is([tabindex], button, input, textarea)"


def places(page, selector: str) -> list[dict]:
    """Left, right, top and bottom of what is shown, and its text."""
    return page.evaluate(
        "(selector) => [...document.querySelectorAll(selector)].map((node) => {"
        "  const { left, right, top, bottom, width } = node.getBoundingClientRect();"
        "  return { left, right, top, bottom, width, text: node.textContent.slice(0, 30) };"
        "}).filter(({ width }) => width)",
        selector,
    )


@every_piece
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_it_fits(open_piece, name, size):
    page = open_piece(piece(name, "A claim"), *size)
    width, height = size
    for box in places(page, ".stage :is(text, button, input, textarea, p)"):
        assert min(box["left"], box["top"]) >= 0, box
        assert box["right"] <= width, box
        assert box["bottom"] <= height, box


@every_piece
def test_its_letters_can_be_read(open_piece, name):
    """Not on a phone, where a word in a narrow cell may be smaller."""
    page = open_piece(piece(name, "A claim"))
    sizes = page.evaluate(
        "[...document.querySelectorAll('.stage svg text')].filter((node) =>"
        " node.getBoundingClientRect().width && getComputedStyle(node).opacity > 0.5)"
        ".map((node) => [parseFloat(getComputedStyle(node).fontSize) * node.getScreenCTM().d,"
        " node.textContent])"
    )
    assert [text for size, text in sizes if size < 13] == []


@every_piece
def test_keys_reach_everything_and_jupyterlab_does_not_take_them(open_piece, name):
    page = open_piece(piece(name, "A claim"))
    assert page.evaluate(
        f"[...document.querySelectorAll('{FOCUSABLE}')].every((node) =>"
        " node.hasAttribute('data-lm-suppress-shortcuts') && node.tabIndex === 0)"
    )
    names = page.evaluate(
        f"[...document.querySelectorAll('{FOCUSABLE}')].filter((node) =>"
        " node.getBoundingClientRect().width)"
        ".map((node) => node.getAttribute('aria-label') ?? node.textContent)"
    )
    assert all(name.strip() for name in names)


@every_piece
def test_a_step_changes_the_sentence_and_back_restores_it(open_piece, name):
    page = open_piece(piece(name, "A claim"))
    rest = said(page)
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press(",")
    assert said(page) != rest
    page.keyboard.press(".")
    assert said(page) == rest


@every_piece
def test_moving_ends_where_jumping_does(open_piece, name):
    moving = open_piece(piece(name, "A claim"), motion="no-preference")
    calm = open_piece(piece(name, "A claim"))
    drawing = "document.querySelector('.stage > svg').outerHTML"
    for page in (moving, calm):
        page.locator(".stage-bar button").first.focus()
        for key in ",,.,..,":
            page.keyboard.press(key)
        page.wait_for_timeout(100)
        finish(page)

    def rounded(page) -> str:
        return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.2f}", page.evaluate(drawing))

    assert rounded(moving) == rounded(calm)


@every_piece
def test_its_state_has_no_name_that_a_widget_needs(open_piece, name):
    page = open_piece(piece(name, "A claim"))
    page.evaluate(AS_WIDGET, host.module(name))
    asked = set(page.evaluate("[...asked]"))
    assert "step" in asked
    assert not asked & set(dir(anywidget.AnyWidget))


def test_a_film_shows_a_piece_from_its_first_step_to_its_last(browser, tmp_path):
    shown = piece("ring", "A claim", text="a b c", window=2)._repr_mimebundle_()
    facts = {"slideshow": {"slide_type": "slide"}, "classroom": {"alt": "A ring of two slots."}}
    cell = new_code_cell("", outputs=[new_output("display_data", data=shown)], metadata=facts)
    deck = tmp_path / "deck.html"
    deck.write_text(render(new_notebook(cells=[cell])), encoding="utf-8")
    with Image.open(take_film(deck, 1, tmp_path / "ring.gif", "x", 640, browser)) as film:
        assert film.n_frames > 3 * 5  # three moves: two words, and the cut
        first = film.convert("RGB").tobytes()
        film.seek(film.n_frames - 1)
        assert film.convert("RGB").tobytes() != first
