"""What the exercises of chapter 19 share: numbers to draw, and a block token by token."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def real(rng: np.random.Generator, *shape: int) -> Tensor:
    """Normal numbers."""
    return torch.from_numpy(rng.standard_normal(shape)).float()


def between(rng: np.random.Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, shape)).float()


def bounded(rng: np.random.Generator, *shape: int, size: float = 1.0) -> Tensor:
    """Normal numbers cut at one and a half.

    A block multiplies five of its numbers, and such products have long tails: uncut, one output in
    a hundred would be too large for a right answer in float32 to come within the tolerance.
    """
    return torch.from_numpy(size * np.clip(rng.standard_normal(shape), -1.5, 1.5)).float()


def block_arguments(rng, seq: int, dim: int, d_inner: int, d_state: int, rank: int, taps: int):
    """(x, weights) of a block, every weight different enough from the others to be told apart."""
    x, wanted = bounded(rng, seq, dim), between(rng, 0.1, 0.7, d_inner)
    states = torch.arange(1, d_state + 1).float()
    weights = {
        "in_proj": bounded(rng, 2 * d_inner, dim, size=dim**-0.5),
        "conv": bounded(rng, d_inner, taps, size=0.8),
        "conv_bias": bounded(rng, d_inner, size=0.5),
        "x_proj": bounded(rng, rank + 2 * d_state, d_inner, size=d_inner**-0.5),
        "dt_proj": bounded(rng, d_inner, rank, size=rank**-0.5),
        "dt_bias": wanted + torch.log(-torch.expm1(-wanted)),
        "A_log": (states / 2).log() + bounded(rng, d_inner, d_state, size=0.2),
        "D": bounded(rng, d_inner) + 1,
        "out_proj": bounded(rng, dim, d_inner, size=d_inner**-0.5),
    }
    return x, weights


def draw_blocks(rng: np.random.Generator) -> list[tuple]:
    """Blocks of odd sizes, with one token and with many."""
    sizes = [(5, 4, 6, 3, 2, 4), (1, 3, 5, 2, 1, 4), (2, 4, 4, 4, 4, 3), (3, 2, 5, 1, 2, 2)]
    for _ in range(3):
        widths = (int(rng.integers(2, 7)) for _ in range(4))
        sizes.append((int(rng.integers(3, 14)), *widths, int(rng.integers(2, 5))))
    sizes.append((150, 3, 4, 2, 2, 3))
    return [block_arguments(rng, *size) for size in sizes]


# Seeds at which every single mistake shows in every text of more than one token.
EXAMPLES = tuple(
    block_arguments(np.random.default_rng(seed), *sizes)
    for seed, sizes in (
        (54, (3, 2, 3, 2, 1, 3)),
        (133, (4, 4, 5, 3, 2, 4)),
        (2, (1, 3, 4, 2, 2, 4)),
    )
)

# --- kept back while grading ---


def in_float64(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.double() for tensor in tensors)


def halves(x, w, order=(0, 1)):
    """What in_proj makes of x: the convolution's input and the gate's z."""
    both = (x.double() @ w["in_proj"].double().T).chunk(2, dim=-1)
    return both[order[0]], both[order[1]]


def gate(y, direct, z):
    return (y + direct) * F.silu(z)


def one_token(
    under_taps,
    z,
    h,
    w,
    taps=lambda conv: conv,
    bias=1.0,
    activated=F.silu,
    chosen_from=lambda u, newest: u,
    order=(0, 1),
    positive=lambda raw, bias: F.softplus(raw + bias),
    rates=lambda A_log: -A_log.exp(),
    keep=torch.exp,
    length=lambda delta, A: delta,
    before=lambda h: h,
    read=lambda new, old: new,
    direct=lambda D, u, newest: D * u,
    gated=gate,
):
    """What leaves the block for one token, (dim,), its u and the new state; in float64.

    Each argument after `w` is a part of the block, and another idea of it is a mistake.
    """
    w = dict(zip(w, in_float64(*w.values()), strict=True))
    rank, n = w["dt_proj"].shape[1], w["A_log"].shape[1]
    u = activated((under_taps * taps(w["conv"]).T).sum(0) + bias * w["conv_bias"])
    first, *B_and_C = (w["x_proj"] @ chosen_from(u, under_taps[-1])).split([rank, n, n])
    B, C = (B_and_C[at] for at in order)
    delta = positive(w["dt_proj"] @ first, w["dt_bias"])[:, None]
    A = rates(w["A_log"])
    new = keep(delta * A) * before(h) + length(delta, A) * u[:, None] * B
    return w["out_proj"] @ gated(read(new, h) @ C, direct(w["D"], u, under_taps[-1]), z), u, new


FAULTS = {
    "Δ is still negative for some tokens: a length of time has to come out of softplus": {
        "positive": lambda raw, bias: raw + bias
    },
    "A is still positive, so the state grows instead of decaying": {"rates": torch.exp},
    "the gate still lets D·u past: it multiplies everything that leaves the scan": {
        "gated": lambda y, direct, z: y * F.silu(z) + direct
    },
}
# Words, and the parts of `one_token` with which an answer makes the mistake.
MISTAKES = {
    "the taps are in the wrong order: the last column of `conv` belongs to the newest input.": (
        {"taps": lambda conv: conv.flip(1)},
    ),
    "Δ is positive now, and another number than softplus makes of it.": (
        {"positive": lambda raw, bias: (raw + bias).exp()},
        {"positive": lambda raw, bias: (raw + bias).sigmoid()},
    ),
    "Δ isn't negative any more, and another number than softplus makes of it: a token whose Δ is "
    "cut off, or turned round, is read with the wrong length.": (
        {"positive": lambda raw, bias: (raw + bias).clip(0)},
        {"positive": lambda raw, bias: (raw + bias).abs()},
    ),
    "dt_bias is missing: without it Δ stands near 0.7 whatever was trained.": (
        {"positive": lambda raw, bias: F.softplus(raw)},
    ),
    "dt_bias is added to Δ after softplus. It belongs to the number that softplus is given.": (
        {"positive": lambda raw, bias: F.softplus(raw) + bias},
    ),
    "A_log is the logarithm of the rates: A is -exp(A_log).": (
        {"rates": lambda A_log: -A_log},
        {"rates": lambda A_log: A_log},
        {"rates": lambda A_log: -(-A_log).exp()},
    ),
    "B and C are swapped: `x_proj` gives the rows of Δ, of B and of C, in this order.": (
        {"order": (1, 0)},
    ),
    "x and z are swapped: `in_proj` gives x above z.": ({"halves": (1, 0)},),
    "Δ, B and C are computed from the convolution's input. They are chosen from u, what comes out "
    "of it after silu.": ({"chosen_from": lambda u, newest: newest},),
    "the input itself is added. The residual stands outside of the block.": ({"residual": 1},),
    "silu after the convolution is missing.": ({"activated": lambda u: u},),
    "what comes out of the convolution passes another function than silu.": (
        *({"activated": other} for other in (torch.relu, torch.sigmoid, torch.tanh, F.gelu)),
    ),
    "the skip adds D times what entered the convolution. It adds D·u, and u came out of it.": (
        {"direct": lambda D, u, newest: D * newest},
    ),
    "the convolution's bias is missing.": ({"bias": 0.0},),
    "the gate is z itself: it has to pass silu.": (
        {"gated": lambda y, direct, z: (y + direct) * z},
    ),
    "the gate is the sigmoid of z: silu is z times that.": (
        {"gated": lambda y, direct, z: (y + direct) * z.sigmoid()},
    ),
    "the gate is missing.": ({"gated": lambda y, direct, z: y + direct},),
    "D is added by itself. The skip adds D·u, a factor a channel times what entered the scan.": (
        {"direct": lambda D, u, newest: D},
    ),
}
