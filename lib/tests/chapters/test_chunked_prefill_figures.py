"""What chapter 05 draws and counts: masks, costs, and a fault put into a function."""

import numpy as np
import pytest
import torch

from mixlab.chapters.chunked_prefill import figures
from mixlab.chapters.chunked_prefill.faults import with_fault
from mixlab.chapters.chunked_prefill.figures import CACHED, HIDDEN, OWN, UNUSED, Grid
from mixlab.traces.memory import peak_bytes
from mixlab.traces.rolling_cache import trace_prefill

WORDS = "Can you tell me who is the richest man in history".split()


def plus_one(x):
    return x + 1


def test_a_chunk_s_grid_is_what_its_queries_saw():
    last = trace_prefill(11, window=4, chunk_size=4)[-1]
    grid = figures.chunk_grid(last, WORDS, "chunk 3")
    assert grid.columns == WORDS[4:]
    assert grid.rows == WORDS[8:]
    assert grid.cells.tolist() == [
        [HIDDEN, CACHED, CACHED, CACHED, OWN, HIDDEN, HIDDEN],
        [HIDDEN, HIDDEN, CACHED, CACHED, OWN, OWN, HIDDEN],
        [HIDDEN, HIDDEN, HIDDEN, CACHED, OWN, OWN, OWN],
    ]
    assert (grid.title, grid.below) == ("<b>chunk 3</b>: 3 × 7", "12 pairs")


def test_grids_stand_side_by_side_and_name_the_colours_in_use():
    panels = [Grid(np.array([[OWN, UNUSED]]), "one"), Grid(np.array([[OWN]]), "two")]
    shown = figures.grids(panels, "A claim", left=1, gap=2)
    left, right = (trace for trace in shown.data if trace.type == "heatmap")
    assert right.x[0] - left.x[-1] > 1
    named = [trace.name for trace in shown.data if trace.type == "scatter"]
    assert named == ["seen in the chunk", "computed and thrown away"]


def test_the_gallery_marks_what_was_found():
    rows = [["right", "wrong"], ["NaN", "right"]]
    cells = figures.gallery(["a", "b"], [1, 2], rows, "A claim").data[0]
    assert np.array(cells.z).tolist() == [[0, 1], [1, 0]]
    assert [list(row) for row in cells.text] == [["", "✗"], ["NaN", ""]]


def test_surprises_at_a_border_have_a_colour_of_their_own():
    shown = figures.surprises(["b", "c", "d"], [1.0, 2.0, 3.0], [False, True, False], "A claim")
    inside, border = shown.data
    assert (list(inside.x), list(inside.y)) == ([0, 2], [1.0, 3.0])
    assert (list(border.x), list(border.y)) == ([1], [2.0])


def test_a_fault_changes_one_line_and_leaves_the_function_as_it_was():
    assert with_fault(plus_one, "x + 1", "x + 2")(1) == 3
    assert plus_one(1) == 2
    with pytest.raises(ValueError, match="stands there 0 times"):
        with_fault(plus_one, "x + 3", "x")
    with pytest.raises(ValueError, match="stands there 2 times"):
        with_fault(plus_one, "x", "y")


def test_memory_is_counted_from_its_making_to_its_end():
    x = torch.zeros(100)

    def three_in_turn():
        for _ in range(3):
            y = x + 1  # the last one is let go when the next has been made
        return y

    assert peak_bytes(three_in_turn) == 800
    assert peak_bytes(lambda: x.add_(1)) == 0
    assert peak_bytes(lambda: (x + 1).view(10, 10).t()) == 400
