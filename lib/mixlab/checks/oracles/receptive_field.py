"""What the exercises of chapter 03 must return, and what usual mistakes give."""

from itertools import combinations

import numpy as np
import torch

from mixlab.checks.cases.reach_stacks import DIM, HIDING, STACKS
from mixlab.checks.oracles import Misconception, Oracle

# --- 03.1 and 03.2: counting ---------------------------------------------------------------


def _field(windows, position):
    """Walk down from the top layer: from where does the farthest token come?"""
    farthest = position
    for window in windows:
        farthest = 0 if window is None else max(0, farthest - window + 1)
    return np.array(position - farthest + 1)


def _finite(windows):
    return [window for window in windows if window is not None]


def _layers(i, j, window):
    if j > i or (window == 1 and i != j):
        return np.array(-1)
    layers = 0
    while i - layers * (window - 1) > j:
        layers += 1
    return np.array(layers)


def _rounded(i, j, step, up):
    """The distance over the step, or nothing where that can't be divided or isn't asked."""
    if step < 1 or j > i:
        return None
    return np.array(-((j - i) // step) if up else (i - j) // step)


# --- 03.3: products of masks ---------------------------------------------------------------


def _reach(masks, residual=True):
    known = np.eye(len(masks[0]), dtype=bool)
    for mask in masks:
        step = np.asarray(mask) | known.dtype.type(residual) * np.eye(len(known), dtype=bool)
        known = np.array([known[row].any(axis=0) for row in step])
    return known


def _counts_overflow(masks):
    """Paths counted in 64 bits, which wrap around."""
    eye = np.eye(len(masks[0]), dtype=np.int64)
    known = eye
    for mask in masks:
        known = (np.asarray(mask) | eye.astype(bool)).astype(np.int64) @ known
    return known > 0


# --- 03.4 and 03.5: what a stack really depends on -----------------------------------------


def _matrix(stack, seq):
    return _reach([mask.numpy() for mask in stack.masks(seq)] or [np.eye(seq, dtype=bool)])


def _last_row(stack, seq, dim):
    return _matrix(stack, seq)[-1]


def _flawed(*, zeros=False, total=False, threshold=0.0, channel=None):
    """The test as given, with some of its mistakes left."""

    def gives(stack, seq, dim):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(seq, dim, dtype=torch.float64, generator=generator)
        x = (x * 0 if zeros else x).requires_grad_()
        direction = torch.randn(dim, dtype=torch.float64, generator=generator)
        if total:
            direction = torch.ones(dim, dtype=torch.float64)
        y = stack(x)
        (y[-1] @ direction if channel is None else y[-1, channel]).backward()
        return (x.grad.norm(dim=1) > threshold).numpy()

    return gives


_MISTAKES = {
    "zeros": "the states are still zeros, and at 0 a ReLU passes nothing on and a product is flat",
    "total": "the channels are still added up, and where a layer takes out their mean, that is 0",
    "threshold": "the threshold still throws away what is faint: a small derivative isn't none",
}


def _remaining() -> tuple[Misconception, ...]:
    """A message for every set of mistakes that may be left, the larger sets first."""
    found = []
    for count in (3, 2, 1):
        for left in combinations(_MISTAKES, count):
            said = "; ".join(_MISTAKES[name] for name in left)
            opening = "all three mistakes are still there: " if count == 3 else ""
            flaws = {name: 1e-3 if name == "threshold" else True for name in left}
            found.append(Misconception(f"{opening}{said}.", _flawed(**flaws)))
    return tuple(found)


def _has_reach(stack, n_layers, window):
    def right(seq):
        distance = np.subtract.outer(np.arange(seq), np.arange(seq))
        return (distance >= 0) & (distance <= n_layers * (window - 1))

    longest = n_layers * (window - 1) + 6
    return np.array(all((_matrix(stack, s) == right(s)).all() for s in range(1, longest)))


def _tests_only(choose):
    """A verdict from the part of the dependence at one length that `choose` looks at.

    `choose` maps (n_layers, window) to (seq, and from the table of distances to what is looked at).
    """

    def gives(stack, n_layers, window):
        seq, part = choose(n_layers, window)
        distance = np.subtract.outer(np.arange(seq), np.arange(seq))
        should = (distance >= 0) & (distance <= n_layers * (window - 1))
        looked = part(distance)
        return np.array(bool((_matrix(stack, seq) == should)[looked].all()))

    return gives


def _last_only(n_layers, window):
    seq = n_layers * (window - 1) + 5
    return seq, lambda distance: np.broadcast_to(np.arange(seq)[:, None] == seq - 1, (seq, seq))


def _edges_only(n_layers, window):
    reach = n_layers * (window - 1)
    return reach + 5, lambda distance: (distance == reach) | (distance == reach + 1)


def _past_only(n_layers, window):
    return n_layers * (window - 1) + 5, lambda distance: distance >= 0


def _too_short(n_layers, window):
    return n_layers * (window - 1) + 1, lambda distance: distance == distance


def _nothing_beyond(n_layers, window):
    reach = n_layers * (window - 1)
    return reach + 5, lambda distance: (distance > reach) | (distance < 0)


def _everything_within(n_layers, window):
    reach = n_layers * (window - 1)
    return reach + 5, lambda distance: (distance >= 0) & (distance <= reach)


def _rows_count(stack, n_layers, window):
    seq = n_layers * (window - 1) + 5
    counts = _matrix(stack, seq).sum(axis=1)
    return np.array(bool(counts[-1] == min(seq, n_layers * (window - 1) + 1)))


def _mask(*rows):
    return torch.tensor([[cell == "x" for cell in row] for row in rows])


def _show_masks(masks):
    seq, count = len(masks[0]), len(masks)
    drawn = " then ".join(
        "/".join("".join("x" if seen else "." for seen in row) for row in mask.tolist())
        for mask in masks
    )
    return f"reach([{drawn}])" if count < 4 and seq < 6 else f"reach of {count} masks of {seq}"


def _known(value):
    return "known (True)" if value else "unknown (False)"


def _short(windows):
    return str(windows) if len(windows) < 10 else f"[{windows[0]}] * {len(windows)}"


def _no_place(index):
    return ""


_EXAMPLE = (_mask("x...", "xx..", ".xx.", "..xx"), _mask("x...", "xx..", "x.x.", ".x.x"))
_HIDES_ITSELF = (_mask("x..", "x..", ".x."), _mask("x..", ".x.", ".xx"))

EXERCISES = {
    "03.1": Oracle(
        expected=_field,
        show=lambda windows, position: f"receptive_field({_short(windows)}, {position})",
        place=_no_place,
        examples=(([3, 3], 10), ([4, 2, 1], 30), ([5, None], 6), ([4, 4], 3)),
        misconceptions=(
            Misconception(
                "you add the windows up. Neighbouring layers share a token: each window counts "
                "the token itself, which was known before.",
                lambda w, p: np.array(p + 1 if None in w else min(p + 1, sum(w))),
            ),
            Misconception(
                "you add the windows up, and more tokens than there are. Each window counts the "
                "token itself, which was known before.",
                lambda w, p: np.array(p + 1 if None in w else sum(w)),
            ),
            Misconception(
                "you count the tokens before it, and forget the token itself.",
                lambda w, p: _field(w, p) - 1,
            ),
            Misconception(
                "early in a text there are fewer tokens than a stack could reach: token "
                "`position` has only position + 1.",
                lambda w, p: np.array(p + 1 if None in w else sum(w) - len(w) + 1),
            ),
            Misconception(
                "token `position` is counted from 0, so up to it there are position + 1 tokens.",
                lambda w, p: np.array(p if None in w else min(p, sum(w) - len(w) + 1)),
            ),
            Misconception(
                "you take the first layer's window for all layers. Each adds its own.",
                lambda w, p: _field([w[0]] * len(w), p),
            ),
            Misconception(
                "you take the largest window alone. What a layer reads has looked back already: "
                "their steps add up.",
                lambda w, p: np.array(p + 1 if None in w else min(p + 1, max(w))),
            ),
            Misconception(
                "a layer whose window is None adds nothing in your count. None means that it "
                "sees every earlier token.",
                lambda w, p: _field(_finite(w), p),
            ),
            Misconception(
                "you multiply the windows. Each layer reaches W - 1 tokens further than the one "
                "below: steps add up.",
                lambda w, p: np.array(p + 1 if None in w else min(p + 1, int(np.prod(w)))),
            ),
        ),
    ),
    "03.2": Oracle(
        expected=_layers,
        show=lambda i, j, window: f"layers_needed(i={i}, j={j}, window={window})",
        place=_no_place,
        examples=(
            (10, 3, 4),
            (9, 3, 4),
            (10, 0, 3),
            (5, 5, 4),
            (6, 2, 1),
            (2, 9, 4),
            (8, 8, 1),
            (12, 0, 5),
        ),
        misconceptions=(
            Misconception(
                "you round down. What is left of the distance after whole steps needs one more "
                "layer.",
                lambda i, j, w: _rounded(i, j, w - 1, up=False),
            ),
            Misconception(
                "you divide by the window. A layer bridges W - 1 tokens, because the window "
                "counts the token itself.",
                lambda i, j, w: _rounded(i, j, w, up=True) if w > 1 else None,
            ),
            Misconception(
                "you divide by the window, and round down. A layer bridges W - 1 tokens, and "
                "what is left of the distance needs one more.",
                lambda i, j, w: _rounded(i, j, w, up=False) if w > 1 else None,
            ),
            Misconception(
                "you add a layer even where the distance is a whole number of steps.",
                lambda i, j, w: _rounded(i, j, w - 1, up=False) + 1 if w > 1 and i > j else None,
            ),
            Misconception(
                "you start counting at 1: a token knows itself before any layer.",
                lambda i, j, w: _layers(i, j, w) + 1 if i >= j and w > 1 else None,
            ),
            Misconception(
                "later tokens are never reached, and you count layers to them.",
                lambda i, j, w: _layers(max(i, j), min(i, j), w) if w > 1 else None,
            ),
            Misconception(
                "your count is right except for later tokens, which no number of layers reaches: "
                "there the answer is -1.",
                lambda i, j, w: np.array(-((j - i) // (w - 1))) if w > 1 else None,
            ),
            Misconception(
                "a later token is never reached: that is -1, not 0 layers.",
                lambda i, j, w: np.array(max(0, -((j - i) // (w - 1)))) if w > 1 else None,
            ),
        ),
    ),
    "03.3": Oracle(
        expected=_reach,
        show=_show_masks,
        place=lambda index: f"token {index[0]}, input {index[1]}" if len(index) == 2 else "",
        name=_known,
        examples=(
            (list(_EXAMPLE),),
            (list(_HIDES_ITSELF),),
            ([_mask("x...", "x...", ".x..", "..x.")] * 2,),
            ([_mask(*("x" * (i + 1) + "." * (39 - i) for i in range(40)))] * 70,),
        ),
        misconceptions=(
            Misconception(
                "the product runs the wrong way round. The first layer's mask stands on the "
                "right: mask_2 @ mask_1.",
                lambda masks: _reach(masks[::-1]),
            ),
            Misconception(
                "the residual is missing. A token whose mask hides it still keeps what it knew.",
                lambda masks: _reach(masks, residual=False),
            ),
            Misconception(
                "you use the first mask for every layer.",
                lambda masks: _reach([masks[0]] * len(masks)),
            ),
            Misconception(
                "you use the last mask for every layer.",
                lambda masks: _reach([masks[-1]] * len(masks)),
            ),
            Misconception(
                "you join the masks, as if all stood in one layer. The second layer reads what "
                "the first has gathered: that takes a product.",
                lambda masks: (
                    np.eye(len(masks[0]), dtype=bool) | np.any([m.numpy() for m in masks], axis=0)
                ),
            ),
            Misconception(
                "you keep only pairs that every mask shows. The second layer reads what the first "
                "has gathered: that takes a product.",
                lambda masks: np.all([m.numpy() for m in masks], axis=0),
            ),
            Misconception(
                "rows and columns are swapped: a row is the token that knows.",
                lambda masks: _reach(masks).T,
            ),
            Misconception(
                "every layer is right, and seventy of them are not: the number of paths outgrows "
                "64 bits and turns negative, or 0. Make it True and False after every layer.",
                _counts_overflow,
            ),
        ),
    ),
    "03.4": Oracle(
        expected=_last_row,
        show=lambda stack, seq, dim: f"depends_on(f, seq={seq}, dim={dim}), f being {stack.says}",
        place=lambda index: f"token {index[0]}" if len(index) == 1 else "",
        name=lambda value: "True (depends on it)" if value else "False (doesn't)",
        examples=tuple((stack, 6, DIM) for stack in HIDING),
        misconceptions=(
            *_remaining(),
            *(
                Misconception(f"{_MISTAKES['threshold']}.", _flawed(threshold=10.0**-power))
                for power in (2, 4, 5, 6, 7, 8)
            ),
            Misconception(
                "you read one channel. Another may know more: in some of these stacks a single "
                "channel looks around.",
                _flawed(channel=0),
            ),
            Misconception(
                "you say that the last token depends on every token. Do you read all tokens, and "
                "not the last one alone? What that one never sees has a derivative of exactly 0.",
                lambda stack, seq, dim: np.ones(seq, dtype=bool),
            ),
        ),
    ),
    "03.5": Oracle(
        expected=_has_reach,
        show=lambda stack, n, w: (
            f"has_reach(model, n_layers={n}, window={w}), the model being {stack.says}"
        ),
        place=_no_place,
        name=lambda value: "True (accept)" if value else "False (reject)",
        examples=STACKS,
        misconceptions=(
            Misconception("your test accepts everything.", lambda s, n, w: np.array(True)),
            Misconception(
                "your test rejects everything, right models too. Print the first pair of tokens "
                "at which it thinks that the reach is wrong. (If it puts NaN into a token: a "
                "hidden one has weight 0, and 0 times NaN is NaN.)",
                lambda s, n, w: np.array(False),
            ),
            Misconception(
                "your sequence is not longer than the reach, so nothing lies beyond it.",
                _tests_only(_too_short),
            ),
            Misconception(
                "your test looks at the last token only. Some models are right there and wrong "
                "at an earlier one.",
                _tests_only(_last_only),
            ),
            Misconception(
                "your test looks at the two edges of the reach only. Some models have the right "
                "edge, and holes or a glimpse of something else.",
                _tests_only(_edges_only),
            ),
            Misconception(
                "your test never asks whether a token depends on a later one.",
                _tests_only(_past_only),
            ),
            Misconception(
                "your test asks that nothing beyond the reach has an effect, and not that "
                "everything within has one: it accepts models that reach less.",
                _tests_only(_nothing_beyond),
            ),
            Misconception(
                "your test asks that everything within the reach has an effect, and not that "
                "nothing else has one: it accepts models that reach more.",
                _tests_only(_everything_within),
            ),
            Misconception(
                "your test counts how many tokens matter, and the right number can be made of "
                "the wrong ones: compare pair by pair.",
                _rows_count,
            ),
        ),
    ),
}
