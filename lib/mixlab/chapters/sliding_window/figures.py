"""Figures of chapter 02: masks, conventions, bands and real attention.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.cells import cells, legend, square_panels


def window_slider(masks: np.ndarray, window: int) -> go.Figure:
    """The mask, with a slider over the window and one over the length of the sequence.

    The mask of a shorter sequence is the top left corner of a longer one's, so the second slider
    only moves the edges of the picture, and the two work together.

    Args:
        masks: (seq, seq, seq) of truth values; masks[w - 1] is the mask of window w.
        window: the window shown first.
    """
    seq = masks.shape[-1]
    shown = theme.figure("Each token sees itself and W − 1 tokens before it", height=620)
    names = [str(w + 1) for w in range(len(masks))]
    pictures = [
        cells(mask, theme.HIDDEN_VISIBLE, ("hidden", "visible")).update(name=f"W = {name}")
        for mask, name in zip(masks, names, strict=True)
    ]
    shown.add_trace(pictures[window - 1])
    shown.frames = [
        go.Frame(name=name, data=[dict(type="heatmap", z=picture.z, text=picture.text)])
        for name, picture in zip(names, pictures, strict=True)
    ]
    theme.square_axes(shown, seq)
    lengths = list(range(4, seq + 1))
    corners = []
    for length in lengths:
        x, y = [-0.5, length - 0.5], [length - 0.5, -0.5]
        every = 1 if length <= 12 else 5  # positions are whole numbers, and so are their ticks
        corners.append(
            {"xaxis.range": x, "xaxis.dtick": every, "yaxis.range": y, "yaxis.dtick": every}
        )
    shown.update_layout(**{key.replace(".", "_"): at for key, at in corners[-1].items()})
    shorter = [
        dict(method="relayout", label=str(length), args=[corner])
        for length, corner in zip(lengths, corners, strict=True)
    ]
    legend(shown, ("hidden", "visible"), theme.HIDDEN_VISIBLE)
    shown.update_layout(
        sliders=[
            theme.slider(theme.frame_steps(names), "window W = ", window - 1, len=0.46, x=0),
            theme.slider(shorter, "sequence length = ", len(lengths) - 1, len=0.46, x=0.54),
        ],
        margin=dict(t=100, b=150),
        legend=dict(orientation="h", x=0.5, xanchor="center", y=1.01, yanchor="bottom"),
    )
    return shown


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
    for row, (group, keys) in enumerate(zip(groups.values(), (window, window + 1), strict=True)):
        for column, mask in enumerate(group.values()):
            marked = mask.astype(int) + (mask & (distance == window))
            panel = cells(marked, theme.HIDDEN_VISIBLE_MARKED, words)
            shown.add_trace(panel, row + 1, column + 1)
        shown.update_yaxes(title_text=f"<b>{keys} keys</b>", row=row + 1, col=1)
    shown.update_layout(theme.figure(title, height=480).layout)
    shown.update_annotations(font_size=13)
    shown.update_layout(margin=dict(t=110, l=40, r=10, b=20))
    legend(shown, words, theme.HIDDEN_VISIBLE_MARKED)
    shown.update_layout(legend=dict(x=0.7, y=0.36, yanchor="top"))  # where row two is empty
    square_panels(shown, 2 * columns, seq)
    shown.update_xaxes(showticklabels=False)
    shown.update_yaxes(showticklabels=False, title_font_size=16)
    return shown


def steps(pictures: Sequence[np.ndarray], captions: Sequence[str], title: str) -> go.Figure:
    """A mask as it is built, one numbered panel a step, three a row.

    Args:
        pictures: (rows, columns) of truth values, in order. A step may have fewer columns than
            the last one: they stand at the right, where they end up.
        captions: what each step does.
        title: the claim.
    """
    rows, columns = pictures[-1].shape
    titles = [f"<b>{n}</b> {words}" for n, words in enumerate(captions, start=1)]
    across, down = 3, -(-len(pictures) // 3)
    shown = make_subplots(
        down, across, subplot_titles=titles, horizontal_spacing=0.05, vertical_spacing=0.24
    )
    for number, picture in enumerate(pictures):
        panel = cells(picture, theme.HIDDEN_VISIBLE, ("hidden", "visible"))
        first = columns - picture.shape[1]
        shown.add_trace(
            panel.update(x=list(range(first, columns))), number // across + 1, number % across + 1
        )
    shown.update_layout(theme.figure(title, height=130 + 200 * down).layout)
    shown.update_annotations(font_size=14)
    shown.update_layout(margin=dict(t=100, l=50, r=10, b=50))
    legend(shown, ("hidden", "visible"), theme.HIDDEN_VISIBLE)
    shown.update_layout(legend=dict(x=1, xanchor="right", y=0.36, yanchor="top"))
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
    colors = [[0.0, theme.GREY], [0.5, theme.ORANGE], [1.0, theme.BLUE]]
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
