"""Figures of chapter 06: rows laid end to end, what leaks, what gets computed, which cells agree.

Each takes plain arrays, made by a trace or a cell, and returns a Plotly figure. The life of a
request has a file of its own, packed_request.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.figures import theme
from mixlab.figures.cells import cells, square_panels

PADDING = "#F6DDB0"  # a pale orange: what is computed for nothing
_WRONG = [[0, theme.GREY], [1 / 3, theme.BLUE], [2 / 3, theme.ORANGE], [1, "#FFFFFF"]]


def prompt_color(prompt: int) -> str:
    """The colour of a prompt, the same in every figure of the chapter."""
    colors = (theme.BLUE, theme.ORANGE, theme.GREEN, theme.PINK, theme.SKY, theme.VERMILION)
    return colors[prompt % len(colors)]


def prompt_scale(n_prompts: int, *first: str) -> list[list]:
    """A Plotly colour scale: some colours of one's own for 0, 1, …, then one a prompt."""
    colors = [*first, *map(prompt_color, range(n_prompts))]
    return [[at / (len(colors) - 1), color] for at, color in enumerate(colors)]


def packing(words: Sequence[Sequence[str]], title: str) -> go.Figure:
    """Rows of a padded rectangle, laid end to end below it, one more in each frame.

    Args:
        words: the tokens of each prompt.
        title: the claim.
    """
    lengths = [len(prompt) for prompt in words]
    longest, total, strip = max(lengths), sum(lengths), len(words) + 1
    names = [f"{n} of {len(words)}" for n in range(len(words) + 1)]

    def picture(laid: int) -> dict:
        values = np.full((strip + 1, total), np.nan)
        labels = np.full(values.shape, "", dtype=object)
        values[: len(words), :longest] = 0
        labels[: len(words), :longest] = "pad"
        for row, prompt in enumerate(words):
            values[row, : len(prompt)] = row + 1
            labels[row, : len(prompt)] = prompt
            if row < laid:
                place = slice(sum(lengths[:row]), sum(lengths[: row + 1]))
                values[strip, place], labels[strip, place] = row + 1, prompt
        return dict(type="heatmap", z=values, text=labels)

    shown = theme.figure(title, height=430)
    shown.add_trace(
        go.Heatmap(
            picture(len(words)),
            zmin=0,
            zmax=len(words),
            colorscale=prompt_scale(len(words), PADDING),
            texttemplate="%{text}",
            textfont_size=14,
            showscale=False,
            xgap=3,
            ygap=3,
            hoverinfo="skip",
        )
    )
    shown.frames = [go.Frame(name=name, data=[picture(n)]) for n, name in enumerate(names)]
    rows = [f"prompt {row}" for row in range(len(words))]
    shown.update_yaxes(
        tickvals=[*range(len(words)), strip],
        ticktext=[*rows, "packed"],
        range=[strip + 0.6, -0.6],
        showgrid=False,
        showline=False,
        ticks="",
    )
    shown.update_xaxes(showticklabels=False, showgrid=False, showline=False, ticks="")
    theme.player(shown, names, "rows laid end to end: ", milliseconds=1100, start=len(words))
    return shown


def padding(lengths: Sequence[int], labels: Sequence[str], title: str) -> go.Figure:
    """What a batch of prompts fills of its rectangle, and what is padding.

    Args:
        lengths: of the prompts, in tokens.
        labels: of the prompts, in few words.
        title: the claim.
    """
    longest = max(lengths)
    shown = theme.figure(title, height=420)
    parts = {"tokens": (lengths, theme.BLUE), "padding": ([longest - n for n in lengths], PADDING)}
    for name, (values, color) in parts.items():
        shown.add_bar(
            y=list(range(len(lengths))),
            x=list(values),
            name=name,
            orientation="h",
            marker=dict(color=color, line=dict(width=1, color="#888")),
            hovertemplate="%{x} slots of " + name + "<extra></extra>",
        )
    shown.update_layout(barmode="stack", bargap=0.15, legend=dict(orientation="h", y=-0.22))
    shown.update_xaxes(title_text="slots of the rectangle (tokens)")
    ticks = [f"{label}  <b>{length}</b>" for label, length in zip(labels, lengths, strict=True)]
    shown.update_yaxes(tickvals=list(range(len(lengths))), ticktext=ticks, autorange="reversed")
    shown.update_yaxes(showgrid=False)
    return shown


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
    kinds = ("hidden", "visible, own prompt", "visible, another prompt")
    for column, mask in enumerate(masks.values(), start=1):
        values = mask.astype(int) + (mask & foreign)
        shown.add_trace(cells(values, theme.HIDDEN_VISIBLE_MARKED, kinds), 1, column)
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
    for column, values in enumerate(moved.values(), start=1):
        # What matters is whether anything moved: a change in the prompt itself is as it should be.
        kind = np.where(values == 0, 0, 2)
        kind[np.diag_indices(len(names))] = 1
        panel = cells(kind, theme.HIDDEN_VISIBLE_MARKED, ("unmoved", "its own", "leak"), gap=3.0)
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


