"""Figures of chapter 06: rows laid end to end, and what of them gets computed.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure. Who sees whom is
drawn in masks, the life of a request in request. In all three a prompt keeps its colour, and
what is wasted or wrong has the course's.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from mixlab.chapters.kit import theme


def prompt_color(prompt: int) -> str:
    """The colour of a prompt, the same in every figure of the chapter; none that has a meaning."""
    colors = (theme.GREEN, theme.SKY, theme.YELLOW, "#8F8672", "#8C6BB1")
    return colors[prompt % len(colors)]


def prompt_scale(n_prompts: int, first: str, *last: str) -> list[list]:
    """A Plotly colour scale: a colour for 0, then one a prompt, then any for the numbers after."""
    colors = [first, *map(prompt_color, range(n_prompts)), *last]
    return [[at / (len(colors) - 1), color] for at, color in enumerate(colors)]


def packing(words: Sequence[Sequence[str]], title: str) -> go.Figure:
    """Rows of a padded rectangle, laid end to end below it, one more in each frame.

    Args:
        words: the tokens of each prompt.
        title: the claim.
    """
    lengths = [len(prompt) for prompt in words]
    longest, total, strip = max(lengths), sum(lengths), len(words) + 1
    names = [f"{n} of {len(words)}" for n in range(len(words) + 1)]

    def picture(laid: int) -> dict:
        values = np.full((strip + 1, total), np.nan)
        labels = np.full(values.shape, "", dtype=object)
        values[: len(words), :longest] = 0
        labels[: len(words), :longest] = "pad"
        for row, prompt in enumerate(words):
            values[row, : len(prompt)] = row + 1
            labels[row, : len(prompt)] = prompt
            if row < laid:
                place = slice(sum(lengths[:row]), sum(lengths[: row + 1]))
                values[strip, place], labels[strip, place] = row + 1, prompt
        return dict(type="heatmap", z=values, text=labels)

    shown = theme.figure(title, height=430)
    shown.add_trace(
        go.Heatmap(
            picture(len(words)),
            zmin=0,
            zmax=len(words),
            colorscale=prompt_scale(len(words), theme.WASTE),
            texttemplate="%{text}",
            textfont_size=14,
            showscale=False,
            xgap=3,
            ygap=3,
            hoverinfo="skip",
        )
    )
    shown.frames = [go.Frame(name=name, data=[picture(n)]) for n, name in enumerate(names)]
    rows = [f"prompt {row}" for row in range(len(words))]
    shown.update_yaxes(
        tickvals=[*range(len(words)), strip],
        ticktext=[*rows, "packed"],
        range=[strip + 0.6, -0.6],
        showgrid=False,
        showline=False,
        ticks="",
    )
    shown.update_xaxes(showticklabels=False, showgrid=False, showline=False, ticks="")
    theme.player(shown, names, "rows laid end to end: ", milliseconds=1100, start=len(words))
    return shown


def used_and_wasted(
    used: Sequence[int],
    computed: Sequence[int],
    labels: Sequence[str],
    names: tuple[str, str],
    title: str,
    x_title: str,
) -> go.Figure:
    """Bars of what is computed: first what is of use, then what is thrown away.

    Args:
        used, computed: one number a bar; what isn't used is the difference.
        labels: of the bars.
        names: of the two parts.
        title: the claim.
        x_title: name and unit of what is counted.
    """
    shown = theme.figure(title, height=150 + 34 * len(labels))
    wasted = [all_ - some for some, all_ in zip(used, computed, strict=True)]
    for name, values, color in zip(names, (used, wasted), (theme.SEEN, theme.WASTE), strict=True):
        shown.add_bar(
            y=list(range(len(labels))),
            x=list(values),
            name=name,
            orientation="h",
            marker_color=color,
            texttemplate="%{x:,}",
            textfont_size=16,
            insidetextfont=dict(size=16, color=theme.ON[color]),
            hovertemplate="%{x:,} " + name + "<extra></extra>",
        )
    shown.update_layout(
        barmode="stack",
        bargap=0.2,
        legend=dict(orientation="h", y=1.02, yanchor="bottom", traceorder="normal"),
    )
    shown.update_xaxes(title_text=x_title)
    shown.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=list(labels), autorange="reversed"
    )
    shown.update_yaxes(showgrid=False)
    return shown


def clock(seconds: Mapping[str, float], title: str) -> go.Figure:
    """Processor time of each way to read the same prompts.

    Args:
        seconds: way to seconds.
        title: the claim.
    """
    shown = theme.figure(title, height=300)
    shown.add_bar(
        y=list(seconds),
        x=list(seconds.values()),
        orientation="h",
        marker_color=[theme.WASTE, theme.SEEN][: len(seconds)],
        texttemplate="%{x:.2f} s",
        textfont_size=16,
        insidetextfont=dict(size=16, color=[theme.ON[theme.WASTE], theme.ON[theme.SEEN]]),
        hoverinfo="skip",
    )
    shown.update_xaxes(title_text="processor time (s)")
    shown.update_yaxes(autorange="reversed", showgrid=False)
    return shown
