"""09.3 A feed-forward layer from shards: cut by outputs, then by inputs, one sum."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def draw(rng):
    """Even and uneven shards, one rank, a rank of one channel, one token, many."""
    kinds = [(1, 3, (4,)), (4, 5, (2, 2, 2)), (3, 2, (1, 5)), (1, 8, (1, 1, 1, 1)), (40, 6, (7, 3))]
    for _ in range(6):
        widths = tuple(int(n) for n in rng.integers(1, 7, size=int(rng.integers(1, 6))))
        kinds.append((int(rng.integers(1, 9)), int(rng.integers(2, 9)), widths))
    return [shards(rng, *kind) for kind in kinds]


def shards(rng, n_tokens, dim, widths, whole=False):
    def numbers(*shape):
        drawn = rng.integers(-3, 4, size=shape) if whole else rng.standard_normal(shape)
        return torch.from_numpy(drawn.astype(np.float64))

    ups = [numbers(width, dim) for width in widths]
    downs = [numbers(dim, width) for width in widths]
    return numbers(n_tokens, dim), ups, downs, numbers(dim)


def call(answer, x, ups, downs, b):
    kept = x.clone()
    out = answer(x, ups, downs, b)
    if not torch.equal(kept, x):
        raise Unreadable("`x` was changed. Make a new tensor: `x += …` writes into the old one")
    return out


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(2),
    examples=tuple(
        shards(np.random.default_rng(seed), *kind, whole=True)
        for seed, kind in enumerate([(1, 2, (1, 1)), (2, 2, (2, 2)), (2, 3, (1, 2)), (3, 2, (2,))])
    ),
    hints=(
        "What can rank r compute from x, ups[r] and downs[r] alone? What shape has it?",
        "Each rank makes a summand of the whole output. What is on every rank already, x and b, "
        "must not be added by each of them.",
        "`sum(torch.relu(x @ up.T) @ down.T for up, down in zip(ups, downs))`; then x and b, once.",
    ),
)

# --- kept back while grading ---


def relu(x):
    return x.clamp(min=0)


def whole(x, ups, downs, b):
    return x + relu(x @ torch.cat(ups).T) @ torch.cat(downs, 1).T + b


def summed(x, ups, downs, b, act=relu, extra=lambda x, b, n: x + b, total=sum):
    parts = [act(x @ up.T) @ down.T for up, down in zip(ups, downs, strict=True)]
    return total(parts) + extra(x, b, len(ups))


def but(**changes):
    return lambda *given: summed(*given, **changes)


def in_place(x, ups, downs, b):
    for up, down in zip(ups, downs, strict=True):
        x = x + relu(x @ up.T) @ down.T
    return x + b


MISTAKES = {
    "x and b are added by every rank, and then summed: once each is enough.": but(
        extra=lambda x, b, n: n * (x + b)
    ),
    "b is added by every rank, and then summed: once is enough.": but(
        extra=lambda x, b, n: x + n * b
    ),
    "x is added by every rank, and then summed: once is enough.": but(
        extra=lambda x, b, n: n * x + b
    ),
    "x is missing: the layer adds to what came in.": but(extra=lambda x, b, n: b),
    "b is missing.": but(extra=lambda x, b, n: x),
    "a share of b, or of x, is added once. Add the whole once, or a share on every rank.": (
        but(extra=lambda x, b, n: x + b / n),
        but(extra=lambda x, b, n: x / n + b),
        but(extra=lambda x, b, n: (x + b) / n),
    ),
    "you take the mean over ranks. Each has a summand, and they add up.": (
        but(total=lambda parts: sum(parts) / len(parts)),
        lambda *given: (
            sum(summed(*given[:1], [u], [d], given[3]) for u, d in zip(*given[1:3], strict=True))
            / len(given[1])
        ),
    ),
    "relu comes after the sum. It belongs between the two matrices, on each rank's channels.": (
        lambda x, ups, downs, b: x + relu(summed(x, ups, downs, 0 * b, act=lambda h: h) - x) + b,
        lambda x, ups, downs, b: x + relu(summed(x, ups, downs, b, act=lambda h: h) - x),
        but(act=lambda h: h, total=lambda parts: sum(map(relu, parts))),
    ),
    "relu comes twice, also on each rank's summand. Summands may be negative.": but(
        total=lambda parts: sum(map(relu, parts))
    ),
    "relu is applied to the sum as well. The output may be negative.": (
        lambda x, ups, downs, b: x + relu(summed(x, ups, downs, b) - x),
        lambda x, ups, downs, b: relu(summed(x, ups, downs, b)),
    ),
    "relu is missing.": but(act=lambda h: h),
    "relu is applied to x, before the first matrix.": lambda x, ups, downs, b: (
        x + sum(relu(x) @ up.T @ down.T for up, down in zip(ups, downs, strict=True)) + b
    ),
    "each rank works on what the rank before made, as if layers were cut. All start from x.": (
        in_place
    ),
    "only one rank's summand is there. All ranks need the sum of all.": (
        but(total=lambda parts: parts[0]),
        but(total=lambda parts: parts[-1]),
    ),
    "you use another function than relu.": (
        but(act=torch.nn.functional.silu),
        but(act=torch.nn.functional.gelu),
        but(act=torch.sigmoid),
        but(act=torch.tanh),
        but(act=torch.abs),
    ),
    "b is subtracted, or x is.": (
        but(extra=lambda x, b, n: x - b),
        but(extra=lambda x, b, n: b - x),
    ),
}


def concatenated(x, ups, downs, b):
    return torch.cat([relu(x @ u.T) @ d.T for u, d in zip(ups, downs, strict=True)], 1)


def changing(x, ups, downs, b):
    kept = x.clone()
    for up, down in zip(ups, downs, strict=True):
        x += relu(kept @ up.T) @ down.T
    return x + b


KNOWN = Known(
    right=(whole, summed),
    mistakes=MISTAKES,
    slips={"`x` was changed": changing, "shape": concatenated},
    show=lambda x, ups, downs, b: (
        f"layer(x, ups, downs, b) with {len(x)} tokens of {x.shape[1]} numbers, and "
        f"{[len(up) for up in ups]} channels on {len(ups)} ranks"
    ),
    place=lambda at: f"token {at[0]}, number {at[1]}" if at else "",
    name="{:.4g}".format,
)
