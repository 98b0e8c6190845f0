"""20.1 Jamba's schedule: which layers attend, and which have experts."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_mask


def draw(rng):
    """Stacks of 1 to 40 layers; Jamba's own; patterns that end in the middle."""
    drawn = [(32, 8, 4, 2, 1), (1, 1, 0, 1, 0), (13, 5, 0, 4, 3), (40, 7, 6, 3, 0)]
    for _ in range(8):
        periods = rng.integers(1, 9, size=2)
        offsets = [int(rng.integers(0, period)) for period in periods]
        a, e = periods.tolist()
        drawn.append((int(rng.integers(1, 41)), a, offsets[0], e, offsets[1]))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_mask(2),
    examples=((8, 4, 2, 2, 1), (5, 3, 0, 5, 3), (4, 2, 1, 4, 0), (32, 8, 4, 2, 1)),
    hints=(
        "Write the numbers of eight layers in a row, from 0. Which of them leave the remainder 4 "
        "when you divide by 8? Which leave 1 when you divide by 2?",
        "One row a layer, two answers in it: does it attend, has it experts? Neither depends on "
        "the other.",
        "`i % period == offset`, for i from 0 to n_layers - 1, once for each of the two columns.",
    ),
)

# --- kept back while grading ---


def schedule(n, a, a_first, e, e_first):
    return [[i % a == a_first, i % e == e_first] for i in range(n)]


def by_strides(n, a, a_first, e, e_first):
    marks = np.zeros((n, 2), dtype=bool)
    marks[a_first::a, 0] = True
    marks[e_first::e, 1] = True
    return marks


def rule(attends, sparse=None):
    """Another idea of when a layer with a number has a part, for attention and for experts."""
    sparse = sparse or attends
    return lambda n, a, b, e, f: [[attends(i, a, b, n), sparse(i, e, f, n)] for i in range(n)]


def right(i, period, first, n):
    return i % period == first


MISTAKES = {
    "your columns have changed places: attention stands first, experts second.": (
        lambda *given: [row[::-1] for row in schedule(*given)]
    ),
    "True and False have changed places.": (
        lambda *given: [[not mark for mark in row] for row in schedule(*given)],
        rule(right, lambda i, p, o, n: i % p != o),
    ),
    "all your rows are one and the same list: `[row] * n` repeats it, it makes no new ones.": (
        lambda *given: [schedule(*given)[-1]] * given[0]
    ),
    "you count layers from 1. Their numbers begin at 0.": (
        rule(lambda i, p, o, n: (i + 1) % p == o),
        rule(lambda i, p, o, n: (i + 1) % p == o % p),
    ),
    "you put the part at the end of each period. The offset says where in it it stands.": (
        rule(lambda i, p, o, n: (i + 1) % p == 0)
    ),
    "your offsets have no effect: each period begins with its part.": rule(
        lambda i, p, o, n: i % p == 0
    ),
    "you add the offset to the layer's number; it is the remainder that must equal it.": rule(
        lambda i, p, o, n: (i + o) % p == 0
    ),
    "you mark one layer in all. The pattern comes again after each period.": rule(
        lambda i, p, o, n: i == o
    ),
    "your first part is right, and all later ones stand at multiples of the period: count from the "
    "offset on.": rule(lambda i, p, o, n: i == o or (i > o and i % p == 0)),
    "you mark all layers but those: Jamba attends in one layer of a period.": (
        rule(lambda i, p, o, n: i % p != o, right),
    ),
    "you divide and keep the whole part: what counts is the remainder.": rule(
        lambda i, p, o, n: i // p == o
    ),
    "you mark multiples of the offset. From the offset on, go in steps of the period.": rule(
        lambda i, p, o, n: i in [o * k for k in range(n)]
    ),
    "you leave layer 0 out, where it has a part.": rule(lambda i, p, o, n: i % p == o and i > 0),
    "your parts stand a layer too low: an offset of 0 is the first place, too.": rule(
        lambda i, p, o, n: i % p == o - 1
    ),
    "you mark every layer from the offset on.": rule(lambda i, p, o, n: i >= o),
    "you mark every layer of a period from the offset on: it is one layer of each.": rule(
        lambda i, p, o, n: i % p >= o
    ),
    "you count from the last layer down. Layer 0 is the lowest.": (
        lambda *given: schedule(*given)[::-1]
    ),
    "you give experts to layers that attend only. The two patterns don't know of each other.": (
        lambda *given: [[x, x and y] for x, y in schedule(*given)]
    ),
    "you let a layer have one of the two. Jamba's fifth may attend and have experts, or not: the "
    "patterns don't know of each other.": (
        lambda *given: [[x, y and not x] for x, y in schedule(*given)]
    ),
    "you use attention's numbers for experts as well.": (
        lambda n, a, b, e, f: schedule(n, a, b, a, b),
        lambda n, a, b, e, f: schedule(n, a, b, a, f),
        lambda n, a, b, e, f: schedule(n, a, b, e, b),
    ),
    "you use the experts' numbers for attention as well.": (
        lambda n, a, b, e, f: schedule(n, e, f, e, f),
        lambda n, a, b, e, f: schedule(n, e, b, e, f),
        lambda n, a, b, e, f: schedule(n, a, f, e, f),
    ),
    "you read the period as the offset and the offset as the period.": (
        lambda n, a, b, e, f: [[i % (b or 1) == a, i % (f or 1) == e] for i in range(n)]
    ),
}

KNOWN = Known(
    right=(schedule, by_strides),
    mistakes=MISTAKES,
    slips={"(8, 2)": lambda *given: np.array(schedule(*given)).T},
    show=lambda n, a, b, e, f: f"schedule({n}, {a}, {b}, {e}, {f})",
    place=lambda at: f"layer {at[0]}, {('attention', 'experts')[at[1]]}" if at else "",
    name=lambda value: str(bool(value)),
)
