"""Figures of chapter 03: what a token can reach through a stack of layers.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure. What a token uses
of its reach is drawn in `mixlab.chapters.receptive_field.effective_field`.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.cells import cells, legend, square_panels

_FAINT, _EDGE = "#D4D4D4", "#9CC3DE"
_REACHED = [[0.0, theme.GREY], [0.5, theme.BLUE], [1.0, theme.ORANGE]]
_REACHED_NAMES = ("out of reach", "reached before", "new in this layer")


def _edges(upper: np.ndarray, lower: np.ndarray, mask: np.ndarray, layer: int) -> tuple[list, list]:
    """Line segments from the lit nodes of a layer to the lit ones they read in the layer below."""
    x, y = [], []
    for i, j in np.argwhere(mask & upper[:, None] & lower[None, :]).tolist():
        x += [i, j, None]
        y += [layer, layer - 1, None]
    return x, y


def cone(lit: np.ndarray, mask: np.ndarray, words: Sequence[str], title: str) -> go.Figure:
    """A stack of layers as a net: which states one token's state is made from, layer by layer.

    Args:
        lit: (n_layers, n_layers + 1, seq) of truth values; lit[k - 1, m, j] says whether the
            chosen token, after k layers, depends on token j's state after m layers.
        mask: (seq, seq), who sees whom in every layer.
        words: the tokens.
        title: the claim.
    """
    n_layers, rows, seq = lit.shape
    every = np.ones(seq, dtype=bool)
    chosen = int(np.flatnonzero(lit[0, 1])[0])

    def moving(k: int) -> list[go.Scatter]:
        """What differs from frame to frame: lit edges, lit nodes, the token itself, counts."""
        shown, edges = lit[k], ([], [])
        for layer in range(1, k + 2):
            for axis, new in zip(
                edges, _edges(shown[layer], shown[layer - 1], mask, layer), strict=True
            ):
                axis.extend(new)
        layer, token = np.nonzero(shown)
        counts = [f"<b>{n}</b>" if n else "" for n in shown.sum(axis=1).tolist()]
        counts[0] += " words"
        return [
            go.Scatter(x=edges[0], y=edges[1]),
            go.Scatter(x=token.tolist(), y=layer.tolist()),
            go.Scatter(x=[chosen], y=[k + 1]),
            go.Scatter(x=[seq - 0.2] * rows, y=list(range(rows)), text=counts),
        ]

    faint = ([], [])
    for layer in range(1, rows):
        for axis, new in zip(faint, _edges(every, every, mask, layer), strict=True):
            axis.extend(new)
    styles = (
        dict(mode="lines", line=dict(color=_EDGE, width=2.5)),
        dict(mode="markers", marker=dict(color=theme.BLUE, size=15)),
        dict(mode="markers", marker=dict(color=theme.ORANGE, size=21)),
        dict(mode="text", textposition="middle right", textfont_size=17),
    )
    net = np.indices((rows, seq)).reshape(2, -1).tolist()
    shown = theme.figure(title, height=560, showlegend=False)
    shown.add_scatter(x=faint[0], y=faint[1], mode="lines", line=dict(color="#ECECEC", width=1))
    shown.add_scatter(x=net[1], y=net[0], mode="markers", marker=dict(color=_FAINT, size=8))
    for trace, style in zip(moving(n_layers - 1), styles, strict=True):
        shown.add_trace(trace.update(style))
    shown.update_traces(hoverinfo="skip")
    names = [str(k + 1) for k in range(n_layers)]
    shown.frames = [
        go.Frame(name=name, data=moving(k), traces=[2, 3, 4, 5]) for k, name in enumerate(names)
    ]
    shown.update_xaxes(
        tickvals=list(range(seq)), ticktext=list(words), range=[-0.6, seq + 1.3], showgrid=False
    )
    levels = ["input", *(f"layer {k}" for k in range(1, rows))]
    shown.update_yaxes(
        tickvals=list(range(rows)), ticktext=levels, range=[-0.4, rows - 0.6], showgrid=False
    )
    theme.player(shown, names, "layers = ", below=0.06, start=n_layers - 1)
    return shown


def filling(reach: np.ndarray, title: str) -> go.Figure:
    """Who depends on whom, filling up layer by layer.

    Args:
        reach: (n_layers + 1, seq, seq) of truth values, from before the first layer on.
        title: the claim.
    """
    shown = theme.figure(title, height=620)
    states = [reach[0].astype(int)]
    states += [after.astype(int) + (after & ~before) for before, after in pairwise(reach)]
    axes = dict(rows="token", columns="input token")
    pictures = [cells(state, _REACHED, _REACHED_NAMES, **axes) for state in states]
    names = [str(k) for k in range(len(reach))]
    start = 2
    shown.add_trace(pictures[start])
    shown.frames = [
        go.Frame(name=name, data=[dict(type="heatmap", z=picture.z, text=picture.text)])
        for name, picture in zip(names, pictures, strict=True)
    ]
    theme.square_axes(shown, reach.shape[-1], **axes)
    legend(shown, _REACHED_NAMES, _REACHED)
    shown.update_layout(legend=dict(orientation="v", x=0.76, y=0.98))
    theme.player(shown, names, "layers = ", below=0.02, start=start)
    return shown


def support(reach: np.ndarray, norms: np.ndarray, title: str) -> go.Figure:
    """The masks' product beside the derivatives of a network, layer by layer.

    Args:
        reach: (n_layers + 1, seq, seq) of truth values.
        norms: the same shape; sizes of derivatives, 0 where there is none.
        title: the claim.
    """
    seq = reach.shape[-1]
    with np.errstate(divide="ignore"):
        logs = np.where(norms > 0, np.log10(norms), np.nan)
    low, high = float(np.floor(np.nanmin(logs))), float(np.ceil(np.nanmax(logs)))
    sizes = [
        [[None if cell != cell else round(cell, 2) for cell in row] for row in layer]
        for layer in logs.tolist()
    ]
    titles = ("product of the masks", "size of the derivative")
    shown = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.1)
    start = len(reach) // 2  # a band still, and no triangle
    reached, axes = ("out of reach", "within reach"), dict(rows="token", columns="input")
    shown.add_trace(cells(reach[start], theme.HIDDEN_VISIBLE, reached, **axes), 1, 1)
    shown.add_heatmap(
        z=sizes[start],
        zmin=low,
        zmax=high,
        colorscale="Cividis",
        colorbar=dict(thickness=14, tickprefix="10<sup>", ticksuffix="</sup>", dtick=1),
        xgap=1,
        ygap=1,
        hovertemplate="token %{y}, input %{x}: 10^%{z:.1f}<extra></extra>",
        hoverongaps=False,
        row=1,
        col=2,
    )
    names = [str(k) for k in range(len(reach))]
    shown.frames = [
        go.Frame(
            name=name,
            data=[dict(type="heatmap", z=seen.astype(int)), dict(type="heatmap", z=size)],
        )
        for name, seen, size in zip(names, reach, sizes, strict=True)
    ]
    shown.update_layout(theme.figure(title, height=560).layout)
    square_panels(shown, 2, seq)
    shown.update_xaxes(title_text="input token", range=[-0.5, seq - 0.5])
    shown.update_yaxes(title_text="token", col=1)
    shown.update_layout(margin_t=100)
    theme.player(shown, names, "layers = ", below=0.08, start=start)
    return shown
