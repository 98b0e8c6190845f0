"""04.6 Prove by test: is it a rolling cache?"""

from collections import Counter
from functools import partial
from operator import eq, ge, le

from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

WIDEST, LONGEST = 16, 100  # window, tokens


def seen(window, position):
    """What the window's rule shows a query, oldest first."""
    return list(range(max(0, position - window + 1), position + 1))


def by_slot(position, slot):
    """What a ring hands over that keeps position q in slot(q)."""
    held = {slot(q): q for q in range(position + 1)}
    return [held[slot] for slot in sorted(held)]


# What a cache hands over to a query at position p in a window of w. n is one of a family's NUMBERS,
# the first in the check, where everybody may read it, and drawn when an answer is graded.
FAMILIES = {
    "the slots as they lie": lambda n, w, p: by_slot(p, lambda q: q % w),
    "the last W keys, oldest first": lambda n, w, p: seen(w, p),
    "the last W keys, newest first": lambda n, w, p: seen(w, p)[::-1],
    "W + {n} keys": lambda n, w, p: seen(w + n, p),
    "W - {n} keys, and one where W is small": lambda n, w, p: seen(max(1, w - n), p),
    "what it held before the token was written": lambda n, w, p: seen(w, p - 1),
    "the first W - 1 keys for good, and the newest": lambda n, w, p: [*range(min(p, w - 1)), p],
    "the keys since slot 0 was written": lambda n, w, p: seen(p % w + 1, p),
    "all W slots, an empty one as key 0": lambda n, w, p: ([0] * w + seen(w, p))[-w:],
    "the newest key twice in a full ring": lambda n, w, p: seen(w, p) + [p] * (p >= w - 1),
    "one key until the ring is full": lambda n, w, p: seen(w if p >= w - 1 else 1, p),
    "slot p & (W - 1), not p % W": lambda n, w, p: by_slot(p, lambda q: q & (w - 1)),
    "after two wraps always the last slot": lambda n, w, p: by_slot(
        p, lambda q: q if q < w else min(q - w, w - 1)
    ),
    "slot p % {n} % W": lambda n, w, p: by_slot(p, lambda q: q % n % w),
    "at most {n} keys": lambda n, w, p: seen(min(w, n), p),
    "at least two keys": lambda n, w, p: seen(max(2, w), p),
    "W keys, rounded up to an odd number": lambda n, w, p: seen(w + 1 - w % 2, p),
    "every key so far": lambda n, w, p: seen(p + 1, p),
    "one key three times, its neighbours not: the same sum, the same ends": lambda n, w, p: [
        p - 2 if w > 4 <= p and abs(q - p + 2) == 1 else q for q in seen(w, p)
    ],
    "the window a step late where W is {n}": lambda n, w, p: seen(w + (w == n), p)[:w],
    "one key too few where W is {n}": lambda n, w, p: seen(w, p)[int(w == n and p >= n - 1) :],
}
NUMBERS = {
    "W + {n} keys": (1, 2, 3),
    "W - {n} keys, and one where W is small": (1, 2, 3),
    "slot p % {n} % W": (32, 28, 29, 31, 33, 34),
    "at most {n} keys": (4, 2, 3, 5, 6, 7, 8),
    "the window a step late where W is {n}": (7, 2, 3, 4, 5, 6, 8),
    "one key too few where W is {n}": (3, 2, 4, 5, 6, 7, 8),
}


def cache_of(family, number):
    """A maker of caches, the same code for all: what they hand over was written down before."""
    hand = partial(FAMILIES[family], number)
    table = [[tuple(hand(w + 1, p)) for p in range(LONGEST)] for w in range(WIDEST)]

    def make_cache(window):
        if not 1 <= window <= WIDEST:
            raise ValueError(f"these caches are made for windows 1 to {WIDEST}: got {window}")
        rows = enumerate(table[window - 1])

        def see(position):
            due, handed = next(rows, (LONGEST, ()))
            if position != due or due == LONGEST:
                raise ValueError(
                    f"a cache takes the positions 0, 1, 2 … {LONGEST - 1} in order, each once; "
                    f"make a new one to begin again. Expected {due}: got {position}"
                )
            return list(handed)

        return see

    make_cache.__doc__ = family.format(n=number)
    return make_cache


