"""The figures of chapter 04 show what the traces say: what is kept, seen, hidden, blank."""

import re

import numpy as np
import pytest

from mixlab.chapters.rolling_cache import figures, slot_order
from mixlab.traces.rolling_cache import trace_prefill, trace_ways

WORDS = "The cat sat on the mat and saw the dog go to".split()


def plain(texts) -> list[str]:
    """What a row of boxes says, without its colours."""
    return [re.sub(r"<[^>]+>", "", text) for text in texts]


def test_three_ways_of_writing():
    ways = trace_ways(6, window=4)
    shown = figures.three_ways(WORDS[:6], ways, "A claim")
    said = plain(shown.frames[-1].data[1].text)
    assert said == ["21 computed, 0 held", "6 computed, 6 held", "6 computed, 4 held"]
    last = np.array(shown.frames[-1].data[0].z)
    assert last.tolist() == [[3] * 6, [2] * 5 + [3], [1, 1, 2, 2, 2, 3]]
    first = np.array(shown.frames[0].data[0].z)
    assert first.tolist() == [[3, 0, 0, 0, 0, 0]] * 3


def test_masks_over_keys_in_two_orders():
    mask = np.array([[True, False]])
    laid = {"lying": mask, "in order": mask}
    needed = {"lying": ~mask, "in order": mask}
    names = {"lying": ["b", "a"], "in order": ["a", "b"]}
    shown = slot_order.chunk_order(names, laid, needed, ["a"], "A claim")
    wrong, right = shown.data[:2]
    assert wrong.customdata == (["seen, though not in the window", "hidden, though in the window"],)
    assert right.customdata == (["seen", "hidden"],)
    assert wrong.text == (["✗ seen", "✗ hidden"],)
    assert right.text == (["", ""],)
    said = [note.text for note in shown.layout.annotations]
    assert said == [
        "<b>lying</b><br>2 cells are wrong",
        "<b>in order</b><br>every cell is right",
    ]


def test_prefill_fills_the_band_chunk_by_chunk():
    chunks = trace_prefill(12, window=4, chunk_size=4)
    shown = slot_order.prefill(chunks, WORDS, "A claim")
    for n, frame in enumerate(shown.frames, start=1):
        z = frame.data[0].z
        assert all(row[0] is None for row in z[4 * n :])
        assert all(row[0] is not None for row in z[: 4 * n])
    last = np.array(shown.data[0].z)
    distance = np.subtract.outer(np.arange(12), np.arange(12))
    assert ((last > 0) == ((distance >= 0) & (distance < 4))).all()
    assert (last[8:] == 1).sum() == 6  # seen in the cache by the third chunk
    assert list(shown.frames[0].data[1].x) == [None] * 5  # the first chunk has no cache yet
    assert list(shown.frames[2].data[1].x[:2]) == [4.5, 7.5]  # W - 1 of its four keys


def test_memory_says_what_each_line_comes_to():
    shown = figures.memory(
        [0.0, 4.0, 8.0],
        {"all": [0.0, 4.0, 8.0], "ring": [0.0, 4.0, 4.0]},
        title="A claim",
        x_title="tokens",
        y_title="GiB",
        window=4,
        ends=["8 GiB", "4 GiB"],
    )
    said = {note.text: note.y for note in shown.layout.annotations}
    assert said["<b>8 GiB</b><br>all"] == 8
    assert said["<b>4 GiB</b><br>ring"] == 4
    assert "W = 4" in said


@pytest.mark.parametrize("window", [1, 2, 4, 9])
def test_all_three_ways_compute_every_token_and_the_ring_forgets(window):
    ways = trace_ways(7, window)
    everything, kept, ring = ways.states
    assert ways.computed[everything].tolist() == [1, 3, 6, 10, 15, 21, 28]
    assert ways.computed[kept].tolist() == ways.computed[ring].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert ways.held[everything].tolist() == [0] * 7
    assert ways.held[kept].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert ways.held[ring].tolist() == [min(n, window) for n in range(1, 8)]
