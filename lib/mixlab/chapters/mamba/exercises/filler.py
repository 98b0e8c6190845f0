"""19.6 Prove by test: does filler leak?"""

from functools import partial
from itertools import product

import numpy as np
import torch
from torch.nn import functional as F

import mixlab.chapters.mamba.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_verdict

# Which tokens count, by the mask, by how much filler stands before and behind each row, and by n.
COUNTS = {
    "a": lambda real, before, behind, n: torch.ones_like(real),  # all
    "r": lambda real, before, behind, n: real,  # real ones
    "f": lambda real, before, behind, n: real.cumsum(1) > 0,  # all from the first real one on
    "o": lambda real, before, behind, n: real[n % len(real)].expand_as(real),  # those of one row
    # Real ones; and all in some rows: with filler on both sides, with n of it on one, late ones.
    "b": lambda real, before, behind, n: real | ((before > 0) & (behind > 0))[:, None],
    "n": lambda real, before, behind, n: real | ((before == n) | (behind == n))[:, None],
    "t": lambda real, before, behind, n: real | (torch.arange(len(real)) >= n)[:, None],
}
# Families of layers, by the tokens that count as input, after the convolution and in Δ; whether a
# row is read at its "last" real token, or its digits hang on width ("round"). Then the numbers n.
FAMILIES = {
    "filler's input zeroed before the convolution, and its Δ set to 0": ("rar", 0),
    "filler kept out until the first real token, the state taken at the last": ("faf last", 0),
    "filler's input zeroed twice, the state taken at the last real token": ("rra last", 0),
    "filler's Δ set to 0, in arithmetic that rounds by the width": ("rrr round", 0),
    "filler's input zeroed before the convolution; its Δ stays positive": ("raa", 0),
    "filler's input zeroed after the convolution too; the state still decays": ("rra", 0),
    "filler's input zeroed, of which the convolution's bias makes a u again": ("raa last", 0),
    "Δ of filler set to 0, and filler under the taps of the first real tokens": ("aar", 0),
    "the state taken at each row's last real token, filler before it read": ("aaa last", 0),
    "filler before the text kept out, filler behind it read": ("faf", 0),
    "filler read like any token": ("aaa", 0),
    "what is filler in row {n} kept out of every row": ("oao", 0, 1),
    "filler kept out, but read in rows that have it on both sides": ("bab", 0),
    "filler kept out, but read from row {n} of a batch on": ("tat", 2, 1),
    "filler kept out, but read in rows that have just {n} of it on a side": ("nan", 1, 2, 3),
}


def layer_of(family, n, seed=0):
    """A layer, the same code for all."""
    (places, _, how), rng = FAMILIES[family][0].partition(" "), np.random.default_rng(seed)
    *sizes, rates = (torch.from_numpy(rng.uniform(0.2, 0.9, s)) for s in ((4, 3), 4, (4, 4), 4))
    taps, bias, mix = (size * torch.from_numpy(rng.choice([-1, 1], size.shape)) for size in sizes)

    def read(x, mask):
        # In float64, so that a row's neighbours don't show in its last digits in float32.
        x, real = torch.as_tensor(x).double(), torch.as_tensor(mask).bool()
        if x.dim() != 3 or x.shape[2] != 4 or real.shape != x.shape[:2] or not real.any(1).all():
            raise ValueError(
                "read(x, mask) takes x of shape (batch, seq, 4) and a mask of shape (batch, seq), "
                f"with a real token in each row: got {tuple(x.shape)} and {tuple(real.shape)}"
            )
        width, before, behind = x.shape[1], *(m.int().argmax(1) for m in (real, real.flip(1)))
        given, out, step = (COUNTS[at](real, before, behind, n)[..., None] for at in places)
        padded = F.pad(x * given, (0, 0, 2, 0))
        u = F.silu(sum(padded[:, k : k + width] * taps[:, k] for k in range(3)) + bias) * out
        delta = F.softplus(u @ mix.T - 0.5) * step
        h, states = torch.zeros_like(x[:, 0]), []
        for now in range(width):
            h = (-2 * delta[:, now] * rates).exp() * h + delta[:, now] * u[:, now]
            states.append(h)
        state = torch.stack(states)[width - 1 - behind * (how == "last"), range(len(x))]
        return (state * (1 + 2e-7 * width * (how == "round"))).float()

    read.__doc__ = family.format(n=n)
    return read


def draw(rng):
    """Every family with a number and weights of its own, in any order; some twice."""
    return [
        (layer_of(family, int(rng.choice(FAMILIES[family][1:])), int(rng.integers(1, 2**31))),)
        for family in rng.permutation([*FAMILIES, *list(FAMILIES)[:4]]).tolist()
    ]


