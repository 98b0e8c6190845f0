"""10.1 How many microbatches does it take? Both bubbles, turned around."""

from fractions import Fraction
from math import ceil, floor

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def draw(rng):
    """One stage and hundreds; shares that come out even, that don't, and that are generous."""
    drawn = [(1, Fraction(1, 3)), (300, Fraction(3, 1000))]
    for _ in range(9):
        parts = int(rng.integers(3, 40))
        drawn.append((int(rng.integers(2, 20)), Fraction(int(rng.integers(1, parts)), parts)))
    return drawn


def read(value) -> np.ndarray:
    """Two whole numbers."""
    try:
        first, second = value
        pair = [int(first), int(second)]
        whole = pair == [first, second]
    except (TypeError, ValueError):
        raise Unreadable(f"expected two whole numbers: got {kind_of(value)}") from None
    if not whole:
        raise Unreadable(f"expected two whole numbers: got {first} and {second}")
    return np.array(pair)


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(
        (4, Fraction(1, 5)),
        (4, Fraction(3, 7)),
        (4, Fraction(3, 10)),
        (3, Fraction(2, 5)),
        (1, Fraction(1, 10)),
        (2, Fraction(9, 10)),
        (4, Fraction(3, 47)),
        (2, Fraction(10**10, 3 * 10**10 + 1)),
    ),
    hints=(
        "Write both bubbles down with M unknown, and ask when they equal the share.",
        "P - 1 <= share · (M + P - 1), and P - 1 <= share · M. Solve for M; a whole number is "
        "wanted that is large enough.",
        "`share` is a Fraction, and sums, products and quotients of it are exact: `math.ceil` of "
        "them is right. One microbatch is the least there can be.",
    ),
)

# --- kept back while grading ---


def solved(n_stages, share):
    idle = n_stages - 1
    return max(1, ceil(idle * (1 - share) / share)), max(1, ceil(idle / share))


def tried(n_stages, share):
    top, bottom, idle, m, found = share.numerator, share.denominator, n_stages - 1, 1, []
    for useful in (idle, 0):
        while idle * bottom > top * (m + useful):
            m += 1
        found.append(m)
    return found


def but(by_all=None, by_useful=None, rounded=ceil, least=1, p=lambda n_stages: n_stages - 1):
    """The two under other ideas of the formulas, of rounding, of the least, of the idle steps."""
    by_all = by_all or (lambda idle, share: idle * (1 - share) / share)
    by_useful = by_useful or (lambda idle, share: idle / share)

    def fewest(n_stages, share):
        both = (by(p(n_stages), share) for by in (by_all, by_useful))
        return tuple(max(least, rounded(number)) for number in both)

    return fewest


def searched(n_stages, small_enough):
    """The first M at which a bubble, a float, is small enough."""
    found = []
    for useful in (n_stages - 1, 0):
        m = 1
        while not small_enough((n_stages - 1) / (m + useful)):
            m += 1
        found.append(m)
    return found


def both(function):
    return lambda n_stages, share: (function(n_stages, share),) * 2


MISTAKES = {
    "you have the two the wrong way round. GPipe's share is of all time, and comes first.": (
        lambda n_stages, share: solved(n_stages, share)[::-1],
        lambda n_stages, share: but(least=0)(n_stages, share)[::-1],
    ),
    "you round down. One microbatch fewer than needed leaves more idle than allowed.": (
        but(rounded=floor),
        but(rounded=floor, least=0),
        but(rounded=round),
    ),
    "your bubbles are smaller than the share where they may equal it: at most means at most.": (
        but(rounded=lambda number: floor(number) + 1),
        lambda n_stages, share: searched(n_stages, lambda bubble: bubble < float(share)),
    ),
    "you take M + P steps for all time. They are M + P - 1: a microbatch is at its first stage "
    "when its way begins.": lambda n, share: (
        max(1, ceil((n - 1) / share - n)),
        solved(n, share)[1],
    ),
    "you want as many microbatches as stages at least. Fewer make a pipeline too.": (
        lambda n, share: tuple(max(n, number) for number in solved(n, share))
    ),
    "you return 0 for one stage. Nothing idles there, but without a microbatch nothing runs.": (
        but(least=0),
        lambda n, share: (but(least=0)(n, share)[0], solved(n, share)[1]),
        lambda n, share: (solved(n, share)[0], but(least=0)(n, share)[1]),
    ),
    "you count P idle steps. The last microbatch has P - 1 more stages to go through.": but(
        p=lambda n_stages: n_stages
    ),
    "both of your numbers are of the useful time. GPipe's share is of all time, M + P - 1 steps.": (
        both(lambda n, share: solved(n, share)[1])
    ),
    "both of your numbers are of all time. The second's share is of M steps, the useful ones.": (
        both(lambda n, share: solved(n, share)[0])
    ),
    "you return M + P - 1, the steps in all. Asked are the microbatches.": lambda n, share: tuple(
        number + n - 1 for number in solved(n, share)
    ),
    "you take four microbatches a stage, whatever share is allowed. The bubble isn't negligible "
    "there: compute it.": both(lambda n, share: 4 * n),
    "your arithmetic rounds: a float 3 / 15 is more than 1/5, and 27 may be 27.000000000000004. A "
    "Fraction is exact.": (
        lambda n, share: solved(n, float(share)),
        but(by_all=lambda i, s: i / float(s) - i, by_useful=lambda i, s: i / float(s)),
        lambda n, share: searched(n, lambda bubble: bubble <= share),
    ),
    "a little subtracted against rounding takes a little of the answer too. A Fraction is exact.": (
        but(rounded=lambda number: ceil(float(number) - 1e-9)),
        but(rounded=lambda number: ceil(round(float(number), 6))),
    ),
    "you take one forward and one backward pass for twice the bubble. Idle and useful steps both "
    "double, and no share changes.": but(
        by_all=lambda idle, share: 2 * idle * (1 - share) / share,
        by_useful=lambda idle, share: 2 * idle / share,
    ),
    "you ask that the *useful* part is at most the share. It is the idle one.": but(
        by_all=lambda idle, share: idle * share / (1 - share),
        by_useful=lambda idle, share: idle * share,
    ),
    "you divide where the share multiplies: M = (P - 1) · share is small where little may idle.": (
        but(by_all=lambda idle, share: idle * share * (1 - share), by_useful=lambda i, s: i * s)
    ),
}

KNOWN = Known(
    right=(solved, tried),
    mistakes=MISTAKES,
    slips={"expected two whole numbers": (lambda n, share: n, lambda n, share: (n / 7, n))},
    show=lambda n_stages, share: f"fewest(n_stages={n_stages}, share={share!r})",
    place=lambda at: ("GPipe's", "Megatron's")[at[0]] if at else "",
)
