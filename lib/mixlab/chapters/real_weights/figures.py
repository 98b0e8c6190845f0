"""Figures of chapter 11: rungs of a 4-bit block, sinks, and what a window costs a real model.

Each takes arrays that a cell or a trace has made, and returns a Plotly figure.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme

_FOOT = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom", font_size=16)


def rungs(levels: Sequence[int], lowest: float, step: float, title: str) -> go.Figure:
    """The weights of one block, each on the rung of a ladder that its four bits name.

    Args:
        levels: 0 to 15, one a weight.
        lowest: the weight at level 0.
        step: between two rungs.
        title: the claim.
    """
    shown = theme.figure(title, height=470)
    for level in range(16):
        shown.add_hline(y=lowest + level * step, line=dict(color="#888", width=0.7))
    weights = lowest + np.array(levels) * step
    marker = dict(size=13, color=theme.SEEN)
    hover = "weight %{x}: %{y:.3f}<extra></extra>"
    shown.add_scatter(y=weights, mode="markers", marker=marker, hovertemplate=hover)
    named = (0, 5, 10, 15)
    ticks = [f"{level}: {lowest + level * step:+.2f}" for level in named]
    shown.update_yaxes(
        tickvals=[lowest + level * step for level in named],
        ticktext=ticks,
        title_text="rung: weight",
        showgrid=False,
        tickfont_size=16,
    )
    shown.update_xaxes(title_text="weight in the block", showgrid=False, tickfont_size=16)
    return shown.update_layout(title=dict(x=0.01, xref="container"))


def by_position(
    x: Sequence[float], curves: Mapping[str, Sequence[float]], window: int, title: str
) -> go.Figure:
    """Surprise along a text, without a window and with one, and where the first token leaves.

    Args:
        x: the middle position of each stretch.
        curves: name to the mean surprise of each stretch, in nats.
        window: in tokens.
        title: the claim.
    """
    shown = theme.figure(title, height=450)
    looks = [(theme.SEEN, "solid"), (theme.WRONG, "solid")]
    for (name, values), (color, dash) in zip(curves.items(), looks, strict=True):
        line = dict(color=color, width=4, dash=dash)
        shown.add_scatter(x=x, y=values, name=name, mode="lines+markers", line=line)
        place = dict(x=x[-1], y=values[-1], xanchor="left", xshift=10, showarrow=False)
        shown.add_annotation(text=name, font=dict(color=theme.ink(color), size=16), **place)
    shown.add_vline(x=window, line=dict(dash="dash", color="#666"))
    place = dict(x=window, y=1, yref="paper", xanchor="center", yanchor="bottom", font_size=16)
    shown.add_annotation(text="the first token leaves", showarrow=False, **place)
    shown.update_xaxes(title_text="position in the text (tokens)", tickfont_size=16)
    shown.update_yaxes(title_text="surprise, −log p (nats)", rangemode="tozero", tickfont_size=16)
    shown.update_layout(showlegend=False, margin=dict(r=170, t=100))
    return shown


def attention_map(weights: np.ndarray, words: Sequence[str], title: str) -> go.Figure:
    """One layer's attention weights, (queries, keys), a token's text on each row and column."""
    shown = theme.figure(title, height=560)
    hidden = np.triu(np.ones_like(weights), 1) > 0
    shown.add_heatmap(
        z=np.where(hidden, np.nan, weights),
        zmin=0,
        zmax=1,
        colorscale=[[0, "rgba(0, 114, 178, 0.06)"], [1, theme.SEEN]],
        colorbar=dict(title=dict(text="weight", font_size=16), tickformat=".0%", tickfont_size=16),
        xgap=1,
        ygap=1,
        hovertemplate="query %{y}, key %{x}: %{z:.0%}<extra></extra>",
    )
    ticks = dict(tickvals=list(range(len(words))), ticktext=list(words), tickfont_size=14)
    shown.update_xaxes(title_text="key", showgrid=False, constrain="domain", **ticks)
    shown.update_yaxes(
        title_text="query", showgrid=False, scaleanchor="x", constrain="domain", **ticks
    )
    shown.update_yaxes(range=[len(words) - 0.5, -0.5], title_standoff=12)
    shown.update_xaxes(tickangle=-60)
    return shown


def through_layers(
    names: Sequence[str], shares: np.ndarray, lengths: np.ndarray, title: str
) -> go.Figure:
    """What the first token gets, and how long its vector is, layer by layer.

    Args:
        names: of the texts.
        shares: (layers, texts), the share of all attention that falls on the first token.
        lengths: (layers, texts), the length of its vector over the median token's.
        title: the claim.
    """
    titles = ["attention on the first token", "its vector's length / the median's"]
    shown = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.12)
    for column, values in enumerate((shares, lengths), start=1):
        looks = zip(names, values.T, theme.CYCLE, ("solid", "dash", "dot"), strict=False)
        for name, numbers, color, dash in looks:
            line = dict(color=color, width=3, dash=dash)
            entry = dict(name=name, legendgroup=name, showlegend=column == 1, line=line)
            shown.add_scatter(y=numbers.tolist(), mode="lines", row=1, col=column, **entry)
    shown.update_layout(theme.figure(title, height=470).layout)
    shown.update_xaxes(title_text="layer", tickfont_size=16)
    shown.update_yaxes(tickfont_size=16)
    shown.update_yaxes(tickformat=".0%", range=[0, 1], row=1, col=1)
    shown.update_yaxes(type="log", dtick=1, row=1, col=2)
    shown.update_annotations(font_size=16)
    return shown.update_layout(legend=_FOOT, margin=dict(t=100, b=110))


def budgets(
    windows: Sequence[int],
    names: Sequence[str],
    alone: Sequence[Sequence[float]],
    kept: Sequence[Sequence[float]],
    full: Sequence[float],
    title: str,
) -> go.Figure:
    """Perplexity against the window, a panel a text, all on one scale.

    Args:
        windows: keys a query sees in all.
        names: of the texts.
        alone: perplexities with the newest tokens alone, a row a window, a column a text.
        kept: the same with the first token among them.
        full: without a window, of each text.
        title: the claim.
    """
    shown = make_subplots(1, len(names), subplot_titles=list(names), shared_yaxes=True)
    for column, base in enumerate(full, start=1):
        curves = [
            ("the newest tokens alone", alone, theme.WRONG, "solid"),
            ("the first token and the newest", kept, theme.SEEN, "solid"),
            ("no window", [[base] * len(names)] * len(windows), "#888888", "dash"),
        ]
        for name, values, color, dash in curves:
            entry = dict(name=name, legendgroup=name, showlegend=column == 1)
            entry |= dict(mode="lines+markers" if dash == "solid" else "lines")
            line = dict(color=color, width=4, dash=dash)
            y = [row[column - 1] for row in values]
            shown.add_scatter(x=windows, y=y, line=line, row=1, col=column, **entry)
    shown.update_layout(theme.figure(title, height=470).layout)
    ticks = dict(tickvals=list(windows), ticktext=[str(n) for n in windows], tickfont_size=16)
    shown.update_xaxes(type="log", title_text="keys a query sees", **ticks)
    powers = dict(tickvals=[10, 100, 1000], ticktext=["10", "100", "1,000"], tickfont_size=16)
    shown.update_yaxes(type="log", **powers)
    shown.update_yaxes(title_text="perplexity", row=1, col=1)
    shown.update_annotations(font_size=17)
    return shown.update_layout(legend=_FOOT, margin=dict(t=100, b=110))


def bars(groups: Sequence[str], values: Mapping[str, Sequence[float]], title: str) -> go.Figure:
    """Perplexities side by side, one group of bars a text, on a logarithmic axis.

    Args:
        groups: the texts.
        values: what was done to perplexities, one for each text.
        title: the claim.
    """
    shown = theme.figure(title, height=470)
    colors = ("#888888", theme.WRONG, theme.SEEN, theme.GREEN)
    for (name, numbers), color in zip(values.items(), colors, strict=True):
        words = [f"{number:,.0f}" for number in numbers]
        look = dict(marker_color=color, text=words, textposition="outside", textfont_size=16)
        shown.add_bar(x=list(groups), y=list(numbers), name=name, **look)
    powers = dict(tickvals=[1, 10, 100, 1000, 10000], tickfont_size=16)
    shown.update_yaxes(type="log", title_text="perplexity", range=[0, 4.1], **powers)
    shown.update_yaxes(ticktext=["1", "10", "100", "1,000", "10,000"])
    shown.update_xaxes(tickfont_size=16)
    return shown.update_layout(legend=_FOOT, margin_b=100)
