"""Figures of chapter 02: masks, conventions, bands and real attention.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.cells import cells, legend, square_panels


def conventions(masks: Mapping[str, np.ndarray], window: int, title: str) -> go.Figure:
    """Masks in two rows: those that show W keys, then those that also show the key at distance W.

    Args:
        masks: name to (seq, seq) of truth values.
        window: W, the number that every source was given.
        title: the claim.
    """
    seq = next(iter(masks.values())).shape[-1]
    distance = np.subtract.outer(np.arange(seq), np.arange(seq))
    groups = {"keys": {}, "more": {}}
    for name, mask in masks.items():
        groups["more" if mask[distance == window].any() else "keys"][name] = mask
    columns = max(len(group) for group in groups.values())
    titles = [
        name.replace(" ", "<br>", 1)  # two lines, so that six stand side by side
        for group in groups.values()
        for name in [*group, *[""] * (columns - len(group))]
    ]
    shown = make_subplots(
        2, columns, subplot_titles=titles, horizontal_spacing=0.025, vertical_spacing=0.26
    )
    words = ("hidden", "visible", "visible at distance W")
    colors = [[0.0, theme.GONE], [0.5, theme.SEEN], [1.0, theme.WRONG]]
    for row, (group, keys) in enumerate(zip(groups.values(), (window, window + 1), strict=True)):
        for column, mask in enumerate(group.values()):
            marked = mask.astype(int) + (mask & (distance == window))
            panel = cells(marked, colors, words)
            shown.add_trace(panel, row + 1, column + 1)
        shown.update_yaxes(title_text=f"<b>{keys} keys</b>", row=row + 1, col=1)
    shown.update_layout(theme.figure(title, height=480).layout)
    shown.update_annotations(font_size=13)
    shown.update_layout(margin=dict(t=110, l=40, r=10, b=20))
    legend(shown, words, colors)
    shown.update_layout(legend=dict(x=0.7, y=0.36, yanchor="top"))  # where row two is empty
    square_panels(shown, 2 * columns, seq)
    shown.update_xaxes(showticklabels=False)
    shown.update_yaxes(showticklabels=False, title_font_size=16)
    return shown


def steps(pictures: Sequence[np.ndarray], captions: Sequence[str], title: str) -> go.Figure:
    """A mask as it is built, one numbered panel a step; what a step changes is marked.

    Args:
        pictures: (rows, columns) of truth values, in order. A step may have fewer columns than
            the last one: they stand at the right, where they end up.
        captions: what each step does.
        title: the claim.
    """
    rows, columns = pictures[-1].shape
    titles = [f"<b>{n}</b> {words}" for n, words in enumerate(captions, start=1)]
    across, down = 2, -(-len(pictures) // 2)
    shown = make_subplots(
        down, across, subplot_titles=titles, horizontal_spacing=0.06, vertical_spacing=0.2
    )
    words = ("hidden", "visible", "just hidden", "just shown")
    colors = [[0.0, theme.GONE], [1 / 3, theme.SEEN], [2 / 3, theme.NOW], [1.0, theme.SKY]]
    before = np.zeros((rows, columns), dtype=bool)
    for number, picture in enumerate(pictures):
        first = columns - picture.shape[1]
        state = picture + 2 * (picture != before[:, first:])
        panel = cells(state, colors, words).update(x=list(range(first, columns)))
        where = dict(row=number // across + 1, col=number % across + 1)
        shown.add_trace(panel, **where)
        if first:  # what will be there, so that all panels share a scale
            place = dict(x=(first - 1) / 2, y=(rows - 1) / 2, showarrow=False)
            shown.add_annotation(text="no past yet", textangle=-90, **place, **where)
        before[:, first:] = picture
    shown.update_layout(theme.figure(title, height=160 + 200 * down).layout)
    shown.update_annotations(font_size=16)
    legend(shown, words, colors)
    shown.update_layout(margin=dict(t=100, l=50, r=10, b=50))
    square_panels(shown, across * down, rows)
    shown.update_xaxes(title_text="key", dtick=1, range=[-0.5, columns - 0.5])
    shown.update_yaxes(showticklabels=False, dtick=1)
    shown.update_yaxes(title_text="query row", showticklabels=True, col=1)
    return shown


def computed(computed: Mapping[str, np.ndarray], visible: np.ndarray, title: str) -> go.Figure:
    """Which scores each method computes, and which of those anyone sees.

    Args:
        computed: method to (seq, seq) of truth values.
        visible: (seq, seq), the mask that all methods share.
        title: the claim.
    """
    names = list(computed)
    useful = int(visible.sum())
    titles = [
        f"{name}: {int(scores.sum()):,} scores,<br>{useful / scores.sum():.0%} of them used"
        for name, scores in computed.items()
    ]
    shown = make_subplots(1, len(names), subplot_titles=titles, horizontal_spacing=0.08)
    words = ("not computed", "computed, then masked", "computed and used")
    colors = [[0.0, theme.GONE], [0.5, theme.WASTE], [1.0, theme.SEEN]]
    for column, scores in enumerate(computed.values(), start=1):
        state = scores.astype(int) + (scores & visible)
        shown.add_trace(cells(state, colors, words, gap=0), 1, column)
    legend(shown, words, colors)
    shown.update_layout(theme.figure(title, height=480).layout)
    square_panels(shown, len(names), len(visible))
    shown.update_xaxes(title_text="key position")
    shown.update_yaxes(title_text="query position", col=1)
    shown.update_layout(legend=dict(orientation="h", y=-0.22), margin_t=110)
    return shown


def attention_maps(
    maps: Mapping[str, np.ndarray], tokens: Sequence[str], layer: int, title: str
) -> go.Figure:
    """Attention weights of a sentence, side by side, with a slider over the layers.

    Args:
        maps: name to (n_layers, seq, seq), averaged over heads.
        tokens: the words, one a position.
        layer: the layer shown first.
        title: the claim.
    """
    names = list(maps)
    shown = make_subplots(1, len(names), subplot_titles=names, horizontal_spacing=0.12)
    n_layers, seq, _ = maps[names[0]].shape

    def panels(number: int) -> list[dict]:
        # What lies above the diagonal isn't small, it doesn't exist: left blank.
        earlier = np.tril(np.ones((seq, seq), dtype=bool))
        rounded = [np.where(earlier, maps[name][number].round(3), None) for name in names]
        return [dict(type="heatmap", z=panel) for panel in rounded]

    words = [f"{position} {token}" for position, token in enumerate(tokens)]
    for column, panel in enumerate(panels(layer), start=1):
        shown.add_heatmap(
            **{key: value for key, value in panel.items() if key != "type"},
            row=1,
            col=column,
            zmin=0,
            zmax=0.5,
            colorscale="Cividis",
            showscale=column == len(names),
            colorbar=dict(
                title=dict(text="weight", side="right"),
                tickvals=[0, 0.25, 0.5],
                ticktext=["0", "¼", "≥ ½"],
            ),
            hovertemplate="from %{y} to %{x}: %{z:.2f}<extra></extra>",
            x=words,
            y=words,
        )
    labels = [str(number) for number in range(n_layers)]
    shown.frames = [
        go.Frame(name=label, data=panels(number)) for number, label in enumerate(labels)
    ]
    shown.update_layout(theme.figure(title, height=590).layout)
    shown.update_xaxes(showgrid=False, constrain="domain", tickangle=-60, tickfont_size=10)
    shown.update_yaxes(showgrid=False, constrain="domain", autorange="reversed", tickfont_size=10)
    shown.update_layout(
        sliders=[theme.slider(theme.frame_steps(labels), "layer ", layer)],
        margin=dict(b=150, t=100),
    )
    return shown
