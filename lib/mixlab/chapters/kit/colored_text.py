"""Text, each token on the colour of its first expert.

The paper's own way to look at a router: "Mixtral of Experts" (2024), figure 8.
"""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.experts import EXPERTS, expert_legend, palette


def shown_piece(piece: str) -> str:
    """A token as it is drawn: spaces keep their place, a line's end has a sign.

    >>> shown_piece("\\n  if")
    '↵··if'
    """
    lead = len(piece) - len(piece.lstrip(" \n"))
    blank = piece[:lead].replace("\n", "↵")
    return (blank if blank == " " and lead < len(piece) else blank.replace(" ", "·")) + piece[lead:]


def _rows(pieces: Sequence[str], columns: int) -> list[tuple[int, int]]:
    """(row, column) of each piece: a new row where one is full, and after a line's end."""
    places, row, column = [], 0, 0
    for piece in pieces:
        width = len(shown_piece(piece))
        # A line's end that brings the next line's indentation with it belongs to that line.
        indents = piece.startswith("\n") and not piece.endswith("\n")
        if column and (indents or column + width > columns):
            row, column = row + 1, 0
        places.append((row, column))
        column += width
        if piece.endswith("\n"):
            row, column = row + 1, 0
    return places


def colored_text(
    texts: Mapping[str, Sequence[str]],
    experts: Mapping[str, np.ndarray],
    layers: Sequence[int],
    title: str,
    columns: int = 38,
    n_experts: int = len(EXPERTS),
) -> go.Figure:
    """Texts below each other, each token on the colour of its expert, side by side for some layers.

    Args:
        texts: name to the tokens' texts.
        experts: name to (layers shown, tokens), each token's first expert.
        layers: the numbers of those shown.
        title: the claim.
        columns: letters in a line.
        n_experts: of the model.
    """
    words, base, width, height, hover, numbers, headings = [], [], [], [], [], [], []
    for side, layer in enumerate(layers):
        left, top = side * (columns + 3), 0.0
        for name, pieces in texts.items():
            headings.append((f"{name}, layer {layer}", left, top))
            places = _rows(pieces, columns)
            for (row, column), piece in zip(places, pieces, strict=True):
                words.append(shown_piece(piece).replace(" ", "\u00a0"))
                base.append(left + column)
                width.append(len(shown_piece(piece)))
                height.append(-(top + 1 + row))
                hover.append(f"{name}: {escape(shown_piece(piece))}")
            numbers += experts[name][side].tolist()
            top += places[-1][0] + 2.4
    backs, fronts = map(np.array, palette(n_experts))
    shown = theme.figure(title, height=round(120 + 24 * top))
    shown.add_bar(
        x=width,
        y=height,
        base=base,
        text=words,
        orientation="h",
        width=0.88,
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        constraintext="none",
        marker=dict(color=backs[numbers].tolist(), line=dict(width=1, color="white")),
        textfont=dict(color=fronts[numbers].tolist(), family="monospace", size=16),
        customdata=numbers,
        hovertext=hover,
        hovertemplate="%{hovertext}<br>expert %{customdata}<extra></extra>",
        showlegend=False,
    )
    expert_legend(shown, n_experts)
    for name, left, where in headings:
        words = dict(text=f"<b>{name}</b>", font_size=16, showarrow=False, xanchor="left")
        shown.add_annotation(x=left, y=-where, **words)
    shown.update_xaxes(visible=False, range=[0, len(layers) * (columns + 3)], fixedrange=True)
    shown.update_yaxes(visible=False, range=[0.4 - top, 0.7], fixedrange=True)
    shown.update_layout(bargap=0, margin=dict(l=10, r=10, t=60, b=10))
    return shown
