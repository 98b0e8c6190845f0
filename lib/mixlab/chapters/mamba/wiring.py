"""The Mamba block as a wiring diagram that is drawn piece by piece.

Takes the widths of the wires and returns a Plotly figure. Each piece is a handful of boxes and
wires that stand or fall together; a frame shows one piece more than the frame before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import plotly.graph_objects as go

from mixlab.chapters.kit import theme

# Where things stand: the main row and the rows of the four ways around it.
_MAIN, _RESIDUAL, _CHOICE, _SKIP, _GATE = 30, 56, 44, 18, 6
_HEADS = {"right": "triangle-right", "up": "triangle-up", "down": "triangle-down"}


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
            ((3, _MAIN, "x", 4), (11, _MAIN, "norm", 7)),
            ((((5, _MAIN), (7.5, _MAIN)), "right"),),
        ),
        _Piece(
            "widen",
            f"{dim} numbers become two times {inner}: x, and the gate's z",
            ((21, _MAIN, "in_proj", 9),),
            ((((14.5, _MAIN), (16.5, _MAIN)), "right"),),
        ),
        _Piece(
            "convolve",
            f"each channel sees its last {taps} inputs; the result is u",
            ((34, _MAIN, "conv, silu", 12),),
            ((((25.5, _MAIN), (28, _MAIN)), "right"),),
        ),
        _Piece(
            "choose",
            f"from u: B and C of {n} numbers each, and Δ through {rank} to {inner}",
            ((53, _CHOICE, "x_proj, dt_proj", 18),),
            (
                (((40, _MAIN), (42, _MAIN), (42, _CHOICE), (44, _CHOICE)), "right"),
                (((62, _CHOICE), (64, _CHOICE), (64, 34.5)), "down"),
            ),
            theme.BLUE,
        ),
        _Piece(
            "scan",
            f"each of {inner} channels keeps {n} numbers of state",
            ((60, _MAIN, "selective scan", 18),),
            ((((42, _MAIN), (51, _MAIN)), "right"),),
            theme.BLUE,
        ),
        _Piece(
            "skip one: D·u",
            "a factor a channel carries u past the scan",
            ((60, _SKIP, "· D", 8), (73.5, _MAIN, "+", 4)),
            (
                (((44, _MAIN), (44, _SKIP), (56, _SKIP)), "right"),
                (((64, _SKIP), (73.5, _SKIP), (73.5, 25.5)), "up"),
                (((69, _MAIN), (71.5, _MAIN)), "right"),
            ),
            theme.VERMILION,
        ),
        _Piece(
            "skip two: the gate",
            "silu(z) multiplies the result: z never enters the scan",
            ((53, _GATE, "silu", 8), (80.5, _MAIN, "×", 4)),
            (
                (((21, 25.5), (21, _GATE), (49, _GATE)), "right"),
                (((57, _GATE), (80.5, _GATE), (80.5, 25.5)), "up"),
                (((75.5, _MAIN), (78.5, _MAIN)), "right"),
            ),
            theme.GREEN,
        ),
        _Piece(
            "narrow",
            f"{inner} numbers become {dim} again",
            ((88.5, _MAIN, "out_proj", 9.5),),
            ((((82.5, _MAIN), (83.5, _MAIN)), "right"),),
        ),
        _Piece(
            "skip three: the residual",
            "what came in is added to what came out",
            ((97, _MAIN, "+", 4),),
            (
                (((3, 34.5), (3, _RESIDUAL), (97, _RESIDUAL), (97, 34.5)), "down"),
                (((93.5, _MAIN), (95, _MAIN)), "right"),
            ),
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
        x=[50], y=[-3], mode="text", text=[_caption(pieces[-1])], textfont_size=17, hoverinfo="skip"
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
    shown.update_yaxes(visible=False, range=[-7, 61])
    shown.update_layout(showlegend=False, margin=dict(l=10, r=10, t=70))
    theme.player(shown, names, "piece ", milliseconds=1600, start=len(names) - 1)
    return shown


def _caption(piece: _Piece) -> str:
    return f"<b>{piece.name}</b>: {piece.says}"


def _drawn(piece: _Piece) -> list[go.Scatter]:
    """Wires with their heads, then boxes, then words: always as many traces."""
    paint = dict(line=dict(color=piece.color, width=3), hoverinfo="skip")
    wires, heads, edges = ([], []), ([], [], []), ([], [])
    for corners, head in piece.wires:
        for x, y in (*corners, (None, None)):
            wires[0].append(x)
            wires[1].append(y)
        for values, value in zip(heads, (*corners[-1], _HEADS[head]), strict=True):
            values.append(value)
    for x, y, _, wide in piece.boxes:
        left, right, low, high = x - wide / 2, x + wide / 2, y - 4, y + 4
        edges[0].extend((left, right, right, left, left, None))
        edges[1].extend((low, low, high, high, low, None))
    marker = dict(color=piece.color, size=11, symbol=heads[2])
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
            textfont_size=15,
            hoverinfo="skip",
        ),
    ]
