"""What the exercises of chapter 03 must return, and what usual mistakes give."""

import numpy as np
import torch

from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.reach_stacks import TESTS, reach_of

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


def _counts_overflow(whole, known_where):
    """Paths counted in so many bits, which wrap around."""

    def gives(masks):
        eye = np.eye(len(masks[0]), dtype=whole)
        known = eye
        for mask in masks:
            known = (np.asarray(mask) | eye.astype(bool)).astype(whole) @ known
        return known_where(known, 0)

    return gives


def _updated_while_read(masks):
    """Row by row in place: a later token reads what an earlier one learnt in the same layer."""
    known = np.eye(len(masks[0]), dtype=bool)
    for mask in masks:
        for i, row in enumerate(np.asarray(mask)):
            known[i] |= known[row].any(axis=0)
    return known


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
            (11, 3, 4),
        ),
        misconceptions=(
            Misconception(
                "you round down. What is left of the distance after whole steps needs one more "
                "layer.",
                lambda i, j, w: _rounded(i, j, w - 1, up=False),
            ),
            Misconception(
                "you round to the nearest number. Any rest of the distance, however small, needs "
                "one more layer.",
                lambda i, j, w: np.array(round((i - j) / (w - 1))) if w > 1 and i >= j else None,
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
        expected=reach_of,
        show=_show_masks,
        place=lambda index: f"token {index[0]}, input {index[1]}" if len(index) == 2 else "",
        name=_known,
        examples=(
            (list(_EXAMPLE),),
            (list(_HIDES_ITSELF),),
            ([_mask("x...", "x...", ".x..", "..x.")] * 2,),
            (
                [_mask("xx" + "." * 38, *("x" * (i + 1) + "." * (39 - i) for i in range(1, 40)))]
                * 70,
            ),
        ),
        misconceptions=(
            Misconception(
                "the product runs the wrong way round. The first layer's mask stands on the "
                "right: mask_2 @ mask_1.",
                lambda masks: reach_of(masks[::-1]),
            ),
            Misconception(
                "the residual is missing. A token whose mask hides it still keeps what it knew.",
                lambda masks: reach_of(masks, residual=False),
            ),
            Misconception(
                "you use the first mask for every layer.",
                lambda masks: reach_of([masks[0]] * len(masks)),
            ),
            Misconception(
                "you use the last mask for every layer.",
                lambda masks: reach_of([masks[-1]] * len(masks)),
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
                lambda masks: reach_of(masks).T,
            ),
            Misconception(
                "you read each mask's columns as its rows: the row is the token that sees.",
                lambda masks: reach_of([mask.T for mask in masks]),
            ),
            Misconception(
                "a layer changes what it is still reading: a token takes over what another has "
                "learnt in the same layer. Keep what was known before the layer.",
                _updated_while_read,
            ),
            Misconception(
                "the residual is there from the second layer on, or at the end, and not in the "
                "first: begin with the identity, not with the first mask.",
                lambda masks: reach_of([*masks[1:]], known=np.asarray(masks[0])),
            ),
            *(
                Misconception(
                    "every layer is right, and seventy of them are not: the number of paths "
                    "outgrows 64 bits and turns negative, or 0. Make it True and False after "
                    "every layer.",
                    _counts_overflow(whole, where),
                )
                for whole in (np.int64, np.int32)
                for where in (np.greater, np.not_equal)
            ),
        ),
    ),
    **TESTS,
}
