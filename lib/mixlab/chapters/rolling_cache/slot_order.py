"""Figures of chapter 04, continued: why a chunk needs the slots in order, and what it sees.

Each takes arrays, or the chunks of `mixlab.traces.rolling_cache`, and returns a Plotly figure.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.cells import cells
from mixlab.chapters.rolling_cache.figures import legend


def chunk_order(
    panels: Mapping[str, Sequence[str]],
    laid: Mapping[str, np.ndarray],
    needed: Mapping[str, np.ndarray],
    rows: Sequence[str],
    title: str,
) -> go.Figure:
    """Masks laid over the same keys in several orders: where they agree with the window's rule.

    Args:
        panels: what was tried to the keys' names, those of the cache before those of the chunk.
        laid: what was tried to (queries, keys) of truth values: the mask.
        needed: what was tried to (queries, keys) of truth values: what the rule asks for.
        rows: the queries' names, which are the chunk's.
        title: the claim.
    """
    wrong = {name: int((laid[name] != needed[name]).sum()) for name in panels}
    titles = [
        f"<b>{name}</b><br>" + (f"{count} cells are wrong" if count else "every cell is right")
        for name, count in wrong.items()
    ]
    shown = make_subplots(1, len(panels), subplot_titles=titles, horizontal_spacing=0.06)
    names = ("hidden", "seen", "hidden, though in the window", "seen, though not in the window")
    colors = (theme.GONE, theme.SEEN, theme.WRONG, theme.WRONG)
    scale = [[n / 3, color] for n, color in enumerate(colors)]
    for column, (name, keys) in enumerate(panels.items(), start=1):
        state = np.where(laid[name], 1, 0) + np.where(laid[name] != needed[name], 2, 0)
        panel = cells(state, scale, names, gap=3.0)
        marks = [[("", "", "✗ hidden", "✗ seen")[cell] for cell in row] for row in state]
        panel.update(customdata=panel.text.tolist(), hovertemplate="%{customdata}<extra></extra>")
        panel.update(text=marks, texttemplate="%{text}", textfont=dict(size=14, color="#111"))
        shown.add_trace(panel, 1, column)
        shown.update_xaxes(tickvals=list(range(len(keys))), ticktext=list(keys), col=column)
        n_cached = len(keys) - len(rows)
        shown.add_vline(x=n_cached - 0.5, line=dict(color="#666", width=3), col=column)
    shown.update_layout(theme.figure(title, height=440).layout)
    kinds = dict(zip(("hidden", "seen", "wrong"), colors, strict=False))
    legend(shown, kinds, y=-0.3, x=0)
    shown.update_annotations(yshift=6, font_size=16)
    shown.update_xaxes(showgrid=False, tickangle=0, tickfont_size=14)
    shown.update_yaxes(showgrid=False, range=[len(rows) - 0.5, -0.5], showticklabels=False)
    asking = [f"{name} asks" for name in rows]
    shown.update_yaxes(tickvals=list(range(len(rows))), ticktext=asking, matches="y")
    shown.update_yaxes(showticklabels=True, col=1)
    shown.update_layout(margin_t=120, margin_b=110)
    return shown


def prefill(chunks: Sequence, words: Sequence[str], title: str) -> go.Figure:
    """A prompt read in chunks: what each chunk sees of the cache and of itself.

    Args:
        chunks: a `PrefillChunk` for each chunk of the prompt.
        words: the prompt, one word a token.
        title: the claim.
    """
    seq = len(words)
    names = ("hidden", "seen in the cache", "seen in the chunk")
    colors = (theme.GONE, theme.SEEN, theme.NOW)  # kept and new, as in the ring
    scale = [[n / 2, color] for n, color in enumerate(colors)]

    def frame(keys: Sequence[int], chunk, color: str) -> go.Scatter:
        first, last = (min(keys) - 0.5, max(keys) + 0.5) if keys else (None, None)
        top, bottom = chunk.positions[0] - 0.5, chunk.positions[-1] + 0.5
        outline = go.Scatter(x=[first, last, last, first, first], mode="lines", hoverinfo="skip")
        outline.update(y=[top, top, bottom, bottom, top], line=dict(color=color, width=4))
        return outline.update(showlegend=False)

    def parts(number: int) -> list:
        state = np.zeros((seq, seq), dtype=int)
        for chunk in chunks[: number + 1]:
            inside = np.arange(seq) >= chunk.positions[0]
            state[list(chunk.positions)] = np.where(chunk.sees, np.where(inside, 2, 1), 0)
        now = chunks[number]
        panel = cells(state, scale, names)
        # What hasn't been read yet is blank.
        read = [
            row if i <= now.positions[-1] else [None] * seq for i, row in enumerate(state.tolist())
        ]
        cached = frame(now.unrotated, now, theme.SEEN)
        return [panel.update(z=read), cached, frame(now.positions, now, theme.NOW)]

    shown = theme.figure(title, height=600)
    shown.add_traces(parts(len(chunks) - 1))
    steps = [str(number + 1) for number in range(len(chunks))]
    shown.frames = [go.Frame(name=name, data=parts(n)) for n, name in enumerate(steps)]
    ticks = dict(tickvals=list(range(seq)), ticktext=list(words), showgrid=False)
    shown.update_xaxes(
        title_text="key", tickangle=-60, range=[-0.6, seq - 0.4], constrain="domain", **ticks
    )
    shown.update_yaxes(title_text="query", title_standoff=14, range=[seq - 0.4, -0.6], **ticks)
    shown.update_yaxes(scaleanchor="x", constrain="domain")
    legend(shown, dict(zip(names, colors, strict=True)), x=0, y=1.01, yanchor="bottom")
    theme.player(shown, steps, "chunk ", milliseconds=1600, start=len(steps) - 1)
    return shown
