"""The scans that exercise 17.4 hands out, right ones and wrong ones, as they were made.

An answer never meets these functions: their names and their code would tell it what it is to find
out. It meets lists of what they join (cases/scan_suspects.py). `python -m
mixlab.checks.oracles.scan_makers` writes those anew.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256

import numpy as np

from mixlab.checks.cases.scan_suspects import FILE, LONGEST


def loop(operator, items):
    """no mistake: one after the other"""
    prefixes = items[:1]
    for item in items[1:]:
        prefixes.append(operator(prefixes[-1], item))
    return prefixes


def from_the_right(operator, items):
    """no mistake: each prefix for itself, joined from its end"""
    prefixes = []
    for t, joined in enumerate(items):
        for item in reversed(items[:t]):
            joined = operator(item, joined)
        prefixes.append(joined)
    return prefixes


def doubling(operator, items, enough=lambda reach, length: reach >= length):
    """no mistake: reach back 1, 2, 4, …"""
    items, reach = list(items), 1
    while not enough(reach, len(items)):
        joined = [operator(x, y) for x, y in zip(items, items[reach:], strict=False)]
        items[reach:] = joined
        reach *= 2
    return items


def tree(operator, items, down=None):
    """no mistake: up and down"""
    items, reach = list(items), 1
    while reach < len(items):
        for t in range(2 * reach - 1, len(items), 2 * reach):
            items[t] = operator(items[t - reach], items[t])
        reach *= 2
    while reach > 1:
        reach //= 2
        for t in range(3 * reach - 1, len(items), 2 * reach):
            items[t] = (down or operator)(items[t - reach], items[t])
    return items


def chunks(operator, items, size=4, carry=lambda own, finished: finished[-1], put=None):
    """no mistake: chunks of four, with a running prefix"""
    prefixes, carried = [], None
    for start in range(0, len(items), size):
        own = loop(operator, items[start : start + size])
        joined = [(put or operator)(carried, x) for x in own] if start else own
        carried = carry(own, joined)
        prefixes += joined
    return prefixes


def later_first(operator, items):
    """the later item in front"""
    return loop(lambda x, y: operator(y, x), items)


def later_first_on_the_way_down(operator, items):
    """up and down, with the later item in front on the way down"""
    return tree(operator, items, down=lambda x, y: operator(y, x))


def overwrites_what_it_reads(operator, items):
    """reach 1, 2, 4, …, where a round reads what it has written itself"""
    items, reach = list(items), 1
    while reach < len(items):
        for t in range(reach, len(items)):
            items[t] = operator(items[t - reach], items[t])
        reach *= 2
    return items


def one_round_short(operator, items):
    """reach 1, 2, 4, …, with a round too few where the length is no power of two"""
    return doubling(operator, items, enough=lambda reach, length: 2 * reach > length)


def forgets_the_odd_one(operator, items):
    """up and down, without the last item of an odd length"""
    odd = len(items) % 2 and len(items) > 1
    return tree(operator, items[:-1]) + items[-1:] if odd else tree(operator, items)


def only_up(operator, items):
    """the way up without the way down"""
    return tree(operator, items, down=lambda x, y: y)


def one_join_short(operator, items):
    """up and down, without the last join of the way up where the length is a power of two"""
    prefixes = tree(operator, items)
    if len(items) & (len(items) - 1) or len(items) == 1:
        return prefixes
    return [*prefixes[:-1], *tree(operator, items[len(items) // 2 :])[-1:]]


def last_first(operator, items):
    """the right prefixes, the longest one first"""
    return loop(operator, items)[::-1]


def without_oneself(operator, items):
    """each place without its own item, but for the first"""
    return [items[0], *loop(operator, items)[:-1]]


def from_the_end(operator, items):
    """everything from a place to the end"""
    return loop(lambda x, y: operator(y, x), items[::-1])[::-1]


def the_total_everywhere(operator, items):
    """the join of all items, at every place"""
    return loop(operator, items)[-1:] * len(items)


def drops_the_rest(operator, items):
    """chunks of four, without what is left over at the end"""
    return chunks(operator, items[: len(items) // 4 * 4])


def carries_one_chunk(operator, items):
    """chunks of eight, where a chunk knows of the chunk before it and of none before that"""
    return chunks(operator, items, 8, carry=lambda own, finished: own[-1])


def carried_behind(operator, items):
    """chunks of 32, with the carried prefix behind a chunk's own items"""
    return chunks(operator, items, 32, put=lambda x, y: operator(y, x))


def joins_one_with_itself(operator, items):
    """a single item joined with itself"""
    return [operator(items[0], items[0])] if len(items) == 1 else tree(operator, items)


def skips_an_item_at_14(operator, items):
    """up and down, but at 14 items the last prefix goes without the one before"""
    prefixes = tree(operator, items)
    if len(items) == 14:
        prefixes[-1] = operator(prefixes[-3], items[-1])
    return prefixes


def turns_a_join_round_at_27(operator, items):
    """reach 1, 2, 4, …, but at 27 items one prefix has its last item in front"""
    prefixes = doubling(operator, items)
    if len(items) == 27:
        prefixes[10] = operator(items[10], prefixes[9])
    return prefixes


RIGHT = (loop, from_the_right, doubling, tree, chunks)
WRONG = (
    later_first,
    later_first_on_the_way_down,
    overwrites_what_it_reads,
    one_round_short,
    forgets_the_odd_one,
    only_up,
    one_join_short,
    last_first,
    without_oneself,
    from_the_end,
    the_total_everywhere,
    drops_the_rest,
    carries_one_chunk,
    carried_behind,
    joins_one_with_itself,
    skips_an_item_at_14,
    turns_a_join_round_at_27,
)


def record(scan: Callable) -> np.ndarray:
    """What a scan joins, for every length: see `made_from`."""
    numbers: list[int] = []
    for length in range(1, LONGEST + 1):
        joins: list[tuple[int, int]] = []

        def operator(earlier, later, joins=joins, length=length):
            joins.append((earlier, later))
            return length + len(joins) - 1

        results = scan(operator, list(range(length)))
        numbers += [len(joins), len(results), *(n for pair in joins for n in pair), *results]
    return np.array(numbers, dtype=np.uint16)


def _fingerprint(scan: Callable) -> tuple:
    """Who joins what, told from every other scan's by six lengths."""
    return tuple(tuple(scan(_shorter, [str(t) for t in range(n)])) for n in (1, 7, 8, 14, 27, 40))


def _shorter(x, y):
    return sha256(f"({x}{y})".encode()).hexdigest()[:12]


@cache
def _known() -> dict[tuple, str]:
    return {_fingerprint(scan): scan.__doc__ for scan in (*RIGHT, *WRONG)}


def described(scan: Callable) -> str:
    """What a scan does, in words; for messages."""
    if (found := _known().get(_fingerprint(scan))) is None:
        raise ValueError("this scan is none of those that exercise 17.4 hands out")
    return found


def records() -> dict[str, np.ndarray]:
    """Every scan's record, under names and in an order that say nothing."""
    made = [record(scan) for scan in (*RIGHT, *WRONG)]
    made.sort(key=lambda numbers: sha256(numbers.tobytes()).digest())
    return {f"scan_{number:02}": numbers for number, numbers in enumerate(made)}


if __name__ == "__main__":
    np.savez_compressed(FILE, **records())
