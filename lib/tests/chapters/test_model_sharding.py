"""What chapter 09 draws, and what it counts for it."""

import numpy as np
import pytest

from mixlab.chapters.kit import theme
from mixlab.chapters.model_sharding import figures
from mixlab.chapters.model_sharding.traces import device_memory
from mixlab.transformer.config import TransformerConfig


def test_memory_stacks_three_parts_and_says_their_sum():
    shown = figures.memory(
        {"one": (1.0, 2.0, 3.25), "two": (1.0, 0.0, 0.0)}, 5.0, "full", "A claim"
    )
    assert [list(bar.x) for bar in shown.data[:3]] == [[1.0, 1.0], [2.0, 0.0], [3.25, 0.0]]
    assert [text.strip() for text in shown.data[3].text] == ["6.2", "1.0"]
    assert [note.text for note in shown.layout.annotations] == ["full"]


@pytest.mark.parametrize("cut", ["layers", "tensors", "experts"])
def test_a_device_s_parts_are_counted_from_the_plan(cut):
    config = TransformerConfig.mixtral_8x7b()
    own, copies, cache = device_memory(config, cut, 4, texts=8, seq=32_768)
    assert cache == 8.0
    stored = 4 * own + 4 * copies - 3 * copies  # each device's own part, and one of the copies
    assert stored == pytest.approx(2 * config.n_parameters / 2**30, rel=0.01)


def test_ranks_without_layers_are_bars_and_the_others_points():
    bars, points = figures.empty_ranks([0, 0, 2, 0, 1], "A claim").data
    assert list(bars.y) == [0, 0, 2, 0, 1]
    assert list(points.x) == [1, 2, 4]


def test_choices_that_the_model_does_not_read_are_marked():
    shown = figures.choices([["a", "b"], ["a", "c"]], "A claim")
    assert np.array(shown.data[0].z).tolist() == [[2, 2], [0, 1]]
    assert [note.text for note in shown.layout.annotations] == ["a", "b", "a", "c"]


def test_a_ring_s_cells_say_how_many_summands_they_hold():
    held = {"before": np.ones((2, 2), int), "after": np.array([[2, 1], [1, 2]])}
    shown = figures.ring(held, "A claim")
    assert [np.array(panel.z).tolist() for panel in shown.data] == [[[0, 0]] * 2, [[1, 0], [0, 1]]]
    assert [note.text for note in shown.layout.annotations][2:] == list("11112112")


def test_what_stays_at_home_recedes():
    shown = figures.travels(np.array([[1, 2], [3, 1000]]), "A claim")
    assert np.array(shown.data[0].z).tolist() == [[0, 1], [1, 0]]
    assert shown.data[0].colorscale[0][1] == theme.GONE
    assert [note.text for note in shown.layout.annotations] == ["1", "2", "3", "1,000"]
