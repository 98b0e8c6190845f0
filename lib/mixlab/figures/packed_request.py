"""The life of a packed request: its masks in one diagram, and pass by pass.

Both figures take the passes of `mixlab.traces.packed_prompts.trace_request`. Cells have their
prompt's colour; numbers and words say which token a row or a column is.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mixlab.figures import theme
from mixlab.figures.packed_prompts import prompt_color, prompt_scale
from mixlab.traces.packed_prompts import PADDING, PackedMask

_STAGES = {  # stage: (heading, how often, where its keys come from, xformers' mask in two lines)
    "first chunk": (
        "first chunk",
        "once",
        "keys: the chunk's own",
        "BlockDiagonalCausalMask<br>.make_local_attention",
    ),
    "later chunk": (
        "later chunks",
        "until the prompts are read",
        "keys: the ring's, in order, then its own",
        "BlockDiagonalMask.make_local_<br>attention_from_bottomright",
    ),
    "decode": (
        "decoding",
        "once a new token",
        "keys: the ring's slots, in any order",
        "BlockDiagonalCausalWith<br>OffsetPaddedKeysMask",
    ),
}


def _values(one: PackedMask) -> np.ndarray:
    """0 where hidden, 1 + prompt where visible."""
    return one.mask * (1 + one.key_prompt)


def life(lengths: Sequence[int], passes: Sequence[PackedMask], title: str) -> go.Figure:
    """From prompts to decoding in one diagram, all cells of one size.

    Args:
        lengths: of the prompts, in tokens.
        passes: one of each stage, in order: first chunk, later chunk, decode.
        title: the claim.
    """
    gap, middle = 5.2, max(len(one.mask) for one in passes) / 2
    n_prompts = len(lengths)
    shown = theme.figure(title, height=500)

    def panel(x, values, columns, rows, heading, under):
        height, width = values.shape
        top = middle - height / 2
        shown.add_heatmap(
            z=values,
            x=x + np.arange(width),
            y=top + np.arange(height),
            zmin=0,
            zmax=n_prompts,
            colorscale=prompt_scale(n_prompts, theme.GREY),
            showscale=False,
            xgap=1,
            ygap=1,
            hoverinfo="skip",
        )
        labels = [(x + i, top - 1, text) for i, text in enumerate(columns)]
        labels += [(x - 1, top + i, text) for i, text in enumerate(rows)]
        shown.add_scatter(
            x=[at for at, _, _ in labels],
            y=[at for _, at, _ in labels],
            text=[text for _, _, text in labels],
            mode="text",
            textfont_size=12,
            hoverinfo="skip",
            showlegend=False,
        )
        center = x + (width - 1) / 2
        note = dict(x=center, showarrow=False)
        shown.add_annotation(note, y=middle - 7.4, text=heading, font_size=16)
        shown.add_annotation(note, y=middle + 6.9, text=under, font_size=12, yanchor="middle")
        return x + width

    rectangle = np.full((n_prompts, max(lengths)), np.nan)
    for row, length in enumerate(lengths):
        rectangle[row, :length] = row + 1
    edge = panel(
        0,
        rectangle,
        range(max(lengths)),
        [],
        "<b>prompts</b><br> ",
        "numbers: positions<br>in the prompt<br> <br> ",
    )
    for one in passes:
        heading, often, keys, mask = _STAGES[one.stage]
        shown.add_annotation(
            x=edge + gap - 2.0,
            y=middle - 0.5,
            ax=edge - 0.1,
            ay=middle - 0.5,
            axref="x",
            ayref="y",
            arrowwidth=2.5,
            arrowhead=2,
            arrowcolor="#666",
            text="",
        )
        columns = ["–" if p == PADDING else p for p in one.key_position]
        edge = panel(
            edge + gap,
            _values(one),
            columns,
            one.query_position,
            f"<b>{heading}</b><br>{often}",
            f"{keys}<br> <br>{mask}",
        )
    shown.update_xaxes(visible=False, range=[-2.2, edge + 1.5])
    shown.update_yaxes(visible=False, range=[middle + 8.6, middle - 8.8])
    shown.update_layout(margin=dict(l=10, r=10, b=10))
    return shown


def passes(trace: Sequence[PackedMask], words: Sequence[Sequence[str]], title: str) -> go.Figure:
    """Every pass of a batch of prompts, one after the other.

    Args:
        trace: all passes, in order.
        words: the tokens of each prompt; later positions are the ones it writes.
        title: the claim.
    """
    rows = max(len(one.mask) for one in trace)
    columns = max(one.mask.shape[1] for one in trace)
    names = [f"{number}, {one.stage}" for number, one in enumerate(trace, start=1)]

    def word(prompt: int, position: int) -> str:
        if position == PADDING:
            return "empty"
        known = words[prompt]
        return known[position] if position < len(known) else f"new {position - len(known) + 1}"

    def axis(prompts, positions) -> dict:
        texts = [
            f'<span style="color:{prompt_color(prompt)}">■</span> {word(prompt, position)}'
            for prompt, position in zip(prompts.tolist(), positions.tolist(), strict=True)
        ]
        return dict(tickvals=list(range(len(texts))), ticktext=texts)

    def frame(one: PackedMask) -> tuple[dict, dict]:
        sees = np.where(one.mask, "sees", "does not see")
        title = f"keys · mask: {one.mask_name}"
        return (
            dict(type="heatmap", z=_values(one), text=sees),
            dict(
                xaxis=axis(one.key_prompt, one.key_position) | dict(title=dict(text=title)),
                yaxis=axis(one.query_prompt, one.query_position),
            ),
        )

    drawn = [frame(one) for one in trace]
    shown = theme.figure(title, height=620)
    shown.add_trace(
        go.Heatmap(
            drawn[0][0],
            zmin=0,
            zmax=len(words),
            colorscale=prompt_scale(len(words), theme.GREY),
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{y} %{text} %{x}<extra></extra>",
        )
    )
    shown.frames = [
        go.Frame(name=name, data=[data], layout=layout)
        for name, (data, layout) in zip(names, drawn, strict=True)
    ]
    shown.update_xaxes(range=[-0.5, columns - 0.5], showgrid=False, tickangle=-50, side="top")
    shown.update_yaxes(range=[rows - 0.5, -0.5], showgrid=False, title_text="queries")
    shown.update_layout(drawn[0][1])
    shown.update_layout(margin_t=190)
    theme.player(shown, names, "pass ", milliseconds=1400)
    return shown
