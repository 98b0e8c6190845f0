"""17.5 Predict work and depth."""

from math import log2

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_count


def draw(rng):
    """Small lengths, powers of two and their neighbours, and one of millions."""
    small = [(int(n),) for n in rng.integers(5, 100, 6)]
    powers = [(2 ** int(k) + extra,) for k in rng.integers(3, 16, 2) for extra in (-1, 0, 1)]
    return [(1,), (2,), (3,), *small, *powers, (int(rng.integers(10**6, 10**7)),)]


def read(value):
    """Four whole numbers."""
    try:
        numbers = [read_count(number) for number in value]
    except TypeError:
        numbers = []
    if len(numbers) != 4:
        raise Unreadable(f"expected four whole numbers: got {kind_of(value)}")
    return np.array(numbers)


ASKED = Asked(
    draw=draw,
    read=read,
    examples=((8,), (5,), (12,), (2,), (3,), (15,), (1,)),
    hints=(
        "Hillis and Steele: in the round with reach r, the first r places are already done. "
        "How many applications does that leave?",
        "Their reaches are 1, 2, 4, … as long as they are below the length. For 5: 4 + 3 + 1.",
        "Blelloch: write it as a recursion. blelloch(L) = ⌊L/2⌋ + blelloch(⌊L/2⌋) + ⌈L/2⌉ − 1, "
        "and one item costs nothing.",
        "Its depth: one round up, that of ⌊L/2⌋ items, and one round down unless L is 2.",
    ),
)

# --- kept back while grading ---


def floor(n):
    return n.bit_length() - 1


def ceil(n):
    return (n - 1).bit_length()


def by_bits(n):
    """Work and depth by the bits of the length."""
    second = n >> max(0, floor(n) - 1) & 1
    return (
        n * ceil(n) - 2 ** ceil(n) + 1,
        ceil(n),
        2 * n - n.bit_count() - n.bit_length(),
        2 * floor(n) - 1 + second if n > 1 else 0,
    )


