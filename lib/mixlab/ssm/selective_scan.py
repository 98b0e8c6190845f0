"""The selective scan: a state space model whose Δ, B and C depend on the token.

For each channel d and state n,

    h_t = exp(Δ_t A) h_{t−1} + Δ_t B_t u_t,    y_t = Σ_n C_t h_t + D u_t,    y_t ← y_t · silu(z_t)

Δ_t decides how much of the past to keep and how much of the token to let in: Δ → 0 ignores the
token, a large Δ forgets all else. A is discretised by zero-order hold, B by Euler, as in Mamba's
released code. The paper's theorem 1, where the two weights are 1 − g and g = sigmoid(z), takes
zero-order hold for both: with A = −1 and Euler the input's weight is softplus(z), not sigmoid(z).

This file holds the readable loop, the single step and the front door. `chunked_scan` is the fast
path on a CPU, `mixlab.kernels.selective_scan` the fused kernel on a GPU; all take the same
arguments.

Source: Gu and Dao, "Mamba" (2023), algorithm 2 and sections 3.2–3.5.

Symbols: u the input, `delta` Δ, D the skip, z the gate, N = `d_state`, `d_inner` channels.
Left out: complex A, and B or C that don't depend on the token.
"""

from importlib.util import find_spec

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mixlab.ssm.chunked_scan import selective_scan_chunked
from mixlab.ssm.selective_scan_shared import LOG2_E, check_scan, skip_and_gate, step_lengths


def selective_scan(
    u: Float[Tensor, "batch seq d_inner"],
    delta: Float[Tensor, "batch seq d_inner"],
    A: Float[Tensor, "d_inner d_state"],
    B: Float[Tensor, "batch seq d_state"],
    C: Float[Tensor, "batch seq d_state"],
    D: Float[Tensor, " d_inner"] | None = None,
    z: Float[Tensor, "batch seq d_inner"] | None = None,
    state: Float[Tensor, "batch d_inner d_state"] | None = None,
    *,
    delta_bias: Float[Tensor, " d_inner"] | None = None,
    delta_softplus: bool = False,
    starts: Bool[Tensor, "batch seq"] | None = None,
    path: str = "auto",
) -> tuple[Float[Tensor, "batch seq d_inner"], Float[Tensor, "batch d_inner d_state"]]:
    """Scan a batch of sequences; the fastest path that the machine has.

    Args:
        u: input.
        delta: step lengths Δ, not negative; 0 leaves the state exactly as it is. With
            `delta_softplus` any numbers, and −inf for a Δ of 0.
        A: rates; negative ones decay.
        B, C: how the token is written to the state, and read from it.
        D: skip, a factor a channel.
        z: gate, before its silu.
        state: h before the first token, (batch, d_inner, d_state); zeros by default.
        delta_bias: added to `delta`, before softplus.
        delta_softplus: whether to pass `delta` through softplus.
        starts: True where a packed sequence begins, and the state is emptied first.
        path: "reference", "chunked", "triton", or "auto": triton on CUDA, else chunked.

    Returns:
        y in u's dtype, and the state after the last token, in float32 (float64 for a float64 u).

    Raises:
        ValueError: for shapes, dtypes or devices that don't fit together, an empty sequence, a
            negative Δ (not looked for on a GPU, which would have to wait), an unknown path.

    Two tokens, Δ = ln 2 and A = −1, so that the state halves before each token is added:

    >>> u, delta = torch.tensor([[[1.0], [1.0]]]), torch.full((1, 2, 1), 0.6931)
    >>> one = torch.ones(1, 2, 1)
    >>> y, state = selective_scan(u, delta, torch.tensor([[-1.0]]), B=one, C=one)
    >>> y.flatten(), state.flatten()
    (tensor([0.6931, 1.0397]), tensor([1.0397]))
    """
    if path == "auto":
        on_gpu = u.is_cuda and u.dtype != torch.float64 and find_spec("triton")
        path = "triton" if on_gpu else "chunked"
    options = dict(delta_bias=delta_bias, delta_softplus=delta_softplus, starts=starts)
    return _path(path)(u, delta, A, B, C, D, z, state, **options)


