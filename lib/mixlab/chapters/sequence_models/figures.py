"""Figures of chapter 12: who waits, what it costs, what joined steps draw, Euler and its error.

Each takes plain numbers, made by a trace or a cell, and returns a Plotly figure. What a step does
to Euler's rule is a piece of the stage, `euler`.
"""

import math
from collections.abc import Mapping, Sequence
from numbers import Real

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import series, theme

_COLORS = (theme.BLUE, theme.ORANGE, theme.GREEN, theme.PINK)
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "x")
_FOOT = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom", font_size=16)


def waiting(pictures: Mapping[str, tuple[Mapping, Mapping]], title: str) -> go.Figure:
    """Results of models as points, each as high as the round in which it can be made.

    The chain that leads to the last token's result is drawn in the colour of what acts.

    Args:
        pictures: name to what each (token, layer) reads, and its round.
        title: the claim.
    """
    heads = [f"<b>{kind}</b>: {_rounds(made)}" for kind, (_, made) in pictures.items()]
    shown = make_subplots(1, len(pictures), subplot_titles=heads, shared_yaxes=True)
    highest = 0
    for column, (needs, made) in enumerate(pictures.values(), start=1):
        where = {"row": 1, "col": column}
        chain = _chain(needs, made)
        edges = [(read, result) for result, reads in needs.items() for read in reads]
        quiet = [edge for edge in edges if edge not in chain]
        shown.add_scatter(**_strokes(quiet, made), line=dict(color="#9AA5B1", width=1.2), **where)
        shown.add_scatter(**_strokes(chain, made), line=dict(color=theme.NOW, width=5), **where)
        for inputs, color in ((True, theme.GONE), (False, theme.SEEN)):
            places = [place for place in needs if (place[1] == 0) == inputs]
            shown.add_scatter(
                x=[token for token, _ in places],
                y=[made[place] for place in places],
                mode="markers",
                marker=dict(size=15, color=[color] * len(places), line=dict(color="#888", width=1)),
                hovertemplate="token %{x}: round %{y}<extra></extra>",
                **where,
            )
        highest = max(highest, *made.values())
    shown.update_layout(theme.figure(title, height=440).layout, showlegend=False, margin_t=100)
    shown.update_xaxes(title_text="token", dtick=1, showgrid=False)
    shown.update_yaxes(dtick=1, range=[-0.5, highest + 0.5])
    shown.update_yaxes(title_text="round", col=1)
    shown.update_annotations(font_size=16)
    return shown


def _rounds(made: Mapping) -> str:
    highest = max(made.values())
    return "1 round" if highest == 1 else f"{highest} rounds"


def _chain(needs: Mapping, made: Mapping) -> list[tuple]:
    """Back from the last result, always to the latest that it reads."""
    result, chain = list(needs)[-1], []
    while needs[result]:
        latest = max(needs[result], key=made.__getitem__)
        chain.append((latest, result))
        result = latest
    return chain


def _strokes(edges: Sequence[tuple], made: Mapping) -> dict:
    """Lines from place to place, as one trace with gaps."""
    x = [at for (start, _), (end, _) in edges for at in (start, end, None)]
    y = [at for read, result in edges for at in (made[read], made[result], None)]
    return dict(x=x, y=y, mode="lines", hoverinfo="skip")


def bargain(
    lengths: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[Real]]], title: str
) -> go.Figure:
    """Costs against the length of a text, all axes logarithmic.

    Args:
        lengths: in tokens.
        panels: heading to model's name to its cost at each length.
        title: the claim.
    """
    shown = make_subplots(1, len(panels), subplot_titles=list(panels), horizontal_spacing=0.09)
    for column, lines in enumerate(panels.values(), start=1):
        for number, (name, costs) in enumerate(lines.items()):
            shown.add_scatter(
                x=list(lengths),
                y=[int(cost) for cost in costs],
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                mode="lines",
                line=dict(width=4, dash=_DASHES[number], color=_COLORS[number]),
                hovertemplate="%{x:,} tokens: %{y:,}<extra>" + name + "</extra>",
                row=1,
                col=column,
            )
    shown.update_layout(theme.figure(title, height=470).layout)
    ticks = [16, 128, 1024, 16_384]
    shown.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{at:,}" for at in ticks])
    shown.update_xaxes(title_text="tokens", tickfont_size=14)
    shown.update_yaxes(type="log", dtick=1, exponentformat="power", tickfont_size=14)
    for column, lines in enumerate(panels.values(), start=1):
        ends = [
            math.log10(min(map(min, lines.values()))),
            math.log10(max(map(max, lines.values()))),
        ]
        shown.update_yaxes(range=[ends[0] - 0.2, ends[1] + 0.2], col=column)
    shown.update_annotations(font_size=17)
    shown.update_layout(legend=_FOOT, margin=dict(t=100, b=110))
    return shown


