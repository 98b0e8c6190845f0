"""Figures of chapter 06 about masks: what leaks, which corner, which tiles.

Each takes plain arrays and returns a Plotly figure. Prompts have their colours of packed_prompts;
vermilion marks what is wrong.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.cells import cells, legend, square_panels
from mixlab.chapters.packed_prompts.figures import prompt_scale

_WRONG = [
    [0, theme.GONE],
    [1 / 3, theme.SEEN],
    [2 / 3, theme.WRONG],
    [1, "rgba(0, 114, 178, 0.35)"],
]


def leaks(
    masks: Mapping[str, np.ndarray], prompt: np.ndarray, words: Sequence[str], title: str
) -> go.Figure:
    """Masks over packed prompts, side by side; what reaches into another prompt is marked.

    Args:
        masks: name to (total, total) of truth values.
        prompt: which prompt each packed token belongs to.
        words: the packed tokens.
        title: the claim.
    """
    foreign = np.not_equal.outer(prompt, prompt)
    names = [f"{name}: {int((mask & foreign).sum())} leaks" for name, mask in masks.items()]
    shown = make_subplots(1, len(masks), subplot_titles=names, horizontal_spacing=0.1)
    n_prompts = 1 + int(prompt.max())
    kinds = ("hidden", *(f"visible, prompt {n}" for n in range(n_prompts)), "another prompt's")
    scale = prompt_scale(n_prompts, theme.GONE, theme.WRONG)
    for column, mask in enumerate(masks.values(), start=1):
        values = np.where(mask & foreign, n_prompts + 1, mask * (1 + prompt))
        shown.add_trace(cells(values, scale, kinds), 1, column)
    shown.update_layout(theme.figure(title, height=520).layout)
    square_panels(shown, len(masks), len(words))
    places = dict(tickvals=list(range(len(words))), ticktext=list(words), tickfont_size=11)
    shown.update_xaxes(**places, tickangle=-60)
    shown.update_yaxes(**places)
    shown.update_xaxes(title_text="key")
    shown.update_yaxes(title_text="query", col=1)
    shown.update_layout(margin_t=110)
    return shown


def influence(moved: Mapping[str, np.ndarray], names: Sequence[str], title: str) -> go.Figure:
    """How far each prompt's logits move when another one is changed.

    Args:
        moved: method to (changed prompt, prompt looked at), the largest change of a logit.
        names: of the prompts.
        title: the claim.
    """
    shown = make_subplots(1, len(moved), subplot_titles=list(moved), horizontal_spacing=0.14)
    size = len(names)
    kinds = ("unmoved", *["its own"] * size, "leak")
    scale = prompt_scale(size, theme.GONE, theme.WRONG)
    for column, values in enumerate(moved.values(), start=1):
        # What matters is whether anything moved: a change in the prompt itself is as it should be.
        kind = np.where(values == 0, 0, size + 1)
        kind[np.diag_indices(size)] = 1 + np.arange(size)
        panel = cells(kind, scale, kinds, gap=3.0)
        shown.add_trace(
            panel.update(
                text=np.where(values == 0, "0", np.round(values, 1).astype(str)),
                texttemplate="%{text}",
                textfont_size=18,
                hovertemplate="%{y} changed: the logits of %{x} move by %{text}<extra></extra>",
                x=list(names),
                y=list(names),
            ),
            1,
            column,
        )
    shown.update_layout(theme.figure(title, height=430).layout)
    shown.update_xaxes(title_text="whose logits move", showgrid=False)
    shown.update_yaxes(autorange="reversed", showgrid=False)
    shown.update_yaxes(title_text="which prompt is changed", col=1)
    shown.update_layout(margin_t=110)
    return shown


def alignment(masks: Mapping[str, np.ndarray], right: np.ndarray, title: str) -> go.Figure:
    """Masks of one chunk beside each other; cells that differ from the right one are marked.

    Args:
        masks: name to (queries, keys) of truth values.
        right: the mask that keeps the rule.
        title: the claim.
    """
    shown = make_subplots(1, len(masks), subplot_titles=list(masks), horizontal_spacing=0.08)
    kinds = ("hidden", "visible", "visible, but too old", "should be visible")
    for column, mask in enumerate(masks.values(), start=1):
        values = np.where(mask, np.where(right, 1, 2), np.where(right, 3, 0))
        panel = cells(values, _WRONG, kinds, gap=2.0)
        signs = np.array(["", "", "old", "?"], dtype=object)[values]
        panel.update(text=signs, customdata=np.array(kinds, dtype=object)[values])
        panel.update(texttemplate="%{text}", textfont_size=14)
        panel.update(hovertemplate="query %{y}, key %{x}: %{customdata}<extra></extra>")
        shown.add_trace(panel, 1, column)
    legend(shown, kinds, _WRONG)
    shown.update_layout(theme.figure(title, height=400).layout)
    square_panels(shown, len(masks), len(right))
    shown.update_xaxes(title_text="key", dtick=1)
    shown.update_yaxes(dtick=1)
    shown.update_yaxes(title_text="query of the chunk", col=1)
    shown.update_layout(legend=dict(orientation="h", y=-0.3), margin_t=110)
    return shown


def tiles(state: np.ndarray, tile: int, ends: Sequence[int], title: str) -> go.Figure:
    """What a block-sparse kernel does with each tile of a mask.

    Args:
        state: (query tiles, key tiles): 0 skipped, 1 computed under the mask, 2 seen whole.
        tile: tokens along a tile's side.
        ends: where each prompt ends, in tokens.
        title: the claim.
    """
    kinds = ("skipped", "computed, mask applied", "computed, no mask needed")
    scale = [[0, theme.GONE], [0.5, theme.SKY], [1, theme.SEEN]]
    centers = (np.arange(len(state)) + 0.5) * tile
    shown = theme.figure(title, height=560)
    panel = cells(state, scale, kinds, gap=2.0)
    shown.add_trace(panel.update(x=centers, y=centers))
    legend(shown, kinds, scale)
    start = 0
    for end in ends:
        corner = dict(x0=start, x1=end, y0=start, y1=end)
        shown.add_shape(type="rect", **corner, line=dict(color=theme.VERMILION, width=3))
        start = end
    size = len(state) * tile
    theme.square_axes(shown, size)
    shown.update_xaxes(range=[0, size], title_text="packed key")
    shown.update_yaxes(range=[size, 0], title_text="packed query")
    shown.update_layout(legend=dict(orientation="h", y=-0.16))
    return shown
