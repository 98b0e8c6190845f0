"""16.3 Whose share is in the state?"""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def gates(a, b):
    return torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)


def draw(rng):
    """One token, long texts, resets at the ends and in the middle, several, negative weights."""
    drawn = [gates([0.3], [2]), gates([0], [5]), gates([0, 0, 0], [1, 2, 3])]
    for n in (2, 5, 12, 40, 200):
        a, b = rng.uniform(0.5, 1, n), rng.normal(size=n)
        drawn.append(gates(a, b))
        a = a.copy()
        a[rng.integers(0, n, 2)] = 0
        drawn.append(gates(a, b))
    fast = gates(rng.uniform(1e-6, 1e-3, 150), rng.normal(size=150))  # underflows
    return [*drawn, fast]


def read(value) -> np.ndarray:
    """Finite numbers, one for each input."""
    weights = read_reals(1)(value)
    if not np.isfinite(weights).all():
        raise Unreadable(
            f"expected finite numbers: got {weights[~np.isfinite(weights)][0]}. What is 0 divided "
            "by 0, or the logarithm of 0, minus infinity, less another?"
        )
    return weights


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(
        gates([0.5, 0.5, 0.5], [1, 1, 2]),
        gates([0.5, 0.25], [3, 1]),
        gates([0.5, 0.25, 0.125, 1], [1, 2, 3, 5]),
        gates([1, 0, 0.5], [4, 3, 1]),
        gates([0, 0.5, 0.5], [4, 3, 1]),
        gates([0.5, 0.5, 0], [4, 3, 1]),
        gates([0.25], [3]),
        gates([1, 0, 0.5], [1e9, 3, 1]),
    ),
    hints=(
        "Begin at the end. How much of the last input is in the last state? And of the one before?",
        "Input s comes in with b_s, and is then kept by every *later* token: times a_{s+1}, "
        "a_{s+2}, … up to the last.",
        "Walk backwards with one running product. Dividing two products is shorter, and fails at "
        "a = 0.",
    ),
)

# --- kept back while grading ---


def backwards(a, b):
    weights, kept = [], 1.0
    for a_t, b_t in zip(a.flip(0), b.flip(0), strict=True):
        weights.append(kept * b_t)
        kept = kept * a_t
    return torch.stack(weights[::-1])


def forwards(a, b):
    """All inputs at once: each is let in alone."""
    h = torch.zeros_like(b)
    for t in range(len(a)):
        h = a[t] * h
        h[t] = h[t] + b[t]
    return h


def weighing(kept=lambda later: later.prod(), let_in=lambda a, b, s: b[s], first=1):
    """Another idea of what is kept of an input, or of how it comes in."""

    def weights(a, b):
        rows = [let_in(a, b, s) * kept(a[s + first :]) for s in range(len(a))]
        return torch.stack([torch.as_tensor(row, dtype=torch.float64) for row in rows])

    return weights


MISTAKES = {
    "you divide two products, and put 0 where that fails. After a reset both are 0; what came "
    "later is still there.": lambda a, b: torch.nan_to_num(b * a.prod() / a.cumprod(0)),
    "you keep what is let in by its own a, and by no later one.": lambda a, b: a * b,
    "your products are made from the end, and stand in that order: the last input's is the "
    "longest.": (
        lambda a, b: b * torch.cat((torch.ones_like(a[:1]), a.flip(0).cumprod(0)[:-1])),
        lambda a, b: b * a.flip(0).cumprod(0),
        lambda a, b: b * torch.cat((a.flip(0).cumprod(0)[:-1], torch.ones_like(a[:1]))),
        lambda a, b: b * torch.cat((a[1:], torch.ones_like(a[:1]))).flip(0).cumprod(0),
    ),
    "your products contain an input's own a. It ages the state *before* the input comes in.": (
        weighing(first=0)
    ),
    "you leave out the last token's a: it ages what was there before.": weighing(
        lambda later: later[:-1].prod()
    ),
    "you keep what came before a token: an input is aged by *later* tokens.": (
        lambda a, b: b * torch.cat((torch.ones_like(a[:1]), a.cumprod(0)[:-1])),
        lambda a, b: b * a.cumprod(0),
    ),
    "one token too far: an input is aged by the next token on.": weighing(first=2),
    "you leave out b: how much of an input comes in.": weighing(let_in=lambda a, b, s: 1.0),
    "you leave out a: nothing is kept as it came in.": lambda a, b: b.clone(),
    "you take one factor for all tokens, the last: each has its own.": lambda a, b: (
        b * a[-1] ** torch.arange(len(a) - 1, -1, -1)
    ),
    "you take an input's own factor for all tokens after it: each has its own.": lambda a, b: (
        b * a ** torch.arange(len(a) - 1, -1, -1)
    ),
    "your weights are backwards: the first is that of the first input.": (
        lambda a, b: backwards(a, b).flip(0)
    ),
    "you let 1 - a in. How much comes in is b.": weighing(let_in=lambda a, b, s: 1 - a[s]),
    "you return the states, for inputs of 1. Asked is each input's part of the last.": (
        lambda a, b: torch.stack([forwards(a[: t + 1], b[: t + 1]).sum() for t in range(len(a))])
    ),
    "you make the weights add up to 1. A state is a weighted sum, and no average.": (
        lambda a, b: torch.nan_to_num(backwards(a, b) / backwards(a, b).sum())
    ),
    "you add the later factors. Aged twice is multiplied twice.": weighing(
        lambda later: later.sum() if len(later) else 1.0
    ),
    "you put something in the place of 0, so that you may divide. A reset leaves nothing.": (
        *(
            lambda a, b, least=least: backwards(a.clamp(min=least), b)
            for least in (0.1, 1e-3, 1e-6, 1e-8, 1e-12)
        ),
    ),
    "you let the next token alone age an input. All later ones do.": weighing(
        lambda later: later[:1].prod()
    ),
}

KNOWN = Known(
    right=(backwards, forwards),
    mistakes=MISTAKES,
    slips={
        "What is 0 divided": lambda a, b: b * a.prod() / a.cumprod(0),
        "of 0, minus infinity": lambda a, b: b * torch.exp(a.log().sum() - a.log().cumsum(0)),
        "it raised": lambda a, b: b * a[1:],
        "expected real numbers": lambda a, b: torch.outer(b, a),
    },
    show=lambda a, b: (
        f"weights_in_state(a={np.round(a.numpy(), 4).tolist()}, "
        f"b={np.round(b.numpy(), 4).tolist()})"
    ),
    place=lambda at: f"input {at[0]}",
    name="{:.4g}".format,
)
