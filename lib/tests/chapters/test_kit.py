"""The figure kit: frames that play, cells that name themselves, lines that can be told apart."""

import math

import numpy as np
import plotly.graph_objects as go
import pytest

from mixlab.chapters.kit import series, theme
from mixlab.chapters.kit.cells import cells, legend
from mixlab.chapters.sliding_window import figures as sliding_window
from tests.contrast import contrast


def animated(names):
    shown = theme.figure("A claim")
    shown.add_scatter(x=[0], y=[0])
    shown.frames = [go.Frame(name=name, data=[dict(type="scatter", y=[1])]) for name in names]
    return shown


def test_a_player_plays_pauses_and_steps_through_all_frames():
    shown = animated(["a", "b", "c"])
    theme.player(shown, ["a", "b", "c"], "step ", milliseconds=500)
    play, pause = shown.layout.updatemenus[0].buttons
    assert play.args[1]["frame"]["duration"] == 500
    assert play.args[1]["fromcurrent"]
    assert list(pause.args[0]) == [None]
    assert [step.args[0][0] for step in shown.layout.sliders[0].steps] == ["a", "b", "c"]


def test_a_player_refuses_names_that_are_not_its_frames():
    with pytest.raises(ValueError, match="in order"):
        theme.player(animated(["a", "b"]), ["b", "a"], "step ")


def test_cells_say_what_their_numbers_mean():
    scale = [[0.0, theme.GONE], [0.5, theme.SEEN], [1.0, theme.NOW]]
    drawn = cells(np.array([[0, 2], [1, 0]]), scale, ("no", "yes", "edge"))
    assert drawn.text.tolist() == [["no", "edge"], ["yes", "no"]]
    assert drawn.zmax == 2


def test_a_legend_keeps_the_colours_of_its_cells():
    """A deck turns a lone grey around in its dark theme; the cells' scale it leaves alone."""
    shown = theme.figure("A claim")
    legend(shown, ("no", "yes"), theme.HIDDEN_VISIBLE)
    assert [(square.name, list(square.marker.color)) for square in shown.data] == [
        ("no", [theme.GONE]),
        ("yes", [theme.SEEN]),
    ]


def test_lines_differ_in_more_than_colour():
    shown = series.lines(
        [1, 2, 4],
        {"a": [1, 2, 3], "b": [3, 2, 1]},
        title="A claim",
        x_title="x",
        y_title="y",
        marks={"here": 2},
        log_x=True,
    )
    assert len({(line.line.dash, line.marker.symbol) for line in shown.data}) == 2
    assert list(shown.layout.xaxis.ticktext) == ["1", "2", "4"]
    here = next(note for note in shown.layout.annotations if note.text == "here")
    assert here.x == pytest.approx(math.log10(2))
    assert shown.layout.shapes[0].x0 == 2


def test_lines_are_named_at_their_ends_beside_guides_of_a_slope():
    words = dict(title="A claim", x_title="x", y_title="y", log_x=True, log_y=True)
    values = {"a": [1, 10], "b": [2, 3]}
    shown = series.lines([10, 100], values, slopes={"x²": (2, 5)}, **words)
    assert list(shown.data[2].y) == [5, 500]
    ends = {name.text: (name.x, name.y) for name in shown.layout.annotations}
    assert ends["x²"] == pytest.approx((2, math.log10(500)))
    assert ends["a"] == pytest.approx((2, 1))
    assert not shown.layout.showlegend


def test_words_in_a_curve_s_colour_are_dark_enough_and_lead_a_deck_back_to_the_curve_s():
    inks = [theme.ink(color) for color in theme.CYCLE]
    assert min(map(contrast, inks)) >= 4.5
    back = theme.figure("A claim").layout.template.layout.meta["inks"]
    assert [back.get(ink, ink) for ink in inks] == list(theme.CYCLE)


def test_names_of_curves_that_end_close_to_each_other_give_way():
    values = {"a": [0, 100], "b": [0, 99], "c": [0, 10]}
    shown = series.lines([1, 2], values, title="A claim", x_title="x", y_title="y")
    at = {n.text: series.PLOT_HEIGHT * n.y / 100 + n.yshift for n in shown.layout.annotations}
    assert at["a"] - at["b"] >= series.NAME_HEIGHT - 1e-6
    assert at["c"] == pytest.approx(series.PLOT_HEIGHT / 10)
    apart = dict(title="A claim", x_title="x", y_title="y", named_at_ends=False)
    assert series.lines([1, 2], values, **apart).layout.showlegend


def test_a_mask_s_steps_mark_what_each_changes():
    pictures = [np.zeros((2, 2), dtype=bool), np.tri(2, dtype=bool), np.tri(2, 3, 1, dtype=bool)]
    shown = sliding_window.steps(pictures, ["a", "b", "c"], "A claim")
    hidden, seen, just_shown = 0, 1, 3
    assert shown.data[0].z.tolist() == [[hidden, hidden], [hidden, hidden]]
    assert shown.data[1].z.tolist() == [[just_shown, hidden], [just_shown, just_shown]]
    assert shown.data[2].z.tolist() == [[just_shown, seen, hidden], [just_shown, seen, seen]]
    assert list(shown.data[1].x) == [1, 2]


def test_lines_bear_their_intervals():
    words = dict(title="A claim", x_title="x", y_title="y")
    shown = series.lines([1, 2], {"a": [3, 4], "b": [1, 1]}, ends={"a": ([2, 4], [5, 6])}, **words)
    assert list(shown.data[0].error_y.array) == [2, 2]
    assert list(shown.data[0].error_y.arrayminus) == [1, 0]
    assert shown.data[1].error_y.array is None


def test_shares_keep_their_bars_apart():
    parts = {"in": [0.25, 0.5], "out": [0.75, 0.5]}
    shown = series.shares([2, 16], parts, title="A claim", x_title="W", y_title="share")
    assert shown.layout.barmode == "stack"
    assert [list(bar.x) for bar in shown.data] == [["2", "16"]] * 2
