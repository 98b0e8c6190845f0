"""The scans that 17.4 hands out, drawn from families; which of them are right stands elsewhere.

A family says which items stand in which prefix of a list of so many, and how they are bracketed. It
has a number of its own: in the check one that everybody may read here, when graded one that is
drawn. All suspects are the same code, which follows the joins that were written down for each
length: only what they do tells a right one from a wrong one.
"""

from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import NamedTuple

from mixlab.examination.scans import Program, Scan

LENGTHS = range(1, 41)  # items

# Brackets: what a row of items is joined to, two at a time; n is a family's own number.


def left(join, row, n):
    return reduce(join, row)


def right(join, row, n):
    return reduce(lambda later, earlier: join(earlier, later), row[::-1])


def chunks(join, row, n):
    return reduce(join, [reduce(join, row[at : at + n]) for at in range(0, len(row), n)])


def halves(join, row, n, power_first=True):
    """Round a power of two of items, the largest that leaves a rest, and round the rest."""
    power = 2 ** (len(row) - 1).bit_length() // 2
    if not power:
        return row[0]
    at = power if power_first else len(row) - power
    return join(*(halves(join, part, n, power_first) for part in (row[:at], row[at:])))


def rest_first(join, row, n):
    return halves(join, row, n, power_first=False)


# Rows: the items of each prefix, by the number of items L and a family's own number n.


def upto(length):
    return [range(t + 1) for t in range(length)]


def but(L, place, row, when):
    """All prefixes, but one of them with other items where the condition holds."""
    return [row if when and t == place else range(t + 1) for t in range(L)]


def own_first(row):
    return [row[-1], *row[:-1]]


class Family(NamedTuple):
    """Brackets, rows, and the numbers that it may have, the check's first."""

    brackets: Callable
    rows: Callable
    numbers: Sequence[int] = (0,)


FAMILIES = {
    "one after the other": Family(left, lambda L, n: upto(L)),
    "each prefix for itself, joined from its end": Family(right, lambda L, n: upto(L)),
    "up and down a tree": Family(halves, lambda L, n: upto(L)),
    "reach 1, 2, 4, …": Family(rest_first, lambda L, n: upto(L)),
    "chunks of {n}, with a running prefix": Family(chunks, lambda L, n: upto(L), range(4, 9)),
    "the later item in front": Family(left, lambda L, n: [row[::-1] for row in upto(L)]),
    "up and down, with a place's own item in front where it is even": Family(
        halves, lambda L, n: [own_first(row) if len(row) % 2 else row for row in upto(L)]
    ),
    "reach 1, 2, 4, …, with the neighbour joined in twice": Family(
        rest_first, lambda L, n: [[*row, row[-1]] if len(row) > 2 else row for row in upto(L)]
    ),
    "reach 1, 2, 4, …, with a round too few where the length is no power of two": Family(
        rest_first, lambda L, n: [row[-(2 ** (L.bit_length() - 1)) :] for row in upto(L)]
    ),
    "up and down, without the last item of an odd length": Family(
        halves, lambda L, n: but(L, L - 1, [L - 1], L % 2)
    ),
    "the way up without the way down": Family(
        halves, lambda L, n: [range(t - (t & -t), t) for t in range(1, L + 1)]
    ),
    "up and down, without the last join of the way up where the length is a power of two": Family(
        halves, lambda L, n: but(L, L - 1, range(L // 2, L), L & (L - 1) == 0)
    ),
    "the right prefixes, the longest one first": Family(left, lambda L, n: upto(L)[::-1]),
    "each place without its own item, but for the first": Family(
        left, lambda L, n: [range(max(1, t)) for t in range(L)]
    ),
    "everything from a place to the end": Family(
        left, lambda L, n: [range(t, L) for t in range(L)]
    ),
    "the join of all items, at every place": Family(left, lambda L, n: [range(L)] * L),
    "chunks of {n}, without what is left over at the end": Family(
        chunks, lambda L, n: upto(L // n * n), range(4, 9)
    ),
    "chunks of {n}, where one knows of the one before it and of none before that": Family(
        left, lambda L, n: [range(max(0, t // n - 1) * n, t + 1) for t in range(L)], (8, 6, 7, 9)
    ),
    "chunks of {n}, with the carried prefix behind a chunk's own items": Family(
        left,
        lambda L, n: [[*range(t // n * n, t + 1), *range(t // n * n)] for t in range(L)],
        (32, *range(20, 32)),
    ),
    "a single item joined with itself": Family(halves, lambda L, n: but(L, 0, [0, 0], L == 1)),
    "at {n} items the last prefix without the item before": Family(
        halves, lambda L, n: but(L, L - 1, [*range(L - 2), L - 1], n == L), (14, *range(9, 40))
    ),
    "at {n} items one prefix with its own item in front": Family(
        rest_first, lambda L, n: but(L, 7, own_first(range(8)), n == L), (40, *range(17, 40))
    ),
    "prefixes of {n} items at most": Family(
        right, lambda L, n: [row[-n:] for row in upto(L)], (36, *range(33, 39))
    ),
    "from {n} items on the last prefix twice": Family(
        left, lambda L, n: upto(L) + upto(L)[-1:] * (n <= L), (9, *range(1, 32))
    ),
}


class Suspect(Scan):
    """A scan of one family; its `description` says in messages what it does."""

    def __init__(self, family: str, number: int):
        super().__init__(programs_of(family, number))
        self.description = family.format(n=number)

    def __deepcopy__(self, memo: dict) -> "Suspect":
        return self


@cache  # every check draws the same ones, and to write one down takes longer than to try it
def programs_of(family: str, number: int) -> list[Program]:
    """A family's joins, for each length."""
    brackets, rows, _ = FAMILIES[family]
    return [written(brackets, rows(length, number), length, number) for length in LENGTHS]


def written(brackets, rows, length: int, number: int) -> Program:
    """The joins that make these prefixes, each once, and the results."""
    joins: dict[tuple, int] = {}

    def join(earlier, later):
        return joins.setdefault((earlier, later), length + len(joins))

    results = [brackets(join, list(row), number) for row in rows]
    return list(joins), results
