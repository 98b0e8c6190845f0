"""What the exercises of chapter 07 share: routers' scores, and experts that can be called."""

from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def normal(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    """Standard normal numbers in float32."""
    return torch.from_numpy(rng.standard_normal(shape)).float()


def router_scores(rng: np.random.Generator, tokens: int, n_experts: int) -> torch.Tensor:
    """Scores of a router, no two of a token nearer than 0.05, so that nobody's rounding chooses."""
    steps = 0.05 + rng.exponential(0.5, (tokens, n_experts))
    ranked = steps.cumsum(axis=1) - steps.sum(axis=1, keepdims=True) / 2
    return torch.from_numpy(rng.permuted(ranked, axis=1)).float()


def weights_of_experts(rng: np.random.Generator, n_experts: int, dim: int) -> list[torch.Tensor]:
    """Of each expert the matrices up (n_experts, 6, dim) and down (n_experts, dim, 6)."""
    return [normal(rng, n_experts, 6, dim), normal(rng, n_experts, dim, 6)]


def run_expert(rows: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """What one expert makes of some tokens: down(silu(up rows)), in the precision of its rows."""
    return (F.silu(rows.double() @ up.T.double()) @ down.T.double()).to(rows.dtype)


def counted_experts(chosen, up, down, capacity) -> list:
    """Experts that see to it that each runs once, and with no more tokens than are its own."""
    called = set()
    # Counted before any call: an answer may write into its arguments.
    wanted = [int((chosen == number).any(dim=1).sum()) for number in range(len(up))]

    def run(number, rows):
        if not isinstance(rows, torch.Tensor) or rows.ndim != 2 or rows.shape[1] != up.shape[2]:
            raise Unreadable(
                f"expert {number} takes a tensor of shape (tokens, {up.shape[2]}): got "
                f"{kind_of(rows)}"
            )
        if not len(rows) or number in called:
            how = "without a token" if not len(rows) else "a second time"
            raise Unreadable(
                f"expert {number} was called {how}. An expert runs once, with all its tokens; "
                "one without a token doesn't run at all"
            )
        called.add(number)
        if len(rows) > min(wanted[number], capacity):
            raise Unreadable(
                f"expert {number} was given {len(rows)} tokens: {wanted[number]} chose it, and "
                f"its capacity is {capacity}. Nothing else should be computed"
            )
        return run_expert(rows, up[number], down[number])

    return [partial(run, number) for number in range(len(up))]


def rounded(scores: torch.Tensor) -> list[list[float]]:
    """The first three tokens' scores, for a message."""
    return [[round(value, 2) for value in row] for row in scores[:3].tolist()]


# --- kept back while grading ---


def picked(scores, k, dim=1):
    """(tokens, n_experts): 1 where an expert is among its token's k best."""
    best = scores.topk(min(k, scores.shape[dim]), dim=dim).indices
    return torch.zeros_like(scores).scatter(dim, best, 1.0)


def of_kept(scores, kept, dim=1, rest=-torch.inf):
    return scores.where(kept > 0, rest).softmax(dim)


def divided(values, kept, by=torch.sum):
    return (values * kept) / by(values * kept, dim=1, keepdim=True)


def ranked(gates=lambda best: best.softmax(1), to=lambda experts: experts):
    """Gates of the k best scores, best first, and the experts that they go to."""

    def share(scores, kept):
        best, experts = scores.topk(int(kept[0].sum()), dim=1)
        return torch.zeros_like(scores).scatter(1, to(experts), gates(best))

    return share


# Gates (tokens, n_experts) by another idea, of the scores and of who is kept, 1 or 0.
WRONG_GATES = {
    "your gates are the full softmax's own numbers, so they sum to less than 1. Take the softmax "
    "over the k kept scores alone, or divide by the sum of what you "
    "keep.": lambda s, kept: s.softmax(1) * kept,
    "your gates sum to 1 over the tokens. Each token shares out its own weight over its k experts: "
    "dim=1.": (
        ranked(lambda best: best.softmax(0)),
        lambda s, kept: of_kept(s, kept, dim=0, rest=-1e9) * kept,
        lambda s, kept: s.softmax(0) * kept,
        lambda s, kept: s.softmax(0),
    ),
    "your gates sum to 1 over the whole batch. Those of each token do: divide row by row.": (
        lambda s, kept: s.softmax(1) * kept / (s.softmax(1) * kept).sum(),
        lambda s, kept: s.exp() * kept / (s.exp() * kept).sum(),
    ),
    "your gates are all 1. Each token shares out a weight of 1 over its k "
    "experts.": lambda s, kept: kept,
    "your gates are all the same, 1 / k. They count by a softmax of the scores.": lambda s, kept: (
        kept / kept.sum(1, keepdim=True)
    ),
    "your gates are the kept scores themselves. Gates are a softmax of them.": lambda s, kept: (
        s * kept
    ),
    "you divided the kept scores by their sum. Scores may be negative, so that is no share of "
    "anything: a softmax divides powers of e.": divided,
    "your gates don't sum to 1 in each row: powers of e are to be divided by their sum.": (
        lambda s, kept: s.exp() * kept,
        lambda s, kept: divided(s.exp(), kept, by=torch.amax),
        lambda s, kept: s.softmax(1) * kept * kept.sum(1, keepdim=True),
    ),
    "your gates are divided by k: their sum, in each row, is what to divide by.": lambda s, kept: (
        s.softmax(1) * kept / kept.sum(1, keepdim=True)
    ),
    "your gates are logarithms: `log_softmax` where a softmax is asked.": lambda s, kept: (
        of_kept(s, kept).log().where(kept > 0, 0.0)
    ),
    "your gates are sigmoids, each score by itself, divided by their sum. A softmax compares the "
    "scores with each other.": lambda s, kept: divided(s.sigmoid(), kept),
    "your softmax is taken twice: once over all experts, and again over what is kept. The second "
    "one works on shares instead of scores and makes them too "
    "even.": lambda s, kept: of_kept(s.softmax(1), kept),
    "your gates are right numbers at the wrong experts: the best score has the largest gate, so "
    "gates and experts must stand in one order.": (
        ranked(to=lambda experts: experts.flip(1)),
        ranked(to=lambda experts: experts.sort(1).values),
    ),
}
