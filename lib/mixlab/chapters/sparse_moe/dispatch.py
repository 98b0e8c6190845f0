"""The dispatch of chapter 07, animated: tokens flow to their experts and come back weighted.

Tokens stand on top, experts are bins below them, outputs at the bottom. Only positions, sizes and
words change from frame to frame.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mixlab.chapters.kit import theme

_TOKENS, _OUTPUTS = 5.0, -0.9  # heights at which tokens start and outputs end
_PASSAGE = 0.0  # height at which results pass under the bins' names
_BIN, _FLOOR = 1.0, 1.0  # bins are one wide; their floor
_LETTERS = ("white", "#222", "white", "white", "#222", "#222")  # readable on theme.CYCLE
_BALL = 36  # pixels
_WAY = {"gather ¼": 0.25, "gather ½": 0.5, "gather ¾": 0.75, "gather": 1.0}

Places = np.ndarray  # (copies, 2): x and y of each token's k copies, token by token


def dispatch(
    words: Sequence[str], chosen: np.ndarray, gates: np.ndarray, n_experts: int, title: str
) -> go.Figure:
    """Score, choose, gather by expert, compute, scatter back weighted, add: frame by frame.

    Args:
        words: at most six tokens, short enough for a ball.
        chosen, gates: (tokens, k), best expert first.
        n_experts: bins to draw.
        title: the claim.
    """
    tokens, k = chosen.shape
    token = np.repeat(np.arange(tokens), k)  # of each copy
    starts = _row(tokens, n_experts, _TOKENS)
    ends = _row(tokens, n_experts, _OUTPUTS)
    slots = _slots(chosen.ravel(), n_experts)
    sources, sinks = starts[token], ends[token] + _apart(token, k)
    loads = np.bincount(chosen.ravel(), minlength=n_experts)
    rim = slots[:, 1].max() + 0.6  # height of the bins' upper edge

    def copies(places: Places | None, symbol: str = "circle", weighted: bool = False) -> dict:
        if places is None:
            return dict(x=[], y=[])
        size = _BALL * np.sqrt(gates.ravel()) if weighted else np.full(len(token), _BALL)
        return dict(
            x=places[:, 0].round(3),
            y=places[:, 1].round(3),
            text=[] if weighted else [words[t] for t in token],
            marker=dict(
                size=size.round(1), symbol=symbol, color=[theme.CYCLE[t] for t in token], opacity=1
            ),
        )

    picked = [[[e] for e in row] for row in chosen]
    every = [[range(n_experts)] for _ in range(tokens)]
    none: list = [[] for _ in range(tokens)]
    plain, counted = _labels(n_experts, None), _labels(n_experts, loads)

    def frame(caption, wires, places, labels, done=False, **look) -> list[dict]:
        return [
            *_wires(starts, rim, wires, gates, every=wires is every),
            dict(text=labels),
            copies(places, **look),
            _sums(words, ends, chosen, gates) if done else dict(x=[], y=[], text=[]),
            dict(text=[caption]),
        ]

    back = dict(symbol="square", weighted=True)
    passage = (slots + sinks) / 2
    passage[:, 1] = _PASSAGE
    score = "1. Score: the router gives every expert a number for every token"
    choose = f"2. Choose: each token keeps its best {k}; the thicker line is the larger gate"
    gather = "3. Gather: each expert collects the tokens that chose it"
    compute = "4. Compute: each expert runs all its tokens at once; an empty one does nothing"
    scatter = "5. Scatter: results return, scaled by their gates"
    add = "6. Add: each token's output is the sum of its weighted results"
    frames = [
        ("score", frame(score, every, None, plain)),
        ("choose", frame(choose, picked, None, plain)),
        *(
            (name, frame(gather, picked, sources + (slots - sources) * part, counted))
            for name, part in _WAY.items()
        ),
        ("compute", frame(compute, none, slots, counted, symbol="square")),
        ("scatter ½", frame(scatter, none, passage, counted, **back)),
        ("scatter", frame(scatter, none, sinks, counted, **back)),
        ("add", frame(add, none, sinks, counted, done=True, **back)),
    ]
    shown = theme.figure(title, height=620)
    _draw(shown, words, starts, rim, n_experts, frames[0][1])
    still = 1  # the trace of the bins, which no frame touches
    moving = [still + number for number in range(len(frames[0][1]))]
    shown.frames = [
        go.Frame(name=name, traces=moving, data=[dict(type="scatter", **part) for part in parts])
        for name, parts in frames
    ]
    theme.player(shown, [name for name, _ in frames], "step: ", milliseconds=900, below=-0.12)
    return shown


def _row(tokens: int, n_experts: int, height: float) -> Places:
    """Places side by side, over the middle of the bins."""
    across = (np.arange(tokens) + 0.5) * n_experts / tokens
    return np.stack([across, np.full(tokens, height)], axis=1)


def _slots(experts: np.ndarray, n_experts: int) -> Places:
    """Where each copy lies in its expert's bin: two side by side, then the next row."""
    places = np.empty((len(experts), 2))
    filled = np.zeros(n_experts, dtype=int)
    for copy, expert in enumerate(experts):
        row, column = divmod(filled[expert], 2)
        places[copy] = (expert + 0.28 + 0.44 * column) * _BIN, _FLOOR + 0.5 + 0.9 * row
        filled[expert] += 1
    return places


