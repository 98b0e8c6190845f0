"""Figures of chapter 19: whose share a memory holds, where Δ is large, memory against context.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure. What a Δ does to a
level is a piece of the stage, `bucket`.
"""

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme

# None of these is a colour that means something: for what is kept of whom, and for models.
_PALETTE = (theme.SKY, "#33B58F", "#B5A67E")
_ABOVE_LEGEND = dict(title_y=0.97, title_yanchor="top")  # a title that is longer than half a line


def held(
    tokens: Sequence[str],
    panels: Mapping[str, Mapping[str, Sequence[Real]]],
    *,
    title: str,
    y_title: str,
) -> go.Figure:
    """What a memory holds after each token, and of whom: stacked bars, panels on one scale.

    Args:
        tokens: what stands under each bar.
        panels: name of a memory to whose share it is to that share, one for each token.
        title: the claim.
        y_title: name and unit of the shares.
    """
    shown = make_subplots(
        1, len(panels), subplot_titles=list(panels), shared_yaxes=True, horizontal_spacing=0.04
    )
    for column, shares in enumerate(panels.values(), start=1):
        for (name, values), color in zip(shares.items(), _PALETTE, strict=False):
            shown.add_bar(
                x=list(range(len(tokens))),
                y=list(values),
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                marker_color=color,
                hovertemplate="after token %{x}: %{y:.3~g}<extra>" + name + "</extra>",
                row=1,
                col=column,
            )
    shown.update_layout(theme.figure(title, height=430).layout)
    shown.update_xaxes(tickvals=list(range(len(tokens))), ticktext=list(tokens), showgrid=False)
    shown.update_xaxes(title_text="token", tickangle=0)
    shown.update_yaxes(title_text=y_title, col=1)
    shown.update_annotations(font_size=16)
    legend = dict(orientation="h", x=1, xanchor="right", y=1.1, yanchor="bottom")
    shown.update_layout(barmode="stack", margin_t=110, legend=legend, **_ABOVE_LEGEND)
    return shown


def after_capital(runs: Mapping[str, Sequence[Sequence[Real]]], *, title: str) -> go.Figure:
    """Δ against how many tokens ago the last capital came; a name stands at its runs' peak.

    Args:
        runs: name to runs, each a Δ for 0, 1, 2, … tokens after a capital.
        title: the claim.
    """
    shown = theme.figure(title, height=440)
    for (name, profiles), color in zip(runs.items(), _PALETTE, strict=False):
        for profile in profiles:
            shown.add_scatter(
                x=list(range(len(profile))),
                y=[round(float(delta), 4) for delta in profile],
                mode="lines+markers",
                line=dict(color=color, width=4),
                marker_size=9,
                hovertemplate="%{x} tokens after: Δ = %{y:.3~g}<extra>" + name + "</extra>",
            )
        highest = max(profiles, key=max)
        at = int(np.argmax(highest))
        place = dict(x=at, y=float(highest[at]), xshift=8, xanchor="left", showarrow=False)
        shown.add_annotation(text=f"<b>{name}</b>", font_size=16, **place)
    shown.update_xaxes(title_text="tokens since the last capital", dtick=1)
    shown.update_yaxes(title_text="Δ, mean of the channels that wait", rangemode="tozero")
    shown.update_layout(showlegend=False)
    return shown


def memory(
    contexts: Sequence[int],
    growing: Mapping[str, Sequence[float | None]],
    constant: Mapping[str, float],
    crossings: Mapping[str, tuple[float, float]],
    *,
    title: str,
) -> go.Figure:
    """What models remember, in MiB, against the length of the text, both logarithmic.

    Args:
        contexts: numbers of tokens.
        growing: name of a transformer to the MiB of its cache at each of them; None leaves it out.
        constant: name of a Mamba to the MiB of its state, the smallest first.
        crossings: words to the tokens and MiB at which a cache becomes larger than a state.
        title: the claim.
    """
    shown = theme.figure(title, height=480)
    names = list(constant)
    for name, size in constant.items():
        edge = name in (names[0], names[-1])
        shown.add_scatter(
            x=list(contexts),
            y=[round(size, 3)] * len(contexts),
            name=name,
            mode="lines",
            line=dict(color=_PALETTE[1], width=4 if edge else 1.5),
            hovertemplate="%{x:,} tokens: %{y:.3~g} MiB<extra>" + name + "</extra>",
        )
    paint = zip((_PALETTE[0], *_PALETTE[2:] * 2), ("solid", "solid", "dash"), strict=True)
    for (name, sizes), (color, dash) in zip(growing.items(), paint, strict=False):
        shown.add_scatter(
            x=list(contexts),
            y=[None if size is None else round(size, 3) for size in sizes],
            name=name,
            mode="lines",
            line=dict(color=color, width=4, dash=dash),
            hovertemplate="%{x:,} tokens: %{y:.3~g} MiB<extra>" + name + "</extra>",
        )
    for words, (tokens, size) in crossings.items():
        place = dict(x=np.log10(tokens), y=np.log10(size), ax=-70, ay=-40)
        shown.add_annotation(text=f"<b>{words}</b>", arrowhead=2, font_size=15, **place)
    ends = [(name, sizes[-1]) for name, sizes in growing.items()]
    ends += [(name, constant[name]) for name in (names[0], names[-1])]
    for name, size in ends:
        shown.add_annotation(
            x=np.log10(contexts[-1]),
            y=np.log10(size),
            text=f" {name}",
            showarrow=False,
            xanchor="left",
            font_size=14,
        )
    ticks = [at for at in contexts if np.log2(at) % 3 == 0]
    shown.update_xaxes(
        title_text="context (tokens)",
        type="log",
        range=[float(np.log10(contexts[0])), float(np.log10(contexts[-1]))],
        tickvals=ticks,
        ticktext=[f"{at:,}" for at in ticks],
    )
    sizes = [0.1, 1, 10, 100, 1000, 10_000]
    shown.update_yaxes(
        title_text="memory of one text (MiB)",
        title_standoff=24,
        type="log",
        tickvals=sizes,
        ticktext=[f"{size:,}" for size in sizes],
    )
    shown.update_layout(showlegend=False, margin_r=185)
    return shown
