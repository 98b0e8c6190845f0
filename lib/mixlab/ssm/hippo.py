"""HiPPO-LegS: remember everything heard so far in a fixed number of coefficients.

Stretch the signal heard so far over [0, 1] and write it in Legendre polynomials; keep the first N
coefficients. As time goes on they obey a linear differential equation, so they can be updated from
one new sample and their own old values, without the signal:

    c'(t) = (A c(t) + B f(t)) / t        (LegS: the whole past, evenly weighted)

S4 and Mamba drop the 1/t. What is left is time-invariant, and remembers otherwise: the same A and
B now hold the past in Legendre polynomials of e^(−lag), so memory fades exponentially.

Sources: Gu, Dao, Ermon, Rudra and Ré, "HiPPO" (2020), theorem 2 and appendices B.3, D.3; Gu,
Johnson, Timalsina, Rudra and Ré, "How to Train Your HiPPO" (2022), section 3 (the form without
1/t).

Symbols: N = `d_state`, c the coefficients, t the number of samples heard, `lag` time into the past.
Left out: the measures LegT and LagT, and fast structured updates.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mixlab.ssm.discretize import discretize_dense


def legs(
    d_state: int, dtype: torch.dtype = torch.float64
) -> tuple[Float[Tensor, "n n"], Float[Tensor, " n"]]:
    """HiPPO-LegS's A and B. A is lower triangular, its eigenvalues −1, −2, …, −N.

    Raises:
        ValueError: for a d_state below 1.

    >>> A, B = legs(3)
    >>> A
    tensor([[-1.0000,  0.0000,  0.0000],
            [-1.7321, -2.0000,  0.0000],
            [-2.2361, -3.8730, -3.0000]], dtype=torch.float64)
    """
    _check_states(d_state)
    n = torch.arange(d_state, dtype=dtype)
    B = torch.sqrt(2 * n + 1)
    below = torch.tril(-torch.outer(B, B), diagonal=-1)
    return below - torch.diag(n + 1), B


def legendre(x: Float[Tensor, " points"], d_state: int) -> Float[Tensor, "points n"]:
    """The first N Legendre polynomials, moved to [0, 1] and scaled to be orthonormal there.

    By Bonnet's recursion, (k+1) P_{k+1}(y) = (2k+1) y P_k(y) − k P_{k−1}(y), with y = 2x − 1.

    Raises:
        ValueError: for a d_state below 1.

    >>> legendre(torch.tensor([0.0, 1.0]), 3)
    tensor([[ 1.0000, -1.7321,  2.2361],
            [ 1.0000,  1.7321,  2.2361]])
    """
    _check_states(d_state)
    polynomials = torch.stack(_legendre(2 * x - 1, d_state), dim=-1)
    return polynomials * torch.sqrt(2 * torch.arange(d_state, dtype=x.dtype) + 1)


def project(signal: Float[Tensor, "*batch seq"], d_state: int) -> Float[Tensor, "*batch n"]:
    """The coefficients of a whole signal at once, straight from their definition.

    c_n is the inner product of the signal, each sample held for 1/seq, with polynomial n; the
    integral of P_n over a sample is exact: (P_{n+1} − P_{n−1}) / (2n + 1).

    Returns:
        c, for `recall`; what `remember(signal, d_state, "zoh")` ends with.

    Raises:
        ValueError: for an empty signal or one of whole numbers, or a d_state below 1.

    >>> project(torch.tensor([3.0, 3.0]), 3)  # a constant is all in the first coefficient
    tensor([3., 0., 0.])
    """
    _check_states(d_state)
    _check_signal(signal)
    seq = signal.shape[-1]
    edges = torch.linspace(-1, 1, seq + 1, dtype=signal.dtype)
    P = _legendre(edges, d_state + 1)
    integrals = [edges / 2] + [
        (P[n + 1] - P[n - 1]) / (2 * n + 1) / 2 for n in range(1, d_state)
    ]  # of P_n(2x − 1) over x, hence the last half
    weights = torch.stack(integrals, dim=-1).diff(dim=0)  # (seq, n)
    return signal @ (weights * torch.sqrt(2 * torch.arange(d_state, dtype=signal.dtype) + 1))


def legs_step(
    A: Float[Tensor, "n n"], B: Float[Tensor, " n"], heard: int, method: str = "bilinear"
) -> tuple[Float[Tensor, "n n"], Float[Tensor, " n"]]:
    """(Ā, B̄) that lead from `heard` samples to one more, under c' = (A c + B f)/t.

    "zoh": in the time s = log t the equation is c' = A c + B f without 1/t, so holding f still
    over s from log k to log(k+1) is exact. "bilinear" averages the slopes at both ends.

    Args:
        A, B: from `legs`.
        heard: k, how many samples c already holds; at least 1.
        method: "bilinear" or "zoh".

    Raises:
        ValueError: at k = 0, where 1/t is infinite, and for an unknown method.
    """
    if heard < 1:
        raise ValueError(
            "at time 0 the equation divides by 0, so no step starts there; the first sample f "
            f"needs none: its coefficients are (f, 0, 0, …). Got heard={heard}"
        )
    if method == "zoh":
        return discretize_dense(A, B, math.log((heard + 1) / heard))
    if method != "bilinear":
        raise ValueError(f"method must be bilinear or zoh: got {method!r}")
    eye = torch.eye(A.shape[0], dtype=A.dtype)
    before = eye + A / (2 * heard)
    after = eye - A / (2 * (heard + 1))
    average = B * (1 / heard + 1 / (heard + 1)) / 2
    both = torch.linalg.solve_triangular(after, torch.column_stack((before, average)), upper=False)
    return both[:, :-1], both[:, -1]


def remember(
    signal: Float[Tensor, "*batch seq"], d_state: int, method: str = "bilinear"
) -> Float[Tensor, "*batch seq n"]:
    """The coefficients after every sample: the whole past so far, in N numbers (LegS, with 1/t).

    Args:
        signal: samples a unit of time apart; their distance doesn't matter, since LegS stretches
            any past to [0, 1].
        d_state: N, how many coefficients to keep.
        method: as in `legs_step`.

    Raises:
        ValueError: for an empty signal or one of whole numbers, a d_state below 1, or an unknown
            method.

    >>> remember(torch.tensor([2.0, 2.0, 2.0]), 2).round(decimals=4).abs()
    tensor([[2., 0.],
            [2., 0.],
            [2., 0.]])
    """
    _check_signal(signal)
    A, B = legs(d_state, signal.dtype)
    c = torch.zeros(*signal.shape[:-1], d_state, dtype=signal.dtype)
    c[..., 0] = signal[..., 0]
    states = [c]
    for heard in range(1, signal.shape[-1]):
        A_bar, B_bar = legs_step(A, B, heard, method)
        c = c @ A_bar.T + signal[..., heard, None] * B_bar
        states.append(c)
    return torch.stack(states, dim=-2)


def recall(
    c: Float[Tensor, "*batch n"], points: Float[Tensor, " points"]
) -> Float[Tensor, "*batch points"]:
    """The signal that coefficients of `remember` or `project` stand for.

    Args:
        c: coefficients.
        points: where, as a share of the time heard: 0 is the beginning, 1 is now.

    >>> ramp = (torch.arange(1000) + 0.5) / 1000
    >>> recall(project(ramp, 2), torch.tensor([0.25, 0.5]))
    tensor([0.2500, 0.5000])
    """
    return c @ legendre(points.to(c.dtype), c.shape[-1]).T


def remember_fading(
    signal: Float[Tensor, "*batch seq"], d_state: int, delta: float, method: str = "zoh"
) -> Float[Tensor, "*batch seq n"]:
    """The states after every sample of the same A and B *without* 1/t, as S4 uses them.

    Args:
        signal: samples `delta` apart, in units of the memory's own time: a lag of 1 is
            weighted by 1/e.
        d_state: N.
        delta: Δ, positive. 1/Δ samples is roughly how far back the memory reaches.
        method: as in `mixlab.ssm.discretize`.

    Raises:
        ValueError: for an empty signal or one of whole numbers, a d_state below 1, a Δ that isn't
            positive, an unknown method.
    """
    _check_signal(signal)
    A_bar, B_bar = discretize_dense(*legs(d_state, signal.dtype), delta, method)
    c = torch.zeros(*signal.shape[:-1], d_state, dtype=signal.dtype)
    states = []
    for sample in signal.unbind(dim=-1):
        c = c @ A_bar.T + sample[..., None] * B_bar
        states.append(c)
    return torch.stack(states, dim=-2)


def recall_fading(
    c: Float[Tensor, "*batch n"], lags: Float[Tensor, " points"]
) -> Float[Tensor, "*batch points"]:
    """The signal `lags` before now that states of `remember_fading` stand for.

    e^{sA} B, the trace that an input s ago has left, is e^{−s} times the polynomials at e^{−s}:
    the state is a Legendre series in x = e^{−s}, fine for the recent past, coarse for the far one.

    Args:
        c: states.
        lags: time before now, not negative, in the units that `delta` had.
    """
    return c @ legendre(torch.exp(-lags.to(c.dtype)), c.shape[-1]).T


def _check_states(d_state: int) -> None:
    if not isinstance(d_state, int) or d_state < 1:
        raise ValueError(f"d_state must be a whole number, 1 or more: got {d_state!r}")


def _check_signal(signal: Tensor) -> None:
    if signal.shape[-1] == 0:
        raise ValueError("there is nothing to remember: got a signal of length 0")
    if not signal.is_floating_point():
        raise ValueError(f"a signal must be of real numbers: got {signal.dtype}. Use .double()")


def _legendre(y: Tensor, count: int) -> list[Tensor]:
    """P_0 … P_{count−1} on [−1, 1]."""
    polynomials = [torch.ones_like(y), y]
    for k in range(1, count - 1):
        polynomials.append(((2 * k + 1) * y * polynomials[k] - k * polynomials[k - 1]) / (k + 1))
    return polynomials[:count]
