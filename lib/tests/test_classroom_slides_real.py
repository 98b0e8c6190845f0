"""The course's own decks: each chapter's lesson run, rendered, and looked at in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from classroom.layout import sources
from classroom.slides import check_deck, find_browser, open_browser
from classroom.slides.build import build_deck

pytest.importorskip("playwright", reason="looking at slides needs the test extra: make setup")
ROOT = Path(__file__).parents[2]
CHAPTERS = [path.stem for path in sources(ROOT)]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium or Chrome on the path"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """A folder for the decks."""
    return tmp_path_factory.mktemp("slides")


@pytest.mark.parametrize(
    "chapter", CHAPTERS or [pytest.param("", marks=pytest.mark.skip(reason="no chapters yet"))]
)
def test_a_class_can_be_given_this_deck(chapter, browser, out):
    deck = build_deck(ROOT, ROOT / "course" / "source" / f"{chapter}.py", out)
    assert deck.stat().st_size < 6.5e6
    assert [str(problem) for problem in check_deck(deck, browser)] == []
