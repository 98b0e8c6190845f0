"""Chapter 07's figures show the numbers they were given, in the right places."""

import numpy as np

from mixlab.chapters.sparse_moe import figures as sparse_moe


def test_bars_of_parameters_carry_their_totals():
    rows = {"a": (10**9, 0, 2 * 10**9), "b": (5 * 10**8, 0, 0)}
    shown = sparse_moe.parameters(rows, ("x", "y", "z"), "A claim")
    assert [(bar.name, tuple(bar.x)) for bar in shown.data[:3]] == [
        ("x", (1.0, 0.5)),
        ("y", (0.0, 0.0)),
        ("z", (2.0, 0.0)),
    ]
    assert [text.strip() for text in shown.data[-1].text] == ["3.0", "0.5"]


def test_shares_are_smoothed_and_favourites_lie_at_the_bottom():
    shares = np.tile([0.1, 0.6, 0.3], (40, 1))
    shown = sparse_moe.shares_over_time({"run": shares}, "A claim", smooth=10)
    assert [float(area.y[0]) for area in shown.data] == [0.6, 0.3, 0.1]
    assert list(shown.data[0].x) == [5, 15, 25, 35]


def test_loads_are_shown_by_layer_and_pooled():
    layers = np.array([[1.0, 0.0], [0.0, 1.0]])
    shown = sparse_moe.loads(layers, "A claim")
    assert shown.data[1].z.tolist() == [[0.5, 0.5]]
    assert list(shown.data[0].text[0]) == ["100%", ""]
