"""Oracles of chapter 07's dispatch: experts with a limit (07.2), the sorted path (07.5)."""

import numpy as np
import torch

from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.sparse_moe_common import UNDIVIDED, best, float64, softmax, token_channel


def _run(rows, up, down):
    hidden = rows @ up.T
    return hidden / (1 + np.exp(-hidden)) @ down.T


def _limited(x, chosen, gates, up, down, capacity, how="right"):
    """Every expert runs its first `capacity` tokens; `how` names a mistake to make instead."""
    x, gates, up, down = float64(x, gates, up, down)
    chosen = chosen.numpy()
    out = np.zeros(x.shape)
    for e in range(len(up)):
        token, rank = np.nonzero(chosen == e)
        if how == "last":
            token, rank = token[-capacity:], rank[-capacity:]
        elif how == "by gate":
            best = (-gates[token, rank]).argsort(kind="stable")[:capacity]
            token, rank = token[best], rank[best]
        elif how == "by rank":
            first = rank.argsort(kind="stable")[:capacity]
            token, rank = token[first], rank[first]
        elif how != "no limit":
            token, rank = token[:capacity], rank[:capacity]
        gate = gates[token, rank, None]
        if how == "first gate":
            gate = gates[token, 0, None]
        elif how == "no gate":
            gate = 1.0
        elif how == "column e":
            if e >= gates.shape[1]:
                return None
            gate = gates[token, e, None]
        result = _run(x[token] * gate, up[e], down[e]) if how == "gated input" else None
        if result is None:
            result = gate * _run(x[token], up[e], down[e])
        if how == "assign":
            out[token] = result
        else:
            out[token] += result
    return out


def _renormalised_limit(x, chosen, gates, up, down, capacity):
    """The gates of a token that lost an expert are divided by what is left."""
    taken = np.zeros(chosen.shape)
    for e in range(len(up)):
        token, rank = np.nonzero(chosen.numpy() == e)
        taken[token[:capacity], rank[:capacity]] = 1
    left = (gates.double().numpy() * taken).sum(axis=1, keepdims=True)
    return _limited(x, chosen, gates, up, down, capacity) / np.where(left > 0, left, 1)


def _dropped_whole(x, chosen, gates, up, down, capacity):
    """A token that one expert turned away gets nothing from the others either."""
    out = _limited(x, chosen, gates, up, down, capacity)
    for e in range(len(up)):
        late = np.nonzero(chosen.numpy() == e)[0][capacity:]
        out[late] = 0
    return out


def _limit(how):
    return lambda *arguments: _limited(*arguments, how=how)


