"""Figures of chapter 17: a bucket, what scans cost, how they round, who reaches whom.

Each takes plain numbers, made by a trace or a cell, and returns a Plotly figure.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import series, theme

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "x")


def bucket(kept: Sequence[float], added: Sequence[float], title: str) -> go.Figure:
    """The level of a leaky bucket, minute by minute: what was kept, and what came in.

    Args:
        kept, added: litres, one number a minute.
        title: the claim.
    """
    shown = theme.figure(title, height=400)
    minutes = list(range(len(kept)))
    for values, name, color in (
        (kept, "kept from the minute before", theme.SEEN),
        (added, "came in", theme.NOW),
    ):
        shown.add_bar(
            x=minutes,
            y=list(values),
            name=name,
            marker_color=color,
            hovertemplate="minute %{x}: %{y:g} litres<extra>" + name + "</extra>",
        )
    for minute, level in enumerate(np.add(kept, added)):
        shown.add_annotation(
            x=minute, y=level, text=f"<b>{level:g}</b>", showarrow=False, yshift=12, font_size=15
        )
    shown.update_layout(barmode="stack", legend=dict(orientation="h", y=1.12, x=0))
    shown.update_xaxes(title_text="minute t", dtick=1, showgrid=False)
    shown.update_yaxes(title_text="level h (litres)")
    return shown


def panels(
    x: Sequence[Real],
    values: Mapping[str, Mapping[str, Sequence[Real]]],
    *,
    title: str,
    x_title: str,
    y_titles: Sequence[str],
) -> go.Figure:
    """Panels side by side, both axes logarithmic, the same lines in each.

    Args:
        x: where the numbers were taken.
        values: panel's heading to line's name to numbers, one for each x.
        title: the claim.
        x_title: name and unit of the horizontal axes.
        y_titles: of each panel's vertical axis.
    """
    shown = make_subplots(1, len(values), subplot_titles=list(values), horizontal_spacing=0.13)
    for column, lines in enumerate(values.values(), start=1):
        for number, (name, numbers) in enumerate(lines.items()):
            color = theme.CYCLE[number]
            shown.add_scatter(
                x=list(x),
                y=list(numbers),
                name=name,
                mode="lines+markers",
                line=dict(width=3, dash=_DASHES[number], color=color),
                marker=dict(size=9, symbol=_SYMBOLS[number], color=color),
                hovertemplate="%{x:,}: %{y:,.4~g}<extra>" + name + "</extra>",
                row=1,
                col=column,
            )
    shown.update_layout(theme.figure(title, height=470).layout)
    ticks = [at for number, at in enumerate(x) if (len(x) - 1 - number) % 2 == 0]
    shown.update_xaxes(
        type="log", title_text=x_title, tickvals=ticks, ticktext=[f"{at:,}" for at in ticks]
    )
    for column, lines in enumerate(values.values(), start=1):
        marks = _one_two_five(min(map(min, lines.values())), max(map(max, lines.values())))
        ticks = dict(tickvals=marks, ticktext=[f"{at:,g}" for at in marks])
        shown.update_yaxes(type="log", **ticks, col=column)
    for column, words in enumerate(y_titles, start=1):
        shown.update_yaxes(title_text=words, col=column)
    last = dict(xref=f"x{len(values)}", yref=f"y{len(values)}")
    series.name_ends(shown, x, lines, True, True, **last)
    return shown.update_layout(showlegend=False, margin_t=110, height=430)


def _one_two_five(least: Real, most: Real) -> list[float]:
    """1, 2, 5, 10, … from the last of them below `least` to the first above `most`."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    marks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    below, above = [at for at in marks if at <= least], [at for at in marks if at >= most]
    return [at for at in marks if below[-1] <= at <= above[0]]


def error_lines(at: Sequence[int], errors: Mapping[str, Sequence[float]], title: str) -> go.Figure:
    """Rounding errors against position, both axes logarithmic.

    Args:
        at: positions, each the end of the stretch that its number is of.
        errors: way of scanning to its greatest relative error in each stretch.
        title: the claim.
    """
    shown = series.lines(
        at,
        errors,
        title=title,
        x_title="position in the sequence",
        y_title="greatest relative error",
        log_x=True,
        log_y=True,
    )
    shown.update_yaxes(exponentformat="power", range=[-7.5, -4.8])
    return shown


def reach(
    weights: np.ndarray, row: int, column: int, words: tuple[str, str], title: str
) -> go.Figure:
    """Who reaches whom: how much of what came in at s is still there at t.

    Args:
        weights: (seq, seq), lower triangular: row t, column s.
        row, column: outlined.
        words: what is said beside the row and beside the column.
        title: the claim.
    """
    seq = len(weights)
    shown = theme.figure(title, height=500)
    earlier = np.tril(np.ones((seq, seq), dtype=bool))
    shown.add_heatmap(
        z=np.where(earlier, weights, None),
        text=np.where(earlier, [[f"{value:g}" for value in line] for line in weights], ""),
        texttemplate="%{text}",
        textfont_size=15,
        colorscale=[[0.0, theme.GONE], [1.0, theme.SEEN]],
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="of what came in at %{x}, %{z:g} is there at %{y}<extra></extra>",
    )
    across = dict(x0=-0.5, x1=row + 0.5, y0=row - 0.5, y1=row + 0.5)
    down = dict(x0=column - 0.5, x1=column + 0.5, y0=column - 0.5, y1=seq - 0.5)
    at = (row + 0.7, row), (column + 0.7, column - 0.2)
    for corners, (x, y), text, color in zip(
        (across, down), at, words, (theme.NOW, theme.SEEN), strict=True
    ):
        shown.add_shape(type="rect", **corners, line=dict(color=color, width=4))
        shown.add_annotation(x=x, y=y, text=text, showarrow=False, xanchor="left", align="left")
    shown.update_annotations(font_size=16)
    shown.update_xaxes(
        title_text="came in at minute s", dtick=1, showgrid=False, constrain="domain"
    )
    shown.update_yaxes(
        title_text="is still there at minute t",
        dtick=1,
        showgrid=False,
        range=[seq - 0.5, -0.5],
        scaleanchor="x",
        constrain="domain",
    )
    return shown
