"""The layers that exercise 19.6 hands to an answer: three that keep filler out, and leaking ones.

Each maps x (batch, seq, 4) and a mask (batch, seq), True at real tokens, to the state of each row
after its real tokens, (batch, 4): a short convolution with a bias, silu, Δ from softplus, and one
number of state a channel. The file stands apart because the steps inside answer exercise 19.1.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_TAPS = torch.tensor([[0.3, -0.5, 0.8], [0.6, 0.2, 0.7], [-0.4, 0.5, 0.9], [0.1, 0.7, -0.6]])
_BIAS = torch.tensor([0.4, -0.3, 0.5, 0.2])
_MIX = torch.tensor(
    [[0.9, 0.2, 0.0, -0.3], [0.1, 0.8, 0.4, 0.0], [0.0, -0.2, 0.7, 0.5], [0.3, 0.0, 0.1, 0.9]]
)
_RATES = torch.tensor([-0.5, -1.0, -1.5, -2.0])


def _convolved(x: Tensor) -> Tensor:
    padded = F.pad(x, (0, 0, 2, 0))
    return F.silu(sum(padded[:, k : k + x.shape[1]] * _TAPS[:, k] for k in range(3)) + _BIAS)


def _states(u: Tensor, delta: Tensor) -> Tensor:
    h, rows = torch.zeros_like(u[:, 0]), []
    for now in range(u.shape[1]):
        h = (delta[:, now] * _RATES).exp() * h + delta[:, now] * u[:, now]
        rows.append(h)
    return torch.stack(rows, dim=1)


def _raw(u: Tensor) -> Tensor:
    return u @ _MIX.T - 0.5


def zeroes_the_step(x, mask):
    """filler's input zeroed before the convolution, and its Δ set to 0"""
    real = mask[..., None]
    u = _convolved(x * real)
    return _states(u, F.softplus(_raw(u)) * real)[:, -1]


def reads_each_row_alone(x, mask):
    """each row's real tokens cut out and read by themselves"""
    rows = [_convolved(row[real][None]) for row, real in zip(x, mask, strict=True)]
    return torch.cat([_states(u, F.softplus(_raw(u)))[:, -1] for u in rows])


def sends_filler_to_minus_infinity(x, mask):
    """filler's number set to minus infinity before softplus, and its input zeroed"""
    real = mask[..., None]
    u = _convolved(x.masked_fill(~real, 0.0))
    return _states(u, F.softplus(_raw(u).masked_fill(~real, -torch.inf)))[:, -1]


def zeroes_the_input_only(x, mask):
    """filler's input zeroed before the convolution; its Δ stays positive"""
    u = _convolved(x * mask[..., None])
    return _states(u, F.softplus(_raw(u)))[:, -1]


def zeroes_the_input_twice(x, mask):
    """filler's input zeroed before and after the convolution; the state still decays"""
    real = mask[..., None]
    u = _convolved(x * real) * real
    return _states(u, F.softplus(_raw(u)))[:, -1]


def zeroes_before_softplus(x, mask):
    """filler's number zeroed before softplus, which makes 0.69 of it"""
    real = mask[..., None]
    u = _convolved(x * real)
    return _states(u, F.softplus(_raw(u) * real))[:, -1]


def forgets_the_convolution(x, mask):
    """Δ of filler is 0, but the first real tokens still see filler under the taps"""
    real = mask[..., None]
    u = _convolved(x)
    return _states(u, F.softplus(_raw(u)) * real)[:, -1]


def picks_the_last_real_token(x, mask):
    """the state at each row's last real token: right where filler stands only behind it"""
    u = _convolved(x)
    last = (mask * torch.arange(1, x.shape[1] + 1)).argmax(dim=1)
    return _states(u, F.softplus(_raw(u)))[torch.arange(len(x)), last]


def starts_at_the_first_real_token(x, mask):
    """filler before the text kept out, filler behind it read"""
    from_here = mask.cumsum(1) > 0
    u = _convolved(x * from_here[..., None])
    return _states(u, F.softplus(_raw(u)) * from_here[..., None])[:, -1]


def takes_the_longest_rows_length(x, mask):
    """every row read as far as the longest one"""
    longest = int(mask.sum(dim=1).max())
    u = _convolved(x[:, :longest])
    return _states(u, F.softplus(_raw(u)))[:, -1]


def ignores_the_mask(x, mask):
    """filler read like any token"""
    u = _convolved(x)
    return _states(u, F.softplus(_raw(u)))[:, -1]


READERS = (
    zeroes_the_step,
    reads_each_row_alone,
    sends_filler_to_minus_infinity,
    zeroes_the_input_only,
    zeroes_the_input_twice,
    zeroes_before_softplus,
    forgets_the_convolution,
    picks_the_last_real_token,
    starts_at_the_first_real_token,
    takes_the_longest_rows_length,
    ignores_the_mask,
)
