"""What chapter 08's figures draw: marked points, rows of text, labels without a minus zero."""

import numpy as np
import pytest

from mixlab.chapters.kit.colored_text import colored_html, colored_text
from mixlab.chapters.kit.experts import EXPERTS
from mixlab.chapters.router_decisions import figures
from mixlab.chapters.router_decisions.repetition import MIXTRAL_REPETITION


def test_the_two_cells_below_chance_are_marked_where_they_stand():
    paper = {name: np.array(part) / 100 for name, part in MIXTRAL_REPETITION.items()}
    shown = figures.repetition(paper, [1 / 8, 13 / 28], (0, 15, 31), "A claim")
    named = [note for note in shown.layout.annotations if "DM Mathematics" in (note.text or "")]
    assert [(note.x, note.y, note.xref) for note in named] == [(0, 0.449, "x2"), (2, 0.445, "x2")]
    assert list(shown.layout.xaxis2.ticktext) == ["0", "15", "31"]


def test_a_line_begins_with_its_indentation():
    pieces = ["def", " f():", "\n    ", "pass", "\n", "x"]
    experts = np.arange(6)[None]
    shown = colored_text({"code": pieces}, {"code": experts}, "A claim")
    assert list(shown.data[0].y) == [-1, -1, -2, -2, -2, -3]
    assert list(shown.data[0].base) == [0, 3, 0, 5, 9, 0]


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
    shown = colored_text({"code": ["a", " b", "c"]}, experts, "A claim", n_experts=2)
    assert [mark.name for mark in shown.data[1:]] == ["0", "1"]
    shares = {"code": np.full((1, 4), 1 / 4), "prose": np.full((1, 4), 1 / 4)}
    shown = figures.token_shares(shares, [2], "A claim")
    assert len([bar for bar in shown.data if bar.type == "bar"]) == 4
    with pytest.raises(ValueError, match="colours for 1 to 8 experts: got 9"):
        figures.token_shares({"code": np.full((1, 9), 1 / 9)}, [2], "A claim")


def test_html_shows_text_as_it_is_and_breaks_its_lines():
    chosen, gates = np.array([[1, 0], [0, 2]]), np.array([[0.75, 0.25], [0.5, 0.5]])
    html = colored_html(["<b>", "\n"], chosen, gates)
    assert "&lt;b&gt;" in html
    assert html.count("<br>") == 1
    assert "expert 1: 75%, expert 0: 25%" in html
    assert html.count(f"background:{EXPERTS[1][0]}") == 2  # the token's, and the legend's
