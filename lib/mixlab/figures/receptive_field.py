"""Figures of chapter 03: what a token can reach through a stack of layers, and what it uses.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.figures import theme
from mixlab.figures.cells import cells, square_panels

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
        tickvals=list(range(seq)), ticktext=list(words), range=[-0.6, seq + 0.8], showgrid=False
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
    states += [
        after.astype(int) + (after & ~before)
        for before, after in pairwise(reach)
    ]
    pictures = [cells(state, _REACHED, _REACHED_NAMES) for state in states]
    names = [str(k) for k in range(len(reach))]
    start = 2
    shown.add_trace(pictures[start])
    shown.frames = [
        go.Frame(name=name, data=[dict(type="heatmap", z=picture.z, text=picture.text)])
        for name, picture in zip(names, pictures, strict=True)
    ]
    theme.square_axes(shown, reach.shape[-1], rows="token", columns="input token")
    _legend(shown, dict(zip(_REACHED_NAMES, (theme.GREY, theme.BLUE, theme.ORANGE), strict=True)))
    shown.update_layout(legend=dict(orientation="v", x=0.76, y=0.98))
    theme.player(shown, names, "layers = ", below=0.02, start=start)
    return shown


def _legend(shown: go.Figure, entries: Mapping[str, str]) -> None:
    """Squares of colour and what they mean."""
    for words, color in entries.items():
        square = dict(color=color, symbol="square", size=13, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=words, marker=square)


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
    last = len(reach) - 1
    shown.add_trace(cells(reach[last], theme.HIDDEN_VISIBLE, _REACHED_NAMES[:2]), 1, 1)
    shown.add_heatmap(
        z=sizes[last],
        zmin=low,
        zmax=high,
        colorscale="Cividis",
        colorbar=dict(title="log₁₀", thickness=14),
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
    theme.player(shown, names, "layers = ", below=0.08, start=last)
    return shown


def bell(alone: np.ndarray, held: np.ndarray, title: str) -> go.Figure:
    """Where a token's state comes from, layer by layer: averaging alone, and with a residual.

    Args:
        alone, held: (n_layers, distances), shares of the input at each distance after each layer.
        title: the claim.
    """
    shown = theme.figure(title, height=520)
    distance = list(range(alone.shape[1]))
    looks = {
        "attention alone": (theme.ORANGE, "rgba(230,159,0,0.35)"),
        "with the residual": (theme.BLUE, "rgba(0,114,178,0.35)"),
    }
    start = len(alone) - 1
    for (name, (color, fill)), values in zip(looks.items(), (alone, held), strict=True):
        shown.add_scatter(
            x=distance,
            y=values[start].round(5).tolist(),
            name=name,
            mode="lines",
            line=dict(color=color, width=3),
            fill="tozeroy",
            fillcolor=fill,
            hovertemplate="%{x} tokens back: %{y:.4f}<extra>" + name + "</extra>",
        )
    names = [str(k + 1) for k in range(len(alone))]
    shown.frames = [
        go.Frame(
            name=name,
            data=[dict(type="scatter", y=values[k].round(5).tolist()) for values in (alone, held)],
        )
        for k, name in enumerate(names)
    ]
    shown.update_xaxes(title_text="distance back (tokens)", range=[-1, alone.shape[1]])
    shown.update_yaxes(title_text="share of the state", range=[0, 0.14], tickformat=".0%")
    shown.update_layout(legend=dict(x=0.7, y=0.95))
    theme.player(shown, names, "layers = ", milliseconds=250, below=0.12, start=start)
    return shown


def used(
    measured: Mapping[str, tuple[np.ndarray, np.ndarray]],
    pictures: Mapping[str, tuple[np.ndarray, np.ndarray]],
    reach: float,
    title: str,
) -> go.Figure:
    """How much of the influence comes from how near, with the theoretical reach beside it.

    Args:
        measured: name to distances, in windows, and the share from no farther than each.
        pictures: the same for what a theory says; drawn without colour.
        reach: the theoretical reach, in windows.
        title: the claim.
    """
    shown = theme.figure(title, height=460)
    for number, (name, (x, y)) in enumerate(measured.items()):
        _curve(shown, name, x, y, width=4, dash="solid", color=theme.CYCLE[number])
    for number, (name, (x, y)) in enumerate(pictures.items()):
        _curve(shown, name, x, y, width=2, dash=("dash", "dot")[number], color="#777")
    _wall(shown, reach, "in reach: everything left of here")
    shown.update_xaxes(title_text="distance back (windows)", range=[0, reach * 1.02])
    shown.update_yaxes(title_text="share from within", tickformat=".0%", range=[0, 1.04])
    shown.update_layout(legend=dict(x=0.62, y=0.12, yanchor="bottom"), margin_t=100)
    return shown


def fade(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], wall: int, title: str) -> go.Figure:
    """Shares of influence by distance on a logarithmic axis, up to the end of the reach.

    Args:
        curves: name to distances in tokens and shares; zeros leave a gap.
        wall: the farthest distance within reach.
        title: the claim.
    """
    shown = theme.figure(title, height=460)
    for number, (name, (x, y)) in enumerate(curves.items()):
        style = dict(width=3, dash=("solid", "dash", "dot")[number], color=theme.CYCLE[number])
        _curve(shown, name, x, np.where(y > 0, y, np.nan), **style)
    _wall(shown, wall, f"distance {wall}: end of reach")
    shown.update_xaxes(title_text="distance back (tokens)", rangemode="tozero")
    shown.update_yaxes(title_text="share of the influence", type="log", exponentformat="power")
    shown.update_layout(legend=dict(x=0.02, y=0.05, yanchor="bottom"), margin_t=100)
    return shown


def _curve(shown: go.Figure, name: str, x: np.ndarray, y: np.ndarray, **line) -> None:
    """One line without markers; four digits are enough for a picture."""
    values = [None if at != at else float(f"{at:.4g}") for at in np.asarray(y, dtype=float)]
    shown.add_scatter(
        x=[float(f"{at:.4g}") for at in np.asarray(x, dtype=float)],
        y=values,
        name=name,
        mode="lines",
        line=line,
        hovertemplate="%{x:.3g} back: %{y:.3g}<extra>" + name + "</extra>",
    )


def _wall(shown: go.Figure, where: float, words: str) -> None:
    """A dashed line at the end of the reach."""
    shown.add_vline(
        x=where,
        line=dict(dash="dash", color="#666"),
        annotation=dict(text=words, font_size=13, yanchor="bottom", xanchor="right"),
    )


def ripple(
    bits: Mapping[str, np.ndarray],
    words: Sequence[str],
    position: int,
    title: str,
    columns: int = 12,
) -> go.Figure:
    """A text, each token coloured by how much its next-token prediction changed.

    Args:
        bits: name of a setting to (seq,), the change in bits; 0 leaves the token blank.
        words: the tokens.
        position: of the token that was exchanged.
        title: the claim.
        columns: tokens in a line.
    """
    rows = -(-len(words) // columns)
    column = [n % columns for n in range(len(words))]
    row = [n // columns for n in range(len(words))]
    low, high = -8, 0

    def frame(changes: np.ndarray) -> list[dict]:
        z = np.full(rows * columns, np.nan)
        with np.errstate(divide="ignore"):
            z[: len(words)] = np.where(changes > 0, np.log10(changes).clip(low, high), np.nan)
        ink = ["" if at != at else "#111" if at > -3 else "#FFF" for at in z]
        written = [
            f'<span style="color:{color}">{word}</span>' if color else word
            for word, color in zip(words, ink, strict=False)
        ]
        numbers = [None if at != at else round(at, 2) for at in z.tolist()]
        table = [numbers[at : at + columns] for at in range(0, rows * columns, columns)]
        return [dict(type="heatmap", z=table), dict(type="scatter", text=written)]

    names = list(bits)
    first = frame(bits[names[0]])
    shown = theme.figure(title, height=500, showlegend=False)
    ticks = [-8, -6, -4, -2, 0]
    shown.add_heatmap(
        z=first[0]["z"],
        zmin=low,
        zmax=high,
        colorscale="Cividis",
        colorbar=dict(
            title="change (bits)",
            tickvals=ticks,
            ticktext=["≤ 10⁻⁸", "10⁻⁶", "10⁻⁴", "0.01", "≥ 1"],
            thickness=14,
        ),
        xgap=3,
        ygap=3,
        hoverongaps=False,
        hovertemplate="10^%{z:.1f} bits<extra></extra>",
    )
    shown.add_scatter(
        x=column, y=row, text=first[1]["text"], mode="text", textfont_size=13, hoverinfo="skip"
    )
    box = dict(color="rgba(0,0,0,0)", size=40, line=dict(color=theme.ORANGE, width=4))
    shown.add_scatter(
        x=[column[position]],
        y=[row[position]],
        mode="markers",
        marker=dict(symbol="square", **box),
        hoverinfo="skip",
    )
    shown.frames = [
        go.Frame(name=name, data=frame(changes), traces=[0, 1]) for name, changes in bits.items()
    ]
    shown.update_xaxes(visible=False, range=[-0.5, columns - 0.5])
    shown.update_yaxes(visible=False, range=[rows - 0.5, -0.5])
    theme.player(shown, names, "window = ", milliseconds=1500, below=0.0)
    return shown
