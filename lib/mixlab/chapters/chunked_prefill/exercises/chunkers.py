"""Right chunkers and wrong ones, made of what each hands to its queries."""

from itertools import accumulate
from typing import NamedTuple

WIDEST, LONGEST = 12, 40  # window, tokens


def seen(window, position):
    """What the window's rule shows a query, oldest first."""
    return list(range(max(0, position - window + 1), position + 1))


class Row(NamedTuple):
    """A query at position p of a chunk from s to e (without e), in a window of w."""

    w: int
    p: int
    s: int
    e: int
    chunk: int  # the chunk's number
    first: int  # tokens of the first chunk
    total: int  # tokens of the text
    m: int  # one of the family's NUMBERS

    def keys(self, oldest=0):
        """What it should be handed, as far as that isn't older than `oldest`."""
        return [j for j in seen(self.w, self.p) if j >= oldest]

    def before(self, end):
        """All keys from the first row's oldest to the one before `end`."""
        return list(range(max(0, self.s - self.w + 1), end))


# What a chunker hands to a query. The first of the NUMBERS is in the check, where everybody may
# read it; another is drawn when an answer is graded.
FAMILIES = {
    "the ring, unrotated, then the chunk": lambda r: r.keys(),
    "the ring as it lies, then the chunk": lambda r: sorted(
        r.keys(), key=lambda j: (j >= r.s, j % r.w)
    ),
    "the newest key first": lambda r: r.keys()[::-1],
    "for every row the first row's window": lambda r: r.before(r.p + 1),
    "what a ring of {m} W holds once the chunk is written": lambda r: r.keys(
        min(r.s, r.e - r.m * r.w)
    ),
    "a chunk that is written first": lambda r: r.keys(r.e - r.w),
    "of the ring one chunk's length": lambda r: r.keys(2 * r.s - r.e),
    "of the ring at most {m} keys": lambda r: r.keys(r.s - r.m),
    "all W keys of the ring to the first row": lambda r: seen(r.w + (r.p == r.s), r.p),
    "at W = 1 the ring's key as well": lambda r: (
        r.keys() if r.w > 1 or not r.s else [r.s - 1, *r.keys()]
    ),
    "W + {m} keys": lambda r: seen(r.w + r.m, r.p),
    "its own key again, and not the oldest, from the second chunk on": lambda r: (
        [*r.keys()[1:], r.p] if r.chunk else r.keys()
    ),
    "no mask from chunk {m} on": lambda r: r.keys() if r.chunk < r.m else r.before(r.e),
    "the chunk alone, where it is longer than {m}": lambda r: r.keys(r.s * (r.e - r.s > r.m)),
    "one key too few where a chunk begins at W - 1": lambda r: r.keys(int(r.s == r.w - 1 > 0)),
    "the right keys where all chunks are as long as the first": lambda r: (
        r.keys() if r.s == r.chunk * r.first else [r.p]
    ),
    "the chunk alone, where it is as long as the first": lambda r: r.keys(
        r.s * (r.chunk > 0 and r.e - r.s == r.first)
    ),
    "its own key twice in a short last chunk": lambda r: (
        r.keys() + [r.p] * (r.e == r.total and r.e - r.s < r.first)
    ),
    "the last key only, from token {m} on": lambda r: r.keys(r.p * (r.p >= r.m)),
}
NUMBERS = {
    "what a ring of {m} W holds once the chunk is written": (2, 3),
    "of the ring at most {m} keys": (3, 2, 4, 5),
    "W + {m} keys": (1, 2),
    "no mask from chunk {m} on": (1, 2, 3),
    "the chunk alone, where it is longer than {m}": (4, 3, 5, 6),
    "the last key only, from token {m} on": (20, 15, 17, 22),
}


def reader_of(family, m):
    """A chunker, the same code for all: what it hands to its queries follows from positions."""

    def read(window, lengths, hand=FAMILIES[family]):
        lengths = [int(n) for n in lengths]
        if not 1 <= window <= WIDEST or min(lengths, default=0) < 1 or sum(lengths) > LONGEST:
            raise ValueError(
                f"these chunkers take windows from 1 to {WIDEST} and chunks of 1 token or more, "
                f"{LONGEST} tokens in all: got window {window} and chunks {lengths}"
            )
        ends = list(accumulate(lengths))
        return [
            hand(Row(window, p, end - n, end, number, lengths[0], ends[-1], m))
            for number, (end, n) in enumerate(zip(ends, lengths, strict=True))
            for p in range(end - n, end)
        ]

    read.__doc__ = family.format(m=m)
    return read
