"""Figures of chapter 04: what is kept, and what it takes in memory.

Each takes arrays or what `mixlab.traces.rolling_cache` returns, and gives a Plotly figure. Why a
chunk needs the slots in order is drawn in `slot_order`; the ring itself is a piece of the stage.
"""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import numpy as np
import plotly.graph_objects as go

from mixlab.chapters.kit import series, theme
from mixlab.chapters.kit.cells import cells

_LATER = "rgba(128, 128, 128, 0.06)"
_BOX_COLORS = [[0, _LATER], [1 / 3, theme.GONE], [2 / 3, theme.SEEN], [1, theme.NOW]]
_BOX_NAMES = ("not yet", "no longer", "kept", "new")
_ROW = 780  # pixels of a notebook's width that a row of boxes gets
_INK = np.array(["#777777", "#222222", "#FFFFFF", "#111111"], dtype=object)


def _boxes(
    states: np.ndarray, words: np.ndarray, x: Iterable, y: Iterable, across: Real
) -> go.Heatmap:
    """Coloured boxes that bear words, (rows, columns) of each; `across` such boxes fill a row."""
    boxes = cells(states, _BOX_COLORS, _BOX_NAMES, gap=5.0)
    inked, named = [], []
    for row, inks, meanings in zip(words, _INK[states], boxes.text, strict=True):
        inked.append(
            [f'<span style="color:{i}">{w}</span>' for w, i in zip(row, inks, strict=True)]
        )
        named.append([f"{word}: {means}" for word, means in zip(row, meanings, strict=True)])
    longest = max(map(len, words.flat))
    size = int(np.clip(_ROW / (across * 0.6 * max(1, longest)), 8, 18))  # letters: 0.6 as wide
    boxes.update(x=list(x), y=list(y), text=inked, texttemplate="%{text}", textfont_size=size)
    return boxes.update(customdata=named, hovertemplate="%{customdata}<extra></extra>")


def notes(x: Iterable, y: Iterable, texts: Iterable, size: int, where: str) -> go.Scatter:
    """Words beside the boxes, in the colour of the page's text."""
    beside = go.Scatter(x=list(x), y=list(y), text=list(texts), mode="text", textposition=where)
    return beside.update(textfont_size=size, hoverinfo="skip", showlegend=False)


def legend(shown: go.Figure, entries: Mapping[str, str], **place) -> None:
    """Squares of colour and what they mean."""
    for words, color in entries.items():
        # A list, so that a dark deck leaves the grey as it is, like the boxes it stands for.
        square = dict(color=[color], symbol="square", size=13, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=words, marker=square)
    shown.update_layout(legend=dict(orientation="h", **place))
    if place["y"] > 1:  # above the plot, and the title above it
        shown.update_layout(margin_t=105)


def bare_axes(shown: go.Figure) -> None:
    """No lines, no ticks: rows bear names, columns bear nothing."""
    shown.update_xaxes(visible=False)
    shown.update_yaxes(showgrid=False, showline=False, ticks="", zeroline=False)


def three_ways(words: Sequence[str], ways, title: str) -> go.Figure:
    """What each way of writing a text computes and keeps, one frame a token.

    Args:
        words: the text.
        ways: `Ways` of as many tokens.
        title: the claim.
    """
    names, seq = list(ways.states), len(words)
    rows = list(range(len(names)))[::-1]
    text = np.tile(np.array(words, dtype=object), (len(names), 1))

    def parts(step: int) -> list:
        states = np.stack([ways.states[name][step] for name in names])
        beside = [
            f"<b>{ways.computed[name][step]}</b> computed, <b>{ways.held[name][step]}</b> held"
            for name in names
        ]
        boxes = _boxes(states, text, range(seq), rows, across=seq + 2.5)
        return [boxes, notes([seq - 0.4] * len(names), rows, beside, 15, "middle right")]

    shown = theme.figure(title, height=470)
    tokens = [f"{position} {word}" for position, word in enumerate(words)]
    shown.add_traces(parts(seq - 1))
    shown.frames = [go.Frame(name=name, data=parts(n)) for n, name in enumerate(tokens)]
    colors = {"computed now": theme.NOW, "kept": theme.SEEN, "not in memory": theme.GONE}
    legend(shown, colors, x=0, y=1.02, yanchor="bottom")
    bare_axes(shown)
    shown.update_xaxes(range=[-0.55, seq + 1.9])
    shown.update_yaxes(tickvals=rows, ticktext=names, range=[-0.6, len(names) - 0.4])
    theme.player(shown, tokens, "token ", milliseconds=1200, start=seq - 1)
    return shown


def memory(
    x: Sequence[float],
    values: Mapping[str, Sequence[float]],
    *,
    title: str,
    x_title: str,
    y_title: str,
    window: int,
    ends: Sequence[str],
) -> go.Figure:
    """Memory against tokens, one line a cache, with what each comes to written at its end.

    Args:
        x: tokens.
        values: cache to its memory at each x.
        title: the claim.
        x_title, y_title: name and unit of each axis.
        window: marked by a vertical line.
        ends: words at the end of each line.
    """
    marks = {f"W = {window:,}": float(window)}
    named = zip(values.items(), ends, strict=True)
    values = {f"<b>{words}</b><br>{name}": numbers for (name, numbers), words in named}
    shown = series.lines(x, values, title=title, x_title=x_title, y_title=y_title, marks=marks)
    return shown.update_xaxes(range=[0, x[-1] * 1.01], tickformat=",")
