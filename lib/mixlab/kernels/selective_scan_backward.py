"""The derivatives of the fused selective scan, from its inputs and one state a chunk.

Chunks are taken from last to first. A chunk's states are computed again from the boundary that the
forward pass left: first one state a tile of tokens, into scratch memory; then, tile by tile from
the end, each step's state into registers, where the walk backwards finds them. The exponentials are
thus computed three times in all, and the (seq, d_inner, d_state) states never reach memory.

B and C are shared by all channels, so their derivatives are sums over threads, the dearest part.

Source: Gu and Dao, "Mamba" (2023), section 3.3.2 and appendix D; the division of the work and the
shapes are those of `selective_scan_forward`.
"""

# Triton compiles these functions from their source; run-time type checks must leave them alone.
from typing import no_type_check

import triton
import triton.language as tl

from mixlab.kernels.selective_scan_forward import (
    LOG2_E,
    decay,
    load_channels,
    load_numbers,
    load_tile,
    row,
    sigmoid,
    step_lengths,
)


@triton.jit
@no_type_check
def _state_row(states, i: tl.constexpr):
    """State i of a tile of states (TILE, N, BLOCK)."""
    rows = tl.arange(0, states.shape[0])
    bits = tl.where((rows == i)[:, None, None], states.to(tl.int32, bitcast=True), 0)
    return tl.sum(bits, 0).to(tl.float32, bitcast=True)


@triton.jit
@no_type_check
def _fetch(u, delta, u_t, delta_t, offset, t, L, rows, d, there, SOFTPLUS: tl.constexpr):
    """A tile of u and of Δ, the derivative of Δ by what came in, and where there is a token."""
    valid = (t + rows < L)[:, None] & there[None, :]
    u_tile = load_tile(u, t, u_t, rows, d, valid)
    raw = load_tile(delta, t, delta_t, rows, d, valid)
    steps, slopes = step_lengths(raw, offset[None, :], valid, SOFTPLUS)
    return u_tile, steps, slopes, valid


@triton.jit
@no_type_check
def _through_gate(above, z, z_t, t, rows, d, valid, HAS_Z: tl.constexpr):
    """The loss's derivative by what the gate multiplies, and by z but for that factor."""
    gated, gate_slope = above, above
    if HAS_Z:
        z_tile = load_tile(z, t, z_t, rows, d, valid)
        open_ = sigmoid(z_tile)
        gated = above * z_tile * open_
        gate_slope = above * open_ * (1 + z_tile * (1 - open_))
    return gated, gate_slope


@triton.jit
@no_type_check
def _forwards(
    h, steps, driven, rates, B, B_t, starts, t, L, n, N: tl.constexpr, HAS_STARTS: tl.constexpr
):  # fmt: skip
    """Walk a tile from the state before it: the state before each step, and after the last."""
    rows = tl.arange(0, steps.shape[0])
    befores = tl.zeros((steps.shape[0], h.shape[0], h.shape[1]), tl.float32)
    for i in tl.static_range(steps.shape[0]):
        B_now = load_numbers(B, t + i, L, B_t, n, N)
        A_bar = decay(row(steps, i), rates, starts, t + i, L, HAS_STARTS)
        befores = tl.where((rows == i)[:, None, None], h[None, :, :], befores)
        h = A_bar * h + row(driven, i)[None, :] * B_now[:, None]
    return befores, h


@triton.jit
@no_type_check
def _backwards(
    carried, sum_A, to_u, to_z, befores, steps, u_tile, gated, rates_e,
    B, C, B_t, C_t, grad_B, grad_C, starts, t, L, n,
    N: tl.constexpr, HAS_STARTS: tl.constexpr, HAS_Z: tl.constexpr,
):  # fmt: skip
    """Walk a tile from its end: g is the loss's derivative by the state after step i.

    `carried` is that derivative through all later steps, and is handed on; what a step adds to the
    derivatives by u, Δ and z goes to its row, and to those by B and C into memory.
    """
    rows = tl.arange(0, steps.shape[0])
    rates, driven = rates_e * LOG2_E, steps * u_tile
    to_delta = tl.zeros(steps.shape, tl.float32)
    for i in tl.static_range(steps.shape[0] - 1, -1, -1):
        B_now, C_now = (
            load_numbers(B, t + i, L, B_t, n, N),
            load_numbers(C, t + i, L, C_t, n, N),
        )
        before = _state_row(befores, i)
        A_bar = decay(row(steps, i), rates, starts, t + i, L, HAS_STARTS)
        after = A_bar * before + row(driven, i)[None, :] * B_now[:, None]
        gated_i = row(gated, i)
        g = carried + C_now[:, None] * gated_i[None, :]
        carried = A_bar * g
        real = (n < N) & (t + i + 0 * n < L)
        line = (t + i) * N + n
        tl.store(grad_C + line, tl.sum(after * gated_i[None, :], 1), mask=real)
        tl.store(grad_B + line, tl.sum(g * row(driven, i)[None, :], 1), mask=real)
        exponent = carried * before  # the loss's derivative by Δ A
        sum_A += exponent * row(steps, i)[None, :]
        written = tl.sum(g * B_now[:, None], 0)  # and by Δ u
        slope = tl.sum(exponent * rates_e, 0) + written * row(u_tile, i)
        here = (rows == i)[:, None]
        to_u = tl.where(here, to_u + (written * row(steps, i))[None, :], to_u)
        to_delta = tl.where(here, slope[None, :], to_delta)
        if HAS_Z:
            read = tl.sum(after * C_now[:, None], 0)
            to_z = tl.where(here, to_z + read[None, :], to_z)
    return carried, sum_A, to_u, to_delta, to_z