def scores(
    computed: Mapping[str, np.ndarray], visible: Mapping[str, np.ndarray], title: str
) -> go.Figure:
    """Which scores each layout of the same prompts computes, and which of those anyone sees.

    Args:
        computed: layout to (slots, slots) of truth values.
        visible: layout to the same shape: the scores that some real token sees.
        title: the claim.
    """
    size = max(len(picture) for picture in computed.values())
    names = [f"{name}: {int(picture.sum())} scores" for name, picture in computed.items()]
    shown = make_subplots(1, len(names), subplot_titles=names, horizontal_spacing=0.05)
    kinds = ("not computed", "computed, then hidden", "computed and used")
    colors = (theme.GREY, theme.ORANGE, theme.BLUE)
    for column, name in enumerate(computed, start=1):
        values = computed[name].astype(int) + visible[name]
        scale = [[0, colors[0]], [0.5, colors[1]], [1, colors[2]]]
        shown.add_trace(cells(values, scale, kinds), 1, column)
    for kind, color in zip(kinds, colors, strict=True):
        mark = dict(color=color, symbol="square", size=13, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=kind, marker=mark)
    shown.update_layout(theme.figure(title, height=470).layout)
    square_panels(shown, len(names), size)
    shown.update_xaxes(range=[-0.5, size - 0.5], title_text="key slot")
    shown.update_yaxes(title_text="query slot", col=1)
    shown.update_layout(legend=dict(orientation="h", y=-0.24), margin_t=110)
    return shown


def clock(seconds: Mapping[str, float], title: str) -> go.Figure:
    """Processor time of each way to read the same prompts.

    Args:
        seconds: way to seconds.
        title: the claim.
    """
    shown = theme.figure(title, height=300)
    shown.add_bar(
        y=list(seconds),
        x=list(seconds.values()),
        orientation="h",
        marker_color=[theme.ORANGE, theme.BLUE][: len(seconds)],
        texttemplate="%{x:.1f} s",
        textfont_size=16,
        hoverinfo="skip",
    )
    shown.update_xaxes(title_text="processor time (s)")
    shown.update_yaxes(autorange="reversed", showgrid=False)
    return shown


def cell_for_cell(
    masks: Mapping[str, Mapping[str, np.ndarray]],
    key_prompts: Mapping[str, np.ndarray],
    title: str,
) -> go.Figure:
    """The masks of several sources, one source a row and one mask a column.

    Args:
        masks: source to name of mask to (queries, keys) of truth values.
        key_prompts: name of mask to which prompt each key belongs to.
        title: the claim.
    """
    sources, names = list(masks), list(key_prompts)
    n_prompts = 1 + int(max(prompts.max() for prompts in key_prompts.values()))
    words = ("hidden", *(f"visible, prompt {n}" for n in range(n_prompts)))
    shown = make_subplots(
        len(sources),
        len(names),
        subplot_titles=names,
        horizontal_spacing=0.04,
        vertical_spacing=0.08,
    )
    for row, source in enumerate(sources, start=1):
        for column, name in enumerate(names, start=1):
            mask = masks[source][name]
            values = mask * (1 + key_prompts[name])
            panel = cells(values, prompt_scale(n_prompts, theme.GREY), words)
            shown.add_trace(panel, row, column)
    rows = max(mask.shape[0] for mask in masks[sources[0]].values())
    columns = max(mask.shape[1] for mask in masks[sources[0]].values())
    shown.update_layout(theme.figure(title, height=150 + 190 * len(sources)).layout)
    shown.update_annotations(font_size=14)
    square_panels(shown, len(sources) * len(names), rows)
    shown.update_xaxes(range=[-0.5, columns - 0.5], showticklabels=False, showline=False)
    shown.update_yaxes(showticklabels=False, showline=False)
    for row, source in enumerate(sources, start=1):
        shown.update_yaxes(title_text=f"<b>{source}</b>", title_font_size=16, row=row, col=1)
    shown.update_layout(margin=dict(t=110, l=60, r=10, b=20))
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
    for kind, (_, color) in zip(kinds, _WRONG, strict=True):
        mark = dict(color=color, symbol="square", size=13, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=kind, marker=mark)
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
    colors = (theme.GREY, theme.SKY, theme.BLUE)
    scale = [[0, colors[0]], [0.5, colors[1]], [1, colors[2]]]
    centers = (np.arange(len(state)) + 0.5) * tile
    shown = theme.figure(title, height=560)
    panel = cells(state, scale, kinds, gap=2.0)
    shown.add_trace(panel.update(x=centers, y=centers))
    for kind, color in zip(kinds, colors, strict=True):
        mark = dict(color=color, symbol="square", size=13, line=dict(width=1, color="#888"))
        shown.add_scatter(x=[None], y=[None], mode="markers", name=kind, marker=mark)
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
