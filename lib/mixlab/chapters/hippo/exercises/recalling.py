"""15.3 What do the numbers say?"""

import math

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_real


def draw(rng):
    """Both memories, one number to ten, now, the beginning, and between."""
    drawn = []
    for size, share in ((1, 0.5), (2, 0.0), (3, 1.0), (5, 0.3), (7, 0.8), (10, 0.1)):
        h = rng.normal(size=size).round(2).tolist()
        heard = int(rng.integers(5, 100))
        ago = round(share * heard, 1)
        drawn += [(h, ago, heard, None), (h, ago, heard, round(float(rng.uniform(0.02, 0.3)), 2))]
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_real,
    examples=(
        ([4.0, 3**0.5], 1.0, 4, None),
        ([4.0, 3**0.5], 0.0, 4, None),
        ([0.0, 1.0], 3.0, 10, 0.5),
        ([1.0, 0.0, 2.0], 2.0, 8, None),
        ([1.0, 0.0, 2.0], 2.0, 8, 0.1),
        ([0.5, -1.0, 0.25, 1.0], 5.0, 20, None),
        ([0.5, -1.0, 0.25, 1.0], 5.0, 20, 0.2),
        ([3.0], 7.0, 9, 0.4),
    ),
    hints=(
        "Where does that moment lie, as a share s of the past: 0 is the beginning, 1 is now? There "
        "is one rule with the 1/t, and one without.",
        "With it, s = 1 - ago / heard. Without, a lag is counted in units of time, and s is e to "
        "the minus that. What is recalled is the sum of h_n times p_n(s).",
        "p_n(s) = √(2n + 1) P_n(y) with y = 2s - 1, P_0 = 1, P_1 = y and "
        "(k + 1) P_{k+1} = (2k + 1) y P_k - k P_{k-1}. One sample lasts for delta.",
    ),
)

# --- kept back while grading ---


def share_of(ago, heard, delta):
    return 1 - ago / heard if delta is None else math.exp(-ago * delta)


def legendre(y, size, divided=lambda k: k + 1):
    P = [1.0, y]
    for k in range(1, size):
        P.append(((2 * k + 1) * y * P[k] - k * P[k - 1]) / divided(k))
    return P[:size]


def summed(h, ago, heard, delta, divided=lambda k: k + 1):
    P = legendre(2 * share_of(ago, heard, delta) - 1, len(h), divided)
    return sum((2 * n + 1) ** 0.5 * a * b for n, (a, b) in enumerate(zip(h, P, strict=True)))


def by_powers(h, ago, heard, delta):
    """From the polynomials' coefficients."""
    s = share_of(ago, heard, delta)
    return sum(
        a * (2 * n + 1) ** 0.5 * (-1) ** (n + j) * math.comb(n, j) * math.comb(n + j, j) * s**j
        for n, a in enumerate(h)
        for j in range(n + 1)
    )


def where(share=share_of, y=lambda s: 2 * s - 1, factor=lambda n: (2 * n + 1) ** 0.5, times=None):
    """The sum of h_n times a polynomial, at another place or of another size."""

    def recall(h, ago, heard, delta):
        s = share(ago, heard, delta)
        P = legendre(y(s), len(h))
        total = sum(factor(n) * a * b for n, (a, b) in enumerate(zip(h, P, strict=True)))
        return total * (1 if times is None or delta is None else times(s))

    return recall


def fading(f):
    """The right place with the 1/t, and another without."""
    return lambda ago, heard, delta: 1 - ago / heard if delta is None else f(ago, heard, delta)


def whole(f):
    """The right place without the 1/t, and another with it."""
    return lambda ago, heard, delta: f(ago, heard) if delta is None else math.exp(-ago * delta)


