"""Figures of chapter 03: what a token can reach through a stack of layers.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure. What a token uses
of its reach is drawn in `mixlab.chapters.receptive_field.effective_field`.
"""

from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.cells import cells, legend, square_panels

_REACHED = [[0.0, theme.GONE], [0.5, theme.SEEN], [1.0, theme.NOW]]
_REACHED_NAMES = ("out of reach", "reached before", "new in this layer")


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
