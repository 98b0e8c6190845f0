"""Figures of chapter 01: dials that turn, a curve that doesn't decay, a product, swaps, sizes."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme

_OTHERS = (theme.GREEN, "#C9BFA5", theme.PINK, theme.PINK)  # attention, tables, routers, norms


def dials(angles: Mapping[str, tuple[float, float]], score: str, title: str) -> go.Figure:
    """One pair of channels of a query and a key, as hands of a clock, turned by their positions.

    Args:
        angles: a dial's name to the angles of query and key, in radians.
        score: words under each dial, the same for all.
        title: the claim.
    """
    shown = make_subplots(cols=len(angles), subplot_titles=list(angles), horizontal_spacing=0.04)
    base = theme.figure(title, height=340).layout
    shown.update_layout(base, showlegend=False, margin=dict(l=10, r=10, t=90, b=10))
    around = np.linspace(0, 2 * np.pi, 90)
    for column, (query, key) in enumerate(angles.values(), 1):
        place = dict(row=1, col=column)
        bare = dict(mode="lines", hoverinfo="skip")
        rim = dict(color="#999", width=1)
        shown.add_scatter(x=np.cos(around), y=np.sin(around), line=rim, **bare, **place)
        between = np.linspace(key, query, 30)
        x, y = (0.8 * np.append(f(between), 0) for f in (np.cos, np.sin))
        shown.add_scatter(
            x=x,
            y=y,
            fill="toself",
            fillcolor="rgba(128, 128, 128, 0.45)",
            line_width=0,
            **bare,
            **place,
        )
        for name, angle, color in (("q", query, theme.NOW), ("k", key, theme.SEEN)):
            x, y = np.cos(angle), np.sin(angle)
            hand = dict(color=color, width=4)
            shown.add_scatter(x=[0, x], y=[0, y], line=hand, **bare, **place)
            letter = dict(
                showarrow=False, font=dict(size=22, color=theme.ink(color)), text=f"<b>{name}</b>"
            )
            shown.add_annotation(x=1.18 * x, y=1.18 * y, **letter, **place)
        shown.add_annotation(x=0, y=-1.42, text=score, showarrow=False, font_size=17, **place)
    shown.update_xaxes(visible=False, range=[-1.35, 1.35], constrain="domain")
    shown.update_yaxes(visible=False, range=[-1.6, 1.3], constrain="domain")
    for number in range(len(angles)):
        axis = "" if number == 0 else str(number + 1)
        shown.layout[f"yaxis{axis}"].scaleanchor = f"x{axis}"
    for note in shown.layout.annotations[: len(angles)]:
        note.update(font_size=17)
    return shown


def decay(mean: np.ndarray, best: Sequence[int], zero: int, title: str) -> go.Figure:
    """A score against the distance of its two tokens, and where other pairs score highest.

    Args:
        mean: the score of two vectors of ones at the distances 0, 1, 2, …, as a share of the first.
        best: for random pairs, the distance of their highest score.
        zero: the first distance at which `mean` is negative.
        title: the claim.
    """
    shown = theme.figure(title, height=420)
    every = slice(None, None, 8)
    line = dict(color=theme.BLUE, width=2)
    x = np.arange(len(mean))
    shown.add_scatter(
        x=x[every], y=mean[every], mode="lines", line=line, name="two vectors of ones"
    )
    ticks = dict(symbol="line-ns", size=22, line=dict(width=1.5, color=theme.ORANGE))
    name = "highest score of a random pair"
    shown.add_scatter(x=list(best), y=[-0.45] * len(best), mode="markers", marker=ticks, name=name)
    words = [(700, 0.62, "q = k = (1, 1, …, 1)", theme.BLUE)]
    words.append(
        (len(mean) / 2, -0.33, f"{len(best)} random pairs: each one's best distance", theme.ORANGE)
    )
    for x, y, text, color in words:
        note = dict(showarrow=False, xanchor="left" if y > 0 else "center")
        shown.add_annotation(
            x=x, y=y, text=text, font=dict(size=16, color=theme.ink(color)), **note
        )
    shown.add_hline(y=0, line=dict(color="#888", width=1))
    shown.add_annotation(x=zero, y=0, ax=150, ay=-130, text=f"below 0 from {zero:,}", font_size=16)
    shown.update_xaxes(title_text="distance (tokens)", tickformat=",")
    shown.update_yaxes(title_text="score, as a share of distance 0", range=[-0.6, 1.05])
    return shown.update_layout(showlegend=False)


def product(x: Sequence[float], curves: Mapping[str, Sequence[float]], title: str) -> go.Figure:
    """What two small layers make of x · x, each named at its right end.

    Args:
        x: the factor.
        curves: name to values; the first is drawn broad, under the other.
        title: the claim.
    """
    shown = theme.figure(title, height=440)
    looks = ((theme.BLUE, 9, "solid"), (theme.ORANGE, 3, "solid"))
    for (name, y), (color, width, dash) in zip(curves.items(), looks, strict=True):
        line = dict(color=color, width=width, dash=dash)
        shown.add_scatter(x=list(x), y=list(y), mode="lines", line=line, name=name)
        end = dict(x=x[-1], y=y[-1], text=f" <b>{name}</b>", xanchor="left", showarrow=False)
        shown.add_annotation(font=dict(size=16, color=theme.ink(color)), **end)
    # Plotly would make room for the names inside of the plot.
    shown.update_xaxes(title_text="x", range=[x[0], x[-1]])
    shown.update_yaxes(title_text="x · x")
    return shown.update_layout(showlegend=False, margin_r=230)


def swaps(losses: Mapping[str, Sequence[float]], blind: float, title: str) -> go.Figure:
    """A trained model's loss with one part exchanged: a bar a swap, a dot a text.

    Args:
        losses: what was done to the loss of each text; the first is the model as it is.
        blind: the loss of giving every token the same probability.
        title: the claim.
    """
    shown = theme.figure(title, height=400)
    names = list(losses)[::-1]
    means = [float(np.mean(losses[name])) for name in names]
    own = means[-1]
    colors = [theme.SEEN if value < own + 0.01 else theme.NOW for value in means]
    texts = [f" {value:.2f}" for value in means]
    shown.add_bar(
        x=means,
        y=names,
        orientation="h",
        marker_color=colors,
        text=texts,
        textposition="inside",
        insidetextanchor="start",
    )
    dots = dict(color="#222", size=6)
    x = [loss for name in names for loss in losses[name]]
    y = [name for name in names for _ in losses[name]]
    shown.add_scatter(
        x=x, y=y, mode="markers", marker=dots, hovertemplate="%{x:.2f}<extra></extra>"
    )
    shown.add_vline(x=blind, line=dict(dash="dash", color="#666"))
    shown.add_annotation(
        x=blind, y=1.02, yref="paper", text="guessing blindly", showarrow=False, yanchor="bottom"
    )
    shown.update_traces(textfont_size=16, selector=dict(type="bar"))
    shown.update_xaxes(title_text="loss: −log of the next token's probability, mean of three texts")
    shown.update_yaxes(tickfont_size=16)
    return shown.update_layout(showlegend=False, margin_t=100)


def sizes(
    models: Mapping[str, tuple[Mapping[str, int], int]], run: Collection[int], title: str
) -> go.Figure:
    """Two models as tiles whose areas are their parameters, on one scale.

    Args:
        models: name to parameters by kind, and in how many equal tiles "feed-forward" is cut. The
            last model is the largest.
        run: numbers of its tiles that one token runs through.
        title: the claim.
    """
    shown = theme.figure(title, height=560, margin=dict(l=10, r=10, t=110, b=20))
    small, large = (sum(parts.values()) for parts, _ in models.values())
    height = 0.45
    width = 0.7 * small / large / height  # as many parameters to the pixel on both sides
    domains = (dict(x=[0, width], y=[0, height]), dict(x=[0.3, 1], y=[0, 1]))
    for (model, (parts, n_tiles)), domain in zip(models.items(), domains, strict=True):
        others = {name: count for name, count in parts.items() if name != "feed-forward"}
        total, one = sum(parts.values()), parts["feed-forward"] // n_tiles
        ran = run if total == large else range(n_tiles)
        colors = [theme.NOW if number in ran else theme.SKY for number in range(n_tiles)]
        shown.add_treemap(
            ids=[model, *map(str, range(n_tiles)), *others],
            labels=[model, *["\u00a0"] * n_tiles, *others],
            parents=["", *[model] * (n_tiles + len(others))],
            values=[total, *[one] * n_tiles, *others.values()],
            branchvalues="total",
            marker=dict(
                colors=["rgba(0,0,0,0)", *colors, *_OTHERS[: len(others)]],
                pad=dict(t=0, l=0, r=0, b=0),
            ),
            tiling=dict(pad=1),
            pathbar_visible=False,
            domain=domain,
            textfont=dict(size=16, color="#000"),
            texttemplate="%{label}",
            hovertemplate="%{label} %{value:,}<extra></extra>",
        )
        name = dict(text=f"<b>{model}</b><br>{total:,}", align="left", font_size=16)
        place = dict(x=domain["x"][0], y=domain["y"][1], xanchor="left", yanchor="bottom")
        shown.add_annotation(showarrow=False, **name, **place)
    return shown