MISTAKES = {
    "you count from the beginning: `ago` is counted back from now.": (
        where(whole(lambda ago, heard: ago / heard)),
        where(
            lambda ago, heard, delta: (
                ago / heard if delta is None else math.exp(-(heard - ago) * delta)
            )
        ),
    ),
    "you leave out the factors √(2n + 1): P_n isn't p_n.": where(factor=lambda n: 1),
    "your factors are 2n + 1. h_n holds one √(2n + 1) already, and p_n has the other.": where(
        factor=lambda n: 2 * n + 1
    ),
    "you take Legendre's polynomials at s. They live on [-1, 1], and s runs from 0 to 1.": (
        where(y=lambda s: s),
        where(y=lambda s: s, factor=lambda n: 1),
    ),
    "you stretch [0, 1] to [-1, 1] the wrong way round.": where(y=lambda s: 1 - 2 * s),
    "you stretch [0, 1] to [1, 3]: 2s + 1.": where(y=lambda s: 2 * s + 1),
    "you read both memories in the same way: without the 1/t s is e^-lag.": where(
        lambda ago, heard, delta: 1 - ago / heard
    ),
    "you leave out delta: `ago` counts samples, and a sample lasts for delta.": where(
        fading(lambda ago, heard, delta: math.exp(-ago))
    ),
    "you divide by delta. It is how long *one* sample lasts.": where(
        fading(lambda ago, heard, delta: math.exp(-ago / delta))
    ),
    "your e^ has the wrong sign, or you take 1 - e^-lag: now is s = 1, and long ago is 0.": (
        where(fading(lambda ago, heard, delta: math.exp(min(50, ago * delta)))),
        where(fading(lambda ago, heard, delta: 1 - math.exp(-ago * delta))),
    ),
    "without the 1/t you count from the beginning: a lag is counted back from now.": where(
        fading(lambda ago, heard, delta: math.exp(-(heard - ago) * delta))
    ),
    "without the 1/t you take a share of heard · delta. The past is squeezed by e^-lag.": (
        where(fading(lambda ago, heard, delta: 1 - ago * delta)),
        where(fading(lambda ago, heard, delta: 1 - ago * delta / heard)),
        where(fading(lambda ago, heard, delta: math.exp(-ago / heard))),
        where(fading(lambda ago, heard, delta: math.exp(-ago * delta / heard))),
    ),
    "you multiply by e^-lag once more. That is what a sample leaves in the numbers, not what they "
    "say.": where(times=lambda s: s),
    "you are half a sample or a whole one off: `ago` is counted from this very moment.": (
        where(lambda ago, heard, delta: share_of(ago + 1, heard, delta)),
        where(lambda ago, heard, delta: share_of(ago + 0.5, heard, delta)),
        where(whole(lambda ago, heard: (heard - ago - 1) / (heard - 1))),
        where(whole(lambda ago, heard: 1 - ago / (heard - 1))),
    ),
    "your polynomials grow from P_2 on: in their recursion all is divided by k + 1.": (
        lambda h, ago, heard, delta: summed(h, ago, heard, delta, lambda k: 1)
    ),
    "you return the last number's part alone.": lambda h, ago, heard, delta: summed(
        [0.0] * (len(h) - 1) + h[-1:], ago, heard, delta
    ),
    "you add up the numbers without their polynomials.": (
        lambda h, ago, heard, delta: sum(h),
        lambda h, ago, heard, delta: sum((2 * n + 1) ** 0.5 * a for n, a in enumerate(h)),
    ),
    "you multiply by powers of s. The numbers go with Legendre's polynomials.": (
        lambda h, ago, heard, delta: sum(
            a * share_of(ago, heard, delta) ** n for n, a in enumerate(h)
        )
    ),
}


KNOWN = Known(
    right=(summed, by_powers),
    mistakes=MISTAKES,
    slips={
        "expected one number": lambda h, ago, heard, delta: (
            np.array(h) * 1.0 if len(h) > 1 else h * 2
        )
    },
    show=lambda h, ago, heard, delta: (
        f"recall({[round(a, 2) for a in h]}, ago={ago:g}, heard={heard}, delta={delta})"
    ),
    name="{:.5g}".format,
)
