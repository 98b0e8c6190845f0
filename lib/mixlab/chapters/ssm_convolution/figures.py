"""Figures of chapter 14: points on a circle, and what each input does to each output."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme


def squared(points: np.ndarray, title: str) -> go.Figure:
    """Complex numbers on the unit circle, and beside them their squares, in the same colours.

    Args:
        points: n of them, point k + n/2 the opposite of point k.
        title: the claim.
    """
    half = len(points) // 2
    heads = [f"<b>the {len(points)} points</b>", f"<b>their squares: {half} places</b>"]
    shown = make_subplots(1, 2, subplot_titles=heads, horizontal_spacing=0.06)
    turn = np.exp(2j * np.pi * np.linspace(0, 1, 121))
    colors = [theme.CYCLE[k % half % len(theme.CYCLE)] for k in range(len(points))]
    for column, places in enumerate((points, points**2), start=1):
        where = dict(row=1, col=column)
        circle = dict(x=turn.real.round(4), y=turn.imag.round(4), mode="lines", hoverinfo="skip")
        shown.add_scatter(**circle, line=dict(color="#888", width=1.5), **where)
        # On the right the second half lies on the first: a ring around a disc.
        inner = column == 1 or np.arange(len(points)) < half
        shown.add_scatter(
            x=places.real.round(4),
            y=places.imag.round(4),
            mode="markers",
            marker=dict(
                size=np.where(inner, 17, 30).tolist() if column == 2 else 17,
                color=colors,
                symbol=[
                    "circle" if on else "circle-open" for on in np.broadcast_to(inner, half * 2)
                ],
                line=dict(width=3, color=colors),
            ),
            hovertemplate="%{x:.2f} + %{y:.2f} i<extra></extra>",
            **where,
        )
        for k, place in enumerate(places):
            far = 1.24 if column == 1 or k < half else 1.52
            words = f"{k}" if column == 1 else f"{k}²"
            at = dict(x=far * place.real, y=far * place.imag, showarrow=False)
            shown.add_annotation(text=words, font=dict(size=17, color=colors[k]), **at, **where)
    shown.update_layout(theme.figure(title, height=430).layout, showlegend=False, margin_t=100)
    shown.update_xaxes(visible=False, range=[-1.75, 1.75])
    shown.update_yaxes(visible=False, range=[-1.7, 1.7])
    shown.update_layout(yaxis_scaleanchor="x", yaxis2_scaleanchor="x2")
    return shown


def matrices(panels: Mapping[str, np.ndarray], corner: int, words: str, title: str) -> go.Figure:
    """What each input does to each output, with one corner framed.

    Args:
        panels: heading to a (seq, seq) matrix; what lies above the diagonal is left empty.
        corner: outputs from here on and inputs before lie in the frame.
        words: on the frame.
        title: the claim.
    """
    heads = [f"<b>{name}</b>" for name in panels]
    shown = make_subplots(1, len(panels), subplot_titles=heads, horizontal_spacing=0.1)
    most = max(np.abs(matrix).max() for matrix in panels.values())
    scale = [[0, theme.ORANGE], [0.5, "#F7F7F7"], [1, theme.BLUE]]
    for column, matrix in enumerate(panels.values(), start=1):
        seq = len(matrix)
        seen = np.where(np.tri(seq, dtype=bool), matrix.round(3), np.nan)
        shown.add_heatmap(
            z=seen,
            zmin=-most,
            zmax=most,
            colorscale=scale,
            showscale=column == len(panels),
            colorbar=dict(title="effect", thickness=14),
            xgap=1.5,
            ygap=1.5,
            hoverongaps=False,
            hovertemplate="input %{x} on output %{y}: %{z:.2f}<extra></extra>",
            row=1,
            col=column,
        )
        frame = dict(x0=-0.5, x1=corner - 0.5, y0=corner - 0.5, y1=seq - 0.5)
        shown.add_shape(type="rect", **frame, line=dict(color="#222", width=3), row=1, col=column)
        above = dict(x=seq - 0.5, y=0, xanchor="right", showarrow=False, font_size=16)
        shown.add_annotation(text=f"frame: {words}", **above, row=1, col=column)
    shown.update_layout(theme.figure(title, height=470).layout, margin_t=100)
    shown.update_xaxes(title_text="input", showgrid=False, constrain="domain")
    shown.update_yaxes(showgrid=False, constrain="domain", autorange="reversed")
    shown.update_yaxes(title_text="output", col=1)
    shown.update_layout(yaxis_scaleanchor="x", yaxis2_scaleanchor="x2")
    return shown
