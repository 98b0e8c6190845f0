"""Items that can only be joined, and a ledger of who was joined with whom.

Letters under concatenation hide nothing: the text of a joined item says which items it holds, and
in which order. The ledger counts how often the operator was applied, and how many applications had
to wait for one another.
"""

from math import ceil, log2

import numpy as np

from mixlab.checks.cases import Unreadable

_MOST_TIMES = 64  # items of a sequence that one prefix may hold, as a multiple of all


class Item:
    """One item of a sequence, or several joined in order. Only the operator can join two."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"‹{self._text}›"


class Ledger:
    """Makes a sequence's items, joins them, and keeps account.

    Attributes:
        items: one a letter of the text.
        work: how often the operator was applied.
    """

    def __init__(self, text: str) -> None:
        self._known: dict[int, tuple[Item, str, int]] = {}
        self.items = [self._new(letter, 0) for letter in text]
        self.work = 0

    def _new(self, text: str, wait: int) -> Item:
        item = Item(text)
        self._known[id(item)] = item, text, wait
        return item

    def _look(self, item) -> tuple[str, int]:
        """An item's text, and how many applications in a row it waited for."""
        if not isinstance(item, Item) or id(item) not in self._known:
            raise TypeError(
                "the operator takes two items, the earlier and the later: got "
                f"{type(item).__name__} {item!r:.40}"
            )
        return self._known[id(item)][1:]

    def operator(self, earlier: Item, later: Item) -> Item:
        """Both together, the earlier first."""
        (before, waited), (after, also) = self._look(earlier), self._look(later)
        self.work += 1
        # Doubling what was doubled would fill the memory before anyone could look at it.
        if len(before) + len(after) > _MOST_TIMES * len(self.items):
            raise Unreadable(
                f"one prefix of {len(self.items)} items holds more than "
                f"{_MOST_TIMES * len(self.items)} of them: some are joined in over and over. Does "
                "a round read what the same round has written?"
            )
        return self._new(before + after, max(waited, also) + 1)

    def read(self, answer) -> tuple[list[str], int]:
        """The texts of an answer's prefixes, and how long the slowest of them waited.

        Raises:
            Unreadable: for anything but one item a letter.
        """
        n = sum(len(text) == 1 and wait == 0 for _, text, wait in self._known.values())
        if not isinstance(answer, list | tuple):
            shown = "None (does it return its result?)" if answer is None else type(answer).__name__
            raise Unreadable(f"expected a list of {n} prefixes: got {shown}")
        wrong = [one for one in answer if id(one) not in self._known]
        if wrong:
            raise Unreadable(
                "expected prefixes that the operator has made, or items as they came: got "
                f"{type(wrong[0]).__name__} {wrong[0]!r:.40}"
            )
        if len(answer) != n:
            raise Unreadable(f"expected {n} prefixes, one an item: got {len(answer)}")
        looked = [self._look(one) for one in answer]
        return [text for text, _ in looked], max(wait for _, wait in looked)


def rounds_of(length: int) -> int:
    """⌈log₂ length⌉: how often a reach must double to cover everything."""
    return ceil(log2(length))


def verdict(number: int, most: int, what: str) -> str:
    """The same words for every answer that keeps a bound, the number for one that doesn't."""
    return f"at most {most} {what}" if number <= most else f"{number} {what}"


def outcome(prefixes: list[str], *bounds: str) -> np.ndarray:
    """(2, n): the prefixes in row 0, what was said of each bound in row 1, and nothing else."""
    width = max(len(prefixes), len(bounds))
    return np.array([[*row, *[""] * (width - len(row))] for row in (prefixes, bounds)])


def scan_outcome(answer, text: str, most_in_all: int | None, most_in_a_row: int) -> np.ndarray:
    """Run a scan on letters: its prefixes, and how it kept the bounds on waiting and work."""
    ledger = Ledger(text)
    prefixes, waited = ledger.read(answer(ledger.operator, list(ledger.items)))
    bounds = [verdict(waited, most_in_a_row, "in a row")]
    if most_in_all is not None:
        bounds.append(verdict(ledger.work, most_in_all, "in all"))
    return outcome(prefixes, *bounds)
