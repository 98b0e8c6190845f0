"""07.1 The table of gates: a softmax over the k best experts, zeros for all others."""

import math

import numpy as np
import torch
from torch.nn import functional as F

import mixlab.chapters.sparse_moe.exercises as shared
from mixlab.chapters.sparse_moe.exercises import router_scores
from mixlab.checks.exercise import Asked, Known, varied
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals

SMALL = 0.02  # below it, the comparison alone might not tell a gate from 0


def draw(rng):
    sizes = [(int(rng.integers(1, 7)), int(rng.integers(3, 9))) for _ in range(5)]
    drawn = [(router_scores(rng, *size), int(rng.integers(2, size[1]))) for size in sizes]
    square = router_scores(rng, 4, 4)
    hundreds = 300 * router_scores(rng, 3, 8)  # whose exp is infinite in float32
    below = router_scores(rng, 3, 6) - 400  # whose exp is 0 there
    many = router_scores(rng, 5, 300)  # experts, more than 8 bits can count
    return [*drawn, (square, 2), (square, 1), (square, 4), (hundreds, 2), (below, 3), (many, 3)]


def call(answer, scores, k):
    """The table, of finite numbers and nothing but zeros beside the k largest of each row."""
    found = answer(scores, k)
    table = read_reals(2)(found)
    if table.shape != tuple(scores.shape):
        return found
    if not np.isfinite(table).all():
        row = int(np.argwhere(~np.isfinite(table))[0, 0])
        raise Unreadable(
            f"row {row} holds {table[row][~np.isfinite(table[row])][0]}, with scores from "
            f"{scores[row].min():.0f} to {scores[row].max():.0f}. In float32, e to the power of 89 "
            "is infinite and e to the power of -104 is 0; and a softmax of -inf alone is 0 / 0"
        )
    ranked = np.sort(abs(table), axis=1)
    rest, best = np.split(ranked, [table.shape[1] - k], axis=1)
    # Of gates that are large, or that were taken from the k best, the comparison knows more to
    # say: there is a mistake behind them.
    added = abs(best.sum(axis=1, keepdims=True) - 1) < SMALL
    if (stray := (rest > 0) & (added | (rest < SMALL))).any():
        row = int(stray.any(axis=1).argmax())
        raise Unreadable(
            f"row {row} has {np.count_nonzero(table[row])} gates, some as small as "
            f"{rest[row][stray[row]].min():.1g}: all but the k best experts' have to be exactly 0"
        )
    return found


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(2),
    atol=1e-5,
    examples=(
        (torch.tensor([[1.0, 3.0, 0.0, 2.0], [0.5, 1.25, 1.0, 0.25]]), 2),
        (torch.tensor([[0.5, -1.0, 2.0], [-2.0, -0.5, -1.0], [1.0, 3.0, 2.5]]), 2),
        (torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 1.0]]), 1),
        (torch.tensor([[1.0, 0.25, -0.5, 0.5], [-1.0, 1.5, 0.75, 0.0]]), 3),
    ),
    hints=(
        "`scores.topk(k, dim=1)` gives the k best scores of each row and the experts they "
        "belong to. What is left is one softmax, and writing the results into their places.",
        "The softmax goes over the k kept scores alone: `values.softmax(dim=1)`. Nothing has "
        "to be exponentiated by hand, so large scores do no harm.",
        "`torch.zeros_like(scores).scatter(1, experts, gates)` writes each row's gates into "
        "the columns that `experts` names.",
    ),
)

# --- kept back while grading ---


def row_by_row(scores, k):
    table = torch.zeros(scores.shape, dtype=torch.float64)
    for gates, row in zip(table, scores.tolist(), strict=True):
        best = sorted(range(len(row)), key=row.__getitem__)[-k:]
        powers = [math.exp(row[e] - row[best[-1]]) for e in best]
        gates[best] = torch.tensor(powers, dtype=torch.float64) / sum(powers)
    return table


def gating(share=shared.of_kept, kept=shared.picked):
    """A table by another idea of the kept experts' shares, or of which experts are kept."""
    return lambda scores, k: share(scores, kept(scores, k))


def keeping(number):
    """The right gates of as many experts as `number(k)` says."""
    return gating(kept=lambda scores, k: shared.picked(scores, number(k)))


MISTAKES = {
    "you gave the other experts the score 0 before the softmax, and e to the 0 is 1. What must "
    "take no part needs a score of -inf.": gating(lambda s, kept: (s * kept).softmax(1)),
    "all experts still have weight: this is the softmax over all of them. Only the k best may have "
    "any.": gating(lambda s, kept: s.softmax(1)),
    **varied(gating, "share", shared.WRONG_GATES),
    "you kept the k best tokens of each expert. What is asked are the k best experts of each "
    "token: dim=1.": lambda s, k: gating()(s.T, min(k, len(s))).T,
    "you kept the best scores of the whole table. Each token has k experts of its own.": gating(
        kept=lambda s, k: 1.0 * (s >= s.flatten().topk(k * len(s)).values[-1])
    ),
    "you keep only the best expert of each token: k of them run.": keeping(lambda k: 1),
    "you keep two experts, whatever k is.": keeping(lambda k: 2),
    "you keep k + 1 experts: one too many.": keeping(lambda k: k + 1),
    "you keep k - 1 experts: the one at the border, with the k-th best score, runs too.": keeping(
        lambda k: k - 1
    ),
    "you kept the k lowest scores. The highest ones run.": tuple(
        gating(
            lambda s, kept, sign=sign: shared.of_kept(sign * s, kept),
            lambda scores, k: shared.picked(-scores, k),
        )
        for sign in (1, -1)
    ),
    "your gates stand in the first k columns, best first. A column is an expert: each gate goes to "
    "the column of the expert that it belongs to.": lambda scores, k: F.pad(
        scores.topk(k, dim=1).values.softmax(1), (0, scores.shape[1] - k)
    ),
    "these are the k gates of each token, without the zeros: one column for each expert is "
    "asked.": lambda scores, k: scores.topk(k, dim=1).values.softmax(1),
}

KNOWN = Known(
    right=(row_by_row, gating()),
    mistakes=MISTAKES,
    slips={
        "have to be exactly 0": gating(lambda s, kept: shared.of_kept(s, kept, rest=-100.0)),
        "is infinite": gating(lambda s, kept: shared.divided(s.exp(), kept)),
    },
    show=lambda scores, k: f"gate_table(scores, k={k}) with scores {shared.rounded(scores)}",
    place=lambda at: f"token {at[0]}, expert {at[1]}" if at else "",
    name="{:.4f}".format,
)
