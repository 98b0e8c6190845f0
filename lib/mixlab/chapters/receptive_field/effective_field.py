"""Figures of chapter 03: how much of its reach a token uses.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from mixlab.chapters.kit import theme


def bell(alone: np.ndarray, held: np.ndarray, title: str) -> go.Figure:
    """Where a token's state comes from, layer by layer: averaging alone, and with a residual.

    Args:
        alone, held: (n_layers, distances), shares of the input at each distance after each layer.
        title: the claim.
    """
    shown = theme.figure(title, height=520)
    distance = list(range(alone.shape[1]))
    looks = {
        "attention alone": (theme.SKY, "rgba(86,180,233,0.35)"),
        "with the residual": (theme.GREEN, "rgba(0,158,115,0.35)"),
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


def used(parts: Mapping[str, tuple[float, Sequence[float]]], title: str) -> go.Figure:
    """How much of the reach holds most of the influence: a bar a row, a dot for each text.

    Args:
        parts: name to the part of the reach, 0 to 1, in the mean and in each text.
        title: the claim.
    """
    shown = theme.figure(title, height=120 + 80 * len(parts))
    names = list(parts)
    means = [mean for mean, _ in parts.values()]
    look = dict(orientation="h", hovertemplate="%{y}: %{x:.0%}<extra></extra>")
    shown.add_bar(y=names, x=means, marker_color=theme.SEEN, width=0.5, **look)
    rest = [1 - mean for mean in means]
    shown.add_bar(y=names, x=rest, marker_color=theme.GONE, width=0.5, hoverinfo="skip", **look)
    dots = [(name, each) for name, (_, texts) in parts.items() for each in texts]
    shown.add_scatter(
        y=[name for name, _ in dots],
        x=[each for _, each in dots],
        mode="markers",
        marker=dict(color=theme.BLACK, size=9, symbol="line-ns-open", line_width=2),
        hovertemplate="one text: %{x:.0%}<extra></extra>",
    )
    for name, mean in zip(names, means, strict=True):
        farthest = max([mean, *parts[name][1]])
        words = dict(text=f"<b>{mean:.0%}</b>", xanchor="left", xshift=12, font_size=17)
        shown.add_annotation(y=name, x=farthest, showarrow=False, **words)
    shown.update_xaxes(title_text="part of the reach, from the last token back", range=[0, 1])
    shown.update_xaxes(tickformat=".0%")
    shown.update_yaxes(autorange="reversed", tickfont_size=16, ticksuffix="  ")
    shown.update_layout(barmode="stack", showlegend=False)
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
        style = dict(width=3, dash=("solid", "dash")[number], color=(theme.SEEN, "#888")[number])
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
    box = dict(color=theme.NOW, size=40, line_width=4)
    shown.add_scatter(
        x=[column[position]],
        y=[row[position]],
        mode="markers",
        marker=dict(symbol="square-open", **box),  # a see-through fill turns white in dark slides
        hoverinfo="skip",
    )
    shown.frames = [
        go.Frame(name=name, data=frame(changes), traces=[0, 1]) for name, changes in bits.items()
    ]
    shown.update_xaxes(visible=False, range=[-0.5, columns - 0.5])
    shown.update_yaxes(visible=False, range=[rows - 0.5, -0.5])
    theme.player(shown, names, "window = ", milliseconds=1500, below=0.0)
    return shown
