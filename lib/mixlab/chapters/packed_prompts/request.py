"""The life of a packed request: its three masks in one diagram.

It takes the passes of `traces.trace_request`; the stage's piece `requests` plays them all. Cells
have their prompt's colour; numbers say which token a row or a column is, and bars whether a key
comes from the ring or is the chunk's own.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import plotly.graph_objects as go

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.cells import legend
from mixlab.chapters.packed_prompts.figures import prompt_scale
from mixlab.chapters.packed_prompts.traces import PADDING, PackedMask

_STAGES = {  # stage: (heading, when, xformers' mask in two lines)
    "first chunk": (
        "first chunk",
        "once, at the prompts' start",
        "BlockDiagonalCausalMask<br>.make_local_attention",
    ),
    "later chunk": (
        "later chunks",
        "until the prompts are read",
        "BlockDiagonalMask.make_local_<br>attention_from_bottomright",
    ),
    "decode": (
        "decoding",
        "for each new token",
        "BlockDiagonalCausalWith<br>OffsetPaddedKeysMask",
    ),
}
_RING, _OWN = "#333333", "#BBBBBB"  # bars over keys from the ring, and over the chunk's own


def _values(one: PackedMask) -> np.ndarray:
    """0 where hidden, 1 + prompt where visible."""
    return one.mask * (1 + one.key_prompt)


def _origins(one: PackedMask) -> list[tuple[int, int, bool]]:
    """Stretches of columns (first, last, from the ring?), a prompt's ring and own keys apart."""
    prompts, positions = one.key_prompt.tolist(), one.key_position.tolist()
    queries = zip(one.query_prompt[::-1].tolist(), one.query_position[::-1].tolist(), strict=True)
    first_new = dict(queries)
    held = [
        one.stage == "decode" or position < first_new[prompt]
        for prompt, position in zip(prompts, positions, strict=True)
    ]
    alike = groupby(range(len(held)), key=lambda column: (prompts[column], held[column]))
    stretches = [(ring, list(columns)) for (_, ring), columns in alike]
    return [(columns[0], columns[-1], ring) for ring, columns in stretches]


def life(passes: Sequence[PackedMask], names: Sequence[str], title: str) -> go.Figure:
    """From the first chunk to decoding in one diagram, all cells of one size.

    Args:
        passes: one of each stage, in order: first chunk, later chunk, decode.
        names: of the prompts.
        title: the claim.
    """
    gap, middle = 6.0, max(len(one.mask) for one in passes) / 2 - 0.5
    n_prompts = 1 + max(int(one.key_prompt.max()) for one in passes)
    shown = theme.figure(title, height=540)

    def write(texts: Sequence[tuple[float, float, object]], size: int) -> None:
        x, y, words = zip(*texts, strict=True)
        shown.add_scatter(x=x, y=y, text=words, mode="text", textfont_size=size)

    edge = -gap
    for one in passes:
        heading, when, mask_name = _STAGES[one.stage]
        height, width = one.mask.shape
        x, top = edge + gap, middle - (height - 1) / 2
        if edge > 0:
            tail, head = edge - 0.2, x - 2.2
            arrow = dict(axref="x", ayref="y", arrowwidth=2.5, arrowhead=2, arrowcolor="#666")
            shown.add_annotation(arrow, x=head, ax=tail, y=middle, ay=middle, text="")
        edge = x + width
        shown.add_heatmap(
            z=_values(one),
            x=x + np.arange(width),
            y=top + np.arange(height),
            zmin=0,
            zmax=n_prompts,
            colorscale=prompt_scale(n_prompts, theme.GONE),
            showscale=False,
            xgap=1,
            ygap=1,
        )
        columns = ["–" if p == PADDING else p for p in one.key_position]
        write([(x + at, top - 1, text) for at, text in enumerate(columns)], 13)
        write([(x - 1, top + at, text) for at, text in enumerate(one.query_position)], 13)
        for first, last, ring in _origins(one):
            line = dict(color=_RING if ring else _OWN, width=6)
            y = top - 1.85
            ends = [x + first - 0.42, x + last + 0.42]
            shown.add_scatter(x=ends, y=[y, y], mode="lines", line=line)
            write([(x + (first + last) / 2, y - 0.75, "ring" if ring else "own")], 14)
        center = x + (width - 1) / 2
        note = dict(x=center, showarrow=False)
        shown.add_annotation(note, y=middle - 9, text=f"<b>{heading}</b>", font_size=20)
        shown.add_annotation(note, y=middle - 8, text=when, font_size=15)
        shown.add_annotation(note, y=middle + 6.2, text=mask_name, font_size=15)
    corner = dict(x=-1.9, showarrow=False, font_size=14)
    shown.add_annotation(corner, y=-2.6, text="<i>keys</i>")
    shown.add_annotation(corner, y=middle, text="<i>queries</i>", textangle=-90)
    shown.update_traces(hoverinfo="skip", showlegend=False)
    scale = prompt_scale(n_prompts, theme.GONE)
    legend(shown, ["hidden", *names], scale)
    shown.update_layout(legend=dict(orientation="h", x=0, y=0))
    shown.update_xaxes(visible=False, range=[-2.7, edge + 0.4])
    shown.update_yaxes(visible=False, range=[middle + 7.2, middle - 9.8])
    shown.update_layout(margin=dict(l=10, r=10, b=10))
    return shown
