"""Figures of chapter 07: gates, parameters, experts touched, collapse.

Each takes plain arrays, made by a cell or a trace, and returns a Plotly figure. How tokens travel
to their experts is a piece of the stage, `router`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import series, theme
from mixlab.chapters.kit.experts import palette

# An expert that isn't chosen recedes; the more weight it gets, the deeper its blue.
_WEIGHTS = [[0.0, theme.GONE], [1.0, theme.SKY]]


def weights_side_by_side(
    panels: Mapping[str, np.ndarray], chosen: Sequence[int], title: str
) -> go.Figure:
    """One token's weights on all experts, computed in several ways, as bars side by side.

    Args:
        panels: what was computed, to (n_experts,).
        chosen: the experts that bear their colours; the others recede.
        title: the claim.
    """
    shown = make_subplots(
        1, len(panels), subplot_titles=list(panels), shared_yaxes=True, horizontal_spacing=0.04
    )
    for column, weights in enumerate(panels.values(), start=1):
        own = palette(len(weights))[0]
        colors = [own[e] if e in chosen else theme.GONE for e in range(len(weights))]
        shown.add_bar(
            x=list(range(len(weights))),
            y=weights,
            marker_color=colors,
            text=[f"{weight:.2f}" if weight else "" for weight in weights],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="expert %{x}: %{y:.3f}<extra></extra>",
            row=1,
            col=column,
        )
    shown.update_layout(theme.figure(title, height=420).layout)
    shown.update_annotations(font_size=15)
    shown.update_layout(showlegend=False, margin=dict(t=130))
    shown.update_xaxes(title_text="expert", dtick=1, showgrid=False)
    highest = max(float(np.max(weights)) for weights in panels.values())
    shown.update_yaxes(range=[0, 1.15 * highest])
    shown.update_yaxes(title_text="weight", col=1)
    return shown


def parameters(rows: Mapping[str, Sequence[int]], parts: Sequence[str], title: str) -> go.Figure:
    """Models as bars of parameters, in parts, each with its total.

    Args:
        rows: model to the parameters of each of its parts.
        parts: their names, at most three.
        title: the claim.
    """
    billions = {model: [count / 1e9 for count in counts] for model, counts in rows.items()}
    colors = dict(zip(parts, (theme.SEEN, theme.NOW, theme.GONE), strict=False))
    words = dict(x_title="parameters (billions)", unit="billion")
    return series.totals(billions, colors, title=title, **words)


def touched(
    tokens: Sequence[int],
    expected: Sequence[float],
    simulated: np.ndarray,
    n_experts: int,
    title: str,
) -> go.Figure:
    """How many experts a batch touches: a formula's curve, and draws around it.

    Args:
        tokens: sizes of the batch.
        expected: the formula's number for each size.
        simulated: (draws, sizes), experts touched in each draw.
        n_experts: how many there are.
        title: the claim.
    """
    shown = theme.figure(title, height=440)
    low, high = np.quantile(simulated, (0.05, 0.95), axis=0)
    mean = simulated.mean(axis=0)
    shown.add_scatter(
        x=list(tokens),
        y=list(expected),
        name="formula",
        mode="lines",
        line=dict(width=3, color=theme.BLUE),
        hovertemplate="%{x} tokens: %{y:.2f}<extra>formula</extra>",
    )
    shown.add_scatter(
        x=list(tokens),
        y=mean,
        name="simulation: mean, and nine draws in ten",
        mode="markers",
        marker=dict(size=11, color=theme.ORANGE),
        error_y=dict(
            type="data",
            symmetric=False,
            array=high - mean,
            arrayminus=mean - low,
            color=theme.ORANGE,
            thickness=2,
        ),
        hovertemplate="%{x} tokens: %{y:.2f}<extra>simulation</extra>",
    )
    shown.add_hline(y=n_experts, line=dict(dash="dash", color="#666"))
    ticks = [str(size) for size in tokens]
    shown.update_xaxes(title_text="tokens in the batch", type="log")
    shown.update_xaxes(tickvals=list(tokens), ticktext=ticks)
    shown.update_yaxes(title_text="experts touched", range=[0, n_experts + 0.6], dtick=1)
    shown.update_layout(legend=dict(x=0.5, y=0.12, bgcolor="rgba(255,255,255,0.7)"))
    return shown


def shares_over_time(runs: Mapping[str, np.ndarray], title: str, smooth: int = 10) -> go.Figure:
    """The part of all choices that each expert gets, step by step, as stacked areas.

    Args:
        runs: name to (steps, n_experts), at most eight experts; rows sum to 1.
        title: the claim.
        smooth: steps averaged into one.
    """
    names = list(runs)
    shown = make_subplots(1, len(runs), subplot_titles=names, horizontal_spacing=0.08)
    colors, _ = palette(next(iter(runs.values())).shape[1])
    for column, shares in enumerate(runs.values(), start=1):
        whole = len(shares) // smooth * smooth
        means = shares[:whole].reshape(-1, smooth, shares.shape[1]).mean(axis=1)
        favourites = means[-5:].mean(axis=0).argsort()[::-1]
        for expert in favourites:
            shown.add_scatter(
                x=(np.arange(len(means)) + 0.5) * smooth,
                y=means[:, expert].round(4),
                stackgroup=f"run {column}",
                mode="lines",
                line=dict(width=0.5, color=colors[expert]),
                fillcolor=colors[expert],
                showlegend=False,
                hovertemplate=f"step %{{x}}: %{{y:.0%}}<extra>expert {expert}</extra>",
                row=1,
                col=column,
            )
    shown.update_layout(theme.figure(title, height=440).layout)
    shown.update_annotations(font_size=16)
    shown.update_layout(margin_t=110)
    shown.update_xaxes(title_text="training step", showgrid=False)
    shown.update_yaxes(range=[0, 1], tickformat=".0%", showgrid=False)
    shown.update_yaxes(title_text="share of all choices", col=1)
    return shown


def loads(layers: np.ndarray, title: str) -> go.Figure:
    """The load of each expert in each layer, and their mean over the layers apart below.

    Args:
        layers: (layers, n_experts), the part of a layer's choices that each expert gets.
        title: the claim.
    """
    shown = make_subplots(2, 1, row_heights=[len(layers), 1], vertical_spacing=0.08)
    for row, table in ((1, layers), (2, layers.mean(axis=0, keepdims=True))):
        shown.add_heatmap(
            z=table,
            y=[f"layer {number}" for number in range(len(table))] if row == 1 else ["all layers"],
            text=[[f"{100 * load:.3g}%" if load else "" for load in line] for line in table],
            texttemplate="%{text}",
            textfont_size=15,
            zmin=0,
            zmax=layers.max(),
            colorscale=_WEIGHTS,
            showscale=False,
            xgap=3,
            ygap=3,
            hovertemplate="%{y}, expert %{x}: %{z:.1%}<extra></extra>",
            row=row,
            col=1,
        )
    shown.update_layout(theme.figure(title, height=420).layout)
    shown.update_xaxes(dtick=1, showgrid=False, showticklabels=False)
    shown.update_xaxes(title_text="expert", showticklabels=True, row=2)
    shown.update_yaxes(autorange="reversed", showgrid=False, ticklabelstandoff=6)
    return shown
