"""The layers that exercise 19.6 hands to an answer: some keep filler out, some leak it.

Each maps x (batch, seq, 4) and a mask (batch, seq), True at real tokens, to the state of each row
after its real tokens, (batch, 4): a short convolution with a bias, silu, Δ from softplus, and one
number of state a channel. All are the same code; what a layer does with filler stands in six
numbers, and oracles/mamba_padding.py says in words what comes of them. So nothing but what it
returns tells a safe layer from a leaking one. The file stands apart because the steps inside
answer exercise 19.1.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

_TAPS = torch.tensor([[0.3, -0.5, 0.8], [0.6, 0.2, 0.7], [-0.4, 0.5, 0.9], [0.1, 0.7, -0.6]])
_BIAS = torch.tensor([0.4, -0.3, 0.5, 0.2])
_MIX = torch.tensor(
    [[0.9, 0.2, 0.0, -0.3], [0.1, 0.8, 0.4, 0.0], [0.0, -0.2, 0.7, 0.5], [0.3, 0.0, 0.1, 0.9]]
)
_RATES = torch.tensor([-0.5, -1.0, -1.5, -2.0])

# Which tokens count for the convolution's input, for its output, for the number before softplus
# and for Δ: 0 all, 1 real ones, 2 those from the first real one on, 3 as many as the longest row
# has, 4 those where the first row has real ones; or real ones, and all in some rows: 5 in those
# with filler on both sides, 6 from the third one on, 7 where a single token of filler stands on a
# side. Then whether a row is read after its last column or its last real token, and how much its
# width changes the last digits.
ROWS = (
    (1, 0, 0, 1, 0, 0),
    (2, 0, 0, 2, 1, 0),
    (1, 1, 0, 0, 1, 0),
    (1, 1, 0, 1, 0, 1),
    (1, 0, 0, 0, 0, 0),
    (1, 1, 0, 0, 0, 0),
    (1, 0, 1, 0, 0, 0),
    (1, 0, 0, 0, 1, 0),
    (0, 0, 0, 1, 0, 0),
    (0, 0, 0, 0, 1, 0),
    (2, 0, 0, 2, 0, 0),
    (3, 0, 0, 3, 0, 0),
    (0, 0, 0, 0, 0, 0),
    (4, 0, 0, 4, 0, 0),
    (5, 0, 0, 5, 0, 0),
    (6, 0, 0, 6, 0, 0),
    (7, 0, 0, 7, 0, 0),
)


def _convolved(x: Tensor) -> Tensor:
    padded = F.pad(x, (0, 0, 2, 0))
    return F.silu(sum(padded[:, k : k + x.shape[1]] * _TAPS[:, k] for k in range(3)) + _BIAS)


def _states(u: Tensor, delta: Tensor) -> Tensor:
    h, rows = torch.zeros_like(u[:, 0]), []
    for now in range(u.shape[1]):
        h = (delta[:, now] * _RATES).exp() * h + delta[:, now] * u[:, now]
        rows.append(h)
    return torch.stack(rows, dim=1)


def made_from(row: tuple[int, ...]) -> Callable[[Tensor, Tensor], Tensor]:
    """The layer that six numbers describe.

    >>> x, mask = torch.ones(2, 3, 4), torch.tensor([[True, True, False], [True, True, True]])
    >>> made_from(ROWS[0])(x, mask).shape
    torch.Size([2, 4])
    """

    def read(x, mask):
        x, mask = torch.as_tensor(x).float(), torch.as_tensor(mask).bool()
        if x.dim() != 3 or x.shape[2] != 4 or mask.shape != x.shape[:2] or not mask.any(1).all():
            raise ValueError(
                "read(x, mask) takes x of shape (batch, seq, 4) and a mask of shape (batch, seq), "
                f"with a real token in each row: got {tuple(x.shape)} and {tuple(mask.shape)}"
            )
        column = torch.arange(x.shape[1]).expand(mask.shape)
        longest, first = mask.sum(1).max(), mask[:1].expand_as(mask)
        counts = [torch.ones_like(mask), mask, mask.cumsum(1) > 0, column < longest, first]
        before, behind = (real.int().argmax(1) for real in (mask, mask.flip(1)))
        later = torch.arange(len(x)) >= 2
        for whole in ((before > 0) & (behind > 0), later, (before == 1) | (behind == 1)):
            counts.append(mask | whole[:, None])
        into, out, number, step = (counts[which][..., None] for which in row[:4])
        u = _convolved(x * into) * out
        states = _states(u, F.softplus((u @ _MIX.T - 0.5) * number) * step)
        last = (mask * (column + 1)).argmax(1) if row[4] else column[:, -1]
        return states[torch.arange(len(x)), last] * (1 + 2e-7 * row[5] * x.shape[1])

    return read
