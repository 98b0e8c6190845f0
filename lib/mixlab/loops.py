"""Loops for few tokens, compiled by Numba: what `mixlab.compiled` runs.

To write a token is to read every weight once. PyTorch reads them fast, but a layer is some 25 calls
to it, each a few microseconds of work and as much of calling. Here are the same formulas as loops.
Numba compiles them to machine code for the processor at hand, and shares the rows of a weight among
its cores.

A weight comes as its numbers, float32 or int8, and a scale a row; float32's scales are ones. Rows
must lie one after another in memory. Shapes are not checked: what calls the loops does.

The machine code is kept on disk, so that only the first use on a machine waits for the compiler.
All loops stand in this one file because Numba compiles anew when the file of a loop has changed,
and doesn't look at the files of the loops that it calls.

Source of cutting a ring into parts: Dao et al., "Flash-Decoding for long-context inference" (2023),
figure 2.
"""

import numpy as np
from numba import njit, prange
from numpy import exp, float32, log1p, sqrt


def _compiled(**options):
    """A decorator for loops, whose machine code is kept wherever there is a place for it."""
    # Sums may be reordered, which a processor needs to add eight numbers at once; NaN stays NaN.
    options |= {"fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}

    def decorate(function):
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # neither beside this file nor in the user's folder
            return njit(**options)(function)

    return decorate


serial, shared = _compiled(), _compiled(parallel=True)


# --- products and norms ---


@serial
def dot(row, x):
    """The sum of products of two vectors, in float32."""
    total = float32(0)
    for at in range(x.size):
        total += float32(row[at]) * x[at]
    return total


@serial
def normalise(x, weight, eps, out):
    """RMSNorm of each row of `x` (tokens, dim), as `norm.rms_norm`."""
    for token in range(len(x)):
        scale = float32(1) / sqrt(dot(x[token], x[token]) / float32(x.shape[1]) + float32(eps))
        for at in range(x.shape[1]):
            out[token, at] = x[token, at] * scale * weight[at]


@shared
def add_products(x, weight, scale, out):
    """Add x Wᵀ to `out`: x is (tokens, dim_in), W (dim_out, dim_in), out (tokens, dim_out).

    A row of W is read from memory once, for all tokens.
    """
    for row in prange(len(weight)):
        for token in range(len(x)):
            out[token, row] += scale[row] * dot(weight[row], x[token])


@shared
def project(x, wq, wk, wv, scale_q, scale_k, scale_v, q, k, v):
    """x Wᵀ for queries, keys and values at once: threads meet once and not three times."""
    n_q, n_k = len(wq), len(wk)
    for row in prange(n_q + n_k + len(wv)):
        for token in range(len(x)):
            if row < n_q:
                q[token, row] = scale_q[row] * dot(wq[row], x[token])
            elif row < n_q + n_k:
                k[token, row - n_q] = scale_k[row - n_q] * dot(wk[row - n_q], x[token])
            else:
                at = row - n_q - n_k
                v[token, at] = scale_v[at] * dot(wv[at], x[token])


@serial
def silu(x):
    """x times its logistic function."""
    return x / (float32(1) + exp(-x))


@shared
def gate(x, w1, scale1, w3, scale3, out):
    """silu(x W1ᵀ) * x W3ᵀ, as `linear.gated_linear`."""
    for row in prange(len(w1)):
        for token in range(len(x)):
            opened = scale1[row] * dot(w1[row], x[token])
            passed = scale3[row] * dot(w3[row], x[token])
            out[token, row] = silu(opened) * passed


# --- the two halves of a transformer's layer ---


@serial
def turn(x, cos, sin):
    """Rotate each head of (batch, heads, head_dim) in place, as `rope.rotate`."""
    half = cos.shape[1]
    for row in range(x.shape[0]):
        for head in range(x.shape[1]):
            for at in range(half):
                first, second = x[row, head, at], x[row, head, half + at]
                x[row, head, at] = first * cos[row, at] - second * sin[row, at]
                x[row, head, half + at] = second * cos[row, at] + first * sin[row, at]


@shared
def attend_parts(q, keys, values, in_use, scores, sums, mixed):
    """Softmax attention of one query a sequence over each part of the slots in use.

    A slot is read once, by one core, for all heads.

    Args:
        q: (batch, n_heads, head_dim).
        keys, values: (batch, slots, n_kv_heads, head_dim).
        in_use: how many slots each sequence reads, (batch,).
        scores: room for them, (batch, n_heads, slots).
        sums: of each part the highest score, and the weights' sum below it, (batch, parts,
            n_heads, 2).
        mixed: of each part the sum of weighted values, (batch, parts, n_heads, head_dim).
    """
    batch, parts, n_heads, head_dim = mixed.shape
    group, factor = n_heads // keys.shape[2], float32(1) / sqrt(float32(head_dim))
    for one in prange(batch * parts):
        row, part = one // parts, one % parts
        first, last = part * in_use[row] // parts, (part + 1) * in_use[row] // parts
        for slot in range(first, last):
            for head in range(n_heads):
                score = dot(keys[row, slot, head // group], q[row, head])
                scores[row, head, slot] = factor * score
        for head in range(n_heads):
            weights, highest, total = scores[row, head], float32(-np.inf), float32(0)
            for slot in range(first, last):
                highest = max(highest, weights[slot])
            for slot in range(first, last):
                weights[slot] = exp(weights[slot] - highest)
                total += weights[slot]
            sums[row, part, head, 0], sums[row, part, head, 1] = highest, total
            for at in range(head_dim):
                mixed[row, part, head, at] = 0
        for slot in range(first, last):
            for head in range(n_heads):
                weight, value = scores[row, head, slot], values[row, slot, head // group]
                out = mixed[row, part, head]
                for at in range(head_dim):
                    out[at] += weight * value[at]


@serial
def join_parts(sums, mixed, out):
    """One softmax from those of the parts: out is (batch, n_heads, head_dim)."""
    batch, parts, n_heads, head_dim = mixed.shape
    for row in range(batch):
        for head in range(n_heads):
            highest, total, one = float32(-np.inf), float32(0), out[row, head]
            for part in range(parts):
                highest = max(highest, sums[row, part, head, 0])
            for at in range(head_dim):
                one[at] = 0
            for part in range(parts):
                share = exp(sums[row, part, head, 0] - highest)
                total += share * sums[row, part, head, 1]
                for at in range(head_dim):
                    one[at] += share * mixed[row, part, head, at]
            for at in range(head_dim):
                one[at] /= total


@serial
def attend(x, norm, eps, weights, scales, table, ring, slots, rooms):
    """x += attention(norm(x)), in place; the new keys and values go to the ring's slots."""
    (wq, wk, wv, wo), (q_scale, k_scale, v_scale, o_scale) = weights, scales
    (cos, sin), (keys, values), (write, in_use) = table, ring, slots
    normal, scores, sums, parts = rooms
    batch, n_kv_heads, head_dim = len(x), keys.shape[2], keys.shape[3]
    q = np.empty((batch, len(wq)), float32)
    k = np.empty((batch, len(wk)), float32)
    v = np.empty((batch, len(wv)), float32)
    normalise(x, norm, eps, normal)
    project(normal, wq, wk, wv, q_scale, k_scale, v_scale, q, k, v)
    queries = q.reshape(batch, -1, head_dim)
    new = k.reshape(batch, n_kv_heads, head_dim)
    turn(queries, cos, sin)
    turn(new, cos, sin)
    for row in range(batch):
        keys[row, write[row]] = new[row]
        values[row, write[row]] = v[row].reshape(n_kv_heads, head_dim)
    attend_parts(queries, keys, values, in_use, scores, sums, parts)
    join_parts(sums, parts, queries)
    add_products(queries.reshape(batch, -1), wo, o_scale, x)


@serial
def feed(normal, share, weights, scales, out):
    """out += share * w2(silu(w1 normal) * w3 normal)."""
    (w1, w2, w3), (scale1, scale2, scale3) = weights, scales
    inner = np.empty((len(normal), len(w1)), float32)
    gate(normal, w1, scale1, w3, scale3, inner)
    inner *= share
    add_products(inner, w2, scale2, out)


# --- a Mamba block ---


@serial
def convolve(xz, history, weight, bias, u, after):
    """silu of the short convolution's next value; `after` is the history with the new token."""
    batch, past, d_inner = history.shape
    for row in range(batch):
        if past:  # one tap alone remembers nothing
            after[row, : past - 1] = history[row, 1:]
            after[row, past - 1] = xz[row, :d_inner]
        for channel in range(d_inner):
            total = bias[channel] + weight[past, channel] * xz[row, channel]
            for back in range(past):
                total += weight[back, channel] * history[row, back, channel]
            u[row, channel] = silu(total)


@shared
def scan(u, delta, read, xz, rates, D, state, after, y):
    """One step of the selective scan, as `selective_scan.selective_step`, and the gate's silu.

    Args:
        u, delta, y: (batch, d_inner); delta before its softplus.
        read: what the token says of itself: Δ before its projection, B, C side by side.
        xz: (batch, 2 d_inner), the gate behind.
        rates, state, after: A (d_inner, d_state), and the states, (batch, d_inner, d_state).
    """
    batch, d_inner, d_state = state.shape
    first = read.shape[1] - 2 * d_state
    for one in prange(batch * d_inner):
        row, channel = one // d_inner, one % d_inner
        raw, rate = delta[row, channel], rates[channel]
        step = raw if raw > 20 else log1p(exp(raw))
        total, brought = D[channel] * u[row, channel], step * u[row, channel]
        before, new = state[row, channel], after[row, channel]
        for at in range(d_state):
            new[at] = exp(step * rate[at]) * before[at] + brought * read[row, first + at]
            total += read[row, first + d_state + at] * new[at]
        y[row, channel] = total * silu(xz[row, d_inner + channel])


@serial
def mix(x, norm, eps, weights, scales, biases, convolution, recurrence, history, state):
    """x += mixer(norm(x)), in place; returns history and state after the token."""
    (w_in, w_read, w_delta, w_out), (in_scale, read_scale, delta_scale, out_scale) = weights, scales
    (in_bias, delta_bias, out_bias), (rates, D) = biases, recurrence
    batch, d_inner, rank = len(x), len(D), w_delta.shape[1]
    xz, delta = np.empty((batch, 2 * d_inner), float32), np.empty((batch, d_inner), float32)
    read, normal = np.zeros((batch, len(w_read)), float32), np.empty_like(x)
    u, y = np.empty_like(delta), np.empty_like(delta)
    after, moved = np.empty_like(history), np.empty_like(state)
    xz[:], delta[:] = in_bias, delta_bias
    normalise(x, norm, eps, normal)
    add_products(normal, w_in, in_scale, xz)
    convolve(xz, history, *convolution, u, after)
    add_products(u, w_read, read_scale, read)
    add_products(read[:, :rank].copy(), w_delta, delta_scale, delta)
    scan(u, delta, read, xz, rates, D, state, moved, y)
    x += out_bias
    add_products(y, w_out, out_scale, x)
    return after, moved