def after_steps(
    position: Sequence[Real], panels: Mapping[str, Mapping[int, Sequence[Real]]], title: str
) -> go.Figure:
    """What steps make of starting states along a line.

    Args:
        position: of the starting state on the line.
        panels: kind of step to number of steps to the state after them.
        title: the claim.
    """
    heads = [f"<b>{kind}</b>" for kind in panels]
    shown = make_subplots(
        1, len(panels), subplot_titles=heads, shared_yaxes=True, horizontal_spacing=0.08
    )
    looks = zip((theme.GREEN, theme.SEEN, theme.NOW), (6, 4, 2), strict=True)
    looks = dict(enumerate(looks))
    for column, curves in enumerate(panels.values(), start=1):
        for number, (n, states) in enumerate(curves.items()):
            color, width = looks[number]
            shown.add_scatter(
                x=[round(float(at), 4) for at in position[::4]],
                y=[round(float(state), 4) for state in states[::4]],
                name=f"{n} step{'s' * (n > 1)}",
                legendgroup=n,
                showlegend=column == 1,
                mode="lines",
                line=dict(color=color, width=width),
                hoverinfo="skip",
                row=1,
                col=column,
            )
    shown.update_layout(theme.figure(title, height=430).layout)
    shown.update_xaxes(title_text="starting state, along a line", showgrid=False)
    shown.update_yaxes(title_text="state", col=1)
    shown.update_annotations(font_size=17)
    shown.update_layout(legend=_FOOT, margin=dict(t=100, b=110))
    return shown


def polygons(
    times: Sequence[Real],
    truth: Sequence[Real],
    runs: Mapping[str, Sequence[Real]],
    title: str,
) -> go.Figure:
    """A solution over one unit of time, and what equal steps of Euler make of it.

    Args:
        times, truth: the solution's curve.
        runs: name to the states at equally spaced times from 0 to 1.
        title: the claim.
    """
    shown = theme.figure(title, height=460)
    line = dict(color=theme.SEEN, width=5)
    shown.add_scatter(x=list(times), y=list(truth), name="truth", mode="lines", line=line)
    for number, (name, states) in enumerate(runs.items()):
        shown.add_scatter(
            x=[k / (len(states) - 1) for k in range(len(states))],
            y=list(states),
            name=name,
            mode="lines+markers",
            line=dict(color=theme.NOW, width=3, dash=_DASHES[number]),
            marker=dict(size=11, symbol=_SYMBOLS[number]),
            hovertemplate="%{x:.2f} h: %{y:.2f}<extra>" + name + "</extra>",
        )
    for name, value in [("truth", truth[-1])] + [(name, run[-1]) for name, run in runs.items()]:
        place = dict(x=1, y=value, xanchor="left", xshift=12, showarrow=False)
        shown.add_annotation(text=f"{name}: {value:.1f}", font_size=16, **place)
    shown.update_xaxes(title_text="time (hours)", range=[-0.02, 1.02])
    shown.update_yaxes(title_text="bacteria", rangemode="tozero")
    shown.update_layout(showlegend=False, margin_r=150)
    return shown


def orders(
    steps: Sequence[Real],
    errors: Mapping[str, Sequence[Real]],
    slopes: Mapping[str, int],
    title: str,
) -> go.Figure:
    """Errors against the step, both axes logarithmic, each beside a guide of its slope.

    Args:
        steps: their lengths, the longest first.
        errors: name of a rule to its errors.
        slopes: name to the slope of the guide, which starts a little above the first error.
        title: the claim.
    """
    shown = series.lines(
        steps[::-1],
        {name: row[::-1] for name, row in errors.items()},
        title=title,
        x_title="length of a step (hours)",
        y_title="error after an hour (bacteria)",
        log_x=True,
        log_y=True,
    )
    for name in errors:
        first = 2 * errors[name][0]
        guide = [first * (step / steps[0]) ** slopes[name] for step in steps]
        style = dict(mode="lines", line=dict(color="#888", width=2, dash="dot"))
        shown.add_scatter(x=list(steps), y=guide, showlegend=False, hoverinfo="skip", **style)
        middle = len(steps) // 2
        place = dict(x=math.log10(steps[middle]), y=math.log10(guide[middle]))
        words = f"slope {slopes[name]}"
        shown.add_annotation(
            text=words, **place, xshift=-36, yshift=18, showarrow=False, font_size=16
        )
    ticks = dict(tickvals=list(steps), ticktext=[f"1/{round(1 / step)}" for step in steps])
    shown.update_xaxes(**ticks, tickfont_size=16)
    shown.update_yaxes(exponentformat="power", dtick=2)
    shown.update_layout(height=420)
    return shown