@triton.jit(do_not_specialize=["u_t", "delta_t", "z_t", "y_t", "d_inner"])
@no_type_check
def backward_kernel(
    u, delta, z, A, B, C, D, bias, starts, boundaries, grad_y, grad_last, scratch,
    grad_u, grad_delta, grad_z, grad_A, grad_B, grad_C, grad_D, grad_state,
    u_b, u_t, delta_b, delta_t, z_b, z_t, B_b, B_t, C_b, C_t, y_b, y_t,
    L, d_inner, batch,
    HAS_Z: tl.constexpr, HAS_D: tl.constexpr, HAS_BIAS: tl.constexpr, SOFTPLUS: tl.constexpr,
    HAS_STARTS: tl.constexpr, N: tl.constexpr, N_PADDED: tl.constexpr, BLOCK: tl.constexpr,
    TILE: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """All derivatives. grad_B, grad_C (blocks, batch, L, N) have one part a block of channels."""
    block, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    d = block * BLOCK + tl.arange(0, BLOCK)
    n, rows = tl.arange(0, N_PADDED), tl.arange(0, TILE)
    there = d < d_inner
    mask = (n < N)[:, None] & there[None, :]
    at = n[:, None] * d_inner + d[None, :]
    u, delta, z = u + b * u_b, delta + b * delta_b, z + b * z_b
    B, C, starts, grad_y = B + b * B_b, C + b * C_b, starts + b * L, grad_y + b * y_b
    out = b * L * d_inner  # grad_u, grad_delta and grad_z are contiguous
    part = (block * batch + b) * L * N
    n_chunks = tl.cdiv(L, CHUNK)
    # One state a tile, for the chunk at hand: scratch memory of this program alone.
    kept = scratch + (b * tl.num_programs(0) + block) * (CHUNK // TILE) * N_PADDED * BLOCK
    kept_at = n[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]

    rates_e = tl.load(A + at, mask=mask, other=0.0)
    rates = rates_e * LOG2_E
    skip = load_channels(D, d, there, HAS_D)
    offset = load_channels(bias, d, there, HAS_BIAS)
    carried = tl.load(grad_last + b * N * d_inner + at, mask=mask, other=0.0)
    sum_A, sum_D = tl.zeros((N_PADDED, BLOCK), tl.float32), tl.zeros((BLOCK,), tl.float32)

    for c in range(0, n_chunks):
        chunk = n_chunks - 1 - c
        h = tl.load(boundaries + (b * n_chunks + chunk) * N * d_inner + at, mask=mask, other=0.0)
        for j in range(0, CHUNK // TILE):
            tl.store(kept + j * N_PADDED * BLOCK + kept_at, h)
            t = chunk * CHUNK + j * TILE
            u_tile, steps, _, _ = _fetch(
                u, delta, u_t, delta_t, offset, t, L, rows, d, there, SOFTPLUS)  # fmt: skip
            _, h = _forwards(h, steps,
                steps * u_tile, rates, B, B_t, starts, t, L, n, N, HAS_STARTS)  # fmt: skip
        tl.debug_barrier()
        for back in range(0, CHUNK // TILE):
            j = CHUNK // TILE - 1 - back
            t = chunk * CHUNK + j * TILE
            u_tile, steps, slopes, valid = _fetch(
                u, delta, u_t, delta_t, offset, t, L, rows, d, there, SOFTPLUS)  # fmt: skip
            above = load_tile(grad_y, t, y_t, rows, d, valid)
            gated, gate_slope = _through_gate(above, z, z_t, t, rows, d, valid, HAS_Z)
            h = tl.load(kept + j * N_PADDED * BLOCK + kept_at)
            befores, _ = _forwards(h, steps,
                steps * u_tile, rates, B, B_t, starts, t, L, n, N, HAS_STARTS)  # fmt: skip
            to_u, to_z = skip[None, :] * gated, skip[None, :] * u_tile
            carried, sum_A, to_u, to_delta, to_z = _backwards(
                carried, sum_A, to_u, to_z, befores, steps, u_tile, gated, rates_e,
                B, C, B_t, C_t, grad_B + part, grad_C + part, starts, t, L, n, N, HAS_STARTS, HAS_Z,
            )  # fmt: skip
            sum_D += tl.sum(gated * u_tile, 0)
            here = out + tl.cast(t, tl.int64) * d_inner + rows[:, None] * d_inner + d[None, :]
            tl.store(grad_u + here, to_u.to(grad_u.dtype.element_ty), mask=valid)
            to_delta, to_z = to_delta * slopes, to_z * gate_slope
            tl.store(grad_delta + here, to_delta.to(grad_delta.dtype.element_ty), mask=valid)
            if HAS_Z:
                tl.store(grad_z + here, to_z.to(grad_z.dtype.element_ty), mask=valid)
        tl.debug_barrier()
    tl.store(grad_A + b * N * d_inner + at, sum_A, mask=mask)
    tl.store(grad_state + b * N * d_inner + at, carried, mask=mask)
    if HAS_D:
        tl.store(grad_D + b * d_inner + d, sum_D, mask=there)
