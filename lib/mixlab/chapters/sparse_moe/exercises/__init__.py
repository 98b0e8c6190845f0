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
    """The matrices up (n_experts, 6, dim) and down (n_experts, dim, 6)."""
    return [normal(rng, n_experts, 6, dim), normal(rng, n_experts, dim, 6)]


def run_expert(rows: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """What one expert makes of some tokens: down(silu(up rows)), in the precision of its rows.

    Args:
        rows: (tokens, dim).
        up: (hidden_dim, dim).
        down: (dim, hidden_dim).
    """
    return (F.silu(rows.double() @ up.T.double()) @ down.T.double()).to(rows.dtype)


def counted_experts(chosen, up, down, capacity) -> list:
    """Experts that see to it that each runs once, and with no more tokens than are its own.

    Args:
        chosen: (tokens, k), the experts of each token.
        up: (n_experts, hidden_dim, dim).
        down: (n_experts, dim, hidden_dim).
        capacity: the most tokens that an expert takes.
    """
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
