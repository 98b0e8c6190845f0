"""Figures of chapter 09: what devices hold, who stays empty, who is read, who has summed what.

Each takes plain arrays, made by a cell or by ranks, and returns a Plotly figure. How a cut model's
parts lie on devices, and how a token travels between them, is a piece of the stage, `ranks`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import series, theme
from mixlab.chapters.kit.cells import cells, square_panels

_PARTS = {
    "weights, its own part": theme.SEEN,
    "weights that every device has": theme.GREEN,
    "keys and values": theme.NOW,
}


def memory(
    devices: Mapping[str, Sequence[float]], limit: float, words: str, title: str
) -> go.Figure:
    """What one device holds under several cuts, as bars in three parts, against a card's memory.

    Args:
        devices: name to GiB of own weights, of weights that all have, and of the cache.
        limit: of a card, in GiB.
        words: what stands at the line of the limit.
        title: the claim.
    """
    shown = series.totals(devices, _PARTS, title=title, x_title="one device (GiB)", unit="GiB")
    shown.add_vline(x=limit, line=dict(dash="dash", color="#666"))
    shown.add_annotation(
        x=limit, y=1, yref="paper", yanchor="bottom", text=words, showarrow=False, font_size=14
    )
    return shown.update_layout(margin_t=100)


def empty_ranks(empty: Sequence[int], title: str) -> go.Figure:
    """How many ranks get nothing, for 1, 2, 3, … ranks; where none does, a point on the axis."""
    shown = theme.figure(title, height=420)
    counts = np.arange(1, len(empty) + 1)
    empty = np.array(empty)
    shown.add_bar(
        x=counts,
        y=empty,
        marker_color=theme.WRONG,
        hovertemplate="%{x} ranks: %{y} without a layer<extra></extra>",
    )
    full = counts[empty == 0]
    shown.add_scatter(
        x=full,
        y=np.zeros(len(full)),
        mode="markers",
        marker=dict(color=theme.SEEN, size=11),
        cliponaxis=False,
        hovertemplate="%{x} ranks: every one has layers<extra></extra>",
    )
    shown.update_layout(showlegend=False, bargap=0.25)
    shown.update_xaxes(title_text="ranks that share 32 layers", dtick=2, tick0=2, showgrid=False)
    shown.update_yaxes(title_text="ranks without a layer", dtick=5)
    return shown


def choices(tokens: Sequence[Sequence[str]], title: str) -> go.Figure:
    """What each rank believes was written: rank 0's tokens, and where others differ from it.

    Args:
        tokens: of each rank, in order, as texts; all of one length.
        title: the claim.
    """
    rows = np.array(tokens)
    kinds = np.where(rows == rows[0], 0, 1)
    kinds[0] = 2
    colors = [[0.0, theme.GONE], [0.5, theme.WRONG], [1.0, theme.NOW]]
    names = ["as rank 0 chose", "not what the model reads next", "read by the model"]
    picture = cells(kinds, colors, names, gap=3, rows="rank", columns="step")
    shown = theme.figure(title, height=400)
    shown.add_trace(picture)
    for rank, row in enumerate(rows):
        for step, token in enumerate(row):
            ink = "#FFFFFF" if kinds[rank, step] == 1 else None
            if kinds[rank, step] == 2:
                ink = "#000000"
            look = dict(size=15) | ({"color": ink} if ink else {})
            shown.add_annotation(x=step, y=rank, text=token, showarrow=False, font=look)
    shown.update_xaxes(title_text="step", dtick=1, showgrid=False)
    shown.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[f"rank {rank}" for rank in range(len(rows))],
        autorange="reversed",
        showgrid=False,
        tickfont_size=15,
    )
    return shown


def ring(rounds: Mapping[str, np.ndarray], title: str) -> go.Figure:
    """How many ranks' numbers each piece has gathered, on every rank, at some moments.

    Args:
        rounds: moment to (ranks, pieces) of how many summands a piece holds.
        title: the claim.
    """
    n_ranks = len(next(iter(rounds.values())))
    shown = make_subplots(1, len(rounds), subplot_titles=list(rounds), horizontal_spacing=0.07)
    # Less of one colour, so that a small sum recedes into a white page and into a dark one.
    scale = [[0, "rgba(0, 114, 178, 0.1)"], [1, theme.SEEN]]
    names = [f"the sum of {n + 1} of {n_ranks}" for n in range(n_ranks)]
    for column, held in enumerate(rounds.values(), start=1):
        picture = cells(held - 1, scale, names, gap=3, rows="rank", columns="piece")
        shown.add_trace(picture, row=1, col=column)
        for (rank, piece), count in np.ndenumerate(held):
            look = dict(size=17) | ({"color": theme.ON[theme.SEEN]} if count == n_ranks else {})
            place = dict(x=piece, y=rank, row=1, col=column)
            shown.add_annotation(text=str(count), showarrow=False, font=look, **place)
    shown.update_layout(theme.figure(title, height=430).layout)
    square_panels(shown, len(rounds), n_ranks)
    shown.update_xaxes(title_text="piece", dtick=1)
    shown.update_yaxes(dtick=1)
    shown.update_yaxes(title_text="rank", col=1)
    shown.update_layout(margin_t=110)
    return shown


def travels(sent: np.ndarray, title: str) -> go.Figure:
    """Which rank's choices went to which rank, as a table: what stays at home recedes.

    Args:
        sent: (from, to), how many choices of experts.
        title: the claim.
    """
    n_ranks = len(sent)
    away = np.where(np.eye(n_ranks, dtype=bool), 0, 1)
    shown = theme.figure(title, height=430)
    colors = [[0.0, theme.GONE], [1.0, theme.NOW]]
    names = ["stays at home", "travels"]
    shown.add_trace(cells(away, colors, names, gap=3, rows="from rank", columns="to rank"))
    for (source, to), count in np.ndenumerate(sent):
        look = dict(size=19) | ({} if source == to else {"color": "#000000"})
        shown.add_annotation(x=to, y=source, text=f"{count:,}", showarrow=False, font=look)
    shown.update_xaxes(title_text="to the rank of the expert", dtick=1, showgrid=False)
    shown.update_xaxes(constrain="domain", range=[-0.5, n_ranks - 0.5])
    shown.update_yaxes(title_text="from the rank of the token", dtick=1, showgrid=False)
    shown.update_yaxes(range=[n_ranks - 0.5, -0.5], scaleanchor="x", scaleratio=0.5)
    shown.update_yaxes(constrain="domain")  # on a phone too, no row that isn't a rank's
    return shown
