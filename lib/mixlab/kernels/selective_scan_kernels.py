"""The selective scan as two Triton programs: everything between reading u and writing y, fused.

One program takes one row of the batch and a block of channels, and walks the tokens in order. Each
GPU thread owns a channel and keeps all N numbers of its state in registers, so nothing is exchanged
between threads on the way forward, and memory sees only what must come in (u, Δ, z, B, C) and go
out (y): the (seq, d_inner, d_state) states are never written. The parallelism is in batch and
channels, of which there are thousands; that is why no parallel scan over time is needed.

Tokens come in tiles of a few rows; the next tile is fetched while the present one is computed,
because a read from memory takes as long as several steps. At the first token of each *chunk* of
tokens the state is written out. These boundaries are all that backward needs besides the inputs: it
takes the chunks from last to first, recomputes a chunk's states from its boundary (first one state
a tile, into scratch memory; then a tile's states, into registers), and walks them backwards.

Source: Gu and Dao, "Mamba" (2023), section 3.3.2 and appendix D, for fusion and recomputation;
this division of the work over threads is not theirs. `mixlab.kernels.selective_scan` launches it.

Shapes: tiles (TILE, BLOCK), states (N, BLOCK) with channels along the threads of a warp.
"""

# Triton compiles these functions from their source; run-time type checks must leave them alone.
from typing import no_type_check

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
@no_type_check
def _row(tile, i: tl.constexpr):
    """Row i of a tile, as the sum of its rows times 0 or 1.

    All rows of a channel lie in one thread's registers, and the compiler drops a 0 that is added to
    a whole number (to a float it may not), so nothing is left of the sum in the machine's code.
    """
    rows = tl.arange(0, tile.shape[0])
    bits = tl.where((rows == i)[:, None], tile.to(tl.int32, bitcast=True), 0)
    return tl.sum(bits, 0).to(tl.float32, bitcast=True)


@triton.jit
@no_type_check
def _state_row(states, i: tl.constexpr):
    """State i of a tile of states (TILE, N, BLOCK)."""
    rows = tl.arange(0, states.shape[0])
    bits = tl.where((rows == i)[:, None, None], states.to(tl.int32, bitcast=True), 0)
    return tl.sum(bits, 0).to(tl.float32, bitcast=True)


@triton.jit
@no_type_check
def _sigmoid(x):
    return 1 / (1 + tl.exp2(-x * LOG2_E))


@triton.jit
@no_type_check
def _step_lengths(raw, bias, valid, SOFTPLUS: tl.constexpr):
    """Δ of a tile, and the derivative of Δ by what came in; 0 where there is no token."""
    x = raw + bias
    delta, slope = x, tl.full(x.shape, 1.0, tl.float32)
    if SOFTPLUS:
        e = tl.exp2(x * LOG2_E)
        w = 1 + e
        # log(1 + e), with what rounding 1 + e lost put back: small Δ keep all their digits.
        delta = tl.where(x > 20, x, tl.log2(w) * LN_2 + (e - (w - 1)))
        slope = _sigmoid(x)
    return tl.where(valid, delta, 0.0), tl.where(valid, slope, 0.0)


@triton.jit
@no_type_check
def _decay(delta, rates, starts, t, L, HAS_STARTS: tl.constexpr):
    """exp(Δ A) of one token, (N, BLOCK); 0 at the start of a packed sequence."""
    A_bar = tl.exp2(delta[None, :] * rates)
    if HAS_STARTS:
        begins = tl.load(starts + tl.minimum(t, L - 1)) != 0
        A_bar = tl.where(begins & (t < L), 0.0, A_bar)
    return A_bar


@triton.jit
@no_type_check
def _numbers(pointer, t, L, stride, n, N: tl.constexpr):
    """B or C of one token, (N,), the same in every thread."""
    at = pointer + tl.cast(tl.minimum(t, L - 1), tl.int64) * stride + n
    return tl.load(at, mask=n < N, other=0.0).to(tl.float32)


@triton.jit
@no_type_check
def _tile(pointer, t, stride, rows, d, valid):
    at = pointer + tl.cast(t, tl.int64) * stride + rows[:, None] * stride + d[None, :]
    return tl.load(at, mask=valid, other=0.0).to(tl.float32)