def _sorted(x, scores, k, up, down, divide=True, unsort=True):
    x, s, up, down = float64(x, scores, up, down)
    chosen = best(s, k)
    gates = np.take_along_axis(softmax(s), chosen, axis=1)
    if divide:
        gates = gates / gates.sum(axis=1, keepdims=True)
    flat = chosen.ravel()
    order = flat.argsort(kind="stable")
    rows = np.concatenate([_run(x[[c // k]], up[flat[c]], down[flat[c]]) for c in order])
    back = rows[order.argsort() if unsort else order].reshape(len(x), k, -1)
    return (gates[..., None] * back).sum(axis=1)


def _example_experts(n_experts: int, dim: int = 4):
    rng = np.random.default_rng(n_experts)
    shapes = (n_experts, 6, dim), (n_experts, dim, 6)
    return [torch.from_numpy(rng.standard_normal(shape)).float() for shape in shapes]


def _example_tokens(tokens: int, dim: int = 4) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(tokens).standard_normal((tokens, dim))).float()


def _limited_example(chosen, gates, n_experts, capacity):
    chosen, gates = torch.tensor(chosen), torch.tensor(gates)
    return (_example_tokens(len(chosen)), chosen, gates, *_example_experts(n_experts), capacity)


def _show_limited(x, chosen, gates, up, down, capacity):
    return (
        f"sparse_feed_forward with chosen = {chosen.tolist()}, {len(up)} experts, "
        f"capacity = {capacity}"
    )


_ASSIGNED = (
    "an assignment throws away what another expert has already given to the same token. Each "
    "token's row is a sum over its experts: add to it."
)

EXERCISES = {
    "07.2": Oracle(
        expected=_limited,
        show=_show_limited,
        place=token_channel,
        name=lambda value: f"{value:.4f}",
        examples=(
            _limited_example(
                [[0, 1], [1, 0], [1, 0]], [[0.75, 0.25], [0.6, 0.4], [0.9, 0.1]], 2, 9
            ),
            _limited_example(
                [[1, 0], [0, 1], [1, 2], [1, 0], [3, 2]],
                [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]],
                4,
                2,
            ),
            _limited_example([[0], [0], [0]], [[1.0], [1.0], [1.0]], 2, 2),
        ),
        misconceptions=(
            Misconception(_ASSIGNED, _limit("assign")),
            Misconception(
                "nobody is turned away. An expert runs only the first `capacity` of its tokens.",
                _limit("no limit"),
            ),
            Misconception("the experts' results are added without their gates.", _limit("no gate")),
            Misconception(
                "the tokens themselves are in the sum. Begin with zeros: the block that this "
                "layer stands in adds them, outside it.",
                lambda x, *given: x.double().numpy() + _limited(x, *given),
            ),
            Misconception(
                "every result gets the gate of its token's first choice. Whether an expert was a "
                "token's first choice or second differs from token to token: use the rank.",
                _limit("first gate"),
            ),
            Misconception(
                "gates[:, e] is not the gate of expert e: the columns of `gates` are ranks, first "
                "choice, second choice.",
                _limit("column e"),
            ),
            Misconception(
                "you multiplied the tokens by their gates before the expert. An expert isn't "
                "linear: its result is what the gate weights.",
                _limit("gated input"),
            ),
            Misconception(
                "the last tokens are served and the first turned away. Tokens are served in their "
                "order in the text.",
                _limit("last"),
            ),
            Misconception(
                "you serve first choices before second ones. Here tokens are served in the order "
                "of the text, whichever choice it was.",
                _limit("by rank"),
            ),
            Misconception(
                "you serve the largest gates first. Here tokens are served in the order of the "
                "text.",
                _limit("by gate"),
            ),
            Misconception(
                "you serve the first `capacity` tokens of the text alone. The limit is each "
                "expert's own: it takes so many of *its* tokens.",
                lambda x, chosen, gates, up, down, capacity: (
                    _limited(x, chosen, gates, up, down, capacity)
                    * (np.arange(len(x)) < capacity)[:, None]
                ),
            ),
            Misconception(
                "a token that one expert turned away should still get the result of its other.",
                _dropped_whole,
            ),
            Misconception(
                "you divided again by the gates that are left. A token that was turned away keeps "
                "its other gates as they are, and its row is smaller.",
                _renormalised_limit,
            ),
        ),
    ),
    "07.5": Oracle(
        expected=_sorted,
        show=lambda x, s, k, up, down: (
            f"sorted_experts with {len(x)} tokens, {len(up)} experts, k = {k}"
        ),
        place=token_channel,
        name=lambda value: f"{value:.4f}",
        examples=tuple(
            (_example_tokens(len(scores)), torch.tensor(scores), k, *_example_experts(4))
            for scores, k in (
                ([[0.0, 2.0, 1.0, -1.0], [1.0, 0.0, -1.0, 2.0], [2.0, 1.5, 0.0, 0.5]], 2),
                ([[3.0, 0.0, 1.0, 0.5], [0.0, 0.5, 2.0, 1.0]], 3),
            )
        ),
        misconceptions=(
            Misconception(
                "both mistakes are still there: the gates don't sum to 1, and results return to "
                "the wrong tokens.",
                lambda *given: _sorted(*given, divide=False, unsort=False),
            ),
            Misconception(UNDIVIDED, lambda *given: _sorted(*given, divide=False)),
            Misconception(
                "results return to the wrong tokens. Indexing with `order` sorts; doing it twice "
                "doesn't undo it. What undoes a permutation?",
                lambda *given: _sorted(*given, unsort=False),
            ),
        ),
    ),
}
