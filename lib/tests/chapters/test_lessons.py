"""The course's own lessons: each runs once, prints what its notebook keeps, and makes a deck.

`make test-all` asks nbval too.
"""

import os
import resource
from functools import cache
from pathlib import Path

import pytest

from classroom.build import BUDGET_SECONDS
from classroom.drift import run_differences
from classroom.layout import find_root, notebook_path, sources
from classroom.outputs import PLOTLY
from classroom.slides import WALKS, check_deck
from classroom.slides.decks import run_lesson, write_deck
from tests.contrast import pale_words
from tests.thorough import some

ROOT = find_root(Path(__file__).parent)
SOURCES = {path.stem: path for path in sources(ROOT)}
# Seconds of the processor, which other work on the machine lengthens least; a lesson alone takes
# about as many by the clock. Half as long again for slower machines.
PATIENCE = 1.5
# Plotly is 4.8 MB of a deck. Where the small Mixtral runs in the page, its float16 weights come
# along in base64. In 8 bits they would be half of that, and one choice in 130 not the notebook's.
DECK_BYTES, MODEL_BYTES = 6.5e6, 8.1e6
CARRY_THE_MODEL = ("07_sparse_moe", "08_router_decisions")


@cache
def ran(stem: str):
    """A lesson after its run, and the seconds of the processor that its kernel took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lesson = run_lesson(ROOT, SOURCES[stem])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return lesson, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
@pytest.mark.parametrize("stem", SOURCES)
def test_a_lesson_prints_what_its_notebook_keeps_in_its_time(stem):
    lesson, seconds = ran(stem)
    assert run_differences(notebook_path(ROOT, "lesson", stem), lesson) == []
    assert seconds < PATIENCE * BUDGET_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("stem", SOURCES)
def test_words_in_a_lesson_s_figures_can_be_read_on_white_paper(stem):
    """A deck looks after its own paper; a notebook draws what it is given."""
    outputs = [out for cell in ran(stem)[0].cells for out in cell.get("outputs", [])]
    drawn = [out["data"][PLOTLY] for out in outputs if PLOTLY in out.get("data", {})]
    assert [words for figure in drawn for words in pale_words(figure)] == []


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("stem", SOURCES)
def test_a_class_can_be_given_its_deck(stem, browser, tmp_path):
    out = Path(os.environ.get("MIXLAB_DECKS", tmp_path))  # `make chapter` keeps it
    deck = write_deck(ROOT, SOURCES[stem], ran(stem)[0], out)
    assert deck.stat().st_size < DECK_BYTES + MODEL_BYTES * (stem in CARRY_THE_MODEL)
    walks = some(WALKS, 1)  # the others find little that the first doesn't
    assert [str(problem) for problem in check_deck(deck, browser, walks)] == []
