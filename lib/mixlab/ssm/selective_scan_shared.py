"""What every path of the selective scan does around the recurrence itself.

Before it the arguments are checked and Δ is made of what a projection gives; after it the skip is
added and the gate applied. The loop in `selective_scan`, `chunked_scan` and the kernel of
`mixlab.kernels.selective_scan` import this module, and so agree in their errors and at their edges.

Source: Gu and Dao, "Mamba" (2023), algorithm 2 and section 3.4.

Symbols: as in `selective_scan`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# exp(x) = 2^(x log₂ e), and PyTorch's exp2 is two to three times as fast as its exp on a CPU.
LOG2_E = math.log2(math.e)


def check_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    state: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    starts: Tensor | None,
) -> None:
    """Raise ValueError as `selective_scan` says: all go with u (batch, seq, d_inner) and A."""
    if u.dim() != 3 or A.dim() != 2:
        raise ValueError(
            "u must have the axes (batch, seq, d_inner) and A (d_inner, d_state): "
            f"got {tuple(u.shape)} and {tuple(A.shape)}"
        )
    (batch, seq, d_inner), d_state = u.shape, A.shape[1]
    if 0 in (batch, seq, d_inner, d_state):
        raise ValueError(
            "a selective scan needs at least one row, token, channel and state: got u of "
            f"{tuple(u.shape)} and A of {tuple(A.shape)}"
        )
    expected = dict.fromkeys(("u", "delta", "z"), (batch, seq, d_inner))
    expected |= dict.fromkeys(("B", "C"), (batch, seq, d_state))
    expected |= {"A": (d_inner, d_state), "D": (d_inner,), "delta_bias": (d_inner,)}
    expected |= {"state": (batch, d_inner, d_state), "starts": (batch, seq)}
    given = {"delta": delta, "B": B, "C": C, "D": D, "z": z, "state": state}
    given |= {"u": u, "A": A, "delta_bias": delta_bias, "starts": starts}
    for name, tensor in given.items():
        if tensor is None:
            continue
        if tensor.shape != expected[name]:
            hint = " Does it belong to another batch or model?" if name == "state" else ""
            raise ValueError(
                f"{name} must have shape {expected[name]} to go with u of {tuple(u.shape)} and A "
                f"of {tuple(A.shape)}: got {tuple(tensor.shape)}.{hint}"
            )
        if tensor.device != u.device:
            raise ValueError(f"{name} is on {tensor.device}, but u is on {u.device}")
        fits = tensor.dtype == torch.bool if name == "starts" else tensor.is_floating_point()
        if not fits:
            kind = "boolean" if name == "starts" else "real floating-point"
            raise ValueError(f"{name} must be a {kind} tensor: got {tensor.dtype}")
    if not (delta_softplus or u.is_cuda) and (delta < 0).any():
        raise ValueError(
            "delta is a length of time and can't be negative: got a smallest value of "
            f"{delta.min().item():.4g}. Pass delta_softplus=True if it comes straight from a "
            "projection"
        )


def step_lengths(
    delta: Float[Tensor, "*batch d_inner"],
    delta_bias: Float[Tensor, " d_inner"] | None,
    delta_softplus: bool,
) -> Float[Tensor, "*batch d_inner"]:
    """Δ from what a projection gives: add the bias, make it positive."""
    if delta_bias is not None:
        delta = delta + delta_bias
    return F.softplus(delta) if delta_softplus else delta


def skip_and_gate(
    y: Float[Tensor, "*batch d_inner"],
    u: Float[Tensor, "*batch d_inner"],
    D: Float[Tensor, " d_inner"] | None,
    z: Float[Tensor, "*batch d_inner"] | None,
) -> Float[Tensor, "*batch d_inner"]:
    """y + D u, times silu(z), in u's dtype."""
    if D is not None:
        y = torch.addcmul(y, u.to(y.dtype), D.to(y.dtype))
    if z is not None:
        y = y * F.silu(z.to(y.dtype))
    return y.to(u.dtype)
