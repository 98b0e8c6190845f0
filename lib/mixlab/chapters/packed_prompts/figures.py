"""Figures of chapter 06: rows laid end to end, and what of them gets computed.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure. Who sees whom is
drawn in packed_masks, the life of a request in packed_request. In all three a prompt keeps its
colour, and orange is none of them: it marks what is wasted or wrong.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.cells import cells, legend, square_panels

PADDING = "#F6DDB0"  # a pale orange: what is computed for nothing


def prompt_color(prompt: int) -> str:
    """The colour of a prompt, the same in every figure of the chapter; never orange."""
    colors = (theme.BLUE, theme.GREEN, theme.PINK, theme.SKY, theme.YELLOW, theme.VERMILION)
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
            colorscale=prompt_scale(len(words), PADDING),
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


def padding(lengths: Sequence[int], labels: Sequence[str], title: str) -> go.Figure:
    """What a batch of prompts fills of its rectangle, and what is padding.

    Args:
        lengths: of the prompts, in tokens.
        labels: of the prompts, in few words.
        title: the claim.
    """
    longest = max(lengths)
    shown = theme.figure(title, height=420)
    parts = {"tokens": (lengths, theme.BLUE), "padding": ([longest - n for n in lengths], PADDING)}
    for name, (values, color) in parts.items():
        shown.add_bar(
            y=list(range(len(lengths))),
            x=list(values),
            name=name,
            orientation="h",
            marker=dict(color=color, line=dict(width=1, color="#888")),
            hovertemplate="%{x} slots of " + name + "<extra></extra>",
        )
    shown.update_layout(barmode="stack", bargap=0.15, legend=dict(orientation="h", y=-0.22))
    shown.update_xaxes(title_text="slots of the rectangle (tokens)")
    ticks = [f"{label}  <b>{length}</b>" for label, length in zip(labels, lengths, strict=True)]
    shown.update_yaxes(tickvals=list(range(len(lengths))), ticktext=ticks, autorange="reversed")
    shown.update_yaxes(showgrid=False)
    return shown


def scores(
    computed: Mapping[str, np.ndarray], used: Mapping[str, np.ndarray], title: str
) -> go.Figure:
    """Which scores each layout of the same prompts computes, and which of those anyone sees.

    Args:
        computed: layout to (slots, slots) of truth values.
        used: layout to the same shape: 1 + prompt where one of its tokens sees the score, else 0.
        title: the claim.
    """
    size = max(len(picture) for picture in computed.values())
    n_prompts = max(int(picture.max()) for picture in used.values())
    names = [f"{name}: {int(picture.sum())} scores" for name, picture in computed.items()]
    shown = make_subplots(1, len(names), subplot_titles=names, horizontal_spacing=0.05)
    kinds = (
        "not computed",
        *(f"prompt {n} sees it" for n in range(n_prompts)),
        "computed, then hidden",
    )
    scale = prompt_scale(n_prompts, theme.GREY, theme.ORANGE)
    for column, name in enumerate(computed, start=1):
        values = np.where(computed[name] & (used[name] == 0), n_prompts + 1, used[name])
        shown.add_trace(cells(values, scale, kinds), 1, column)
    legend(shown, kinds, scale)
    shown.update_layout(theme.figure(title, height=470).layout)
    square_panels(shown, len(names), size)
    shown.update_xaxes(range=[-0.5, size - 0.5], title_text="key slot")
    shown.update_yaxes(title_text="query slot", col=1)
    shown.update_layout(legend=dict(orientation="h", y=-0.24), margin_t=110)
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
        marker_color=[theme.ORANGE, theme.BLUE][: len(seconds)],
        texttemplate="%{x:.1f} s",
        textfont_size=16,
        hoverinfo="skip",
    )
    shown.update_xaxes(title_text="processor time (s)")
    shown.update_yaxes(autorange="reversed", showgrid=False)
    return shown
