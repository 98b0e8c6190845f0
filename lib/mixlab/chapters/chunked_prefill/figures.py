"""Figures of chapter 05: what chunks see, what they lose and waste, and what they cost.

Each takes arrays that a cell or a trace has made, and returns a Plotly figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme

HIDDEN, CACHED, OWN, UNUSED, LOST = range(5)
_MEANINGS = {
    "hidden": theme.GONE,
    "seen in the cache": theme.SEEN,
    "seen in the chunk": theme.NOW,
    "computed and thrown away": theme.WASTE,
    "needed, and overwritten": theme.WRONG,
}
_SCALE = [[n / 4, color] for n, color in enumerate(_MEANINGS.values())]


@dataclass(frozen=True)
class Grid:
    """One mask to be drawn.

    Attributes:
        cells: (queries, keys) of HIDDEN, CACHED, OWN, UNUSED, LOST.
        title: above it, in HTML.
        below: under it, in HTML.
        rows, columns: names of the queries and of the keys; none by default.
    """

    cells: np.ndarray
    title: str
    below: str = ""
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()


def chunk_grid(chunk, words: Sequence[str], title: str) -> Grid:
    """The mask of one chunk over all that the ring held, and itself.

    Args:
        chunk: a `PrefillChunk` of `mixlab.traces.rolling_cache`.
        words: the prompt, one word a token.
        title: of the grid; the mask's shape is put behind it.
    """
    ring = sorted(position for position in chunk.held_before if position >= 0)
    keys = [*ring, *chunk.positions]
    kinds = np.where(np.array(keys) < chunk.positions[0], CACHED, OWN)
    cells = np.where(chunk.sees[:, keys], kinds, HIDDEN)
    return Grid(
        cells,
        f"<b>{title}</b>: {cells.shape[0]} × {cells.shape[1]}",
        f"{(cells != HIDDEN).sum()} pairs",
        rows=[words[position] for position in chunk.positions],
        columns=[words[position] for position in keys],
    )


def grids(
    panels: Sequence[Grid],
    title: str,
    *,
    left: float = 2.2,
    gap: float = 0.8,
    heads: float = 2.5,
    height: int = 430,
) -> go.Figure:
    """Masks side by side, all cells of one size.

    Args:
        panels: the masks, from left to right.
        title: the claim.
        left: cells left free beside each for the names of its rows.
        gap: cells between two.
        heads: cells above each for the names of its columns.
        height: of the figure in pixels.
    """
    shown = theme.figure(title, height=height)
    edge, lowest = 0.0, max(len(panel.cells) for panel in panels)
    for panel in panels:
        n_rows, n_columns = panel.cells.shape
        x = edge + left
        edge = x + n_columns + gap
        shown.add_heatmap(
            z=panel.cells,
            x=x + np.arange(n_columns),
            y=np.arange(n_rows),
            zmin=0,
            zmax=4,
            colorscale=_SCALE,
            showscale=False,
            xgap=2,
            ygap=2,
            hoverinfo="skip",
        )
        plain = dict(showarrow=False, font_size=16)
        for row, name in enumerate(panel.rows):
            shown.add_annotation(plain, x=x - 0.7, y=row, text=name, xanchor="right")
        for column, name in enumerate(panel.columns):
            place = dict(x=x + column, y=-0.7, yanchor="bottom")
            shown.add_annotation(plain, text=name, textangle=-90, **place)
        middle = x + (n_columns - 1) / 2
        shown.add_annotation(
            plain, x=middle, y=-heads, text=panel.title, yanchor="bottom", font_size=17
        )
        shown.add_annotation(plain, x=middle, y=n_rows - 0.3, text=panel.below, yanchor="top")
    used = sorted({int(cell) for panel in panels for cell in np.unique(panel.cells)})
    for number in used:
        name, color = list(_MEANINGS.items())[number]
        mark = dict(color=[color], symbol="square", size=14, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=mark)
    shown.update_xaxes(visible=False, range=[0, edge - gap + 0.6], constrain="domain")
    shown.update_yaxes(visible=False, range=[lowest + 1.6, -heads - 2.0])
    shown.update_yaxes(scaleanchor="x", constrain="domain")
    legend = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom", font_size=16)
    shown.update_layout(legend=legend, margin=dict(l=10, r=10, b=50))
    return shown


def costs(
    sizes: Sequence[int],
    times: Mapping[str, Sequence[float]],
    megabytes: Sequence[float],
    title: str,
) -> go.Figure:
    """Time a token and memory of a pass against the chunk size, both axes logarithmic.

    Args:
        sizes: tokens a chunk.
        times: name to milliseconds a token, one line each; the first is what was measured.
        megabytes: that a pass holds.
        title: the claim.
    """
    titles = ["time a token (ms)", "tensors held by a pass (MB)"]
    shown = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.12)
    looks = [(theme.BLUE, "solid", 4), (theme.GREEN, "dash", 2), (theme.SKY, "dot", 3)]
    for (name, values), (color, dash, width) in zip(times.items(), looks, strict=True):
        line = dict(color=color, dash=dash, width=width)
        mode = "lines+markers" if dash == "solid" else "lines"
        shown.add_scatter(x=sizes, y=values, name=name, mode=mode, line=line, row=1, col=1)
    memory = dict(mode="lines+markers", line=dict(color=theme.BLUE, width=4), showlegend=False)
    shown.add_scatter(x=sizes, y=megabytes, name="held", row=1, col=2, **memory)
    shown.update_layout(theme.figure(title, height=460).layout)
    ticks = dict(tickvals=list(sizes), ticktext=[f"{n:,}" for n in sizes])
    shown.update_xaxes(type="log", title_text="tokens a chunk", tickfont_size=14, **ticks)
    shown.update_yaxes(type="log", dtick=1, tickfont_size=14)
    shown.update_annotations(font_size=16)
    legend = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom", font_size=16)
    shown.update_layout(legend=legend, margin=dict(t=100, b=110))
    return shown


def surprises(words: Sequence[str], nats: Sequence[float], at_border: Sequence[bool], title: str):
    """How surprised a model is at each token, and which it meets right after a border.

    Args:
        words: the tokens but the first.
        nats: minus the log-probability of each.
        at_border: whether the chunk before predicts it.
        title: the claim.
    """
    shown = theme.figure(title, height=420)
    for name, color, wanted in [
        ("predicted in its own chunk", theme.SEEN, False),
        ("predicted by the chunk before", theme.WRONG, True),
    ]:
        chosen = [n for n, border in enumerate(at_border) if border == wanted]
        shown.add_bar(x=chosen, y=[nats[n] for n in chosen], name=name, marker_color=color)
    ticks = dict(tickvals=list(range(len(words))), ticktext=list(words), tickangle=-60)
    shown.update_xaxes(tickfont_size=16, showgrid=False, **ticks)
    shown.update_yaxes(title_text="surprise, −log p (nats)")
    shown.update_layout(legend=dict(orientation="h", x=0, y=1.02, yanchor="bottom", font_size=16))
    shown.update_layout(margin_t=105)
    return shown


def gallery(
    faults: Sequence[str], sizes: Sequence[int], verdicts: Sequence[Sequence[str]], title: str
) -> go.Figure:
    """Which chunk size finds which fault.

    Args:
        faults: a name each, from top to bottom.
        sizes: tokens a chunk.
        verdicts: a row for each fault: "right", "wrong" or "NaN" at each size.
        title: the claim.
    """
    found = np.array([[verdict != "right" for verdict in row] for row in verdicts])
    marks = [
        ["" if v == "right" else "✗" if v == "wrong" else "NaN" for v in row] for row in verdicts
    ]
    shown = theme.figure(title, height=470)
    shown.add_heatmap(
        z=found.astype(int),
        zmin=0,
        zmax=1,
        colorscale=[[0, theme.GONE], [1, theme.WRONG]],
        showscale=False,
        text=marks,
        texttemplate="%{text}",
        textfont=dict(size=16, color="#111"),
        xgap=3,
        ygap=3,
        customdata=[list(row) for row in verdicts],
        hovertemplate="%{y}, chunks of %{x}: %{customdata}<extra></extra>",
        x=[str(n) for n in sizes],
        y=list(faults),
    )
    shown.update_xaxes(
        title_text="tokens a chunk", type="category", tickfont_size=16, showgrid=False
    )
    shown.update_yaxes(autorange="reversed", tickfont_size=16, showgrid=False)
    for name, color in {"found": theme.WRONG, "looks right": theme.GONE}.items():
        mark = dict(color=[color], symbol="square", size=14, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=mark)
    legend = dict(orientation="h", x=1, xanchor="right", y=1.01, yanchor="bottom", font_size=16)
    shown.update_layout(legend=legend, margin_t=90)
    return shown