# Strides of tiles are not specialised: were they known to be multiples of 16, Triton would widen
# the reads, and spread the rows of a tile over threads.
@triton.jit(do_not_specialize=["u_t", "delta_t", "z_t", "y_t", "d_inner"])
@no_type_check
def forward_kernel(
    u, delta, z, A, B, C, D, bias, state, starts, y, last, boundaries,
    u_b, u_t, delta_b, delta_t, z_b, z_t, B_b, B_t, C_b, C_t, y_b, y_t,
    L, d_inner,
    HAS_Z: tl.constexpr, HAS_D: tl.constexpr, HAS_BIAS: tl.constexpr, SOFTPLUS: tl.constexpr,
    HAS_STATE: tl.constexpr, HAS_STARTS: tl.constexpr, STORE: tl.constexpr,
    N: tl.constexpr, N_PADDED: tl.constexpr, BLOCK: tl.constexpr, TILE: tl.constexpr,
    CHUNK: tl.constexpr,
):  # fmt: skip
    """y and the last state. Tensors (batch, L, d_inner or N); A and states (…, N, d_inner)."""
    d = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b = tl.program_id(1).to(tl.int64)
    n, rows = tl.arange(0, N_PADDED), tl.arange(0, TILE)
    there = d < d_inner
    mask = (n < N)[:, None] & there[None, :]
    at = n[:, None] * d_inner + d[None, :]  # of one state, (N, BLOCK)
    u, delta, z, y = u + b * u_b, delta + b * delta_b, z + b * z_b, y + b * y_b
    B, C, starts = B + b * B_b, C + b * C_b, starts + b * L

    rates = tl.load(A + at, mask=mask, other=0.0) * LOG2_E
    skip, offset = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    if HAS_D:
        skip = tl.load(D + d, mask=there, other=0.0).to(tl.float32)
    if HAS_BIAS:
        offset = tl.load(bias + d, mask=there, other=0.0).to(tl.float32)
    h = tl.zeros((N_PADDED, BLOCK), tl.float32)
    if HAS_STATE:
        h = tl.load(state + b * N * d_inner + at, mask=mask, other=0.0)

    valid = (rows < L)[:, None] & there[None, :]
    next_u = _tile(u, 0, u_t, rows, d, valid)
    next_delta = _tile(delta, 0, delta_t, rows, d, valid)
    next_z = next_u
    if HAS_Z:
        next_z = _tile(z, 0, z_t, rows, d, valid)
    for t in range(0, L, TILE):
        if STORE and t % CHUNK == 0:
            chunk = b * tl.cdiv(L, CHUNK) + t // CHUNK
            tl.store(boundaries + chunk * N * d_inner + at, h, mask=mask)
        u_tile, raw, z_tile, valid_now = next_u, next_delta, next_z, valid
        valid = (t + TILE + rows < L)[:, None] & there[None, :]
        next_u = _tile(u, t + TILE, u_t, rows, d, valid)
        next_delta = _tile(delta, t + TILE, delta_t, rows, d, valid)
        if HAS_Z:
            next_z = _tile(z, t + TILE, z_t, rows, d, valid)
        steps, _ = _step_lengths(raw, offset[None, :], valid_now, SOFTPLUS)
        driven = steps * u_tile
        out = skip[None, :] * u_tile
        for i in tl.static_range(TILE):
            B_now, C_now = _numbers(B, t + i, L, B_t, n, N), _numbers(C, t + i, L, C_t, n, N)
            A_bar = _decay(_row(steps, i), rates, starts, t + i, L, HAS_STARTS)
            h = A_bar * h + _row(driven, i)[None, :] * B_now[:, None]
            read = tl.sum(h * C_now[:, None], 0)
            out = tl.where((rows == i)[:, None], out + read[None, :], out)
        if HAS_Z:
            out = out * z_tile * _sigmoid(z_tile)
        here = y + tl.cast(t, tl.int64) * y_t + rows[:, None] * y_t + d[None, :]
        tl.store(here, out.to(y.dtype.element_ty), mask=valid_now)
    tl.store(last + b * N * d_inner + at, h, mask=mask)


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
    skip, offset = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    if HAS_D:
        skip = tl.load(D + d, mask=there, other=0.0).to(tl.float32)
    if HAS_BIAS:
        offset = tl.load(bias + d, mask=there, other=0.0).to(tl.float32)
    carried = tl.load(grad_last + b * N * d_inner + at, mask=mask, other=0.0)
    sum_A = tl.zeros((N_PADDED, BLOCK), tl.float32)
    sum_D = tl.zeros((BLOCK,), tl.float32)

    for c in range(0, n_chunks):
        chunk = n_chunks - 1 - c
        h = tl.load(boundaries + (b * n_chunks + chunk) * N * d_inner + at, mask=mask, other=0.0)
        for j in range(0, CHUNK // TILE):
            tl.store(kept + j * N_PADDED * BLOCK + kept_at, h)
            t = chunk * CHUNK + j * TILE
            valid = (t + rows < L)[:, None] & there[None, :]
            u_tile = _tile(u, t, u_t, rows, d, valid)
            raw = _tile(delta, t, delta_t, rows, d, valid)
            steps, _ = _step_lengths(raw, offset[None, :], valid, SOFTPLUS)
            driven = steps * u_tile
            for i in tl.static_range(TILE):
                B_now = _numbers(B, t + i, L, B_t, n, N)
                A_bar = _decay(_row(steps, i), rates, starts, t + i, L, HAS_STARTS)
                h = A_bar * h + _row(driven, i)[None, :] * B_now[:, None]
        tl.debug_barrier()
        for back in range(0, CHUNK // TILE):
            j = CHUNK // TILE - 1 - back
            t = chunk * CHUNK + j * TILE
            valid = (t + rows < L)[:, None] & there[None, :]
            u_tile = _tile(u, t, u_t, rows, d, valid)
            raw = _tile(delta, t, delta_t, rows, d, valid)
            above = _tile(grad_y, t, y_t, rows, d, valid)
            steps, slopes = _step_lengths(raw, offset[None, :], valid, SOFTPLUS)
            driven = steps * u_tile
            gated, gate_slope = above, above
            if HAS_Z:
                z_tile = _tile(z, t, z_t, rows, d, valid)
                open_ = _sigmoid(z_tile)
                gated = above * z_tile * open_
                gate_slope = above * open_ * (1 + z_tile * (1 - open_))
            # Forward through the tile once more, keeping the state before each step.
            h = tl.load(kept + j * N_PADDED * BLOCK + kept_at)
            befores = tl.zeros((TILE, N_PADDED, BLOCK), tl.float32)
            for i in tl.static_range(TILE):
                B_now = _numbers(B, t + i, L, B_t, n, N)
                A_bar = _decay(_row(steps, i), rates, starts, t + i, L, HAS_STARTS)
                befores = tl.where((rows == i)[:, None, None], h[None, :, :], befores)
                h = A_bar * h + _row(driven, i)[None, :] * B_now[:, None]
            # And backward: g is the loss's derivative by the state after step i.
            to_u, to_delta = skip[None, :] * gated, tl.zeros((TILE, BLOCK), tl.float32)
            to_z = skip[None, :] * u_tile
            for i in tl.static_range(TILE - 1, -1, -1):
                B_now, C_now = _numbers(B, t + i, L, B_t, n, N), _numbers(C, t + i, L, C_t, n, N)
                before = _state_row(befores, i)
                A_bar = _decay(_row(steps, i), rates, starts, t + i, L, HAS_STARTS)
                after = A_bar * before + _row(driven, i)[None, :] * B_now[:, None]
                gated_i = _row(gated, i)
                g = carried + C_now[:, None] * gated_i[None, :]
                carried = A_bar * g
                real = (n < N) & (t + i + 0 * n < L)
                line = part + (t + i) * N + n
                tl.store(grad_C + line, tl.sum(after * gated_i[None, :], 1), mask=real)
                tl.store(grad_B + line, tl.sum(g * _row(driven, i)[None, :], 1), mask=real)
                exponent = carried * before  # the loss's derivative by Δ A
                sum_A += exponent * _row(steps, i)[None, :]
                written = tl.sum(g * B_now[:, None], 0)  # and by Δ u
                slope = tl.sum(exponent * rates_e, 0) + written * _row(u_tile, i)
                here = (rows == i)[:, None]
                to_u = tl.where(here, to_u + (written * _row(steps, i))[None, :], to_u)
                to_delta = tl.where(here, slope[None, :], to_delta)
                if HAS_Z:
                    read = tl.sum(after * C_now[:, None], 0)
                    to_z = tl.where(here, to_z + read[None, :], to_z)
            sum_D += tl.sum(gated * u_tile, 0)
            here = out + tl.cast(t, tl.int64) * d_inner + rows[:, None] * d_inner + d[None, :]
            tl.store(grad_u + here, to_u.to(grad_u.dtype.element_ty), mask=valid)
            to_delta *= slopes
            tl.store(grad_delta + here, to_delta.to(grad_delta.dtype.element_ty), mask=valid)
            if HAS_Z:
                to_z *= gate_slope
                tl.store(grad_z + here, to_z.to(grad_z.dtype.element_ty), mask=valid)
        tl.debug_barrier()
    tl.store(grad_A + b * N * d_inner + at, sum_A, mask=mask)
    tl.store(grad_state + b * N * d_inner + at, carried, mask=mask)
    if HAS_D:
        tl.store(grad_D + b * d_inner + d, sum_D, mask=there)