def by_rounds(n, half=lambda n: n // 2, filled=lambda n: (n - 1) // 2):
    """Work and depth round by round, with other ideas of a tree's next length, or of what the way
    down fills in."""
    reaches = [2**k for k in range(ceil(n))]
    work = depth = 0
    length = n
    while length > 1:
        work += length // 2 + filled(length)
        depth += 1 + (filled(length) > 0)
        length = half(length)
    return sum(n - reach for reach in reaches), len(reaches), work, depth


def but(**parts):
    """The right numbers, with some of `work`, `rounds`, `tree` and `depth` found in another way;
    none for a single item, where formulas differ, and say nothing about a mistake."""

    def costs(n):
        if n == 1:
            raise ValueError("one item is too few for a formula")
        numbers = zip(("work", "rounds", "tree", "depth"), by_bits(n), strict=True)
        return [parts[name](n) if name in parts else number for name, number in numbers]

    return costs


def some(parts):
    """All of the parts wrong, or one of them."""
    return (but(**parts), *(but(**{name: part}) for name, part in parts.items()))


def tree(**how):
    """Blelloch's work and depth by other rounds, or its work alone."""
    work, depth = (lambda n, at=at: by_rounds(n, **how)[at] for at in (2, 3))
    return but(tree=work, depth=depth), but(tree=work)


def powers(log, whole=int):
    """The lesson's formulas for powers of two, with some logarithm, made whole in the end."""
    return {
        "work": lambda n: whole(n * log(n) - n + 1),
        "rounds": lambda n: whole(log(n)),
        "tree": lambda n: whole(2 * n - log(n) - 2),
        "depth": lambda n: whole(2 * log(n) - 1),
    }


def of(log, *names):
    return {name: powers(log)[name] for name in names}


OF = ("Hillis and Steele", "Blelloch")
OF_POWERS = "Blelloch: those are the formulas for powers of two with the logarithm rounded"
COUNT = "Count the recursion for 5: two pairs, the scan of two, two left to fill in."
MISTAKES = {
    "those are the lesson's formulas for powers of two, all four, with the logarithm rounded. "
    "Other lengths need a count of their own, round by round.": tuple(
        but(**powers(log, whole))
        for log, whole in ((ceil, int), (floor, int), (log2, int), (log2, np.ceil), (log2, round))
    ),
    "Hillis and Steele: you let every place work in every round. In the round with reach r the "
    "first r places have nothing before them to read.": (
        but(work=lambda n: n * ceil(n)),
        but(work=lambda n: int(n * log2(n))),
    ),
    "Hillis and Steele: for a length between two powers of two the rounds are rounded up, not "
    "down: 5 items need reach 4 as well.": some(
        {"work": lambda n: n * floor(n) - 2 ** floor(n) + 1, "rounds": floor}
    ),
    "Hillis and Steele: the reach stays below the length. You count one more round where the "
    "length is a power of two, and nobody works in it.": but(rounds=lambda n: floor(n) + 1),
    "Hillis and Steele: after k rounds it is 2^k − 1 applications that were saved, not "
    "length − 1; the two agree for powers of two only.": tuple(
        but(work=powers(log)["work"]) for log in (ceil, log2)
    ),
    "Hillis and Steele: you add up the places that rest. The others work: length − reach.": but(
        work=lambda n: 2 ** ceil(n) - 1
    ),
    f"{OF_POWERS} down. {COUNT}": (some(of(floor, "tree", "depth"))),
    f"{OF_POWERS} up. {COUNT}": (some(of(ceil, "tree", "depth"))),
    "Blelloch: you count only the way up. The way down fills in every other place.": some(
        {"tree": lambda n: n - n.bit_count(), "depth": floor}
    ),
    "Blelloch: for two items the way down has nothing to do, so it is no round.": but(
        depth=lambda n: 2 * floor(n)
    ),
    "Blelloch: twice Hillis and Steele's depth is a bound. The last pair needs no way down, and an "
    "odd one out no way up.": but(depth=lambda n: 2 * ceil(n)),
    "Blelloch: place 0 needs nothing on the way down, so ⌈L/2⌉ − 1 places are filled in, one less "
    "than you count.": (
        *tree(filled=lambda n: (n + 1) // 2),
        *tree(filled=lambda n: n // 2),
    ),
    "Blelloch: an odd one out isn't taken along: ⌊L/2⌋ pairs are scanned, not ⌈L/2⌉.": tree(
        half=lambda n: (n + 1) // 2
    ),
    "Blelloch: nothing is filled up to a power of two. An odd one out joins no pair.": (
        but(tree=lambda n: by_bits(2 ** ceil(n))[2], depth=lambda n: 2 * ceil(n) - 1),
        but(tree=lambda n: by_bits(2 ** ceil(n))[2]),
    ),
    "Blelloch: 2 (L − 1) is the count of the textbook's exclusive scan. Ours has less to do on the "
    "way down.": but(tree=lambda n: 2 * (n - 1)),
    "Blelloch: 2 L is a bound, and L − 1 is what a loop takes. Count both ways.": (
        but(tree=lambda n: 2 * n),
        but(tree=lambda n: 2 * n, depth=lambda n: 2 * ceil(n)),
        but(tree=lambda n: n - 1),
    ),
    "your two scans are exchanged: Hillis and Steele first.": lambda n: np.roll(by_bits(n), 2),
    "your work and depth are exchanged: work first.": lambda n: np.array(by_bits(n))[[1, 0, 3, 2]],
    "that is what a loop does, L − 1 of each. Both scans take more work to be done "
    "sooner.": lambda n: [n - 1] * 4,
}

KNOWN = Known(
    right=(by_bits, by_rounds),
    mistakes=MISTAKES,
    slips={
        "expected a whole number": lambda n: [part(n) for part in powers(log2, float).values()],
        "expected four whole numbers": lambda n: by_bits(n)[:2],
        "first wrong place: Blelloch's work": but(tree=lambda n: by_bits(n)[2] + 1),
    },
    show=lambda length: f"costs({length})",
    place=lambda at: f"{OF[at[0] // 2]}'s {('work', 'depth')[at[0] % 2]}",
)
