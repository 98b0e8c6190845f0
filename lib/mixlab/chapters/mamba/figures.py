"""Figures of chapter 19: Δ token by token, the gate, a state that is stepped, memory and speed.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme

_KINDS = (theme.ORANGE, theme.SKY, theme.BLUE)
_ABOVE_LEGEND = dict(title_y=0.97, title_yanchor="top")  # a title that is longer than half a line
_BLUE_WHITE_ORANGE = [[0.0, theme.BLUE], [0.5, "#F7F7F7"], [1.0, theme.ORANGE]]


def by_token(
    tokens: Sequence[str],
    panels: Mapping[str, Sequence[float] | np.ndarray],
    kinds: Mapping[str, Sequence[bool] | np.ndarray],
    *,
    title: str,
    y_title: str,
) -> go.Figure:
    """One bar a token, panels under each other, coloured by what kind of token it is.

    Args:
        tokens: what stands under each bar.
        panels: name to numbers, one for each token.
        kinds: name of a kind to which tokens are of it; each token is of one kind.
        title: the claim.
        y_title: name and unit of the numbers.
    """
    shown = make_subplots(
        len(panels), 1, subplot_titles=list(panels), shared_xaxes=True, vertical_spacing=0.16
    )
    for row, values in enumerate(panels.values(), start=1):
        for (kind, chosen), color in zip(kinds.items(), _KINDS, strict=False):
            at = np.flatnonzero(chosen)
            shown.add_bar(
                x=at,
                y=np.asarray(values, dtype=float)[at].round(4),
                width=0.85,  # Plotly would widen the bars of a rare kind
                name=kind,
                legendgroup=kind,
                showlegend=row == 1,
                marker_color=color,
                hovertemplate="token %{x}: %{y:.3g}<extra>" + kind + "</extra>",
                row=row,
                col=1,
            )
    shown.update_layout(theme.figure(title, height=190 + 150 * max(2, len(panels))).layout)
    shown.update_xaxes(
        tickvals=list(range(len(tokens))),
        ticktext=list(tokens),
        tickangle=0,
        showgrid=False,
        range=[-0.6, len(tokens) - 0.4],
    )
    shown.update_xaxes(title_text="token", row=len(panels), col=1)
    shown.update_yaxes(title_text=y_title, zeroline=True, zerolinecolor="#999")
    shown.update_annotations(font_size=14)
    legend = dict(orientation="h", x=1, xanchor="right", y=1.08, yanchor="bottom")
    shown.update_layout(barmode="overlay", margin_t=100, legend=legend, **_ABOVE_LEGEND)
    return shown


def first_steps(
    draws: Mapping[str, np.ndarray], medians: Mapping[str, float], *, title: str
) -> go.Figure:
    """How the lengths Δ that training begins with are spread, on a logarithmic axis.

    Args:
        draws: name to lengths, one a channel.
        medians: name to the middle one.
        title: the claim.
    """
    shown = theme.figure(title, height=420)
    edges = np.linspace(-3, -1, 31)
    for (name, values), color in zip(draws.items(), (theme.BLUE, theme.ORANGE), strict=False):
        heights, _ = np.histogram(np.log10(values), bins=edges)
        shares = (heights / len(values)).round(4)
        shown.add_scatter(
            x=10**edges,
            y=[*shares, shares[-1]],  # a step from each edge to the next
            mode="lines",
            line=dict(shape="hv", color=color, width=3),
            fill="tozeroy",
            name=f"{name}, median {medians[name]:.2f}",
            hovertemplate="from Δ = %{x:.4f}: %{y:.1%} of the channels<extra>" + name + "</extra>",
        )
        shown.add_vline(x=medians[name], line=dict(dash="dash", color=color, width=4))
    ticks = [0.001, 0.003, 0.01, 0.03, 0.1]
    shown.update_xaxes(
        title_text="Δ at the start of training",
        type="log",
        range=[-3, -1],
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
    )
    shown.update_yaxes(title_text="share of the channels", tickformat=".0%")
    shown.update_layout(legend=dict(orientation="h", y=-0.25))
    return shown


def stepping(
    tokens: Sequence[str],
    kinds: Mapping[str, Sequence[bool] | np.ndarray],
    moved: np.ndarray,
    window: np.ndarray,
    states: np.ndarray,
    *,
    title: str,
) -> go.Figure:
    """One layer's memory, token by token: what lies under the taps, and the state.

    Args:
        tokens: one word a token.
        kinds: name of a kind to which tokens are of it; each token is of one kind.
        moved: (seq,), how far each token moved the state.
        window: (seq, d_conv, d_inner), what lies under the taps, oldest first.
        states: (seq, d_inner, d_state), the state after each token.
        title: the claim.
    """
    seq, taps, _ = window.shape
    shown = make_subplots(
        3,
        1,
        row_heights=[0.27, 0.3, 0.43],
        vertical_spacing=0.145,
        subplot_titles=(
            "how far each token moved the state",
            f"the last {taps} inputs, under the taps",
            "the state",
        ),
    )
    words = [*[""] * (taps - 1), *tokens]
    picked = [np.flatnonzero(chosen) for chosen in kinds.values()]

    def bars(now: int) -> list[dict]:
        return [dict(type="bar", y=np.where(at <= now, moved[at], 0).round(3)) for at in picked]

    def rest(now: int) -> list[dict]:
        under = [f"<b>{word}</b>" for word in words[now : now + taps]]
        return [
            dict(type="scatter", x=[now]),
            dict(type="heatmap", z=window[now].round(2)),
            dict(type="scatter", text=under),
            dict(type="heatmap", z=states[now].T.round(2)),
        ]

    first = seq - 1
    for at, part, kind, color in zip(picked, bars(first), kinds, _KINDS, strict=False):
        shown.add_bar(x=at, y=part["y"], width=0.85, name=kind, marker_color=color, row=1, col=1)
    pointer, under, labels, state = rest(first)
    top = 1.25 * float(moved.max())
    shown.add_scatter(
        x=pointer["x"],
        y=[top],
        mode="markers",
        marker=dict(symbol="triangle-down", size=14, color=theme.VERMILION),
        name="now",
        hoverinfo="skip",
        row=1,
        col=1,
    )
    for row, part, values in ((2, under, window), (3, state, states)):
        limit = float(np.quantile(np.abs(values), 0.95))
        shown.add_heatmap(
            z=part["z"],
            zmin=-limit,
            zmax=limit,
            colorscale=_BLUE_WHITE_ORANGE,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="channel %{x}, row %{y}: %{z:.2f}<extra></extra>",
            row=row,
            col=1,
        )
        if row == 2:
            shown.add_scatter(
                x=[-1.4] * taps,
                y=list(range(taps)),
                mode="text",
                text=labels["text"],
                hoverinfo="skip",
                showlegend=False,
                row=2,
                col=1,
            )
    names = [f"{number}: {word}" for number, word in enumerate(tokens)]
    shown.frames = [
        go.Frame(name=name, data=[*bars(now), *rest(now)]) for now, name in enumerate(names)
    ]
    channels = states.shape[1]
    shown.update_layout(theme.figure(title, height=640).layout)
    shown.update_layout(barmode="overlay", margin=dict(t=90, l=60), **_ABOVE_LEGEND)
    shown.update_layout(
        legend=dict(orientation="h", x=1, xanchor="right", y=1.05, yanchor="bottom")
    )
    shown.update_annotations(font_size=14)
    shown.update_xaxes(showgrid=False)
    shown.update_xaxes(tickvals=list(range(seq)), ticktext=list(tokens), tickangle=0, row=1, col=1)
    shown.update_yaxes(range=[0, 1.1 * top], showticklabels=False, row=1, col=1)
    for row, title_text in ((2, ""), (3, "channel")):
        shown.update_xaxes(range=[-2.2, channels - 0.5], title_text=title_text, row=row, col=1)
    shown.update_xaxes(showticklabels=False, row=2, col=1)
    shown.update_yaxes(showticklabels=False, showgrid=False, range=[taps - 0.5, -0.5], row=2, col=1)
    shown.update_yaxes(title_text="n", showgrid=False, dtick=2, row=3, col=1)
    theme.player(shown, names, "token ", milliseconds=700, start=first)
    return shown


def memory(
    contexts: Sequence[int],
    growing: Mapping[str, Sequence[float | None]],
    constant: Mapping[str, float],
    *,
    title: str,
) -> go.Figure:
    """What models remember, in MiB, against the length of the text, both logarithmic.

    Args:
        contexts: numbers of tokens.
        growing: name of a transformer to the MiB of its cache at each of them; None leaves it out.
        constant: name of a Mamba to the MiB of its state, the smallest first.
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
            line=dict(color=theme.BLUE, width=4 if edge else 1.5),
            hovertemplate="%{x:,} tokens: %{y:.3~g} MiB<extra>" + name + "</extra>",
        )
    paint = zip((theme.ORANGE, theme.ORANGE, theme.GREEN), ("solid", "dash", "solid"), strict=True)
    for (name, sizes), (color, dash) in zip(growing.items(), paint, strict=False):
        shown.add_scatter(
            x=list(contexts),
            y=[None if size is None else round(size, 3) for size in sizes],
            name=name,
            mode="lines",
            line=dict(color=color, width=4, dash=dash),
            hovertemplate="%{x:,} tokens: %{y:.3~g} MiB<extra>" + name + "</extra>",
        )
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
