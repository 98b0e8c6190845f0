"""Figures of chapter 15: polynomials under a past, two spectra in the plane.

Each takes plain numbers, made by a cell, and returns a Plotly figure. Curves of errors are the
kit's; the memory that is drawn into is a piece of the stage, `hippo`.
"""

from collections.abc import Mapping, Sequence
from numbers import Real

import plotly.graph_objects as go

from mixlab.chapters.kit import theme

_DASHES = ("dot", "dash", "solid")


def approximations(
    samples: Sequence[Real],
    shares: Sequence[Real],
    curves: Mapping[str, Sequence[Real]],
    title: str,
) -> go.Figure:
    """Samples held for equal parts of the past, and curves that stand for them.

    Args:
        samples: the signal, the oldest first.
        shares: of the past, where the curves' numbers were taken, from 0 to 1.
        curves: name to numbers, at most three, the best last.
        title: the claim.
    """
    shown = theme.figure(title, height=440)
    edges = [k / len(samples) for k in range(len(samples) + 1)]
    shown.add_scatter(
        x=edges,
        y=[*samples, samples[-1]],
        mode="lines",
        name="heard",
        line=dict(color=theme.SEEN, width=5, shape="hv"),
        hovertemplate="heard: %{y}<extra></extra>",
    )
    for (name, numbers), dash in zip(curves.items(), _DASHES[-len(curves) :], strict=True):
        shown.add_scatter(
            x=list(shares),
            y=list(numbers),
            mode="lines",
            name=name,
            line=dict(color=theme.NOW, width=3, dash=dash),
            hovertemplate="%{y:.2f}<extra>" + name + "</extra>",
        )
    for name, numbers in curves.items():
        place = dict(x=1, y=numbers[-1], xanchor="left", xshift=10)
        shown.add_annotation(text=name, font_size=17, showarrow=False, **place)
    top = max(range(len(samples)), key=lambda k: samples[k])
    place = dict(x=(top + 0.5) / len(samples), y=samples[top], yshift=14)
    shown.add_annotation(text="heard", font_size=17, showarrow=False, **place)
    shown.update_xaxes(title_text="share of the past: 0 is the beginning, 1 is now")
    shown.update_xaxes(range=[-0.01, 1.01], dtick=0.25)
    shown.update_yaxes(title_text="signal")
    return shown.update_layout(showlegend=False, margin_r=130)


def spectra(groups: Mapping[str, Sequence[complex]], title: str) -> go.Figure:
    """Eigenvalues of matrices as points in the plane, each group named beside its middle point.

    Args:
        groups: name to eigenvalues, at most two groups.
        title: the claim.
    """
    shown = theme.figure(title, height=460)
    looks = zip((theme.SEEN, theme.NOW), ("circle", "diamond"), strict=True)
    for (name, values), (color, symbol) in zip(groups.items(), looks, strict=False):
        shown.add_scatter(
            x=[value.real for value in values],
            y=[value.imag for value in values],
            mode="markers",
            name=name,
            marker=dict(size=11, color=color, symbol=symbol, line=dict(color="white", width=1)),
            hovertemplate="%{x:.2f} + %{y:.2f} i<extra>" + name + "</extra>",
        )
        top = max(values, key=lambda value: value.imag)
        left = min(values, key=lambda value: value.real)
        upright = top.imag > abs(left.real) / 2
        at = dict(x=top.real, y=top.imag) if upright else dict(x=left.real, y=left.imag)
        place = dict(xanchor="right" if upright else "left", xshift=-14 if upright else 0)
        shown.add_annotation(
            text=name, **at, **place, yshift=0 if upright else 24, font_size=17, showarrow=False
        )
    shown.update_xaxes(title_text="real part: how fast it fades")
    shown.update_yaxes(title_text="imaginary part: how fast it turns")
    return shown.update_layout(showlegend=False)
