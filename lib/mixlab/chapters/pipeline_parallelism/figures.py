"""Figures of chapter 10: who does what when, what idles, and what is kept.

Each takes timelines or arrays that a cell has made, and returns a Plotly figure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme

_BACKS = {"F": theme.FORWARD, "B": theme.BACKWARD}
_OTHERS = "#BFE3F6"  # forward too, of those that one doesn't follow
REQUESTS = {"request A": theme.FORWARD, "the others": _OTHERS, "idle": theme.GONE}
_MEANINGS = {"forward": theme.FORWARD, "backward": theme.BACKWARD, "idle": theme.GONE}


@dataclass(frozen=True)
class Chart:
    """One Gantt chart to be drawn.

    Attributes:
        title: above it, in HTML.
        timeline: a `mixlab.parallel.timeline.Timeline`.
        name: words on an action; its kind and microbatch by default.
        color: of an action; that of its kind by default.
    """

    title: str
    timeline: object
    name: Callable = str
    color: Callable = lambda action: _BACKS[action.kind]


def gantt(
    charts: Sequence[Chart],
    title: str,
    *,
    x_title: str = "time (steps)",
    row: int = 34,
    every: float | None = None,
    meanings: Mapping[str, str] | None = None,
) -> go.Figure:
    """Timelines below one another on one axis of time, a row a stage, idle time in grey.

    Args:
        charts: from top to bottom.
        title: the claim.
        x_title: name and unit of the time.
        row: pixels a stage.
        every: distance of the ticks.
        meanings: name to colour of what is drawn; by default of forward, backward and idle.
    """
    counts = [len(chart.timeline.stages) for chart in charts]
    shown = make_subplots(
        rows=len(charts),
        cols=1,
        shared_xaxes=True,
        subplot_titles=[chart.title for chart in charts],
        vertical_spacing=46 / (row * sum(counts) + 46 * len(charts)),
        row_heights=counts,
    )
    height = round(row * sum(counts) + 46 * len(charts) + 150)
    shown.update_layout(theme.figure(title, height=height).layout)
    for number, chart in enumerate(charts, start=1):
        _draw(shown, chart, number)
    shown.update_annotations(font_size=16, x=0, xanchor="left")
    shown.update_xaxes(showgrid=False, dtick=every, tickfont_size=14)
    shown.update_xaxes(title_text=x_title, row=len(charts), col=1)
    shown.update_layout(barmode="overlay", bargap=0.12, margin=dict(l=80, t=100, b=95))
    spans = [span for chart in charts for spans in chart.timeline.stages for span in spans]
    if meanings is None:
        back = any(span.action.kind == "B" for span in spans)
        meanings = {name: _MEANINGS[name] for name in _MEANINGS if back or name != "backward"}
    for name, color in meanings.items():
        mark = dict(color=[color], symbol="square", size=14, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=mark)
    legend = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom", font_size=16)
    return shown.update_layout(legend=legend)


def _draw(shown: go.Figure, chart: Chart, number: int) -> None:
    """One chart's bars: all of each stage's time as a veil, and its actions over it."""
    stages = chart.timeline.stages
    rows = [f"stage {stage}" for stage in range(len(stages))]
    begins = min(span.start for spans in stages for span in spans)
    place = dict(row=number, col=1)
    veil = dict(color=[theme.GONE] * len(rows), line_width=0)
    bars = dict(orientation="h", hoverinfo="skip", showlegend=False)
    shown.add_bar(x=[chart.timeline.length] * len(rows), y=rows, marker=veil, **bars, **place)
    spans = [span for spans in stages for span in spans]
    shown.add_bar(
        base=[span.start - begins for span in spans],
        x=[span.end - span.start for span in spans],
        y=[rows[span.action.stage] for span in spans],
        text=[chart.name(span.action) for span in spans],
        marker=dict(
            color=[chart.color(span.action) for span in spans], line=dict(width=1, color="white")
        ),
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont=dict(size=16, color="#111"),
        customdata=[[span.action.stage, span.start - begins, span.end - begins] for span in spans],
        hovertemplate="stage %{customdata[0]}, %{text}: %{customdata[1]:.3~g} to "
        "%{customdata[2]:.3~g}<extra></extra>",
        orientation="h",
        showlegend=False,
        **place,
    )
    shown.update_yaxes(autorange="reversed", tickfont_size=16, showgrid=False, **place)


def kept(counts: Mapping[str, Sequence[int]], title: str) -> go.Figure:
    """How many microbatches' activations a stage keeps, after each of its actions.

    Args:
        counts: schedule to the number after each action.
        title: the claim.
    """
    shown = theme.figure(title, height=420)
    looks = zip(counts.items(), (theme.ORANGE, theme.BLUE), ("solid", "dash"), strict=False)
    for (name, numbers), color, dash in looks:
        x = list(range(len(numbers) + 1))
        line = dict(color=color, width=4, dash=dash, shape="hv")
        shown.add_scatter(x=x, y=[*numbers, numbers[-1]], mode="lines", line=line, name=name)
        top = max(range(len(numbers)), key=lambda at: (numbers[at], -at))
        place = dict(x=top, y=numbers[top], xanchor="right", yanchor="bottom", xshift=-6)
        words = dict(text=f"<b>{name}: {numbers[top]}</b>", showarrow=False)
        shown.add_annotation(place | words, font_size=17)
    shown.update_xaxes(title_text="actions that the stage has begun", dtick=2, tickfont_size=14)
    shown.update_yaxes(title_text="microbatches kept", rangemode="tozero", dtick=2)
    return shown.update_layout(showlegend=False)


def weights(
    lengths: Sequence[int], ways: Mapping[str, Sequence[float]], title: str, y_title: str
) -> go.Figure:
    """What a token weighs in each microbatch, side by side for some ways to average.

    Args:
        lengths: tokens of each microbatch.
        ways: name to a token's weight in each.
        title: the claim.
        y_title: name and unit.
    """
    shown = theme.figure(title, height=420)
    names = [f"{n} token{'s' if n > 1 else ''}" for n in lengths]
    for (name, values), color in zip(ways.items(), (theme.WRONG, theme.BLUE), strict=True):
        texts = [f"{value:.1%}" for value in values]
        looks = dict(marker_color=color, textposition="outside", textfont_size=16)
        shown.add_bar(x=names, y=list(values), name=name, text=texts, hoverinfo="skip", **looks)
    shown.update_xaxes(title_text="microbatch", tickfont_size=16)
    shown.update_yaxes(title_text=y_title, tickformat=".0%", tickfont_size=14)
    legend = dict(orientation="h", x=1, xanchor="right", y=1.01, yanchor="bottom", font_size=16)
    return shown.update_layout(legend=legend, margin_t=95)


def requests(timeline, n_requests: int) -> Chart:
    """A chart of requests that are answered in turns: letters are requests, numbers tokens.

    Args:
        timeline: a `Timeline` of forward actions.
        n_requests: microbatch m is a token of request m % n_requests.
    """

    def name(action) -> str:
        turn, request = divmod(action.microbatch, n_requests)
        return f"{chr(ord('A') + request)}{turn}"

    def color(action) -> str:
        return theme.FORWARD if action.microbatch % n_requests == 0 else _OTHERS

    title = "one request, A" if n_requests == 1 else f"{n_requests} requests"
    return Chart(title, timeline, name, color)
