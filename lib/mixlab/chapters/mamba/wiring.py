"""The Mamba block as a wiring diagram that is drawn piece by piece.

Takes the widths of the wires and returns a Plotly figure. Each piece is a handful of boxes and
wires that stand or fall together; a frame shows one piece more than the frame before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import plotly.graph_objects as go

from mixlab.chapters.kit import theme

# Where things stand: rows are whole numbers, from 0 down; columns are shares of the width, those of
# the main path and of the four ways around it. Upright, so that a phone has room for the words.
_MAIN, _RESIDUAL, _SKIP, _CHOICE, _GATE = 44, 5, 21, 74, 92
_HALF = 0.32  # of a box's height, in rows
# A head's mark, and how far its middle lies before the end of its wire.
_HEADS = {
    "right": ("triangle-right", 0.6, 0),
    "left": ("triangle-left", -0.6, 0),
    "down": ("triangle-down", 0, 0.11),
}


def _down(row: int) -> tuple:
    """The main path's wire into the box of this row."""
    return ((_MAIN, row - 1 + _HALF), (_MAIN, row - _HALF)), "down"


@dataclass(frozen=True)
class _Piece:
    """What one step of the diagram adds: boxes (x, y, words, width), wires as corner points."""

    name: str
    says: str
    boxes: tuple = ()
    wires: tuple = ()
    color: str = "#555"


def _pieces(width: Mapping[str, int]) -> list[_Piece]:
    dim, inner, n, rank, taps = (
        f"{width[name]:,}" for name in ("dim", "d_inner", "d_state", "dt_rank", "d_conv")
    )
    return [
        _Piece(
            "normalise",
            f"a token's {dim} numbers, scaled to size 1",
            ((_MAIN, 0, "x", 8), (_MAIN, 1, "norm", 13)),
            (_down(1),),
        ),
        _Piece(
            "widen",
            f"{dim} numbers become two times {inner}: x, and the gate's z",
            ((_MAIN, 2, "in_proj", 17),),
            (_down(2),),
        ),
        _Piece(
            "convolve",
            f"each channel sees its last {taps} inputs; the result is u",
            ((_MAIN, 3, "conv, silu", 22),),
            (_down(3),),
        ),
        _Piece(
            "choose",
            f"from u: B and C of {n} numbers each, and Δ through {rank} to {inner}",
            ((_CHOICE, 3, "x_proj, dt_proj", 30),),
            (
                (((55, 3), (59, 3)), "right"),
                (((_CHOICE, 3 + _HALF), (_CHOICE, 4), (58, 4)), "left"),
            ),
            theme.BLUE,
        ),
        _Piece(
            "scan",
            f"each of {inner} channels keeps {n} numbers of state",
            ((_MAIN, 4, "selective scan", 28),),
            (_down(4),),
            theme.BLUE,
        ),
        _Piece(
            "skip one: D·u",
            "a factor a channel carries u past the scan",
            ((_SKIP, 4.25, "· D", 10), (_MAIN, 5, "+", 8)),
            (
                (((_MAIN, 3.5), (_SKIP, 3.5), (_SKIP, 4.25 - _HALF)), "down"),
                (((_SKIP, 4.25 + _HALF), (_SKIP, 5), (40, 5)), "right"),
                _down(5),
            ),
            theme.VERMILION,
        ),
        _Piece(
            "skip two: the gate",
            "silu(z) multiplies the result: z never enters the scan",
            ((_GATE, 5, "silu", 12), (_MAIN, 6, "×", 8)),
            (
                (((52.5, 2), (_GATE, 2), (_GATE, 5 - _HALF)), "down"),
                (((_GATE, 5 + _HALF), (_GATE, 6), (48, 6)), "left"),
                _down(6),
            ),
            theme.GREEN,
        ),
        _Piece(
            "narrow",
            f"{inner} numbers become {dim} again",
            ((_MAIN, 7, "out_proj", 19),),
            (_down(7),),
        ),
        _Piece(
            "skip three: the residual",
            "what came in is added to what came out",
            ((_MAIN, 8, "+", 8),),
            ((((40, 0), (_RESIDUAL, 0), (_RESIDUAL, 8), (40, 8)), "right"), _down(8)),
            theme.PINK,
        ),
    ]


def wiring(width: Mapping[str, int], title: str) -> go.Figure:
    """The block, one piece more a frame; the whole block is shown first.

    Args:
        width: numbers of `dim`, `d_inner`, `d_state`, `dt_rank` and `d_conv`.
        title: the claim.
    """
    pieces = _pieces(width)
    shown = theme.figure(title, height=600)
    owners = []  # the piece of each trace
    for number, piece in enumerate(pieces):
        for trace in _drawn(piece):
            shown.add_trace(trace)
            owners.append(number)
    shown.add_scatter(
        x=[50],
        y=[9.2],
        mode="text",
        text=[_caption(pieces[-1])],
        textfont_size=17,
        hoverinfo="skip",
    )
    names = [str(number) for number in range(1, len(pieces) + 1)]
    shown.frames = [
        go.Frame(
            name=name,
            data=[
                *(dict(type="scatter", opacity=1.0 if o <= number else 0.12) for o in owners),
                dict(type="scatter", text=[_caption(piece)]),
            ],
        )
        for number, (name, piece) in enumerate(zip(names, pieces, strict=True))
    ]
    shown.update_xaxes(visible=False, range=[0, 100])
    shown.update_yaxes(visible=False, range=[9.8, -0.5])
    shown.update_layout(showlegend=False, margin=dict(l=10, r=10, t=60))
    # No axis has words between the plot and the slider: they move together.
    theme.player(shown, names, "piece ", milliseconds=1600, below=-0.12, start=len(names) - 1)
    return shown.update_layout(margin_b=105)


def _caption(piece: _Piece) -> str:
    return f"<b>{piece.name}</b><br>{piece.says}"


def _drawn(piece: _Piece) -> list[go.Scatter]:
    """Wires with their heads, then boxes, then words: always as many traces."""
    paint = dict(line=dict(color=piece.color, width=3), hoverinfo="skip")
    wires, heads, edges = ([], []), ([], [], []), ([], [])
    for corners, head in piece.wires:
        for x, y in (*corners, (None, None)):
            wires[0].append(x)
            wires[1].append(y)
        (x, y), (mark, right, down) = corners[-1], _HEADS[head]
        for values, value in zip(heads, (x - right, y - down, mark), strict=True):
            values.append(value)
    for x, y, _, wide in piece.boxes:
        left, right, low, high = x - wide / 2, x + wide / 2, y - _HALF, y + _HALF
        edges[0].extend((left, right, right, left, left, None))
        edges[1].extend((low, low, high, high, low, None))
    marker = dict(color=piece.color, size=9, symbol=heads[2])
    words = [f"<b>{words}</b>" for _, _, words, _ in piece.boxes]
    return [
        go.Scatter(x=wires[0], y=wires[1], mode="lines", **paint),
        go.Scatter(x=heads[0], y=heads[1], mode="markers", marker=marker, hoverinfo="skip"),
        go.Scatter(x=edges[0], y=edges[1], mode="lines", **paint),
        go.Scatter(
            x=[box[0] for box in piece.boxes],
            y=[box[1] for box in piece.boxes],
            mode="text",
            text=words,
            textfont_size=16,
            hoverinfo="skip",
        ),
    ]
