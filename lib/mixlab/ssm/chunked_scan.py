"""The selective scan on a CPU: a few tokens at a time, so that the numbers stay in the cache.

Written out for a whole sequence, exp(ΔA) and ΔBu hold batch · seq · d_inner · d_state numbers each,
gigabytes that are written once and read once. Here they exist for one *chunk* of tokens at a time,
small enough for the processor's caches, and only the state passes from chunk to chunk. Channels lie
next to each other in memory, so every operation runs along a thousand of them.

The backward pass keeps the state at the *boundaries* of chunks alone, and computes each chunk's
states a second time when it needs them: with chunks of √seq tokens, memory grows as √seq instead
of seq (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016). The derivatives are
those of `scan.linear_recurrence`, carried on to Δ, A, B, C and u.

Source: Gu and Dao, "Mamba" (2023), section 3.3.2, which does the same in a GPU's fast memory.
The readable twin is `selective_scan.selective_scan_reference`.

Inside, axes are (seq, batch, d_state, d_inner), in this order.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mixlab.ssm.selective_scan_shared import LOG2_E, check_scan, skip_and_gate, step_lengths

# How many numbers a chunk's buffer should hold (two megabytes in float32), and one step at least.
CHUNK_NUMBERS = 2**19
STEP_NUMBERS = 2**14


def selective_scan_chunked(
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
    chunk_size: int | None = None,
) -> tuple[Float[Tensor, "batch seq d_inner"], Float[Tensor, "batch d_inner d_state"]]:
    """As `selective_scan`, whose arguments these are.

    Args:
        chunk_size: tokens a chunk; by default what fits the cache, and at least √seq where
            gradients will be asked for.

    Raises:
        ValueError: as `selective_scan` does, and for a chunk size below 1.
    """
    check_scan(u, delta, A, B, C, D, z, state, delta_bias, delta_softplus, starts)
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(
            "chunk_size must be at least 1 token, or None for what fits the cache: got "
            f"{chunk_size}"
        )
    dtype = torch.promote_types(u.dtype, torch.float32)
    delta = step_lengths(delta.to(dtype), delta_bias, delta_softplus)
    if state is None:
        state = u.new_zeros(u.shape[0], *A.shape, dtype=dtype)
    wide_u, delta, A, B, C, state = (x.to(dtype) for x in (u, delta, A, B, C, state))
    inputs = (wide_u, delta, A, B, C, state)
    training = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
    # Rows of the batch are independent: take as many at a time as make one step worth its call.
    rows = max(1, STEP_NUMBERS // A.numel())
    if chunk_size is None:
        chunk_size = max(1, CHUNK_NUMBERS // (min(rows, len(u)) * A.numel()))
        if training:
            chunk_size = max(chunk_size, math.isqrt(u.shape[1]))
    pieces = []
    for first in range(0, len(u), rows):
        some = slice(first, first + rows)
        keep = None if starts is None else (~starts[some]).to(dtype)
        pieces.append(
            _ChunkedScan.apply(
                wide_u[some],
                delta[some],
                A,
                B[some],
                C[some],
                state[some],
                keep,
                chunk_size,
                training,
            )
        )
    y, last = pieces[0] if len(pieces) == 1 else map(torch.cat, zip(*pieces, strict=True))
    return skip_and_gate(y, u, D, z), last


class _ChunkedScan(torch.autograd.Function):
    """y and the last state from u, Δ, A, B, C and a state; no softplus, skip or gate."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C, state, keep, chunk_size, training):
        u, delta, B, C = (x.transpose(0, 1) for x in (u, delta, B, C))  # (seq, batch, …)
        keep = None if keep is None else keep.T[:, :, None, None]
        rates = A.T.contiguous()  # (d_state, d_inner)
        seq, batch = u.shape[:2]
        y = torch.empty_like(u, memory_format=torch.contiguous_format)
        buffers = u.new_empty(2, min(chunk_size, seq), batch, *rates.shape)
        h, boundaries = state.mT, []
        for start in range(0, seq, chunk_size):
            chunk = slice(start, min(start + chunk_size, seq))
            if training:
                boundaries.append(h)
            states, _ = _scan_chunk(u, delta, rates, B, keep, h, chunk, buffers)
            torch.matmul(C[chunk, :, None], states, out=y[chunk, :, None])
            h = states[-1].clone()
        if training:
            ctx.save_for_backward(u, delta, rates, B, C, keep, torch.stack(boundaries))
            ctx.chunk_size = chunk_size
        return y.transpose(0, 1), h.mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_y, grad_last):
        u, delta, rates, B, C, keep, boundaries = ctx.saved_tensors
        grad_y = grad_y.transpose(0, 1)  # (seq, batch, d_inner)
        seq, chunk_size = len(u), ctx.chunk_size
        grad_u, grad_delta, grad_B, grad_C = (
            torch.empty_like(x, memory_format=torch.contiguous_format) for x in (u, delta, B, C)
        )
        grad_rates = torch.zeros_like(rates)
        buffers = u.new_empty(3, min(chunk_size, seq), *boundaries.shape[1:])
        carried = grad_last.mT  # the loss's derivative by the state a chunk leaves behind
        for number in reversed(range(len(boundaries))):
            chunk = slice(number * chunk_size, min((number + 1) * chunk_size, seq))
            before = boundaries[number]
            h, A_bar = _scan_chunk(u, delta, rates, B, keep, before, chunk, buffers[:2])
            # g_t = C_t ∂y_t + Ā_{t+1} g_{t+1}: the same recurrence, backwards.
            g = buffers[2, : len(h)]
            torch.mul(C[chunk, :, :, None], grad_y[chunk, :, None], out=g)
            g[-1] += carried
            for t in reversed(range(len(h) - 1)):
                g[t].addcmul_(A_bar[t + 1], g[t + 1])
            carried = A_bar[0] * g[0]
            grad_C[chunk] = (h @ grad_y[chunk, :, :, None])[..., 0]
            grad_B[chunk] = (g @ (delta[chunk] * u[chunk])[..., None])[..., 0]
            written = (B[chunk, :, None] @ g)[:, :, 0]  # the loss's derivative by Δ_t u_t
            grad_u[chunk] = written * delta[chunk]
            # ∂(Δ_t A) = g_t h_{t−1} Ā_t, taken in place of g, which has served.
            g *= A_bar
            g[1:] *= h[:-1]
            g[0] *= before
            grad_rates += torch.mul(g, delta[chunk, :, None], out=h).sum((0, 1))
            grad_delta[chunk] = g.mul_(rates).sum(2).addcmul_(written, u[chunk])
        grads = (x.transpose(0, 1) for x in (grad_u, grad_delta, grad_B, grad_C))
        grad_u, grad_delta, grad_B, grad_C = grads
        return grad_u, grad_delta, grad_rates.T, grad_B, grad_C, carried.mT, None, None, None


def _scan_chunk(u, delta, rates, B, keep, h, chunk: slice, buffers) -> tuple[Tensor, Tensor]:
    """All states of one chunk, and all its Ā, in the two buffers; h is the state before it."""
    length = chunk.stop - chunk.start
    A_bar, states = buffers[0, :length], buffers[1, :length]
    torch.mul(delta[chunk, :, None], rates * LOG2_E, out=A_bar).exp2_()
    if keep is not None:
        A_bar *= keep[chunk]  # nothing of the past survives a start
    torch.mul((delta[chunk] * u[chunk])[:, :, None], B[chunk, :, :, None], out=states)
    for state_t, A_bar_t in zip(states.unbind(0), A_bar.unbind(0), strict=True):
        h = state_t.addcmul_(A_bar_t, h)
    return states, A_bar
