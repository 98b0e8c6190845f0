"""18.6 Prove by test: may it be scanned?"""

import numpy as np

from mixlab.chapters.kernel_fusion.exercises.operators import (
    ALL,
    FAMILIES,
    RIGHT,
    numbers_of,
    operator_of,
)
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(operator_of, FAMILIES, numbers_of, again=RIGHT),
    hints=(
        "Which brackets may be moved? Write both sides for three numbers.",
        "There are 9 · 9 · 9 threes of numbers, and some wrong operators are wrong at a few "
        "only. Whether a and b may change places is another question.",
        "f(f(a, b), c) against f(a, f(b, c)), for all a, b and c in range(9).",
    ),
)

# --- kept back while grading ---


def judging(threes=None, left=None, right=None):
    """A test that compares both brackets of some threes, or two other things."""
    threes = threes or [(a, b, c) for a in ALL for b in ALL for c in ALL]
    left = left or (lambda f, a, b, c: f(f(a, b), c))
    right = right or (lambda f, a, b, c: f(a, f(b, c)))

    def judge(f):
        return all(left(f, *three) == right(f, *three) for three in threes)

    return judge


def by_table(f):
    table = np.array([[f(a, b) for b in ALL] for a in ALL])
    return bool((table[table] == table[:, table]).all())


def over(numbers):
    return judging([(a, b, c) for a in numbers for b in numbers for c in numbers])


def commutes(f):
    return all(f(a, b) == f(b, a) for a in ALL for b in ALL)


def scanned(f):
    """Compares rounds with a loop, on one row of numbers."""
    row = [3, 1, 4, 1, 5, 7, 2, 6]
    loop, rounds, reach = row[:1], list(row), 1
    for x in row[1:]:
        loop.append(f(loop[-1], x))
    while reach < len(row):
        rounds = rounds[:reach] + [f(x, y) for x, y in zip(rounds, rounds[reach:], strict=False)]
        reach *= 2
    return loop == rounds


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda f: True,
    "your test rejects everything. Print the first three numbers at which it finds a fault.": (
        lambda f: False
    ),
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda f: not judging()(f)
    ),
    "you ask whether a and b may change places. That is another property: brackets are to be "
    "moved.": (commutes, judging(right=lambda f, a, b, c: f(c, f(a, b)))),
    "you ask for both: that brackets and numbers may be moved. A scan moves brackets alone.": (
        lambda f: commutes(f) and judging()(f),
        judging(right=lambda f, a, b, c: f(f(b, c), a)),
    ),
    "you try one row of numbers. Others may show a fault.": scanned,
    "you take three equal numbers. A fault may need different ones.": judging(
        [(a, a, a) for a in ALL]
    ),
    "you leave out equal numbers. A fault may lie there.": (
        judging([(a, b, c) for a in ALL for b in ALL for c in ALL if len({a, b, c}) == 3]),
    ),
    "you take numbers in rising order alone. A fault may need another order.": (
        judging([(a, b, c) for a in ALL for b in range(a, 9) for c in range(b, 9)]),
        judging([(a, b, c) for a in ALL for b in range(a + 1, 9) for c in range(b + 1, 9)]),
    ),
    "you leave out the largest number, 8.": over(range(8)),
    "you leave out 0.": over(range(1, 9)),
    "you try small numbers only.": (over(range(4)), over(range(5)), over(range(6))),
    "one of your three numbers never changes.": (
        judging([(a, b, 0) for a in ALL for b in ALL]),
        judging([(0, b, c) for b in ALL for c in ALL]),
        judging([(1, b, c) for b in ALL for c in ALL]),
    ),
    "your two sides hold a, b and c in another order. Moving brackets leaves it as it is.": judging(
        right=lambda f, a, b, c: f(f(a, c), b)
    ),
}


def advice(f):
    """Where brackets matter, in words that leave the finding to the reader."""
    wrong = [(a, b, c) for a in ALL for b in ALL for c in ALL if f(f(a, b), c) != f(a, f(b, c))]
    if not wrong:
        return "this operator is associative, and your test finds a fault. Print the first."
    if all(max(three) == 8 for three in wrong):
        return "your test leaves out the largest number, 8."
    if all(min(three) == 0 for three in wrong):
        return "your test leaves out 0."
    if len(wrong) < 60:
        return "your test leaves out some threes, and this operator is wrong at a few only."
    return "this operator is wrong at many threes. Compare both brackets for all of them."


KNOWN = Known(
    right=(judging(), by_table),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda f: f(1, 2) + 2,
        "whole numbers from 0 to 8": lambda f: f(9, 0) == 0,
        "wrong at a few only": over((0, 1, 5, 8)),
    },
    show=lambda f: f"is_associative on an operator that gives {f.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
