"""What chapter 08's figures draw: marked points, rows of text, labels without a minus zero."""

import numpy as np
import pytest

from mixlab.chapters.kit.colored_text import colored_text
from mixlab.chapters.router_decisions import figures
from mixlab.chapters.router_decisions.repetition import MIXTRAL_REPETITION


def test_the_kind_that_stands_apart_bears_its_numbers_and_no_other_does():
    paper = {name: np.array(part) / 100 for name, part in MIXTRAL_REPETITION.items()}
    shown = figures.repetition(paper, [1 / 8, 13 / 28], (0, 15, 31), "DM Mathematics", "A claim")
    named = [line for line in shown.data if "text" in line.mode]
    assert [list(line.text) for line in named] == [
        ["14.1%", "28.4%", "19.7%"],
        ["44.9%", "67.0%", "44.5%"],
    ]
    assert len(shown.data) == 2 * len(paper)
    assert list(shown.layout.xaxis2.ticktext) == ["0", "15", "31"]


def test_a_line_begins_with_its_indentation_and_layers_stand_side_by_side():
    pieces = ["def", " f():", "\n    ", "pass", "\n", "x"]
    experts = np.array([range(6), [7] * 6])
    shown = colored_text({"code": pieces}, {"code": experts}, (0, 5), "A claim", columns=10)
    assert list(shown.data[0].y) == [-1, -1, -2, -2, -2, -3] * 2
    assert list(shown.data[0].base) == [0, 3, 0, 5, 9, 0, 13, 16, 13, 18, 22, 13]
    assert list(shown.data[0].customdata) == [0, 1, 2, 3, 4, 5] + [7] * 6
    assert [note.text for note in shown.layout.annotations] == [
        "<b>code, layer 0</b>",
        "<b>code, layer 5</b>",
    ]


def test_lines_bear_their_names_one_above_the_other():
    lines = {"high": np.array([0.2, 0.51]), "low": np.array([0.3, 0.5]), "far": np.array([0, 0.1])}
    ends = {name: np.stack([values - 0.1, values + 0.2]) for name, values in lines.items()}
    shown = figures.by_layer(lines, ends=ends, title="A claim", y_title="a share")
    heights = {note.text: note.y for note in shown.layout.annotations}
    assert heights["<b>far</b>"] == pytest.approx(0.1)
    assert heights["<b>high</b>"] - heights["<b>low</b>"] >= 0.03
    assert list(shown.data[0].error_y.array) == pytest.approx([0.2, 0.2])
    assert list(shown.data[0].error_y.arrayminus) == pytest.approx([0.1, 0.1])


def test_who_pays_shows_own_and_others_price_with_their_errors():
    prices = np.array([[[0.5, 0.1], [0.4, 0.2]], [[0.3, 0.05], [0.6, 0.04]]])
    shown = figures.who_pays({"here": prices, "there": prices / 2}, ["a", "b"], "A claim")
    own, other = shown.data[:2]
    assert (list(own.x), list(own.error_x.array)) == ([0.5, 0.4], [0.1, 0.2])
    assert (list(other.x), list(other.error_x.array)) == ([0.3, 0.6], [0.05, 0.04])
    assert list(shown.data[2].x) == [0.25, 0.2]


def test_shares_begin_at_the_layer_that_their_title_is_about():
    shares = np.full((3, 8, 8), 1 / 8)
    shares[2, 0] = [1, 0, 0, 0, 0, 0, 0, 0]
    shown = figures.kind_shares(shares, shares, shares, list("abcdefgh"), "A claim")
    assert list(shown.data[0].y) == [1] + [0] * 7
    assert shown.layout.sliders[0].active == 2


def test_heat_writes_no_minus_zero():
    values = np.array([[-0.001, 0.5]])
    words = dict(row_title="row", column_title="column", unit="bits")
    shown = figures.heat(values, ["a"], ["b", "c"], title="A claim", **words)
    assert list(shown.data[0].text[0]) == ["0.00", "0.50"]


def test_figures_fit_other_numbers_of_experts():
    experts = {"code": np.array([[0, 1, 0]])}
    shown = colored_text({"code": ["a", " b", "c"]}, experts, [3], "A claim", n_experts=2)
    assert [mark.name for mark in shown.data[1:]] == ["0", "1"]
    shares = {"code": np.full((1, 4), 1 / 4), "prose": np.full((1, 4), 1 / 4)}
    shown = figures.token_shares(shares, [2], "A claim")
    assert len([bar for bar in shown.data if bar.type == "bar"]) == 4
    with pytest.raises(ValueError, match="colours for 1 to 8 experts: got 9"):
        figures.token_shares({"code": np.full((1, 9), 1 / 9)}, [2], "A claim")
