"""Quantities against quantities: lines, shares that add up to one, parts that add up to a total."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from textwrap import wrap

import plotly.graph_objects as go

from mixlab.chapters.kit import theme

_DASHES = ("solid", "dash", "dot", "dashdot")
# Pixels, about: of a plot without its margins, of a line of a name, of one of its characters.
PLOT_HEIGHT, NAME_HEIGHT, CHARACTER = 300, 21, 8
NAME_WIDTH = 24  # characters of a line of a name
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
    named_at_ends: bool = True,
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
        named_at_ends: names stand at the curves' right ends; in a legend where curves end at one
            height.
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
        _name(shown, words, _place(x[-1], log_x), _place(guide[-1], log_y), "#666")
    for words, where in (marks or {}).items():
        shown.add_vline(x=where, line=dict(dash="dash", color="#666"))
        # On a logarithmic axis Plotly takes a line's x as it is, but the logarithm of words'.
        place = dict(x=_place(where, log_x), y=1, yref="paper", xanchor="center", yanchor="bottom")
        shown.add_annotation(text=words, showarrow=False, font_size=16, **place)
    shown.update_xaxes(title_text=x_title)
    shown.update_yaxes(title_text=y_title)
    if log_x:
        ticks = [f"{at:,}" for at in x]
        shown.update_xaxes(type="log", tickvals=list(x), ticktext=ticks)
    if log_y:
        least = min(at for numbers in values.values() for at in numbers if at is not None)
        shown.update_yaxes(type="log", dtick=1, tickformat="," if least >= 1 else None)
    else:
        shown.update_yaxes(rangemode="tozero")
    shown.update_layout(showlegend=False)
    if marks:
        shown.update_layout(margin_t=110)
    if len(values) > 1 and named_at_ends:
        name_ends(shown, x, values, log_x, log_y)
    elif len(values) > 1:
        # At the foot of the figure, where no line runs through it.
        legend = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom")
        shown.update_layout(showlegend=True, legend=legend, margin_b=110, height=470)
    return shown


def name_ends(
    shown: go.Figure,
    x: Sequence[Real],
    values: Mapping[str, Sequence[Real]],
    log_x: bool,
    log_y: bool,
    **axes: str,
) -> None:
    """Names beside the right ends of curves, in their colours; those that would overlap give way.

    Args:
        x: where the curves' numbers were taken.
        values: name to a curve's numbers, in the order of the colours.
        log_x, log_y: whether the axes are logarithmic.
        axes: `xref` and `yref` of the panel.
    """
    left, right = _place(x[0], log_x), _place(x[-1], log_x)
    # Plotly would make room for the names inside of the plot.
    shown.update_xaxes(range=[left - 0.04 * (right - left), right + 0.02 * (right - left)])
    heights = [_place(at, log_y) for numbers in values.values() for at in numbers if at is not None]
    low, high = min(heights) if log_y else min(0, *heights), max(heights)
    pixels = PLOT_HEIGHT / (high - low or 1)
    ends = [_place(numbers[-1], log_y) for numbers in values.values()]
    named = sorted(zip(ends, map(_in_lines, values), theme.CYCLE, strict=False))
    below, above = -math.inf, 0
    for end, name, color in named:
        height = NAME_HEIGHT * (1 + name.count("<br>"))
        below = max(end * pixels, below + (above + height) / 2)
        above = height
        _name(shown, name, right, end, color, yshift=below - end * pixels, **axes)
    longest = max(len(line) for _, name, _ in named for line in name.split("<br>"))
    shown.update_layout(margin_r=30 + CHARACTER * longest)


def _in_lines(name: str) -> str:
    """A long name in short lines, so that the plot keeps its room on a phone."""
    return "<br>".join(line for part in name.split("<br>") for line in wrap(part, NAME_WIDTH))


def _place(at: Real, log: bool) -> Real:
    """Where Plotly puts a number on an axis."""
    return math.log10(at) if log else at


def _name(shown: go.Figure, words: str, x: Real, y: Real, color: str, **place) -> None:
    """A curve's name beside its right end."""
    look = dict(xanchor="left", xshift=9, showarrow=False, align="left")
    font = dict(color=theme.ink(color), size=16)
    shown.add_annotation(text=words, x=x, y=y, font=font, **look, **place)


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


def totals(
    rows: Mapping[str, Sequence[Real]],
    parts: Mapping[str, str],
    *,
    title: str,
    x_title: str,
    unit: str,
) -> go.Figure:
    """Amounts as lying bars, in parts, each with its total at the end.

    Args:
        rows: name to its numbers, one a part.
        parts: what each part is, to its colour.
        title: the claim.
        x_title: name and unit of the axis.
        unit: what stands behind a number that is pointed at.
    """
    shown, names = theme.figure(title, height=420), list(rows)
    for number, (part, color) in enumerate(parts.items()):
        shown.add_bar(
            x=[rows[name][number] for name in names],
            y=names,
            orientation="h",
            name=part,
            marker_color=color,
            hovertemplate=f"%{{y}}: %{{x:.2f}} {unit}<extra>{part}</extra>",
        )
    sums = [sum(numbers) for numbers in rows.values()]
    shown.add_scatter(
        x=sums,
        y=names,
        mode="text",
        text=[f"  {number:.1f}" for number in sums],
        textposition="middle right",
        textfont_size=17,
        cliponaxis=False,  # on a phone the plot is narrower than the number
        showlegend=False,
        hoverinfo="skip",
    )
    shown.update_layout(barmode="stack", bargap=0.35)
    shown.update_layout(legend=dict(orientation="h", y=-0.3, traceorder="normal"))
    shown.update_xaxes(title_text=x_title, range=[0, 1.12 * max(sums)])
    return shown.update_yaxes(autorange="reversed", showgrid=False, ticklabelstandoff=6)


def seed_points(
    shown: go.Figure, number: int, name: str, groups: Mapping[str, Sequence[Real]], jitter: float
) -> None:
    """Points of single seeds over the bars of `name`, which is the figure's `number`-th.

    Args:
        groups: name of a group of bars to what each seed reaches, between 0 and 1.
        jitter: how far points of one bar are spread.
    """
    shown.add_box(
        x=[group for group, reached in groups.items() for _ in reached],
        y=[share for reached in groups.values() for share in reached],
        offsetgroup=number,
        boxpoints="all",
        jitter=jitter,
        pointpos=0,
        fillcolor="rgba(0, 0, 0, 0)",
        line_color="rgba(0, 0, 0, 0)",
        marker=dict(size=9, color="#111", line=dict(width=1, color="white")),
        showlegend=False,
        hovertemplate="%{x}, a seed: %{y:.0%}<extra>" + name + "</extra>",
    )


def guess_line(shown: go.Figure, guess: Real) -> None:
    """A dashed line at what guessing reaches, named at its end."""
    shown.add_hline(y=guess, line=dict(dash="dash", color="#666", width=2))
    place = dict(x=1, xref="paper", xshift=6, y=guess, xanchor="left", yanchor="middle")
    shown.add_annotation(text="guessing", **place, showarrow=False, font_size=16)
