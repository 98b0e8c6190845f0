"""Text, each token on the colour of its first expert: as a figure with a player, and as HTML.

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
    title: str,
    layer: int = 0,
    columns: int = 44,
    n_experts: int = len(EXPERTS),
) -> go.Figure:
    """Texts, each token on the colour of its expert, with a player over the layers.

    The first text stands on the left, the others below each other on the right.

    Args:
        texts: name to the tokens' texts.
        experts: name to (layers, tokens), each token's first expert.
        title: the claim.
        layer: shown first.
        columns: letters in a line, of each side.
        n_experts: of the model.
    """
    words, base, width, height, hover, numbers = [], [], [], [], [], []
    headings, tops = [], {0: 0.0, columns + 3: 0.0}  # left edge of a side to its next free row
    for number, (name, pieces) in enumerate(texts.items()):
        left = 0 if number == 0 else columns + 3
        top = tops[left]
        headings.append((name, left, top))
        places = _rows(pieces, columns)
        for (row, column), piece in zip(places, pieces, strict=True):
            words.append(shown_piece(piece).replace(" ", "\u00a0"))
            base.append(left + column)
            width.append(len(shown_piece(piece)))
            height.append(-(top + 1 + row))
            hover.append(f"{name}: {escape(shown_piece(piece))}")
        numbers.append(experts[name])
        tops[left] = top + places[-1][0] + 2.4
    top = max(tops.values())
    numbers = np.concatenate(numbers, axis=1)
    backs, fronts = map(np.array, palette(n_experts))

    def colors(which: int) -> dict:
        return dict(
            marker=dict(color=backs[numbers[which]].tolist(), line=dict(width=1, color="white")),
            textfont=dict(color=fronts[numbers[which]].tolist()),
            customdata=numbers[which].tolist(),
        )

    shown = theme.figure(title, height=round(150 + 24 * top + 90))
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
        hovertext=hover,
        hovertemplate="%{hovertext}<br>expert %{customdata}<extra></extra>",
        showlegend=False,
        **colors(layer),
    )
    shown.update_traces(textfont_family="monospace", textfont_size=14)
    expert_legend(shown, n_experts)
    names = [str(number) for number in range(len(numbers))]
    shown.frames = [
        go.Frame(name=name, data=[dict(type="bar", **colors(number))])
        for number, name in enumerate(names)
    ]
    for name, left, where in headings:
        shown.add_annotation(
            x=left, y=-where, text=f"<b>{name}</b>", showarrow=False, xanchor="left", font_size=14
        )
    shown.update_xaxes(visible=False, range=[0, 2 * columns + 3], fixedrange=True)
    shown.update_yaxes(visible=False, range=[0.4 - top, 0.7], fixedrange=True)
    theme.player(shown, names, "layer ", milliseconds=1500, start=layer)
    shown.update_layout(bargap=0, margin=dict(l=10, r=10, t=60))
    return shown


_CHIP = "border-radius:3px;padding:1px 0;margin-right:1px"  # tokens of one colour stay apart


def colored_html(pieces: Sequence[str], chosen: np.ndarray, gates: np.ndarray) -> str:
    """A text as HTML, each token on the colour of its first expert; the pointer tells the rest.

    Args:
        pieces: the tokens' texts.
        chosen: (tokens, k), the experts that ran, best first.
        gates: (tokens, k), their weights.
    """
    spans = []
    for piece, experts, weights in zip(pieces, chosen, gates, strict=True):
        back, front = EXPERTS[int(experts[0])]
        pairs = zip(experts, weights, strict=True)
        told = ", ".join(f"expert {int(e)}: {float(w):.0%}" for e, w in pairs)
        spans.append(
            f'<span title="{told}" style="background:{back};color:{front};{_CHIP}">'
            f"{escape(shown_piece(piece))}</span>" + ("<br>" if piece.endswith("\n") else "")
        )
    style = "font-family:monospace;font-size:15px;line-height:1.8;white-space:pre-wrap"
    names = "".join(
        f'<span style="background:{back};color:{front};{_CHIP}"> {number} </span>'
        for number, (back, front) in enumerate(EXPERTS)
    )
    return f'<div style="{style}">{"".join(spans)}</div><div style="{style}">expert {names}</div>'