def selective_scan_reference(
    u: Float[Tensor, "batch seq d_inner"],
    delta: Float[Tensor, "batch seq d_inner"],
    A: Float[Tensor, "d_inner d_state"],
    B: Float[Tensor, "batch seq d_state"],
    C: Float[Tensor, "batch seq d_state"],
    D: Float[Tensor, " d_inner"] | None = None,
    z: Float[Tensor, "batch seq d_inner"] | None = None,
    state: Float[Tensor, "batch d_inner d_state"] | None = None,
    *,
    delta_bias: Float[Tensor, " d_inner"] | None = None,
    delta_softplus: bool = False,
    starts: Bool[Tensor, "batch seq"] | None = None,
) -> tuple[Float[Tensor, "batch seq d_inner"], Float[Tensor, "batch d_inner d_state"]]:
    """The loop, token by token, as the equations stand. Arguments as in `selective_scan`."""
    check_scan(u, delta, A, B, C, D, z, state, delta_bias, delta_softplus, starts)
    dtype = torch.promote_types(u.dtype, torch.float32)
    h = u.new_zeros(u.shape[0], *A.shape, dtype=dtype) if state is None else state.to(dtype)
    delta = step_lengths(delta.to(dtype), delta_bias, delta_softplus)
    A, B, C = A.to(dtype), B.to(dtype), C.to(dtype)
    outputs = []
    for t in range(u.shape[1]):
        if starts is not None:
            h = torch.where(starts[:, t, None, None], 0.0, h)
        A_bar = torch.exp(torch.einsum("bd,dn->bdn", delta[:, t], A))
        B_bar = torch.einsum("bd,bn->bdn", delta[:, t], B[:, t])
        h = A_bar * h + B_bar * u[:, t, :, None]
        outputs.append(torch.einsum("bdn,bn->bd", h, C[:, t]))
    return skip_and_gate(torch.stack(outputs, dim=1), u, D, z), h


def selective_step(
    u: Float[Tensor, "batch d_inner"],
    delta: Float[Tensor, "batch d_inner"],
    A: Float[Tensor, "d_inner d_state"],
    B: Float[Tensor, "batch d_state"],
    C: Float[Tensor, "batch d_state"],
    D: Float[Tensor, " d_inner"] | None,
    z: Float[Tensor, "batch d_inner"] | None,
    state: Float[Tensor, "batch d_inner d_state"],
    *,
    delta_bias: Float[Tensor, " d_inner"] | None = None,
    delta_softplus: bool = False,
) -> tuple[Float[Tensor, "batch d_inner"], Float[Tensor, "batch d_inner d_state"]]:
    """One token: what generation repeats. A scan of length 1 without its preparations.

    Args as in `selective_scan`, without the axis of time. The state is kept with channels next to
    each other in memory, so that every operation runs along them. It is worked on in place, for
    speed: gradients are for scans.

    Raises:
        ValueError: for shapes that don't fit together.
    """
    got, (d_inner, d_state) = (delta.shape, B.shape, C.shape, state.shape), A.shape
    batch = len(u)
    if got != ((batch, d_inner), (batch, d_state), (batch, d_state), (batch, d_inner, d_state)):
        raise ValueError(
            f"a step with u of {tuple(u.shape)} and A of {tuple(A.shape)} needs delta (batch, "
            "d_inner), B and C (batch, d_state) and a state (batch, d_inner, d_state): got "
            f"{', '.join(str(tuple(shape)) for shape in got)}. Is the state that of another batch?"
        )
    delta = step_lengths(delta.to(state.dtype), delta_bias, delta_softplus)
    h = ((delta * LOG2_E)[:, None] * A.T).exp2_().mul_(state.mT)  # (batch, d_state, d_inner)
    h.addcmul_(B.to(h.dtype)[:, :, None], (delta * u)[:, None])
    y = torch.bmm(C.to(h.dtype)[:, None], h)[:, 0]
    return skip_and_gate(y, u, D, z), h.mT


def _path(name: str):
    """The implementation of that name; the GPU's is imported when it is asked for."""
    if name == "reference":
        return selective_scan_reference
    if name == "chunked":
        return selective_scan_chunked
    if name == "triton":
        from mixlab.kernels.selective_scan import selective_scan_triton

        return selective_scan_triton
    raise ValueError(f"path must be auto, reference, chunked or triton: got {name!r}")