def _apart(token: np.ndarray, k: int) -> Places:
    """A step aside for each of a token's copies, so that none hides the other."""
    rank = np.arange(len(token)) % k - (k - 1) / 2
    return np.stack([0.3 * rank, np.zeros(len(token))], axis=1)


def _wires(starts: Places, rim: float, wires: Sequence, gates, every: bool) -> list[dict]:
    """One line trace a choice: from a token to the tops of the bins that it names."""
    parts = []
    for token, row in enumerate(gates):
        for rank, gate in enumerate(row):
            bins = wires[token][rank] if rank < len(wires[token]) else []
            x, y = [], []
            for expert in bins:
                x += [starts[token, 0], expert + 0.5, None]
                y += [starts[token, 1], rim, None]
            width = 1 if every else 1.5 + 6 * float(gate)
            parts.append(dict(x=x, y=y, line=dict(width=width, color=theme.CYCLE[token])))
    return parts


def _labels(n_experts: int, loads: np.ndarray | None) -> list[str]:
    if loads is None:
        return [f"expert {e}" for e in range(n_experts)]
    words = {0: "idle", 1: "1 token"}
    return [f"E{e}: {words.get(n, f'{n} tokens')}" for e, n in enumerate(loads.tolist())]


def _sums(words: Sequence[str], ends: Places, chosen: np.ndarray, gates: np.ndarray) -> dict:
    """Under each output, what it is the sum of."""
    texts = [
        f"<b>{word}</b><br>" + "<br>+ ".join(f"{g:.2f} · E{e}" for e, g in zip(*row, strict=True))
        for word, *row in zip(words, chosen.tolist(), gates.tolist(), strict=True)
    ]
    return dict(x=ends[:, 0], y=ends[:, 1] - 0.45, text=texts)


def _draw(shown, words, starts, rim, n_experts, first) -> None:
    """The bins, the moving parts as the first frame has them, and the tokens over their wires."""
    x, y = [], []
    for expert in range(n_experts):
        left, right = expert + 0.05, expert + 0.95
        x += [left, left, right, right, None]
        y += [rim, _FLOOR, _FLOOR, rim, None]
    silent = dict(hoverinfo="skip", showlegend=False)
    shown.add_scatter(x=x, y=y, mode="lines", line=dict(color="#777", width=2), **silent)
    *wires, labels, copies, sums, caption = first
    for wire in wires:
        shown.add_scatter(mode="lines", opacity=0.75, **wire, **silent)
    at = dict(x=np.arange(n_experts) + 0.5, y=np.full(n_experts, _FLOOR - 0.08))
    shown.add_scatter(mode="text", textposition="bottom center", **at, **labels, **silent)
    letters = [_LETTERS[t] for t in range(len(words))]
    each = np.repeat(np.array(letters, dtype=object), len(wires) // len(words)).tolist()
    font = dict(size=12, color=each)
    shown.add_scatter(mode="markers+text", textfont=font, cliponaxis=False, **copies, **silent)
    below = dict(mode="text", textposition="bottom center", cliponaxis=False)
    shown.add_scatter(**below, **sums, **silent)
    at = dict(x=[n_experts / 2], y=[_TOKENS + 1.1])
    shown.add_scatter(mode="text", textfont_size=17, **at, **caption, **silent)
    shown.add_scatter(
        x=starts[:, 0],
        y=starts[:, 1],
        mode="markers+text",
        text=list(words),
        textfont=dict(size=14, color=letters),
        marker=dict(size=_BALL + 4, color=list(theme.CYCLE[: len(words)])),
        **silent,
    )
    hidden = dict(visible=False, fixedrange=True)
    shown.update_xaxes(range=[-0.05, n_experts + 0.05], **hidden)
    shown.update_yaxes(range=[_OUTPUTS - 2.0, _TOKENS + 1.4], **hidden)
    shown.update_layout(margin=dict(l=10, r=10))
