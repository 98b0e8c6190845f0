"""From x' = A x + B u to x_t = Ā x_{t-1} + B̄ u_t: what a step of length Δ makes of A and B.

Four rules hold the input still during the step. *Euler* takes the slope at the start of the step
for the whole step, *backward Euler* the slope at its end. *Bilinear* (Tustin) averages the two.
*Zero-order hold* (zoh) solves the equation exactly. "mamba" is what Mamba's released code does: zoh
for A, Euler for B. A held input costs all of them an order: against an input that moves during the
step, each has an error like Δ. Mamba-3's `trapezoid` reads the inputs at both ends of the step.

Textbook Euler carries u_{t-1} forward, while every recurrence here reads u_t. Both describe the
same system: ours calls the input that acts *during* the step ending at t by the name of the
instant at which its effect is first seen, so that an output may depend on its own token.

Sources: Gu, Goel and Ré, "Efficiently Modeling Long Sequences with Structured State Spaces"
(2022), equation 3 (bilinear); Gu and Dao, "Mamba" (2023), equation 4 (zoh) and appendix C; Lahoti
et al., "Mamba-3: Improved Sequence Modeling using State Space Principles" (2026) (trapezoid).

Symbols: `delta` is Δ, `A_bar` Ā, `B_bar` B̄, n the size of the state (`d_state`).
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional as F

METHODS = ("euler", "backward_euler", "bilinear", "zoh", "mamba")


def discretize_diagonal(
    A: Float[Tensor, "*#shape"] | Complex[Tensor, "*#shape"],
    B: Float[Tensor, "*#shape"] | Complex[Tensor, "*#shape"],
    delta: Float[Tensor, "*#shape"] | float,
    method: str = "zoh",
) -> tuple[
    Float[Tensor, "*#shape"] | Complex[Tensor, "*#shape"],
    Float[Tensor, "*#shape"] | Complex[Tensor, "*#shape"],
]:
    """(Ā, B̄) for a scalar or diagonal A, element by element; the shapes broadcast.

    Args:
        A: rates, real or complex; the diagonal of A.
        B: input weights.
        delta: step lengths Δ, positive.
        method: one of `METHODS`.

    Returns:
        Ā and B̄, each of the broadcast shape that its formula needs.

    Raises:
        ValueError: for a Δ that isn't positive, an A of whole numbers, or an unknown method.

    A leaky tank (rate −1, gain 1) observed every 0.1: exact decay e^−0.1, exact filling 1 − e^−0.1.

    >>> discretize_diagonal(torch.tensor(-1.0), torch.tensor(1.0), torch.tensor(0.1))
    (tensor(0.9048), tensor(0.0952))
    >>> discretize_diagonal(torch.tensor(-1.0), torch.tensor(1.0), torch.tensor(0.1), "mamba")
    (tensor(0.9048), tensor(0.1000))
    """
    delta = _checked(A, delta, method)
    z = delta * A
    if method == "euler":
        return 1 + z, delta * B
    if method == "backward_euler":
        return 1 / (1 - z), delta * B / (1 - z)
    if method == "bilinear":
        return (1 + z / 2) / (1 - z / 2), delta * B / (1 - z / 2)
    if method == "mamba":
        return torch.exp(z), delta * B
    # (e^z − 1)/A · B = Δ · (e^z − 1)/z · B, whose limit for A → 0 is ΔB. expm1 keeps the digits
    # that e^z − 1 would lose for small z.
    nonzero = torch.where(z == 0, torch.ones_like(z), z)
    held = torch.where(z == 0, 1 + z / 2, torch.expm1(nonzero) / nonzero)  # z / 2 for the gradient
    return torch.exp(z), delta * held * B


def discretize_dense(
    A: Float[Tensor, "*batch n n"] | Complex[Tensor, "*batch n n"],
    B: Float[Tensor, "*batch n"] | Complex[Tensor, "*batch n"],
    delta: Float[Tensor, "*batch"] | float,
    method: str = "zoh",
) -> tuple[
    Float[Tensor, "*batch n n"] | Complex[Tensor, "*batch n n"],
    Float[Tensor, "*batch n"] | Complex[Tensor, "*batch n"],
]:
    """(Ā, B̄) for full matrices A: the same rules, with solves and matrix exponentials.

    Args:
        A: the state matrix, or one a system.
        B: the input column.
        delta: the step length Δ, positive; one number, or one a system.
        method: one of `METHODS`.

    Raises:
        ValueError: for a Δ that isn't positive, an A that isn't square or is of whole numbers, a B
            of another size, or an unknown method.

    A frictionless mass pushed for one second by a force of 1: half a metre, one metre a second.

    >>> A, B = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([0.0, 1.0])
    >>> discretize_dense(A, B, 1.0)[1]
    tensor([0.5000, 1.0000])
    """
    delta = _checked(A, delta, method).to(A.real.dtype)
    n = A.shape[-1]
    if A.shape[-2:] != (n, n) or B.shape[-1:] != (n,):
        raise ValueError(
            "A must be square, (…, n, n), and B a column of as many numbers, (…, n): got "
            f"{tuple(A.shape)} and {tuple(B.shape)}"
        )
    eye = torch.eye(n, dtype=A.dtype, device=A.device)
    z, driven = delta[..., None, None] * A, delta[..., None] * B
    if method == "euler":
        return eye + z, driven
    if method in ("backward_euler", "bilinear"):
        late = 1 if method == "backward_euler" else 1 / 2  # share of the slope at the step's end
        right = torch.cat((eye + (1 - late) * z, driven[..., None]), dim=-1)
        both = torch.linalg.solve(eye - late * z, right)
        return both[..., :n], both[..., n]
    if method == "mamba":
        return torch.matrix_exp(z), driven
    # One exponential of [[A, B], [0, 0]]Δ holds both, and never divides by A (Van Loan 1978).
    extended = F.pad(torch.cat((z, driven[..., None]), dim=-1), (0, 0, 0, 1))
    both = torch.matrix_exp(extended)
    return both[..., :n, :n], both[..., :n, n]


def trapezoid(
    A: Float[Tensor, "*#shape"] | Complex[Tensor, "*#shape"],
    delta: Float[Tensor, "*#shape"] | float,
    now: Float[Tensor, "*#shape"] | float = 0.5,
) -> tuple[
    Float[Tensor, "*#shape"] | Complex[Tensor, "*#shape"],
    Float[Tensor, "*#shape"] | Complex[Tensor, "*#shape"],
    Float[Tensor, "*#shape"] | Complex[Tensor, "*#shape"],
]:
    """(α, β, γ) of Mamba-3's step, h_t = α h_{t-1} + β B_{t-1} u_{t-1} + γ B_t u_t.

    The pushes during a step add up to the integral of e^{(Δ − s)A} B u(s). The trapezoid rule takes
    it from its two ends: what was pushed at the start has decayed by α. A weight of ½ makes the
    error like Δ², any other like Δ; a weight of 1 leaves Mamba's step, where β is 0.

    Args:
        A: rates, real or complex; the diagonal of A.
        delta: step lengths Δ, positive.
        now: λ, the weight of the step's end, from 0 to 1; Mamba-3 learns it for each token.

    Raises:
        ValueError: for a Δ that isn't positive, an A of whole numbers, or a weight outside 0 to 1.

    >>> trapezoid(torch.tensor(-1.0), 0.1)
    (tensor(0.9048), tensor(0.0452), tensor(0.0500))
    """
    delta = _checked(A, delta, "mamba")
    now = torch.as_tensor(now, dtype=delta.dtype, device=A.device)
    if not ((now >= 0) & (now <= 1)).all():
        raise ValueError(
            "the weight of the step's end is a share, from 0 to 1: got values from "
            f"{now.min().item():.4g} to {now.max().item():.4g}. Was the sigmoid left out?"
        )
    alpha = torch.exp(delta * A)
    return alpha, (1 - now) * delta * alpha, now * delta


def log_steps(channels: int, dt_min: float, dt_max: float) -> Float[Tensor, " channels"]:
    """log Δ of each channel, drawn evenly between the logarithms of two step lengths.

    Raises:
        ValueError: unless 0 < dt_min <= dt_max.
    """
    if not 0 < dt_min <= dt_max:
        raise ValueError(
            "Δ is drawn between dt_min and dt_max, so 0 < dt_min <= dt_max: "
            f"got dt_min={dt_min}, dt_max={dt_max}"
        )
    return torch.empty(channels).uniform_(math.log(dt_min), math.log(dt_max))


def _checked(A: Tensor, delta: Tensor | float, method: str) -> Tensor:
    """Δ as a tensor that goes with A."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}: got {method!r}")
    if not (A.is_floating_point() or A.is_complex()):
        raise ValueError(f"A must hold real or complex numbers: got {A.dtype}. Use A.double()")
    if not isinstance(delta, Tensor):
        delta = torch.tensor(delta, dtype=A.real.dtype, device=A.device)
    if not (delta > 0).all():
        raise ValueError(
            "delta is a length of time and must be positive: got a smallest value of "
            f"{delta.min().item():.4g}. Was softplus left out?"
        )
    return delta
