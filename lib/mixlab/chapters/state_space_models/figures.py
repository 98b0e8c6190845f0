"""Figures of chapter 13: orders of errors, factors of a step, a push seen early and late.

Each takes plain numbers, made by a trace or a cell, and returns a Plotly figure. The recurrence
stepped under a held input is a piece of the stage, `hold`.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from numbers import Real

import plotly.graph_objects as go

from mixlab.chapters.kit import series, theme

_COLORS = {1: theme.ORANGE, 2: theme.BLUE}  # by order
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "x", "triangle-up")
_ROW = 21  # pixels between names
_LOWEST = -3  # of factors that are shown


def orders(
    steps: Sequence[Real], bundles: Mapping[int, Mapping[str, Sequence[Real]]], title: str
) -> go.Figure:
    """Errors against the step, both axes logarithmic, the steps shortest on the right.

    Args:
        steps: their lengths, the longest first.
        bundles: an order to names of rules to their errors. Each bundle has a colour, a guide of
            its slope, above for order 1 and below for 2, and its names at the right.
        title: the claim.
    """
    shown = theme.figure(title, height=470, showlegend=False)
    for slope, rules in bundles.items():
        firsts = [errors[0] for errors in rules.values()]
        first = 2 * max(firsts) if slope == 1 else 0.4 * min(firsts)
        guide = [first * (step / steps[0]) ** slope for step in steps]
        style = dict(mode="lines", line=dict(color="#888", width=2, dash="dot"))
        shown.add_scatter(x=list(steps), y=guide, hoverinfo="skip", **style)
        at, words = len(steps) // 2, f"slope {slope}"
        place = dict(x=math.log10(steps[at]), y=math.log10(guide[at]))
        side = dict(xshift=30, yshift=14) if slope == 1 else dict(xshift=-36, yshift=-14)
        shown.add_annotation(text=words, **place, **side, showarrow=False, font_size=16)
        for number, (name, errors) in enumerate(rules.items()):
            shown.add_scatter(
                x=list(steps),
                y=list(errors),
                name=name,
                mode="lines+markers",
                line=dict(color=_COLORS[slope], width=3, dash=_DASHES[number]),
                marker=dict(size=9, symbol=_SYMBOLS[number]),
                hovertemplate="Δ = %{x:.3~g}: %{y:.2~g}<extra>" + name + "</extra>",
            )
        _names(shown, steps[-1], rules, theme.ink(_COLORS[slope]))
    ends = [math.log10(steps[0]) + 0.08, math.log10(steps[-1]) - 0.04]
    ticks = dict(tickvals=list(steps), ticktext=[str(Fraction(step)) for step in steps])
    shown.update_xaxes(type="log", range=ends, title_text="step Δ (seconds)", **ticks)
    shown.update_yaxes(type="log", dtick=1, exponentformat="power")
    shown.update_yaxes(title_text="error after 4 seconds")
    return shown.update_layout(margin_r=190)


def _names(shown: go.Figure, x: Real, rules: Mapping[str, Sequence[Real]], ink: str) -> None:
    """Names of a bundle at its right end, in the order of the curves, around their middle."""
    named = sorted(rules, key=lambda name: rules[name][-1])
    middle = sum(math.log10(rules[name][-1]) for name in named) / len(named)
    for row, name in enumerate(named):
        shift = _ROW * (row - (len(named) - 1) / 2)
        place = dict(x=math.log10(x), y=middle, xanchor="left", xshift=12, yshift=shift)
        mark = f"<b>{name}</b>"
        shown.add_annotation(text=mark, **place, showarrow=False, font=dict(color=ink, size=16))


def factors(z: Sequence[Real], rules: Mapping[str, Sequence[Real]], title: str) -> go.Figure:
    """What a step multiplies a decay by, against Δ times its rate; the strip −1 … 1 is shaded.

    Args:
        z: Δ·A, from 0 down.
        rules: name to the factor at each z.
        title: the claim.
    """
    across = [-at for at in z]
    shown = series.lines(
        across,
        rules,
        title=title,
        x_title="Δ · rate of the decay",
        y_title="a step multiplies by",
    )
    shown.update_traces(mode="lines", line_width=4)
    shown.add_hrect(y0=-1, y1=1, fillcolor=theme.SEEN, opacity=0.12, line_width=0, layer="below")
    for note in shown.layout.annotations:
        left = sum(factor >= _LOWEST for factor in rules[note.text])
        if left < len(z):  # a curve that leaves the figure has its name where it does
            note.update(x=across[left], y=_LOWEST, yshift=12, xshift=4)
    words = dict(text="shrinks", x=across[-1] * 0.98, y=0.84, xanchor="right", font_size=16)
    shown.add_annotation(**words, showarrow=False)
    return shown.update_yaxes(range=[_LOWEST, 1.15], rangemode="normal", dtick=1)


def early_and_late(
    times: Sequence[Real],
    truth: Sequence[Real],
    moments: Sequence[Real],
    runs: Mapping[str, Sequence[Real]],
    title: str,
) -> go.Figure:
    """A true curve, and what a rule makes of it under different ideas of the sample.

    Args:
        times, truth: the curve.
        moments: when the steps end.
        runs: name to the rule's places at these moments.
        title: the claim.
    """
    shown = theme.figure(title, height=460)
    truth_line = dict(color=theme.SEEN, width=7)
    shown.add_scatter(x=list(times), y=list(truth), name="truth", mode="lines", line=truth_line)
    looks = zip((theme.GREEN, theme.VERMILION, theme.NOW), _DASHES[1:], _SYMBOLS, strict=False)
    for (name, places), (color, dash, symbol) in zip(runs.items(), looks, strict=False):
        shown.add_scatter(
            x=list(moments),
            y=list(places),
            name=name,
            mode="lines+markers",
            line=dict(color=color, width=2, dash=dash),
            marker=dict(size=11, symbol=symbol),
            hovertemplate="t = %{x:.1f}: %{y:.2f}<extra>" + name + "</extra>",
        )
    shown.update_xaxes(title_text="time (seconds)")
    shown.update_yaxes(title_text="place of the spring")
    foot = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom", font_size=16)
    return shown.update_layout(legend=foot, margin_b=110)