ASKED = Asked(
    draw=draw,
    read=read_verdict,
    examples=tuple((layer_of(family, numbers[0]),) for family, (_, *numbers) in FAMILIES.items()),
    hints=(
        "Make a batch of rows with different numbers of real tokens, and hold each row's "
        "state against `read` of that row alone, without filler and with a mask of all True.",
        "What hides a leak? Filler of zeros; rows alike. Some layers leak only on one side, or "
        "where both sides have filler, or just one, two or three tokens of it, or in a third row.",
        "Compare with `torch.allclose(…, atol=1e-5)`; return False at once, and True at the end.",
    ),
)

# --- kept back while grading ---

close = partial(torch.allclose, atol=1e-5)
FILLERS = 0.0, 2.0
# A batch is its width, and where each row's text starts and stops.
TRIED = (
    *((8, (0, 8), (3, 6), (0, 5)), (8, (1, 4), (0, 3), (2, 8))),
    *((8, (2, 7), (3, 8), (1, 5)), (9, (5, 9), (0, 1), (4, 6))),
)


def filled(batch, filler):
    (width, *rows), rng = batch, np.random.default_rng(7)
    x, mask = torch.full((len(rows), width, 4), filler), torch.zeros(len(rows), width).bool()
    for row, (start, stop) in enumerate(rows):
        x[row, start:stop], mask[row, start:stop] = shared.real(rng, stop - start, 4), True
    return x, mask


def ignoring(read):
    """A test that holds filler of one kind against filler of another."""
    return all(close(*(read(*filled(batch, filler)) for filler in FILLERS)) for batch in TRIED)


def judging(batches=TRIED, fillers=FILLERS, same=close, rows=None):
    """A test that holds the first rows of some batches, or all, against the same rows alone."""

    def judge(read):
        for x, mask in (filled(batch, filler) for batch in batches for filler in fillers):
            for state, row, real in list(zip(read(x, mask), x, mask, strict=True))[:rows]:
                if not same(state, read(row[real][None], real[real][None])[0]):
                    return False
        return True

    return judge


MISTAKES = {
    "your test accepts everything. Does it return False anywhere, for a batch in which filler "
    "would change a row's state?": lambda read: True,
    "your test rejects everything, safe layers too. Compare each row with itself alone, and with "
    "torch.allclose: real numbers differ in the last digits. (If your filler is NaN or infinite: "
    "0 times either is NaN, so zeroing doesn't help.)": lambda read: False,
    "your test has True and False the wrong way round.": lambda read: not judging()(read),
    "your test asks for equality to the last digit. Rounding may differ between a batch and a "
    "single row: compare with torch.allclose.": judging(same=torch.equal),
}


def advice(read):
    """Where this layer leaks, in words that leave the finding to the reader."""
    leaks = [
        (before, behind, filler)
        for n, filler in product((1, 2, 3), FILLERS)
        for before, behind in ((n, 0), (0, n), (n, n))
        if not judging([(before + 3 + behind, (before, before + 3))], [filler])(read)
    ]
    if judging()(read):
        digits = "" if judging(same=torch.equal)(read) else " Is it in the last digits?"
        return f"this layer keeps filler out, and your test finds a leak. Print the first.{digits}"
    if not leaks:
        return (
            "your test looks at one row of a batch, or at rows alike. Some layers keep one row's "
            "filler out and another's in: try three rows of different lengths, and look at all."
        )
    before, behind, fillers = map(set, zip(*leaks, strict=True))
    sides = [side for side, n in ((" before", before), (" behind", behind)) if 0 not in n]
    if ignoring(read) and not sides:
        return (
            "this layer turns all filler into one and the same wrong step. Two kinds of filler "
            "tell nothing: hold each row against its real tokens alone, with a small tolerance."
        )
    where = f" that stands{' and'.join(sides)} the text" if sides else " in rows that it leaves out"
    what = "" if 0.0 in fillers else " if it isn't zero"
    return f"your test misses a kind of row: this layer leaks filler{where}{what}."


KNOWN = Known(
    right=(judging(), judging(TRIED[::-1], (-3.0, 5.0), lambda *two: np.allclose(*two, atol=1e-5))),
    mistakes=MISTAKES,
    slips={
        "leaks filler that stands behind the text": judging([(5, (2, 5), (0, 5), (4, 5))]),
        "leaks filler that stands before the text": judging([(5, (0, 3), (0, 5), (0, 1))]),
        "Two kinds of filler tell nothing": ignoring,
        "if it isn't zero": judging(fillers=[0.0]),
        "before and behind the text": judging([(6, (0, 4), (2, 6), (0, 1))]),
        "in rows that it leaves out": judging([(7, (0, 4), (2, 5), (2, 7))]),
        "one row of a batch": (judging([(6, (0, 4)), (6, (1, 6))]), judging(rows=1)),
        "read(x, mask) takes x of shape (batch, seq, 4)": lambda read: read(torch.ones(5, 4), 1),
    },
    show=lambda read: f"keeps_filler_out on a layer with {read.__doc__}",
    name=lambda value: "True (filler kept out)" if value else "False (filler leaks)",
    advice=advice,
)
