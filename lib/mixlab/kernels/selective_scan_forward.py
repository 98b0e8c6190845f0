"""The selective scan as a Triton program: everything between reading u and writing y, fused.

One program takes one row of the batch and a block of channels, and walks the tokens in order. Each
GPU thread owns a channel and keeps all N numbers of its state in registers, so nothing is exchanged
between threads on the way forward, and memory sees only what must come in (u, Δ, z, B, C) and go
out (y): the (seq, d_inner, d_state) states are never written. The parallelism is in batch and
channels, of which there are thousands; that is why no parallel scan over time is needed.

Tokens come in tiles of a few rows; the next tile is fetched while the present one is computed,
because a read from memory takes as long as several steps. At the first token of each *chunk* of
tokens the state is written out: these boundaries are all that `selective_scan_backward` needs
besides the inputs. `selective_scan` launches both.

Source: Gu and Dao, "Mamba" (2023), section 3.3.2 and appendix D, for fusion and recomputation;
this division of the work over threads is not theirs.

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
def row(tile, i: tl.constexpr):
    """Row i of a tile, as the sum of its rows times 0 or 1.

    All rows of a channel lie in one thread's registers, and the compiler drops a 0 that is added to
    a whole number (to a float it may not), so nothing is left of the sum in the machine's code.
    """
    rows = tl.arange(0, tile.shape[0])
    bits = tl.where((rows == i)[:, None], tile.to(tl.int32, bitcast=True), 0)
    return tl.sum(bits, 0).to(tl.float32, bitcast=True)


@triton.jit
@no_type_check
def sigmoid(x):
    """1 / (1 + exp(-x)), by the base-2 exponential that a GPU has in hardware."""
    return 1 / (1 + tl.exp2(-x * LOG2_E))


@triton.jit
@no_type_check
def step_lengths(raw, bias, valid, SOFTPLUS: tl.constexpr):
    """Δ of a tile, and the derivative of Δ by what came in; 0 where there is no token."""
    x = raw + bias
    delta, slope = x, tl.full(x.shape, 1.0, tl.float32)
    if SOFTPLUS:
        e = tl.exp2(x * LOG2_E)
        w = 1 + e
        # log(1 + e), with what rounding 1 + e lost put back: small Δ keep all their digits.
        delta = tl.where(x > 20, x, tl.log2(w) * LN_2 + (e - (w - 1)))
        slope = sigmoid(x)
    return tl.where(valid, delta, 0.0), tl.where(valid, slope, 0.0)


@triton.jit
@no_type_check
def decay(delta, rates, starts, t, L, HAS_STARTS: tl.constexpr):
    """exp(Δ A) of one token, (N, BLOCK); 0 at the start of a packed sequence."""
    A_bar = tl.exp2(delta[None, :] * rates)
    if HAS_STARTS:
        begins = tl.load(starts + tl.minimum(t, L - 1)) != 0
        A_bar = tl.where(begins & (t < L), 0.0, A_bar)
    return A_bar


@triton.jit
@no_type_check
def load_numbers(pointer, t, L, stride, n, N: tl.constexpr):
    """B or C of one token, (N,), the same in every thread."""
    at = pointer + tl.cast(tl.minimum(t, L - 1), tl.int64) * stride + n
    return tl.load(at, mask=n < N, other=0.0).to(tl.float32)


@triton.jit
@no_type_check
def load_channels(pointer, d, there, GIVEN: tl.constexpr):
    """One number a channel, as float32; 0 where there is no channel, or nothing given."""
    numbers = tl.zeros(d.shape, tl.float32)
    if GIVEN:
        numbers = tl.load(pointer + d, mask=there, other=0.0).to(tl.float32)
    return numbers


@triton.jit
@no_type_check
def load_tile(pointer, t, stride, rows, d, valid):
    """Rows t, t + 1, … of some channels d, as float32; 0 where there is no token or channel."""
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
    skip = load_channels(D, d, there, HAS_D)
    offset = load_channels(bias, d, there, HAS_BIAS)
    h = tl.zeros((N_PADDED, BLOCK), tl.float32)
    if HAS_STATE:
        h = tl.load(state + b * N * d_inner + at, mask=mask, other=0.0)

    valid = (rows < L)[:, None] & there[None, :]
    next_u = load_tile(u, 0, u_t, rows, d, valid)
    next_delta = load_tile(delta, 0, delta_t, rows, d, valid)
    next_z = next_u
    if HAS_Z:
        next_z = load_tile(z, 0, z_t, rows, d, valid)
    for t in range(0, L, TILE):
        if STORE and t % CHUNK == 0:
            chunk = b * tl.cdiv(L, CHUNK) + t // CHUNK
            tl.store(boundaries + chunk * N * d_inner + at, h, mask=mask)
        u_tile, raw, z_tile, valid_now = next_u, next_delta, next_z, valid
        valid = (t + TILE + rows < L)[:, None] & there[None, :]
        next_u = load_tile(u, t + TILE, u_t, rows, d, valid)
        next_delta = load_tile(delta, t + TILE, delta_t, rows, d, valid)
        if HAS_Z:
            next_z = load_tile(z, t + TILE, z_t, rows, d, valid)
        steps, _ = step_lengths(raw, offset[None, :], valid_now, SOFTPLUS)
        driven = steps * u_tile
        out = skip[None, :] * u_tile
        for i in tl.static_range(TILE):
            B_now, C_now = (
                load_numbers(B, t + i, L, B_t, n, N),
                load_numbers(C, t + i, L, C_t, n, N),
            )
            A_bar = decay(row(steps, i), rates, starts, t + i, L, HAS_STARTS)
            h = A_bar * h + row(driven, i)[None, :] * B_now[:, None]
            read = tl.sum(h * C_now[:, None], 0)
            out = tl.where((rows == i)[:, None], out + read[None, :], out)
        if HAS_Z:
            out = out * z_tile * sigmoid(z_tile)
        here = y + tl.cast(t, tl.int64) * y_t + rows[:, None] * y_t + d[None, :]
        tl.store(here, out.to(y.dtype.element_ty), mask=valid_now)
    tl.store(last + b * N * d_inner + at, h, mask=mask)