ASKED = Asked(
    read=read_verdict,
    **suspects(cache_of, FAMILIES, lambda family: NUMBERS.get(family, (0,)), again=3),
    hints=(
        "For one window: make a cache, call it with 0, 1, 2, … and compare what it returns "
        "with the positions that the rule allows. Order doesn't matter, so sort first.",
        "A list can hold a position twice, and a set can't: compare sorted lists.",
        "Try every window from 1 to 9 with forty tokens: some caches go wrong late, some only "
        "where W is no power of two, some at one W.",
    ),
)

# --- kept back while grading ---


def judging(read=sorted, agrees=eq, windows=range(1, 10), tokens=lambda w: 40, first=lambda w: 0):
    """A test that looks at some windows, and in each at some tokens, in its own way."""

    def judge(make_cache):
        for window in windows:
            see = make_cache(window)
            for position in range(tokens(window)):
                handed, wanted = see(position), seen(window, position)
                if position >= first(window) and not agrees(read(handed), read(wanted)):
                    return False
        return True

    return judge


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda make: True,
    "your test rejects everything, right caches too. Print the first token at which it thinks "
    "that the rule is broken.": lambda make: False,
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda make: not judging()(make)
    ),
    "your test insists on the oldest key first. One query may read its keys in any order: compare "
    "without order.": judging(list),
    "your test compares sets, and a set forgets that a key was handed over twice. Twice read, it "
    "has twice the weight.": judging(set),
    "your test counts the keys, and a cache can hand over the right number of wrong ones: compare "
    "the positions.": judging(len),
    "your test compares numbers made of the keys, their sum, the smallest, how many. Other keys "
    "can give the same numbers: compare the positions themselves.": (
        judging(lambda keys: (sum(keys), len(keys))),
        judging(lambda keys: (len(keys), keys and (min(keys), max(keys)))),
        judging(lambda keys: (sum(keys), keys and (min(keys), max(keys)))),
    ),
    "your test asks for one half of the rule: that every key of the window is handed over, and "
    "not that no other is.": judging(set, ge),
    "your test asks for one half of the rule: that no key from outside the window is handed over, "
    "and not that all of the window are.": judging(set, le),
}


def advice(make_cache):
    """Where this cache breaks the rule, in words that leave the finding to the reader."""
    caches = [(w, make_cache(w)) for w in range(1, 10)]
    faults = [(w, p) for w, see in caches for p in range(40) if sorted(see(p)) != seen(w, p)]
    if not faults:
        return "this cache is right, and your test finds a fault. Print the first that it finds."
    windows, turns = {w for w, _ in faults}, [p // w for w, p in faults]
    some, no_powers = len(windows) < 8, windows == {3, 5, 6, 7, 9}
    kinds = {
        "your test leaves out W = 1, where a token sees itself and nothing else.": windows == {1},
        "your test stops before a text gets long: this cache goes wrong late.": min(turns) > 1,
        "your test tries powers of two only, and `p & (W - 1)` is right there.": no_powers,
        "your test tries too few windows: this cache is wrong at some, right at others.": some,
        "your test looks at full rings only, and this cache goes wrong before.": max(turns) < 1,
        "your test doesn't fill the ring beyond its first wrap. That is where rings fail.": True,
    }
    return next(words for words, found in kinds.items() if found)


KNOWN = Known(
    right=(judging(), judging(Counter, windows=(9, 3, 2, 5, 8, 4, 6, 7, 1))),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda make: make(4)(0),
        "make a new one to begin again": lambda make: make(3)(5) == [5, 4, 3],
        "too few windows": (judging(windows=range(1, 7)), judging(windows=(1, 3, 5, 7))),
        "powers of two only": judging(windows=(1, 2, 4, 8)),
        "leaves out W = 1": judging(windows=range(2, 10)),
        "beyond its first wrap": judging(tokens=lambda w: w),
        "before a text gets long": judging(tokens=lambda w: 2 * w),
        "looks at full rings only": judging(first=lambda w: w),
    },
    show=lambda make: f"is_rolling on a cache that hands over {make.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
