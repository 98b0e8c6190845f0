"""Figures of chapter 04: what is kept, which slot holds whom, and what it takes in memory.

Each takes arrays or what `mixlab.traces.rolling_cache` returns, and gives a Plotly figure. What the
order of slots means is drawn in `rolling_order`.
"""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import numpy as np
import plotly.graph_objects as go

from mixlab.chapters.kit import series, theme
from mixlab.chapters.kit.cells import cells

_LATER, _OUT, _SEEN, _NEW = range(4)  # states of a box
FAINT, _GONE = "#F3F3F3", "#C4C4C4"
_BOX_COLORS = [[0, FAINT], [1 / 3, _GONE], [2 / 3, theme.BLUE], [1, theme.ORANGE]]
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
    colors = {"computed now": theme.ORANGE, "kept": theme.BLUE, "not in memory": _GONE}
    legend(shown, colors, x=0, y=1.02, yanchor="bottom")
    bare_axes(shown)
    shown.update_xaxes(range=[-0.55, seq + 1.9])
    shown.update_yaxes(tickvals=rows, ticktext=names, range=[-0.6, len(names) - 0.4])
    theme.player(shown, tokens, "token ", milliseconds=1200, start=seq - 1)
    return shown


def _ring_parts(step, words: Sequence[str], window: int, longest: int) -> list:
    """One step as traces: text, slots, links and words about them; always the same kinds."""
    n_shown = min(len(words), longest)
    last = max(step.position, n_shown - 1)
    text = np.arange(last - n_shown + 1, last + 1)
    states = np.where(text > step.position, _LATER, _OUT)
    states[np.isin(text, step.seen)] = _SEEN
    states[text == step.position] = _NEW
    across = max(window, n_shown)
    at = {int(p): n + (across - n_shown) / 2 for n, p in enumerate(text)}
    slots = [slot + (across - window) / 2 for slot in range(window)]
    held = np.array([words[p] if p >= 0 else "" for p in step.held], dtype=object)
    filled = np.array(
        [_NEW if p == step.position else _SEEN if p >= 0 else _LATER for p in step.held]
    )

    def link(positions: Sequence[int], color: str, width: float) -> go.Scatter:
        xs, ys = [], []
        for p in set(positions) & set(at):
            xs += [at[p], slots[step.held.index(p)], None]
            ys += [1.98, 0.52, None]
        line = dict(color=color, width=width)
        return go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", showlegend=False)

    over = "which was empty"
    if step.evicted >= 0:
        over = f"over “{words[step.evicted]}”, position {step.evicted}"
    said = (
        f"<b>{words[step.position]}</b>, position {step.position}, goes to slot "
        f"{step.position} mod {window} = <b>{step.slot}</b>, {over}"
    )
    shown_words = np.array([[words[p] for p in text]], dtype=object)
    return [
        _boxes(states[None], shown_words, at.values(), [2.5], across),
        _boxes(filled[None], held[None], slots, [0], across),
        link(step.seen[:-1], theme.BLUE, 2.0),
        link(step.seen[-1:], theme.ORANGE, 4.0),
        notes(at.values(), [3.05] * n_shown, map(str, text), 14, "top center"),
        notes(slots, [-0.55] * window, [f"slot {s}" for s in range(window)], 14, "bottom center"),
        notes([(across - 1) / 2], [-1.75], [said], 17, "middle center"),
    ]


def _ring_figure(parts: list, title: str, across: int) -> go.Figure:
    shown = theme.figure(title, height=520)
    shown.add_traces(parts)
    colors = {"new: written now": theme.ORANGE, "its query sees": theme.BLUE, "overwritten": _GONE}
    legend(shown, colors, x=0, y=1.02, yanchor="bottom")
    bare_axes(shown)
    shown.update_xaxes(range=[-0.55, across - 0.45])
    shown.update_yaxes(tickvals=[2.5, 0], ticktext=["text", "cache"], range=[-2.1, 3.7])
    return shown


def ring(steps: Sequence, words: Sequence[str], window: int, title: str) -> go.Figure:
    """A text going through a ring token by token: who is where, who is overwritten, who is seen.

    Args:
        steps: a `DecodeStep` of every token.
        words: the text, one word a token.
        window: slots of the ring.
        title: the claim.
    """
    drawn = [_ring_parts(step, words, window, len(words)) for step in steps]
    shown = _ring_figure(drawn[-1], title, max(window, len(words)))
    names = [f"{step.position} {words[step.position]}" for step in steps]
    shown.frames = [go.Frame(name=n, data=data) for n, data in zip(names, drawn, strict=True)]
    theme.player(shown, names, "token ", milliseconds=1400, start=len(names) - 1)
    return shown


def ring_step(step, words: Sequence[str], window: int, longest: int = 12) -> go.Figure:
    """The text and the ring after one step, without the others.

    Args:
        step: a `DecodeStep`.
        words: the whole text, one word a token.
        window: slots of the ring.
        longest: of the text, so many words are shown at most.
    """
    read, kept = step.position + 1, len(step.seen)
    title = f"After {read} tokens, the last {kept} are held"
    if kept == 1:
        title = f"After {read} token{'s' * (read > 1)}, only the last is held"
    parts = _ring_parts(step, words, window, longest)
    return _ring_figure(parts, title, max(window, min(len(words), longest)))


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
    shown = series.lines(x, values, title=title, x_title=x_title, y_title=y_title, marks=marks)
    for words, numbers in zip(ends, values.values(), strict=True):
        shown.add_annotation(
            x=x[-1],
            y=numbers[-1],
            text=f"<b>{words}</b>",
            showarrow=False,
            xanchor="left",
            xshift=12,
        )
    shown.update_xaxes(range=[0, x[-1] * 1.01], tickformat=",")
    shown.update_layout(margin_r=110)
    return shown
