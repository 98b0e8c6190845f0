"""Inputs for the exercises of chapter 07: gates, experts with a limit, counts, a loss, a bug."""

import numpy as np
import torch

from mixlab.checks.cases import Cases, Unreadable, _kind, read_count, read_real, read_reals
from mixlab.checks.cases.sparse_moe_experts import (
    call_capacity,
    call_sorted,
    draw_capacity,
    draw_sorted,
    router_scores,
)

_OURS = (
    "mixlab.transformer.sparse_moe",
    "mixlab.transformer.router_losses",
    "mixlab.kernels.grouped_experts",
    "mixlab.traces.router",
)

_SMALL = 0.02  # below it, the comparison alone might not tell a gate from 0


def _draw_gates(rng: np.random.Generator) -> list[tuple]:
    sizes = [(int(rng.integers(1, 7)), int(rng.integers(3, 9))) for _ in range(5)]
    drawn = [(router_scores(rng, *size), int(rng.integers(2, size[1]))) for size in sizes]
    square = router_scores(rng, 4, 4)
    hundreds = 300 * router_scores(rng, 3, 8)  # whose exp is infinite in float32
    return [*drawn, (square, 2), (square, 1), (square, 4), (hundreds, 2)]


def _call_gates(answer, scores, k):
    """The table, and nothing but zeros beside the k largest gates of each row."""
    found = answer(scores, k)
    table = read_reals(2)(found)
    if table.shape == tuple(scores.shape):
        ranked = np.sort(abs(table), axis=1)
        rest, best = np.split(ranked, [table.shape[1] - k], axis=1)
        # Of gates that are large, or that were taken from the k best, the comparison knows more to
        # say: there is a mistake behind them.
        added = best.sum(axis=1, keepdims=True) > 1 - _SMALL
        if (stray := (rest > 0) & (added | (rest < _SMALL))).any():
            row = int(stray.any(axis=1).argmax())
            least = rest[row][stray[row]].min()
            raise Unreadable(
                f"row {row} has {np.count_nonzero(table[row])} gates, some as small as "
                f"{least:.1g}: all but the k best experts' have to be exactly 0"
            )
    return found


