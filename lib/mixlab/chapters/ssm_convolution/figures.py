"""Figures of chapter 14: points on a circle, leaks, costs, what each input does to each output."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import series, theme


def squared(points: np.ndarray, title: str) -> go.Figure:
    """Complex numbers on the unit circle, and beside them their squares, in the same colours.

    Args:
        points: n of them, point k + n/2 the opposite of point k.
        title: the claim.
    """
    half = len(points) // 2
    names = [f"{k}" for k in range(len(points))]
    twice = [f"{k}, {k + half}" for k in range(half)]
    panels = {f"{len(points)} points": (points, names), "their squares": (points**2, twice)}
    heads = [f"<b>{name}</b>" for name in panels]
    shown = make_subplots(1, 2, subplot_titles=heads, horizontal_spacing=0.16)
    turn = np.exp(2j * np.pi * np.linspace(0, 1, 121))
    colors = [theme.CYCLE[k % half % len(theme.CYCLE)] for k in range(len(points))]
    for column, (places, labels) in enumerate(panels.values(), start=1):
        where = dict(row=1, col=column)
        circle = dict(x=turn.real.round(4), y=turn.imag.round(4), mode="lines", hoverinfo="skip")
        shown.add_scatter(**circle, line=dict(color="#888", width=1.5), **where)
        look = dict(
            size=[18 * column] * half + [18] * half, color=colors, opacity=1 - 0.4 * (column - 1)
        )
        spots = dict(x=places.real.round(4), y=places.imag.round(4), mode="markers", marker=look)
        shown.add_scatter(**spots, hovertemplate="%{x:.2f} + %{y:.2f} i<extra></extra>", **where)
        for place, words, color in zip(places, labels, colors, strict=False):
            # Pixels away, so that a name stands clear of its point on a phone as well.
            far = dict(
                xshift=(16 + 14 * column) * place.real, yshift=(18 + 7 * column) * place.imag
            )
            at = dict(x=place.real, y=place.imag, showarrow=False, **far)
            shown.add_annotation(
                text=words, font=dict(size=19, color=theme.ink(color)), **at, **where
            )
    shown.update_layout(theme.figure(title, height=430).layout, showlegend=False)
    shown.update_layout(
        margin=dict(t=90, b=10, l=20, r=20), yaxis_scaleanchor="x", yaxis2_scaleanchor="x2"
    )
    shown.update_xaxes(visible=False, range=[-1.6, 1.6])
    return shown.update_yaxes(visible=False, range=[-1.4, 1.4])


def matrices(panels: Mapping[str, np.ndarray], corner: int, words: str, title: str) -> go.Figure:
    """How much each input does to each output, with one corner framed.

    Args:
        panels: heading to a (seq, seq) matrix; what lies above the diagonal is left empty.
        corner: outputs from here on and inputs before lie in the frame.
        words: on the frame.
        title: the claim.
    """
    heads = [f"<b>{name}</b>" for name in panels]
    shown = make_subplots(1, len(panels), subplot_titles=heads, horizontal_spacing=0.08)
    most = max(matrix.max() for matrix in panels.values())
    scale = [[0, "rgba(0, 114, 178, 0.05)"], [1, theme.SEEN]]
    for column, matrix in enumerate(panels.values(), start=1):
        where, seq = dict(row=1, col=column), len(matrix)
        shown.add_heatmap(
            z=np.where(np.tri(seq, dtype=bool), matrix.round(3), np.nan),
            zmin=0,
            zmax=most,
            colorscale=scale,
            showscale=False,
            xgap=1.5,
            ygap=1.5,
            hoverongaps=False,
            hovertemplate="input %{x} on output %{y}: %{z:.2f}<extra></extra>",
            **where,
        )
        frame = dict(x0=-0.5, x1=corner - 0.5, y0=corner - 0.5, y1=seq - 0.5)
        shown.add_shape(type="rect", **frame, line=dict(color=theme.NOW, width=4), **where)
        above = dict(x=seq - 0.5, y=0.3, xanchor="right", showarrow=False, font_size=17)
        shown.add_annotation(text=f"framed: {words}", **above, **where)
    shown.update_layout(theme.figure(title, height=430).layout, margin=dict(t=90, b=55, l=50, r=10))
    shown.update_xaxes(title_text="input", showgrid=False, constrain="domain")
    shown.update_yaxes(showgrid=False, constrain="domain", autorange="reversed")
    shown.update_yaxes(title_text="output", col=1)
    return shown.update_layout(yaxis_scaleanchor="x", yaxis2_scaleanchor="x2")


def silence(outputs: Mapping[str, Sequence[Real]], ends: int, title: str) -> go.Figure:
    """The largest output of each stretch of a text, upwards in powers of ten.

    Args:
        outputs: kind of number to the stretches' largest outputs.
        ends: the token at which the silence ends.
        title: the claim.
    """
    stretches = len(next(iter(outputs.values())))
    shown = series.lines(
        [2 * ends // stretches * k for k in range(stretches)],
        outputs,
        title=title,
        x_title="token",
        y_title="largest output",
        marks={"the silence ends": ends},
        log_y=True,
        named_at_ends=False,
    )
    for (name, values), color in zip(outputs.items(), theme.CYCLE, strict=False):
        place = dict(x=ends // 2, y=math.log10(values[stretches // 4]), yshift=22, showarrow=False)
        words = f"{name}, in the silence"
        shown.add_annotation(text=words, font=dict(size=16, color=theme.ink(color)), **place)
    shown.update_layout(showlegend=False, margin_b=60, height=440)
    shown.update_traces(mode="lines", line_shape="hv")  # a stretch is all its tokens
    return shown.update_yaxes(exponentformat="power", dtick=3, tickformat=None, title_standoff=24)


def leaks(
    loudness: Sequence[Real], leak: Sequence[Real], bound: Sequence[Real], title: str
) -> go.Figure:
    """Leaks into a silence and their bound against what comes after it, all in powers of ten."""
    shown = series.lines(
        loudness,
        {"leak": leak, "bound": bound},
        title=title,
        x_title="inputs after the silence",
        y_title="largest output in the silence",
        slopes={"slope 1": (1, leak[0] / 20)},
        log_x=True,
        log_y=True,
    )
    shown.update_xaxes(exponentformat="power", tickvals=None, ticktext=None, dtick=1)
    return shown.update_yaxes(exponentformat="power", dtick=2, tickformat=None, title_standoff=24)


def costs(lengths: Sequence[int], times: Mapping[str, Sequence[Real]], title: str) -> go.Figure:
    """Milliseconds against the length of a text, both axes logarithmic."""
    first = times["matrix"][-1] / 4 * (lengths[0] / lengths[-1]) ** 2
    shown = series.lines(
        lengths,
        times,
        title=title,
        x_title="tokens",
        y_title="milliseconds",
        slopes={"slope 2": (2, first)},
        log_x=True,
        log_y=True,
    )
    return shown.update_yaxes(exponentformat="power", tickformat=None, title_standoff=24)
