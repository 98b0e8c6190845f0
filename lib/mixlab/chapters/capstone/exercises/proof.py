"""20.5 Prove by test: can this be a hybrid's bill?"""

import numpy as np

from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

LONGEST = 100  # tokens

# What is kept of t tokens. n is one of a family's NUMBERS, the first in the check, where everybody
# may read it, and drawn when an answer is graded.
FAMILIES = {
    "a scan of {n} bytes": lambda n, t: n,
    "a window of {n}": lambda n, t: 10 * min(t, n),
    "attention over everything, {n} bytes a token": lambda n, t: n * t,
    "windows of 3 and {n}, and a scan": lambda n, t: 50 + 7 * min(t, 3) + 4 * min(t, n),
    "a window of {n} below attention over everything": lambda n, t: 60 * min(t, n) + 2 * t,
    "experts, and no layer that looks back": lambda n, t: 0,
    "pages of {n} tokens": lambda n, t: 10 * n * -(-t // n),
    "a score for each pair, {n} bytes": lambda n, t: n * t * t,
    "a cache cleared after {n} tokens": lambda n, t: 10 * (t % n),
    "a cache that doubles when it is full, from {n} on": lambda n, t: next(
        size for size in (n << k for k in range(9)) if size >= t
    ),
    "keys from token {n} on": lambda n, t: 10 * max(0, t - n),
    "a window of 9, and a byte from token {n} on": lambda n, t: 10 * min(t, 9) + (t >= n),
    "a token left out, number {n}": lambda n, t: 10 * (t - (t >= n)),
    "a window of 9 that loses {n} bytes after 61": lambda n, t: 100 * min(t, 9) - n * (t > 61),
    "a state that loses {n} bytes a token": lambda n, t: 9000 - n * t,
    "{n} bytes less than attention over everything": lambda n, t: 10 * t - n,
}
NUMBERS = {
    "a scan of {n} bytes": (35, 7, 96, 573),
    "a window of {n}": (12, 1, 5, 40),
    "attention over everything, {n} bytes a token": (8, 1, 30),
    "windows of 3 and {n}, and a scan": (16, 8, 33),
    "a window of {n} below attention over everything": (20, 2, 47),
    "pages of {n} tokens": (16, 8, 12, 32),
    "a score for each pair, {n} bytes": (2, 1, 5),
    "a cache cleared after {n} tokens": (32, 21, 48),
    "a cache that doubles when it is full, from {n} on": (4, 3, 6),
    "keys from token {n} on": (24, 18, 40),
    "a window of 9, and a byte from token {n} on": (50, 41, 57),
    "a token left out, number {n}": (30, 22, 55),
    "a window of 9 that loses {n} bytes after 61": (3, 1, 9),
    "a state that loses {n} bytes a token": (5, 1, 20),
    "{n} bytes less than attention over everything": (4, 1, 9),
}


def bill_of(family, number):
    """A bill, the same code for all: what they say was written down before."""
    table = [int(FAMILIES[family](number, tokens)) for tokens in range(LONGEST + 1)]

    def kept(tokens):
        if not 0 <= tokens <= LONGEST:
            raise ValueError(f"these bills go from 0 to {LONGEST} tokens: got {tokens}")
        return table[tokens]

    kept.__doc__ = family.format(n=number)
    return kept


ASKED = Asked(
    read=read_verdict,
    **suspects(bill_of, FAMILIES, lambda family: NUMBERS.get(family, (0,)), again=3),
    hints=(
        "Write down what one token *more* costs, for a scan, for a window of 3, for attention over "
        "everything, and for all of them together. How can such a row of numbers go on?",
        "A window costs the same for each token until it is full, then nothing. So the cost of one "
        "token more never rises, and never falls below 0. What is kept of no token at all?",
        "For tokens from 1 to 64: step = kept(tokens) - kept(tokens - 1). It must be 0 or more and "
        "no larger than the step before; and kept(0) is 0 or more.",
    ),
)

# --- kept back while grading ---


def rows(kept, first=0, last=64, stride=1):
    return np.array([kept(tokens) for tokens in range(first, last + 1, stride)])


def by_steps(kept):
    sizes = rows(kept)
    steps = np.diff(sizes)
    return bool(sizes[0] >= 0 and (steps >= 0).all() and (np.diff(steps) <= 0).all())


def by_windows(kept):
    """Build the stack: the windows of each width whose bytes would make these steps."""
    steps = [kept(t) - kept(t - 1) for t in range(1, 65)]
    widths = [a - b for a, b in zip(steps, [*steps[1:], 0], strict=True)]
    return kept(0) >= 0 and min(widths) >= 0


def judging(empty=True, falls=True, rises=True, **read):
    """A test that asks for some of the conditions, or at some of the tokens."""

    def judge(kept):
        sizes = rows(kept, **read)
        steps = np.diff(sizes)
        return not (
            (empty and sizes[0] < 0)
            or (falls and (steps < 0).any())
            or (rises and (np.diff(steps) > 0).any())
        )

    return judge


def also(condition):
    """The right test, and one demand too many."""
    return lambda kept: by_steps(kept) and bool(condition(rows(kept, last=LONGEST)))


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda kept: True,
    "your test rejects everything, true bills too. Print the first token at which it finds a "
    "fault.": lambda kept: False,
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda kept: not by_steps(kept)
    ),
    "your test asks that nothing shrinks, and lets a later token cost more than an earlier one.": (
        judging(rises=False),
        judging(rises=False, empty=False),
    ),
    "your test asks that steps never rise, and lets them fall below 0: nothing is given back.": (
        judging(falls=False),
        judging(falls=False, empty=False),
    ),
    "your test wants growth to end. Attention over everything never ends.": (
        also(lambda sizes: sizes[-1] == sizes[-2])
    ),
    "your test wants nothing kept of no token: a scan's state is there before the first.": (
        also(lambda sizes: sizes[0] == 0)
    ),
    "your test takes what is kept of no token for a first step.": (
        also(lambda sizes: sizes[1] <= 2 * sizes[0])
    ),
    "your test wants every token to cost something: full windows and scans cost nothing more.": (
        also(lambda sizes: (np.diff(sizes) > 0).all())
    ),
    "your test wants every token to cost the same. A window fills up.": (
        also(lambda sizes: len(set(np.diff(sizes))) == 1)
    ),
    "your test wants something to be kept: experts keep nothing.": (
        also(lambda sizes: sizes[-1] > 0)
    ),
    "your test compares a text with one of twice its length. A fault can hide between.": (
        lambda kept: all(0 <= kept(t) <= kept(2 * t) <= 2 * kept(t) for t in range(33)),
        lambda kept: all(kept(t) <= kept(2 * t) <= 2 * kept(t) for t in range(1, 51)),
    ),
}


def advice(kept):
    """What this bill breaks, in words that leave the finding to the reader."""
    sizes = rows(kept, last=LONGEST)
    if by_steps(kept):
        fault = "and your test finds a fault. Print the first that it finds."
        if sizes[0] == sizes[-1]:
            return f"this bill is as large for every text, as a scan's or experts' is, {fault}"
        if sizes[-2] < sizes[-1]:
            return f"this bill never stops growing, as attention's over everything, {fault}"
        return f"this bill stops growing, as a full window's does, {fault}"
    if judging(rises=False, falls=False)(kept):
        when = "late" if judging(last=20)(kept) else "early"
        return f"this bill goes wrong {when}. Does your test see each step, beside the one before?"
    return "your test leaves out the empty text, and what can't be kept of it."


KNOWN = Known(
    right=(by_steps, by_windows),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda kept: None,
        "leaves out the empty text": (judging(empty=False), judging(first=1)),
        "goes wrong late": (judging(last=20), judging(last=40), judging(last=60)),
        "goes wrong early": lambda kept: kept(0) >= 0,
        "stops growing, as a full": also(lambda sizes: len(set(np.diff(sizes))) < 3),
    },
    show=lambda kept: f"is_bill on {kept.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
