"""Inputs for the exercises of chapter 02: masks, counts, a banded attention, a test of masks."""

import numpy as np
import torch

from mixlab.checks.cases import (
    Cases,
    TooCostly,
    read_count,
    read_mask,
    read_reals,
    read_verdict,
)
from mixlab.checks.cases.window_masks import hand_out
from mixlab.checks.manners import measured

_OURS = (
    *("mixlab.transformer.window", "mixlab.transformer.attention"),
    *("mixlab.transformer.packed_masks", "mixlab.kernels.flex_attention"),
    "mixlab.kernels.xformers_attention",
)
_MASKS = "mixlab.checks.cases.window_masks"
# So many tokens that full scores show in an answer's tensors; and so many that they show from
# outside the process, which no answer can talk out of it: 484 MB in float32, 242 MB in half. A loop
# over all pairs, which holds nothing, still takes seconds only.
_WATCHED, _LONG = 1_000, 11_000
_ROOM = 192 * 2**20  # bytes: a plot and all that it imports takes half of it


def _draw_mask(rng: np.random.Generator) -> list[tuple]:
    sizes = [(int(rng.integers(2, 24)), int(rng.integers(1, 12))) for _ in range(6)]
    longest = int(rng.integers(4, 16))
    return [*sizes, (longest, 1), (longest, longest), (longest, longest + 3)]


def _draw_chunk(rng: np.random.Generator) -> list[tuple]:
    drawn = [
        (int(rng.integers(1, 9)), int(rng.integers(0, 14)), int(rng.integers(1, 8)))
        for _ in range(7)
    ]
    return [*drawn, (1, int(rng.integers(5, 20)), 4), (int(rng.integers(3, 9)), 0, 3)]


def _draw_count(rng: np.random.Generator) -> list[tuple]:
    small = [(int(rng.integers(1, 40)), int(rng.integers(1, 60))) for _ in range(6)]
    # Counts of over ten digits, which float32 can't hold: there such an answer shows, and shows
    # here, not only when it is graded on other inputs.
    large = [(int(rng.integers(10**6, 2 * 10**6)), int(rng.integers(1000, 5000))) for _ in range(2)]
    return [*small, *large]


def _qkv(rng: np.random.Generator, seq: int, head_dim: int) -> list[torch.Tensor]:
    return [torch.from_numpy(rng.standard_normal((seq, head_dim))).float() for _ in range(3)]


def _draw_band(rng: np.random.Generator) -> list[tuple]:
    sizes = [(int(rng.integers(3, 40)), int(rng.integers(1, 9))) for _ in range(4)]
    sizes += [(7, 1), (6, 6), (5, 9), (_WATCHED + int(rng.integers(0, 60)), 8)]
    drawn = [(*_qkv(rng, seq, 8), window) for seq, window in sizes]
    return [*drawn, (*_qkv(rng, _LONG + int(rng.integers(0, 60)), 2), int(rng.integers(2, 5)))]


def _call_band(answer, q, k, v, window):
    seq = q.shape[0]
    # Only a long sequence tells the band from the whole: small ones have more channels than keys.
    if not _WATCHED <= seq < _LONG:
        return answer(q, k, v, window)
    out, elements, bytes_held, scores = measured(answer, q, k, v, window)
    taken = f"a tensor of {elements:,} numbers" if elements > seq**2 // 4 else ""
    if not taken and bytes_held > 3 * seq**2:
        taken = f"{bytes_held / 1e6:.0f} MB of arrays or lists"
    if taken:
        raise TooCostly(
            f"the result took {taken} for {seq:,} tokens and a window of {window}: that is all "
            f"{seq:,} × {seq:,} scores. Only the scores inside the window should ever be computed"
        )
    # All of them in blocks of rows hold little at a time. Blocks with the keys of their own window
    # are well below this limit, up to a quarter of the sequence a block.
    if scores > seq**2 // 3:
        raise TooCostly(
            f"{scores:,} scores were computed in all, a few at a time, for {seq:,} tokens and a "
            f"window of {window}: the band has {window * seq - window * (window - 1) // 2:,}. Only "
            "the scores inside the window should ever be computed"
        )
    return out


def _draw_masks(rng: np.random.Generator) -> list[tuple]:
    masks = hand_out()
    again = rng.integers(0, len(masks), 3)  # so that counting the calls tells nothing
    return [(masks[i],) for i in rng.permutation([*range(len(masks)), *again])]


EXERCISES = {
    "02.1": Cases(
        draw=_draw_mask,
        read=read_mask(),
        forbids=(*_OURS, _MASKS),
        hints=(
            "Number the rows and the columns: `torch.arange(seq)[:, None]` is every query's "
            "position as a column, `[None, :]` every key's as a row. Their difference is a table.",
            "Two conditions must both hold: the key is not in the future, and its distance is "
            "below the window. Combine them with `&`.",
            "Distance is query minus key. Distance 0 is the token itself: it counts as one of "
            "the W.",
        ),
    ),
    "02.2": Cases(
        draw=_draw_chunk,
        read=read_mask(),
        forbids=(*_OURS, _MASKS),
        hints=(
            "Draw two queries with three cached keys on paper: 2 rows, 5 columns. Which column "
            "is the first query itself?",
            "`tril(diagonal=d)` keeps key - query_row <= d. The first query's own key stands in "
            "column `past`, so every diagonal has to move right by `past`.",
            "Once the diagonals have moved, count the keys of a late row. `tril(diagonal=past - "
            "window)` removes the keys at distance W and more.",
        ),
    ),
    "02.3": Cases(
        draw=_draw_count,
        read=read_count,
        forbids=(*_OURS, _MASKS),
        hints=(
            "Write down how many keys each query sees, for 6 tokens and W = 3: 1, 2, 3, 3, 3, 3.",
            "The first W queries make a triangle, 1 + 2 + … + W. Every later query adds W.",
            "What if the window is longer than the sequence? Then only the first `seq` steps of "
            "the triangle exist: use `min(window, seq)`.",
        ),
    ),
    "02.4": Cases(
        draw=_draw_band,
        read=read_reals(2),
        call=_call_band,
        room=_ROOM,
        seed=11,
        forbids=(*_OURS, _MASKS),
        hints=(
            "Start with a loop over queries: query i needs only `k[start : i + 1]`. What is "
            "`start`?",
            "`start` is `max(0, i - window + 1)`. Inside the slice nothing has to be masked: all "
            "its keys are visible.",
            "One query: `scores = k[start : i + 1] @ q[i] / head_dim ** 0.5`, softmax over them, "
            "then the weighted sum of `v[start : i + 1]`. Stack the results.",
        ),
    ),
    "02.5": Cases(
        draw=_draw_masks,
        read=read_verdict,
        forbids=_OURS,
        hints=(
            "A test needs sizes at which a wrong mask differs from a right one. With window >= "
            "seq, a mask that forgets the window looks right. One size is never enough.",
            "For every seq from 1 to 8 and every window from 1 to seq + 1, compare each pair "
            "(i, j) with the rule `0 <= i - j < window`.",
            "Return False at the first pair that disagrees, and True only after the last loop.",
        ),
    ),
}
