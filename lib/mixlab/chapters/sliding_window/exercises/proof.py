"""02.5 Prove by test: which masks keep the rule?

Suspects come of families: each says which keys a query sees. In the check a family has a number
that everybody may read here; when graded, one that is drawn.
"""

from operator import eq, ge, le

import numpy as np
import torch

import mixlab.chapters.sliding_window.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_verdict

LONGEST = 64  # tokens; from a window of one more on, nothing changes
NONE = -1  # no key is an exception


def last(i, count, exception=NONE):
    """The last `count` keys of query i."""
    return i - count + 1, i + 1, exception


# From number, length, window and query: first key seen, one past the last, and a key to turn round.
FAMILIES = {
    "the last W keys": lambda n, s, w, i: last(i, w),
    "the last W + {n} keys": lambda n, s, w, i: last(i, w + n),
    "the last W - {n} keys, or one": lambda n, s, w, i: last(i, np.maximum(1, w - n)),
    "keys on both sides, nearer than W": lambda n, s, w, i: (i - w + 1, i + w, NONE),
    "W keys before the token, and not its own": lambda n, s, w, i: (i - w, i, NONE),
    "every earlier key, however far": lambda n, s, w, i: last(i, s),
    "earlier keys of its own block of W": lambda n, s, w, i: (i // w * w, i + 1, NONE),
    "the first W keys of the text": lambda n, s, w, i: (0, np.minimum(i + 1, w), NONE),
    "rows and columns swapped": lambda n, s, w, i: (i, i + w, NONE),
    "W keys, the neighbour's not": lambda n, s, w, i: last(i, w + (w > 1), i - 1 - i * (w < 2)),
    "W keys, and the text's first": lambda n, s, w, i: last(i, w, 0 - (i < w)),
    "W keys, rounded up to odd": lambda n, s, w, i: last(i, w // 2 * 2 + 1),
    "W keys, rounded up to even": lambda n, s, w, i: last(i, (w + 1) // 2 * 2),
    "W keys, rounded up to 1, 2, 4, 8 …": lambda n, s, w, i: last(i, 2 ** np.ceil(np.log2(w))),
    "at most {n} keys": lambda n, s, w, i: last(i, np.minimum(w, n)),
    "W keys; W - 1 where W = seq": lambda n, s, w, i: last(i, np.maximum(1, w - (w == s))),
    "W keys; seq - 1 where W = seq + 1": lambda n, s, w, i: last(i, w - 2 * (w == s + 1) * (s > 1)),
    "W keys; W + 1 where seq = {n}": lambda n, s, w, i: last(i, w + (s == n)),
    "W keys; W + 1 from query {n} on": lambda n, s, w, i: last(i, w + (i >= n)),
    "W keys; 2 where W = 1": lambda n, s, w, i: last(i, w + (w == 1)),
    "W keys; none where seq = 1": lambda n, s, w, i: last(i, w * (s > 1)),
    "W keys; W - 1 where W = {n}": lambda n, s, w, i: last(i, w - (w == n)),
    "W keys; query 2 the next, too, where seq = {n} and W = 3": (
        lambda n, s, w, i: last(i, w, np.where((s == n) & (w == 3) & (i == 2), 3, NONE))
    ),
}
# The numbers that a family may have; the first is the check's. Each shows itself in a short text.
NUMBERS = {
    "the last W + {n} keys": (1, 2, 3),
    "the last W - {n} keys, or one": (1, 2, 3),
    "at most {n} keys": (4, 2, 3, 5, 6),
    "W keys; W + 1 where seq = {n}": (5, 2, 3, 4, 6, 7, 8),
    "W keys; W + 1 from query {n} on": (6, 2, 3, 4, 5),
    "W keys; W - 1 where W = {n}": (5, 2, 3, 4, 6, 7),
    "W keys; query 2 the next, too, where seq = {n} and W = 3": (7, 4, 5, 6, 8),
}


def mask_of(family, number):
    """A maker of masks, the same code for all: what they show was written down before."""
    grid = np.ogrid[0 : LONGEST + 1, 1 : LONGEST + 2, 0:LONGEST]  # seq, window, query
    runs = np.broadcast_arrays(*FAMILIES[family](number, *grid), *grid)[:3]
    table = torch.from_numpy(np.stack(runs).clip(NONE, LONGEST)).to(torch.int8)

    def make_mask(seq, window):
        if not 0 <= seq <= LONGEST or window < 1:
            made = f"these masks are made for 0 to {LONGEST} tokens and a window of 1 or more"
            raise ValueError(f"{made}: got seq {seq}, window {window}")
        rows = table[:, int(seq), min(int(window), LONGEST + 1) - 1, : int(seq), None]
        key = torch.arange(int(seq))
        return ((key >= rows[0]) & (key < rows[1])) ^ (key == rows[2])

    make_mask.__doc__ = family.format(n=number)
    return make_mask


def draw(rng):
    """Every family with a number of its own, in any order; the right one, and others, again."""
    families = [*FAMILIES, *list(FAMILIES)[:1] * 2, *rng.choice(list(FAMILIES), 3)]
    return [
        (mask_of(families[at], int(rng.choice(NUMBERS.get(families[at], (0,))))),)
        for at in rng.permutation(len(families))
    ]


ASKED = Asked(
    draw=draw,
    read=read_verdict,
    examples=tuple((mask_of(family, NUMBERS.get(family, (0,))[0]),) for family in FAMILIES),
    hints=(
        "A test needs sizes at which a wrong mask differs from a right one. With window >= seq, a "
        "mask that forgets the window looks right. One size is never enough.",
        "For every seq from 1 to 8 and every window from 1 to seq + 1, compare each pair (i, j) "
        "with the rule `0 <= i - j < window`.",
        "Return False at the first pair that disagrees, and True only after the last loop.",
    ),
)

# --- kept back while grading ---

EVERY = [(seq, window) for seq in range(1, 10) for window in range(1, seq + 2)]


def judging(reads=lambda mask: mask, agrees=eq, rule=shared.keeps, sizes=EVERY):
    """A test that compares what it reads of masks with its own idea."""

    def judge(make_mask):
        both = ((make_mask(s, w).numpy(), rule(shared.distances(s), w)) for s, w in sizes)
        return all(np.all(agrees(reads(mask), reads(wanted))) for mask, wanted in both)

    return judge


def key_by_key(make_mask):
    return all(
        row.nonzero().flatten().tolist() == list(range(max(0, i - window + 1), i + 1))
        for seq, window in reversed(EVERY)
        for i, row in enumerate(make_mask(seq, window))
    )


def faulty(**how):
    """A test with a fault, of every size, of one length and of one size alone."""
    return tuple(judging(sizes=some, **how) for some in (EVERY, EVERY[-10:-1], [(9, 3)]))


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda _: True,
    "your test rejects everything. Print the first pair that it rejects.": lambda _: False,
    "your verdicts are the wrong way round: True means that the rule is kept.": (
        lambda make_mask: not key_by_key(make_mask)
    ),
    "your test counts W + 1 keys in a window of W: it refuses the right mask. The rule is `0 <= i "
    "- j < window`.": faulty(rule=lambda d, w: shared.keeps(d, w + 1)),
    "your test only asks for causality: it accepts masks whose window is too long.": faulty(
        rule=lambda d, w: d >= 0, agrees=le
    ),
    "your test counts keys, and a mask can have the right number of keys in the wrong places: "
    "compare pair by pair.": (*faulty(reads=lambda mask: mask.sum(1)), *faulty(reads=np.sum)),
    "your test looks at the last row only. Some masks are right there and wrong at an earlier "
    "query.": faulty(reads=lambda mask: mask[-1:]),
    **{
        f"your test asks for one half of the rule: every key inside the window is visible, and no "
        f"other one. It accepts masks that show too {what}.": faulty(agrees=agrees)
        for what, agrees in (("little", le), ("much", ge))
    },
}


def advice(make_mask):
    """Where this mask breaks the rule, in words that leave the finding to the reader."""
    faults = [size for size in EVERY if not judging(sizes=[size])(make_mask)]
    lengths, windows = ({size[axis] for size in faults} for axis in (0, 1))
    found = (
        (not faults, "this mask is right, and your test finds a fault: print the first pair."),
        (len(faults) == 1, "your test leaves a size out: this mask is wrong at one only."),
        (len(lengths) == 1, "your test leaves a length out: this mask is wrong in texts of one."),
        (len(windows) == 1, "your test leaves a window out: this mask is wrong at one only."),
        (all(w >= s for s, w in faults), "your test has no window as long as the text, or longer."),
        (min(lengths, default=0) > 4, "your test stops at short texts, or tries few longer ones."),
        (len(windows) < 8, "your test tries too few windows, or some of one kind, such as even."),
        (True, "your test looks at too few pairs, or only at sizes at which this mask is right."),
    )
    return next(says for holds, says in found if holds)


KNOWN = Known(
    right=(judging(), key_by_key),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda make_mask: make_mask(4, 2),
        "too few windows": judging(sizes=[(9, 3)]),
        "in texts of one": judging(sizes=[(8, w) for w in range(1, 10)]),
        "stops at short texts": judging(sizes=[(s, w) for s, w in EVERY if s < 5]),
        "as long as the text, or longer": judging(sizes=[(s, w) for s, w in EVERY if w < s]),
        "wrong at one only": judging(sizes=[(s, w) for s, w in EVERY if (s, w) != (7, 3)]),
        "these masks are made for": judging(sizes=[(65, 3)]),
    },
    show=lambda make_mask: f"is_window_mask on a mask that shows {make_mask.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
