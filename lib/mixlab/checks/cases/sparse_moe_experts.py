"""Inputs for the exercises of chapter 07 that run experts: with a limit, and sorted.

The experts are handed over as functions that watch how they are called.
"""

import numpy as np
import torch
from torch.nn import functional as F

from mixlab.checks.cases import Unreadable, _kind


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> torch.Tensor:
    """Normal numbers in float32, of standard deviation `scale`."""
    return torch.from_numpy(scale * rng.standard_normal(shape)).float()


def router_scores(rng: np.random.Generator, tokens: int, n_experts: int) -> torch.Tensor:
    """Scores of a router, no two of a token nearer than 0.05, so that nobody's rounding chooses."""
    steps = 0.05 + rng.exponential(0.5, (tokens, n_experts))
    ranked = steps.cumsum(axis=1) - steps.sum(axis=1, keepdims=True) / 2
    return torch.from_numpy(rng.permuted(ranked, axis=1)).float()


def run_expert(rows: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """What one expert makes of some tokens: down(silu(up rows)).

    Args:
        rows: (tokens, dim).
        up: (hidden_dim, dim).
        down: (dim, hidden_dim).
    """
    return F.silu(rows @ up.T) @ down.T


def _experts(rng: np.random.Generator, n_experts: int, dim: int) -> tuple:
    up = normal(rng, n_experts, 6, dim, scale=1.0)
    return up, normal(rng, n_experts, dim, 6, scale=1.0)


def _routing(rng: np.random.Generator, tokens: int, n_experts: int, k: int) -> tuple:
    chosen = rng.random((tokens, n_experts)).argsort(axis=1)[:, :k]
    gates = -np.sort(-rng.dirichlet(np.full(k, 4.0), tokens), axis=1)
    return torch.from_numpy(chosen), torch.from_numpy(gates).float()


def draw_capacity(rng: np.random.Generator) -> list[tuple]:
    """Routings with and without a limit that bites, with idle experts, and all on one expert."""
    drawn = []
    for tokens, n_experts, k, capacity in (
        (int(rng.integers(5, 12)), 4, 2, 99),  # nobody is turned away
        (int(rng.integers(6, 14)), 4, 2, int(rng.integers(2, 4))),
        (int(rng.integers(3, 6)), 8, 1, 99),  # most experts get no token
        (int(rng.integers(8, 12)), 4, 3, int(rng.integers(4, 6))),
        (1, 5, 2, 1),
    ):
        routing = _routing(rng, tokens, n_experts, k)
        while 1 < capacity < 99 and not _serves_some_in_part(routing[0], capacity):
            routing = _routing(rng, tokens, n_experts, k)
        dim = int(rng.integers(2, 7))
        experts = _experts(rng, n_experts, dim)
        drawn.append((normal(rng, tokens, dim), *routing, *experts, capacity))
    tokens = int(rng.integers(4, 9))
    crowd = torch.full((tokens, 1), int(rng.integers(0, 3))), torch.ones(tokens, 1)
    for capacity in (99, 3):  # all tokens on one expert
        drawn.append((normal(rng, tokens, 4), *crowd, *_experts(rng, 3, 4), capacity))
    return drawn


def _serves_some_in_part(chosen: torch.Tensor, capacity: int) -> bool:
    """Whether a token is turned away by one of its experts and served by another."""
    before = torch.stack([(chosen == e).any(dim=1) for e in range(int(chosen.max()) + 1)]).cumsum(1)
    place = before.T.gather(1, chosen)  # of each token in each of its experts' queues, from 1
    served = (place <= capacity).sum(dim=1)
    return bool(((served > 0) & (served < chosen.shape[1])).any())


def call_capacity(answer, x, chosen, gates, up, down, capacity):
    """Call the answer with experts that count their calls, and refuse a second one."""
    calls = [0] * len(up)
    # Counted before the call: an answer may write into its arguments.
    wanted = [int((chosen == number).any(dim=1).sum()) for number in range(len(up))]

    def expert(number: int):
        def run(rows):
            if not isinstance(rows, torch.Tensor) or rows.ndim != 2 or rows.shape[1] != x.shape[1]:
                raise Unreadable(
                    f"expert {number} takes a tensor of shape (tokens, {x.shape[1]}): got "
                    f"{_kind(rows)}"
                )
            calls[number] += 1
            if not len(rows) or calls[number] > 1:
                how = "without a token" if not len(rows) else "a second time"
                raise Unreadable(
                    f"expert {number} was called {how}. An expert runs once, with all its tokens; "
                    "one without a token doesn't run at all"
                )
            if len(rows) > min(wanted[number], capacity):
                raise Unreadable(
                    f"expert {number} was given {len(rows)} tokens: {wanted[number]} chose it, and "
                    f"its capacity is {capacity}. Nothing else should be computed"
                )
            return run_expert(rows.float(), up[number], down[number])

        return run

    return answer(x, chosen, gates, [expert(e) for e in range(len(up))], capacity)


def draw_sorted(rng: np.random.Generator) -> list[tuple]:
    """Tokens, scores, k and experts, of several sizes."""
    drawn = []
    for tokens, n_experts, k in (
        (int(rng.integers(4, 12)), 4, 2),
        (int(rng.integers(4, 12)), 8, 2),
        (int(rng.integers(4, 12)), 5, 3),
        (int(rng.integers(4, 12)), 4, 1),
        (int(rng.integers(4, 12)), 3, 3),
        (1, 6, 2),
    ):
        scores = router_scores(rng, tokens, n_experts)
        dim = int(rng.integers(2, 7))
        drawn.append((normal(rng, tokens, dim), scores, k, *_experts(rng, n_experts, dim)))
    return drawn


def call_sorted(answer, x, scores, k, up, down):
    """Call the answer with a list of experts, each a function of rows."""
    experts = [lambda rows, e=e: run_expert(rows.float(), up[e], down[e]) for e in range(len(up))]
    return answer(x, scores, k, experts)