def _draw_counts(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(6):
        kv, group, head_dim = (int(rng.integers(*ends)) for ends in ((1, 4), (2, 5), (1, 9)))
        n_experts = int(rng.integers(3, 17))
        drawn.append(
            (
                int(rng.integers(2, 60)),  # dim
                int(rng.integers(2, 90)),  # hidden_dim
                int(rng.integers(5, 300)),  # vocab_size
                int(rng.integers(2, 12)),  # n_layers
                kv * group,
                kv,
                head_dim,
                n_experts,
                int(rng.integers(1, n_experts)),
            )
        )
    return drawn


def _read_counts(value) -> np.ndarray:
    """Two whole numbers: stored and active."""
    try:
        numbers = [read_count(part) for part in value]
    except (TypeError, Unreadable):
        numbers = []
    if len(numbers) != 2:
        raise Unreadable(f"expected two whole numbers, (stored, active): got {_kind(value)}")
    return np.stack(numbers)


def _draw_loss(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for tokens, n_experts, k in (
        (int(rng.integers(5, 30)), 4, 1),
        (int(rng.integers(5, 30)), 8, 2),
        (int(rng.integers(5, 30)), 6, 3),
        (8, 8, 2),
        (1, 5, 2),
    ):
        drawn.append((router_scores(rng, tokens, n_experts), k))
    favourites = router_scores(rng, 20, 8)
    favourites[:, :2] += 9  # collapsed onto experts 0 and 1
    return [*drawn, (favourites, 2)]


def _call_loss(answer, scores, k):
    """The loss, and the gradient by which it moves the scores."""
    scores = scores.clone().requires_grad_()
    loss = answer(scores, k)
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise Unreadable(f"expected a tensor of one number: got {_kind(loss)}")
    if not loss.requires_grad:
        raise Unreadable(
            "the loss has no gradient to the scores, so it can't teach the router anything. Which "
            "of f and P comes from a differentiable operation?"
        )
    (gradient,) = torch.autograd.grad(loss.sum(), scores, allow_unused=True)
    if gradient is None:
        raise Unreadable("the loss doesn't depend on the scores")
    return torch.cat([loss.detach().reshape(1).float(), gradient.flatten()])


def _draw_touched(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for n_experts, k in ((8, 2), (4, 1), (int(rng.integers(5, 20)), 2), (6, 3)):
        # Chances between 0 and 1 that sum to k: the mean of some drawn choices.
        picks = rng.random((12, n_experts)) * rng.random(n_experts)
        best = picks.argsort(axis=1)[:, -k:]
        chances = np.bincount(best.ravel(), minlength=n_experts) / 12
        drawn.append((chances.tolist(), int(rng.integers(2, 12))))
    even = int(rng.integers(6, 12))
    return [*drawn, ([2 / even] * even, int(rng.integers(3, 9))), ([0.5, 1.0, 0.5], 1)]


EXERCISES = {
    "07.1": Cases(
        draw=_draw_gates,
        read=read_reals(2),
        call=_call_gates,
        atol=1e-5,
        seed=4,
        forbids=_OURS,
        hints=(
            "`scores.topk(k, dim=1)` gives the k best scores of each row and the experts they "
            "belong to. What is left is one softmax, and writing the results into their places.",
            "The softmax goes over the k kept scores alone: `values.softmax(dim=1)`. Nothing has "
            "to be exponentiated by hand, so large scores do no harm.",
            "`torch.zeros_like(scores).scatter(1, experts, gates)` writes each row's gates into "
            "the columns that `experts` names.",
        ),
    ),
    "07.2": Cases(
        draw=draw_capacity,
        read=read_reals(2),
        call=call_capacity,
        seed=3,
        forbids=_OURS,
        hints=(
            "Loop over experts. `token, rank = torch.where(chosen == e)` lists the tokens that "
            "chose expert e, in order, and whether as their first choice or a later one.",
            "Who comes too late is cut off by a slice: `token[:capacity]`, and `rank` likewise. If "
            "nothing is left, go on to the next expert.",
            "Two experts share a token's row, so add: `out[token] += gates[token, rank, None] * "
            "expert(x[token])`, starting from zeros.",
        ),
    ),
    "07.3": Cases(
        draw=_draw_counts,
        read=_read_counts,
        forbids=("mixlab.transformer.config", "mixlab.transformer.model"),
        hints=(
            "Count one layer: four attention matrices, the router, the experts, two norms. Then "
            "times n_layers, plus what there is only once.",
            "Queries and outputs are dim × (n_heads · head_dim) each; keys and values dim × "
            "(n_kv_heads · head_dim) each. One expert has 3 · dim · hidden_dim.",
            "Stored and active differ in one factor: n_experts against k experts. The router "
            "scores all experts for every token, so all of it is active.",
        ),
    ),
    "07.4": Cases(
        draw=_draw_loss,
        read=read_reals(1),
        call=_call_loss,
        seed=2,
        forbids=_OURS,
        hints=(
            "P is the mean over tokens of the softmax over all experts: `scores.softmax(dim=1)"
            ".mean(dim=0)`.",
            "f counts: how many tokens have expert i among their k best, over the number of "
            "tokens. All f together make k, not 1. `scores.topk(k, dim=1).indices` and "
            "`bincount` count.",
            "The loss is n_experts times the sum of f · P. For even routing it is k: try "
            "a few rows in which the tokens take turns.",
        ),
    ),
    "07.5": Cases(
        draw=draw_sorted,
        read=read_reals(2),
        call=call_sorted,
        seed=1,
        forbids=_OURS,
        hints=(
            "Make every expert the identity, `lambda rows: rows`. Then the layer should return x "
            "itself. What does it return, and by how much is it too small?",
            "The gates: what do they sum to, in each row? What should they sum to?",
            "The way back: `a[order]` puts row order[i] at place i. To undo that, row i must go "
            "to place order[i]: which permutation does that?",
        ),
    ),
    "07.6": Cases(
        draw=_draw_touched,
        read=read_real,
        atol=1e-5,
        seed=1,
        forbids=_OURS,
        hints=(
            "Begin with one expert whose chance is q: what is the probability that one token "
            "misses it, and that all n do?",
            "An expert is touched with probability 1 - (1 - q) ** n. The expected number of "
            "touched ones is a sum of such probabilities, one for each expert.",
            "Don't average the chances first: a favourite and a wallflower together are touched "
            "less often than two average experts.",
        ),
    ),
}
