"""What the exercises of chapter 17 share: items that can only be joined, and a ledger of joins."""

from collections import deque
from itertools import accumulate
from math import ceil, log2
from string import ascii_letters

import numpy as np

from mixlab.checks.messages import Unreadable

MOST_TIMES = 64  # items of a sequence that one prefix may hold, as a multiple of all


class Item:
    """One item of a sequence, or several joined in order. Only a ledger's operator joins two."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"‹{self._text}›"


class Ledger:
    """Makes an item of each letter, joins them, and counts how often and in how long a row."""

    def __init__(self, text: str) -> None:
        self._known: dict[Item, tuple[str, int]] = {}  # text, and how many joins it waited for
        self.items = [self._new(letter, 0) for letter in text]
        self.work = 0

    def _new(self, text: str, waited: int) -> Item:
        item = Item(text)
        self._known[item] = text, waited
        return item

    def operator(self, earlier: Item, later: Item) -> Item:
        """Both together, the earlier first."""
        for item in (earlier, later):
            if not isinstance(item, Item) or item not in self._known:
                raise TypeError(
                    "the operator takes two items, the earlier and the later: got "
                    f"{type(item).__name__} {item!r:.40}"
                )
        (before, waited), (after, also) = self._known[earlier], self._known[later]
        self.work, n = self.work + 1, len(self.items)
        # Doubling what was doubled would fill the memory before anyone could look at it.
        if len(before) + len(after) > MOST_TIMES * n or self.work > MOST_TIMES + 2 * n * n:
            raise Unreadable(
                f"on {n} items the operator was applied {self.work} times and made one of "
                f"{len(before) + len(after)}: some are joined in over and over. Does a round read "
                "what the same round has written? And does the reach grow?"
            )
        return self._new(before + after, max(waited, also) + 1)

    def read(self, answer) -> tuple[list[str], int]:
        """The texts of an answer's prefixes, and how long the slowest waited. None is an empty
        one; anything else but one item a letter is Unreadable."""
        n = len(self.items)
        if not isinstance(answer, list | tuple | deque | np.ndarray):
            shown = "None (does it return its result?)" if answer is None else type(answer).__name__
            raise Unreadable(f"expected a list of {n} prefixes: got {shown}")
        for one in answer:
            if one is not None and not (isinstance(one, Item) and one in self._known):
                raise Unreadable(
                    "expected prefixes that the operator has made, or items as they came: got "
                    f"{type(one).__name__} {one!r:.40}"
                )
        if len(answer) != n:
            raise Unreadable(
                f"expected {n} prefixes, one an item, joined or not: got {len(answer)}"
            )
        texts, waits = zip(*(self._known.get(one, ("", 0)) for one in answer), strict=True)
        return list(texts), max(waits)


def rounds_of(length: int) -> int:
    return ceil(log2(length))  # how often a reach must double to cover everything


def outcome(answer, text: str, most_in_a_row: int, most_in_all: int | None = None) -> np.ndarray:
    """(2, n): an answer's prefixes, and below them how it kept the bounds."""
    ledger = Ledger(text)
    prefixes, waited = ledger.read(answer(ledger.operator, list(ledger.items)))
    counted = [(waited, most_in_a_row, "in a row"), (ledger.work, most_in_all, "in all")]
    bounds = [  # the same words for all that keep a bound, the number for one that doesn't
        f"at most {most} {what}" if number <= most else f"{number} {what}"
        for number, most, what in counted
        if most is not None
    ]
    width = max(len(prefixes), len(bounds))
    return np.array([[*row, *[""] * (width - len(row))] for row in (prefixes, bounds)])


def draw(rng: np.random.Generator) -> list[tuple]:
    """Different letters, few and many of them, also one more than a power of two."""
    lengths = (1, 2, 3, 8, 9, 17, 33, 65, *rng.integers(4, 52, 4), rng.integers(150, 260))
    signs = [*ascii_letters, *map(chr, range(0x4E00, 0x4F00))]
    return [("".join(rng.permutation(signs[: max(n, 52)])[:n]),) for n in lengths]


# --- kept back while grading ---

REVERSED = (
    "the order is swapped: the operator takes the earlier item first, and your prefixes have the "
    "later letters in front. With + nobody would have noticed."
)


def loop(operator, items):
    return list(accumulate(items, operator))


def swapped(operator, earlier, later):
    return operator(later, earlier)


def reaching(
    join=lambda operator, x, y: operator(x, y),
    reaches=lambda n: [2**k for k in range(rounds_of(n))],
    reads=lambda items, came: list(items),
    places=range,
    back=lambda reach: reach,
):
    """Hillis and Steele's scan, with another idea of a join, of the reaches, of what a round
    reads, of the places that join, or of how far back they read."""

    def scan(operator, items):
        came = list(items)
        for reach in reaches(len(items)):
            read = reads(items, came)
            for t in places(reach, len(items)):
                items[t] = join(operator, read[t - back(reach)], read[t])
        return items

    return scan


def pairing(
    up=lambda operator, x, y: operator(x, y),
    fill=lambda operator, pairs, items, t: operator(pairs[t // 2 - 1], items[t]),
    places=lambda n: range(2, n, 2),
):
    """Blelloch's scan, with another idea of a join on the way up, of how place t is filled in on
    the way down, or of which places are."""

    def scan(operator, items):
        if len(items) == 1:
            return items
        n = len(items) // 2
        pairs = scan(operator, [up(operator, items[2 * k], items[2 * k + 1]) for k in range(n)])
        out = [x for k in range(n) for x in (items[2 * k], pairs[k])] + items[2 * n :]
        for t in places(len(items)):
            out[t] = fill(operator, pairs, items, t)
        return out

    return scan


SCANS = (loop, reaching(), pairing())
COMMON = {
    "this is a loop: each prefix waits for the one before it, so a thousand processors would be no "
    "faster than one.": loop,
    "each prefix lacks its own item: that is the exclusive scan. Here prefix t holds the items 0 "
    "to t, its own with them.": (
        *(lambda op, x, scan=scan: [None, *scan(op, list(x))[:-1]] for scan in SCANS),
        *(lambda op, x, scan=scan: [x[0], *scan(op, list(x))[:-1]] for scan in SCANS),
    ),
    "your lists run from a place to the end. A prefix runs from the beginning to its place.": tuple(
        lambda op, x, scan=scan: scan(lambda x, y: op(y, x), x[::-1])[::-1] for scan in SCANS
    ),
}


def shown(name):
    return lambda text: (
        f"{name}(operator, " + (f"list({text!r}))" if len(text) <= 16 else f"{len(text)} items)")
    )


def placed(at):
    bounds = (
        "how many applications of the operator had to wait for one another",
        "how often the operator was applied in all",
    )
    return f"prefix {at[1]}" if at[0] == 0 else bounds[at[1]]


def named(text):
    return f"{text[:24]}…, {len(text)} items" if len(text) > 32 else text or "nothing"
