"""Chapter 07's figures show the numbers they were given, in the right places."""

import numpy as np
import pytest

from mixlab.chapters.sparse_moe import dispatch
from mixlab.chapters.sparse_moe import figures as sparse_moe

WORDS = ["The", "cat", "sat"]
CHOSEN = np.array([[1, 0], [3, 1], [1, 3]])
GATES = np.array([[0.75, 0.25], [0.5, 0.5], [0.9, 0.1]])


def played(shown):
    """Name of each frame to its parts: wires, labels, copies, sums, caption."""
    return {frame.name: (frame.data[:-4], *frame.data[-4:]) for frame in shown.frames}


@pytest.fixture(scope="module")
def animation():
    return dispatch.dispatch(WORDS, CHOSEN, GATES, n_experts=4, title="Tokens flow")


def test_copies_end_in_the_bins_of_the_experts_that_they_chose(animation):
    _, labels, copies, _, _ = played(animation)["gather"]
    assert np.floor(copies.x).astype(int).tolist() == CHOSEN.ravel().tolist()
    assert len({(x, y) for x, y in zip(copies.x, copies.y, strict=True)}) == CHOSEN.size
    assert list(labels.text) == ["E0: 1 token", "E1: 3 tokens", "E2: idle", "E3: 2 tokens"]


def test_copies_travel_and_come_back_smaller_by_their_gates(animation):
    frames = played(animation)
    names = "gather ¼", "gather ½", "gather", "scatter ½", "scatter"
    heights = [frames[name][2].y[0] for name in names]
    assert heights == sorted(set(heights), reverse=True)
    assert list(frames["add"][2].y) == list(frames["scatter"][2].y)
    areas = np.square(frames["add"][2].marker.size)
    np.testing.assert_allclose(areas / areas.max(), GATES.ravel() / GATES.max(), atol=0.02)
    assert frames["add"][3].text[0] == "<b>The</b><br>0.75 · E1<br>+ 0.25 · E0"


def test_every_frame_changes_the_same_traces_and_the_first_is_what_is_drawn(animation):
    traces = {frame.traces for frame in animation.frames}
    assert len(traces) == 1
    first = played(animation)["score"]
    shown = [animation.data[number] for number in traces.pop()]
    assert shown[-1].text == first[-1].text
    assert [part.x for part in shown[: len(first[0])]] == [part.x for part in first[0]]


def test_scoring_draws_a_wire_to_every_expert_and_choosing_one_a_choice(animation):
    frames = played(animation)
    ends = {name: sum(len(wire.x) // 3 for wire in frames[name][0]) for name in ("score", "choose")}
    assert ends == {"score": len(WORDS) * 4, "choose": CHOSEN.size}


def test_gates_stand_in_the_columns_of_their_experts():
    all_four = np.array([[1, 0, 2, 3], [3, 1, 0, 2], [1, 3, 0, 2]])
    given = [(all_four[:, :k], np.full((3, k), 1 / k)) for k in (1, 2, 3, 4)]
    chosen, weights = zip(*given, strict=True)
    shown = sparse_moe.gates(chosen, weights, WORDS, k=2)
    assert shown.data[0].z.tolist() == [[0.5, 0.5, 0, 0], [0, 0.5, 0, 0.5], [0, 0.5, 0, 0.5]]
    assert shown.data[0].text[0].tolist() == ["0.50", "0.50", "", ""]
    assert [frame.name for frame in shown.frames] == ["1", "2", "3", "4"]


def test_gates_are_rounded_once():
    gates = [np.array([[1.0]]), np.array([[0.8748, 0.1252]])]  # which is 0.875 to three digits
    shown = sparse_moe.gates([np.array([[0]]), np.array([[0, 1]])], gates, ["mat"], k=2)
    assert shown.data[0].text[0].tolist() == ["0.87", "0.13"]


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
