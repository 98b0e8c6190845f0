"""Figures of chapter 18: stairs of memory, roofs, what recomputation keeps.

Each takes plain numbers, measured by a cell or published, and returns a Plotly figure. Bytes that
move between memory and chip are a piece of the stage, `traffic`.
"""

from collections.abc import Mapping, Sequence
from math import log10
from numbers import Real

import plotly.graph_objects as go

from mixlab.chapters.kit import theme

_PALETTE = (theme.BLUE, theme.GREEN, theme.PINK)


def stairs(
    sizes: Sequence[int],
    rates: Sequence[float],
    published: Mapping[str, Sequence[tuple[float, float, str]]],
    title: str,
) -> go.Figure:
    """How fast numbers arrive against how many bytes they are taken from, both logarithmic.

    Args:
        sizes: in bytes, of what was read over and over on this machine.
        rates: bytes a second at each of them.
        published: name of a chip to its levels: bytes that it holds, bytes a second, its name; the
            smallest first.
        title: the claim.
    """
    shown = theme.figure(title, height=480)
    shown.add_scatter(
        x=list(sizes),
        y=[round(rate) for rate in rates],
        mode="lines+markers",
        line=dict(color=theme.NOW, width=4),
        marker_size=9,
        hovertemplate="%{x:.3~s}B: %{y:.3~s}B a second<extra>this machine</extra>",
    )
    _write(shown, "<b>this machine</b>, measured", sizes[0], rates[0], theme.NOW, yshift=18)
    for (name, levels), color in zip(published.items(), _PALETTE, strict=False):
        left = sizes[0]
        x, y = [], []
        for size, rate, _ in levels:
            x, y = [*x, left, size], [*y, rate, rate]
            left = size
        shown.add_scatter(x=x, y=y, mode="lines", line=dict(color=color, width=4, dash="dot"))
        shown.data[-1].update(hovertemplate="%{y:.3~s}B a second<extra>" + name + "</extra>")
        starts = [sizes[0], *(size for size, _, _ in levels[:-1])]
        for start, (_, rate, words) in zip(starts, levels, strict=True):
            _write(shown, words, start, rate, color, yshift=14, xshift=5)
    shown.update_xaxes(type="log", title_text="bytes to read from", **_bytes(range(14, 38, 4)))
    shown.update_yaxes(type="log", title_text="bytes a second", tickformat="~s", dtick=1)
    return shown.update_layout(showlegend=False)


def roofs(
    roofs: Mapping[str, tuple[float, float]],
    points: Mapping[str, tuple[float, float]],
    marks: Mapping[str, float],
    *,
    title: str,
    least: float,
    most: float,
) -> go.Figure:
    """Rooflines: operations a second against operations a byte, both logarithmic.

    Args:
        roofs: name of a machine to its bytes a second and its operations a second.
        points: name to a measured point: operations a byte, and operations a second.
        marks: words to the operations a byte at which a dashed line bears them.
        title: the claim.
        least, most: ends of the axis of operations a byte.
    """
    shown = theme.figure(title, height=480)
    for (name, (rate, top)), color in zip(roofs.items(), _PALETTE, strict=False):
        ridge = top / rate
        shown.add_scatter(
            x=[least, ridge, most],
            y=[least * rate, top, top],
            mode="lines",
            line=dict(color=color, width=4),
            hovertemplate="%{x:.3~g} FLOP a byte: %{y:.3~s}FLOP/s<extra>" + name + "</extra>",
        )
        # Of two roofs of one height the one with the nearer ridge is named below it, at its end.
        nearer = any(top == other and rate > slower for slower, other in roofs.values())
        place = dict(xanchor="right", yshift=-13) if nearer else dict(yshift=13)
        words = f"<b>{name}</b>: ridge {ridge:.3g}"
        _write(shown, words, most if nearer else ridge, top, color, **place)
    shown.add_scatter(
        x=[at for at, _ in points.values()],
        y=[rate for _, rate in points.values()],
        text=list(points),
        mode="markers+text",
        textposition="bottom right",
        textfont_size=15,
        marker=dict(color=theme.NOW, size=13, line=dict(color="#333", width=1)),
        hovertemplate="%{x:.3~g} FLOP a byte: %{y:.3~s}FLOP/s<extra>%{text}</extra>",
    )
    for words, where in marks.items():
        _mark(shown, words, where)
    shown.update_xaxes(type="log", title_text="FLOP a byte that is moved", tickformat="~g", dtick=1)
    shown.update_yaxes(type="log", title_text="FLOP a second", tickformat="~s", dtick="D2")
    return shown.update_layout(showlegend=False)


def kept(
    every: Sequence[int], parts: Mapping[str, Sequence[Real]], best: int, title: str
) -> go.Figure:
    """What a backward pass holds against how far apart its kept states lie, stacked.

    Args:
        every: tokens from one kept state to the next.
        parts: what is held, to how much of it for each of `every`.
        best: where the sum is least, which is marked.
        title: the claim.
    """
    shown = theme.figure(title, height=460)
    labels = [f"{k:,}" for k in every]
    for (name, amounts), color in zip(parts.items(), (theme.SEEN, theme.SKY), strict=True):
        shown.add_bar(
            x=labels,
            y=list(amounts),
            name=name,
            marker_color=color,
            hovertemplate="a state every %{x} tokens: %{y:.3~s}B<extra>" + name + "</extra>",
        )
    at = list(every).index(best)
    least = sum(amounts[at] for amounts in parts.values())
    words = f"<b>least: every {best}</b>"
    place = dict(x=at, y=least, yanchor="bottom", yshift=9, showarrow=False)
    shown.add_annotation(text=words, font_size=16, **place)
    shown.update_xaxes(title_text="tokens from one kept state to the next", type="category")
    shown.update_yaxes(title_text="bytes held at most", tickformat="~s")
    legend = dict(orientation="h", x=0, y=0.01, yref="container", yanchor="bottom")
    return shown.update_layout(barmode="stack", legend=legend, margin_b=110)


def _write(shown: go.Figure, words: str, x: float, y: float, color: str, **shift) -> None:
    """Words that begin at a point of two logarithmic axes."""
    look = dict(xanchor="left", showarrow=False, font=dict(color=theme.ink(color), size=16)) | shift
    shown.add_annotation(text=words, x=log10(x), y=log10(y), **look)


def _mark(shown: go.Figure, words: str, where: float) -> None:
    """A dashed upright line with words above it."""
    shown.add_vline(x=where, line=dict(dash="dash", color="#666"))
    place = dict(x=log10(where), y=1, yref="paper", yanchor="bottom", showarrow=False)
    shown.add_annotation(text=words, font_size=16, **place)


def _bytes(powers: Sequence[int]) -> dict:
    """Ticks at powers of two, in the units that people say."""
    units = ("B", "KB", "MB", "GB", "TB")
    names = [f"{2 ** (power % 10)} {units[power // 10]}" for power in powers]
    return dict(tickvals=[2**power for power in powers], ticktext=names)
