"""12.6 Prove by test: does this step join?"""

from functools import cache
from operator import eq

import numpy as np

from mixlab.chapters.sequence_models.exercises.families import (
    FAMILIES,
    WIDEST,
    numbers_of,
    step_of,
)
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(step_of, FAMILIES, numbers_of, again=5),
    hints=(
        "If there are such an A and b, which three states tell them? Then a step has no freedom "
        "left: you know what it must make of every other state.",
        "step([0, 0]) is b. What step([1, 0]) and step([0, 1]) add to it are A's columns. Compare "
        "with A h + b at the other states: on the axes, off them, below 0, far out.",
        "There are only 41 · 41 states. Some wrong steps are wrong at a single one.",
    ),
)

# --- kept back while grading ---

ALL = [(x, y) for x in range(-WIDEST, WIDEST + 1) for y in range(-WIDEST, WIDEST + 1)]


def judging(states=ALL, agrees=eq, read=list):
    """A test that compares with A h + b at some states, in its own way."""

    def judge(step):
        b, first, second = (step(h) for h in ([0, 0], [1, 0], [0, 1]))
        for x, y in states:
            wanted = [
                c + x * (p - c) + y * (q - c) for c, p, q in zip(b, first, second, strict=True)
            ]
            if not agrees(read(step([x, y])), read(wanted)):
                return False
        return True

    return judge


def by_neighbours(step):
    """A line changes by the same amounts everywhere."""

    after = cache(lambda x, y: step([x, y]))

    def change(x, y, dx, dy):
        return [b - a for a, b in zip(after(x, y), after(x + dx, y + dy), strict=True)]

    along, up = change(0, 0, 1, 0), change(0, 0, 0, 1)
    inside = [(x, y) for x, y in ALL if x < WIDEST and y < WIDEST]
    edge = range(-WIDEST, WIDEST)
    return (
        all(change(x, y, 1, 0) == along and change(x, y, 0, 1) == up for x, y in inside)
        and all(change(x, WIDEST, 1, 0) == along for x in edge)
        and all(change(WIDEST, y, 0, 1) == up for y in edge)
    )


def added(step, offset=False, most=10):
    """Whether step(g + h) = step(g) + step(h), for one g; with an offset, less step(0)."""
    zero = step([0, 0]) if offset else [0, 0]
    return all(
        step([x + 1, y - 2])
        == [a + b - c for a, b, c in zip(step([x, y]), step([1, -2]), zero, strict=True)]
        for x in range(-most, most)
        for y in range(-most, most)
    )


def states(xs, ys=None):
    return [(x, y) for x in xs for y in (xs if ys is None else ys)]


AXES = [(x, 0) for x in range(-20, 21)] + [(0, y) for y in range(-20, 21)]

MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": (
        lambda step: True,
        judging([(0, 0), (1, 0), (0, 1)]),
    ),
    "your test rejects everything, lines too. Print the first state that it finds wrong.": (
        lambda step: False
    ),
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda step: not judging()(step)
    ),
    "your test rejects every step with a vector: step(g + h) = step(g) + step(h) holds only where "
    "b is 0.": (added, lambda step: step([0, 0]) == [0, 0] and judging()(step)),
    "your test stays on the axes, where one number is 0. A product of both hides there.": judging(
        AXES
    ),
    "your test stays on the diagonal, where both numbers are equal.": (
        judging([(x, x) for x in range(-20, 21)]),
        judging([(x, x) for x in range(0, 21)]),
    ),
    "your test leaves out states below 0.": (
        judging(states(range(21))),
        judging(states(range(10))),
        judging(states(range(1, 21))),
    ),
    "your test leaves out states above 0.": judging(states(range(-20, 1))),
    "your test looks at the first number of a new state only.": judging(read=lambda new: new[0]),
    "your test looks at the second number of a new state only.": judging(read=lambda new: new[1]),
    "your test compares the sum of a new state's numbers.": judging(read=sum),
    "your test stays near 0: a step may be another far out.": (
        judging(states(range(-1, 2))),
        judging(states(range(-2, 3))),
        judging(states(range(-3, 4))),
        judging(states(range(-5, 6))),
    ),
    "your test compares roughly, as floats are compared. One in a billion is a fault, too.": (
        judging(agrees=np.allclose)
    ),
    "your test leaves out states with a 20: `range(-20, 20)` ends before it.": (
        judging(states(range(-20, 20))),
        judging(states(range(-19, 20))),
    ),
}


def advice(step):
    """Where this step leaves the line, in words that leave the finding to the reader."""
    if judging()(step):
        return "this step is a line, and your test finds a fault. Print the first that it finds."
    wrong = [h for h in ALL if not judging([h])(step)]
    if len(wrong) < 50:
        return "your test leaves out some states, and this step is wrong at a few only."
    if all(max(map(abs, h)) > 5 for h in wrong):
        return "your test stays near 0, or leaves out some states far out."
    if all(x < 0 or y < 0 for x, y in wrong):
        return "your test leaves out states below 0."
    if all(x and y for x, y in wrong):
        return "your test stays on the axes, where one number is 0."
    return "this step leaves the line at many states. Compare it with A h + b at all of them."


KNOWN = Known(
    right=(judging(), by_neighbours),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda step: step([1, 1]),
        "two whole numbers from -20 to 20": lambda step: step([21, 0]) == [],
        "wrong at a few only": (
            judging(states(range(-20, 21, 3))),
            judging(states(range(-10, 11))),
            lambda step: added(step, offset=True),
        ),
    },
    show=lambda step: f"is_linear on a step that makes {step.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
