"""A scan as it happens, round by round: who reads whom, and what each place holds by then."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.parallel_scan.traces import ScanTrace

# Of an item at a place: not there yet, in a part, in the final value, new there.
_MISSING_PART_FINAL_NEW = [
    [0.0, theme.GREY],
    [1 / 3, theme.SKY],
    [2 / 3, theme.BLUE],
    [1.0, theme.ORANGE],
]


def rounds(
    trace: ScanTrace,
    values: Sequence[Sequence],
    names: Sequence[str],
    title: str,
    milliseconds: int = 1300,
) -> go.Figure:
    """A scan as it happens. Left: who reads whom. Right: which items each place holds by now.

    Args:
        trace: the scan.
        values: what stands at each place, before the first round and after each: `trace.replay`.
        names: what each of these rows is called.
        title: the claim.
        milliseconds: a round is shown while playing.

    Raises:
        ValueError: if rows or names are more or fewer than the trace's rounds and one.
    """
    if not len(values) == len(names) == trace.depth + 1:
        raise ValueError(
            f"{trace.depth} rounds make {trace.depth + 1} rows: got {len(values)} rows of values "
            f"and {len(names)} names"
        )
    shown = make_subplots(
        1,
        2,
        column_widths=[0.64, 0.36],
        horizontal_spacing=0.09,
        subplot_titles=("who reads whom", "what each place holds"),
    )
    places, pieces = list(range(trace.length)), _frame(trace, values, trace.depth)
    stay, past, now, boxes, held = pieces
    size = max(16, min(34, 260 // (trace.depth + 1), 560 // trace.length))
    shown.add_scatter(**stay, mode="lines", line=dict(color="#BBBBBB", width=1), hoverinfo="skip")
    shown.add_scatter(**past, mode="lines", line=dict(color="#888888", width=2), hoverinfo="skip")
    shown.add_scatter(**now, mode="lines", line=dict(color=theme.ORANGE, width=4), hoverinfo="skip")
    marker = boxes.pop("marker") | dict(symbol="square", size=size, opacity=1)
    shown.add_scatter(**boxes, mode="markers+text", marker=marker, hoverinfo="text")
    shown.update_traces(showlegend=False)
    for name, color in (
        ("a part", theme.SKY),
        ("final", theme.BLUE),
        ("new in this round", theme.ORANGE),
    ):
        key = dict(color=color, symbol="square", size=13, line=dict(width=1, color="#888888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=key)
    shown.add_heatmap(
        **held,
        x=places,
        y=places,
        zmin=0,
        zmax=3,
        colorscale=_MISSING_PART_FINAL_NEW,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate="place %{y}, item %{x}: %{text}<extra></extra>",
        row=1,
        col=2,
    )
    shown.frames = [
        go.Frame(
            name=name,
            data=[dict(part) for part in _frame(trace, values, row)],
            traces=[0, 1, 2, 3, 7],
        )
        for row, name in enumerate(names)
    ]
    height = 300 + 27 * max(trace.depth + 1, trace.length)
    shown.update_layout(theme.figure(title, height=height).layout)
    step = 1 if trace.length <= 16 else 4
    shown.update_xaxes(title_text="place", dtick=step, showgrid=False, range=_ends(places), col=1)
    shown.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=list(names),
        showgrid=False,
        range=[trace.depth + 0.6, -0.6],
        col=1,
    )
    shown.update_xaxes(title_text="item", dtick=step, showgrid=False, constrain="domain", col=2)
    shown.update_yaxes(
        title_text="place",
        dtick=step,
        showgrid=False,
        scaleanchor="x2",
        constrain="domain",
        range=[trace.length - 0.5, -0.5],
        col=2,
    )
    above = 1 + 47 / (height - 280)  # 47 pixels over the plot, whatever its height
    shown.update_layout(legend=dict(orientation="h", x=0, y=above), margin_t=130)
    theme.player(shown, list(names), "", milliseconds, start=trace.depth)
    return shown


def _ends(places: Sequence[int]) -> list[float]:
    return [-0.6, len(places) - 0.4]


def _frame(trace: ScanTrace, values: Sequence[Sequence], row: int) -> tuple[dict, ...]:
    """The five moving parts, when `row` rounds are over."""
    starts = trace.coverage
    stay: list[list] = [[], []]
    for place in range(trace.length):
        stay[0] += [place, place, None]
        stay[1] += [0, row, None]
    reads: list[list[list]] = [[[], []], [[], []]]  # before this round, and in it
    for number, step in enumerate(trace.steps[:row], start=1):
        lines = reads[number == row]
        for earlier, later in zip(step.earlier, step.later, strict=True):
            lines[0] += [earlier, later, None]
            lines[1] += [number - 1, number, None]
    written = set(trace.steps[row - 1].later) if row else set()
    boxes = [(at, level) for level in range(row + 1) for at in range(trace.length)]
    final = [starts[level][at] == 0 for at, level in boxes]
    fresh = [level == row and at in written for at, level in boxes]
    words = [
        f"after {level} rounds, place {at} holds items {starts[level][at]} to {at}"
        for at, level in boxes
    ]
    item = np.arange(trace.length)
    covered = (item >= starts[row][:, None]) & (item <= item[:, None])
    before = item >= starts[max(0, row - 1)][:, None]
    done = (starts[row] == 0)[:, None]
    state = np.where(covered, np.where(before, np.where(done, 2.0, 1.0), 3.0), 0.0)
    return (
        dict(type="scatter", x=stay[0], y=stay[1]),
        *(dict(type="scatter", x=lines[0], y=lines[1]) for lines in reads),
        dict(
            type="scatter",
            x=[at for at, _ in boxes],
            y=[level for _, level in boxes],
            text=[f"{values[level][at]}" for at, level in boxes],
            hovertext=words,
            marker=dict(
                color=[theme.BLUE if done else theme.SKY for done in final],
                line=dict(
                    color=[theme.ORANGE if new else "#888888" for new in fresh],
                    width=[4 if new else 1 for new in fresh],
                ),
            ),
            textfont=dict(color=["#FFFFFF" if done else "#222222" for done in final], size=14),
        ),
        dict(
            type="heatmap",
            z=np.where(item > item[:, None], None, state),
            text=np.array(["not yet", "held", "held", "new in this round"])[state.astype(int)],
        ),
    )
