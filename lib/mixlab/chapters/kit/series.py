"""Quantities against quantities: lines, and shares that add up to one."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import plotly.graph_objects as go

from mixlab.chapters.kit import theme

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "x")


def lines(
    x: Sequence[Real],
    values: Mapping[str, Sequence[Real | None]],
    *,
    title: str,
    x_title: str,
    y_title: str,
    marks: Mapping[str, Real] | None = None,
    ends: Mapping[str, tuple[Sequence[Real], Sequence[Real]]] | None = None,
    slopes: Mapping[str, tuple[Real, Real]] | None = None,
    named_at_ends: bool = False,
    log_x: bool = False,
    log_y: bool = False,
) -> go.Figure:
    """Numbers against x, one line a name, told apart by colour, dash and symbol.

    Args:
        x: where the numbers were taken.
        values: name to numbers, one for each x; None leaves a gap.
        title: the claim.
        x_title, y_title: name and unit of each axis.
        marks: words to the x at which a dashed vertical line bears them.
        ends: name to the lower and upper ends of each number's interval, drawn as bars.
        slopes: words to an exponent and a number at the first x: a dotted guide through there that
            rises by this power of x.
        named_at_ends: names stand at the curves' right ends, and not in a legend.
        log_x, log_y: logarithmic axes; on a logarithmic x axis each x has its tick.
    """
    shown = theme.figure(title, height=440)
    for number, (name, numbers) in enumerate(values.items()):
        shown.add_scatter(
            x=list(x),
            y=list(numbers),
            name=name,
            mode="lines+markers",
            line=dict(width=3, dash=_DASHES[number % len(_DASHES)]),
            marker=dict(size=9, symbol=_SYMBOLS[number % len(_SYMBOLS)]),
            hovertemplate="%{x:,}: %{y:.4~g}<extra>" + name + "</extra>",
        )
        if ends and name in ends:
            low, high = ends[name]
            shown.data[-1].error_y = dict(
                type="data",
                symmetric=False,
                array=[end - at for at, end in zip(numbers, high, strict=True)],
                arrayminus=[at - end for at, end in zip(numbers, low, strict=True)],
                thickness=2,
                width=5,
            )
    for words, (exponent, first) in (slopes or {}).items():
        guide = [first * (at / x[0]) ** exponent for at in x]
        style = dict(mode="lines", line=dict(color="#888", width=1.5, dash="dot"))
        shown.add_scatter(x=list(x), y=guide, **style, hoverinfo="skip", showlegend=False)
        _name(shown, words, x[-1], guide[-1], "#666", log_x, log_y)
    for words, where in (marks or {}).items():
        shown.add_vline(x=where, line=dict(dash="dash", color="#666"))
        # On a logarithmic axis Plotly takes a line's x as it is, but the logarithm of words'.
        at = math.log10(where) if log_x else where
        place = dict(x=at, y=1, yref="paper", xanchor="center", yanchor="bottom")
        shown.add_annotation(text=words, showarrow=False, font_size=13, **place)
    shown.update_xaxes(title_text=x_title)
    shown.update_yaxes(title_text=y_title)
    if log_x:
        ticks = [f"{at:,}" for at in x]
        shown.update_xaxes(type="log", tickvals=list(x), ticktext=ticks)
    if log_y:
        shown.update_yaxes(type="log", dtick=1)
    else:
        shown.update_yaxes(rangemode="tozero")
    # At the foot of the figure, where no line runs through it.
    legend = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom")
    shown.update_layout(showlegend=len(values) > 1, legend=legend)
    if len(values) > 1:
        shown.update_layout(margin_b=110, height=470)
    if marks:
        shown.update_layout(margin_t=110)
    if named_at_ends:
        for (name, numbers), color in zip(values.items(), theme.CYCLE, strict=False):
            _name(shown, name, x[-1], numbers[-1], color, log_x, log_y)
        shown.update_layout(showlegend=False, height=440, margin=dict(b=60, r=190))
    return shown


def _name(
    shown: go.Figure, words: str, x: Real, y: Real, color: str, log_x: bool, log_y: bool
) -> None:
    """A curve's name beside its right end."""
    place = dict(x=math.log10(x) if log_x else x, y=math.log10(y) if log_y else y)
    look = dict(xanchor="left", xshift=9, showarrow=False, font=dict(color=color, size=14))
    shown.add_annotation(text=words, **place, **look)


def shares(
    x: Sequence,
    parts: Mapping[str, Sequence[Real]],
    *,
    title: str,
    x_title: str,
    y_title: str,
) -> go.Figure:
    """Parts of a whole as stacked bars.

    Args:
        x: what each bar stands for.
        parts: name to shares between 0 and 1, one for each bar; a bar's shares add up to 1.
        title: the claim.
        x_title, y_title: name and unit of each axis.
    """
    shown = theme.figure(title, height=420)
    colors = (theme.BLUE, theme.ORANGE, theme.GONE, theme.GREEN)
    for (name, values), color in zip(parts.items(), colors, strict=False):
        shown.add_bar(
            x=[str(at) for at in x],
            y=list(values),
            name=name,
            marker_color=color,
            hovertemplate="%{x}: %{y:.0%}<extra>" + name + "</extra>",
        )
    shown.update_layout(barmode="stack", legend=dict(orientation="h", y=-0.25))
    shown.update_xaxes(title_text=x_title, type="category")
    shown.update_yaxes(title_text=y_title, tickformat=".0%", range=[0, 1])
    return shown
