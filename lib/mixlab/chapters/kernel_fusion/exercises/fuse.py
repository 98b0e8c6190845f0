"""18.2 Three kernels into one."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable

AHEAD = 3  # how many places reading may be ahead of writing


def draw(rng):
    """Numbers below and above 0, falling and rising, few and many."""
    drawn = [([-5],), ([-9, -3, -7, -1],), (list(range(50, 0, -1)),)]
    drawn += [([int(x) for x in rng.integers(-99, 100, n)],) for n in (2, 5, 17, 60)]
    return drawn + [([int(x) for x in rng.integers(-99, 0, 20)],) for _ in range(3)]


def run(answer, x):
    """What an answer moved: numbers read, numbers written, how far ahead it read; then y."""
    arrays, counts = {"x": list(x)}, [0, 0, 0]

    def place(name, t):
        row = arrays.setdefault(name, [None] * len(x))
        if not 0 <= t < len(x):
            raise IndexError(f"{name!r} has the places 0 to {len(x) - 1}: got {t}")
        return row

    def load(name, t):
        number = place(name, t)[t]
        if number is None:
            raise Unreadable(f"place {t} of {name!r} was read before anything was written there")
        counts[0] += 1
        if name == "x":
            done = sum(number is not None for number in arrays.get("y", ()))
            counts[2] = max(counts[2], t - done)
        return number

    def store(name, t, number):
        place(name, t)[t] = number
        counts[1] += 1

    answer(load, store, len(x))
    y = arrays.get("y", [None] * len(x))
    if None in y:
        raise Unreadable(f"place {y.index(None)} of 'y' was never written")
    bounds = (len(x), len(x), AHEAD)  # how far beyond them doesn't matter
    return [*(min(max(pair), pair[1] + 1) for pair in zip(counts, bounds, strict=True)), *y]


def read(moved):
    try:
        return np.array([float(number) for number in moved])
    except (TypeError, ValueError):
        raise Unreadable("expected that numbers are stored, one a place") from None


ASKED = Asked(
    draw=draw,
    call=run,
    read=read,
    examples=(
        ([3, 1, 4, 1, 5],),
        ([-2, -6, -4],),
        ([7, 2, 0, 2, 1, 9, 3],),
        ([-(10**12)],),
        ([6, 5, 4, 3, 2, 1, 0, -1],),
    ),
    hints=(
        "One loop over t. Which numbers of earlier places does place t need? Those are the "
        "variables that you carry along.",
        "Carry the highest so far, and the d of the place before. Nothing else.",
        "Begin with highest = -infinity and before = 0. In place t: read x once, renew the "
        "highest, make d, store d + before, and let before be d.",
    ),
)

# --- kept back while grading ---


def fused(load, store, n):
    highest, before = -float("inf"), 0
    for t in range(n):
        x = load("x", t)
        highest = max(highest, x)
        store("y", t, highest - x + before)
        before = highest - x


def first_apart(load, store, n):
    highest, before = load("x", 0), 0
    store("y", 0, 0)
    for t in range(1, n):
        x = load("x", t)
        highest = x if x > highest else highest
        store("y", t, highest - x + before)
        before = highest - x


def changed(start=-float("inf"), make=None, put=None, keep=None):
    """The fused kernel with another beginning, another d, another y, or another number kept."""

    def kernel(load, store, n):
        highest, before = start, 0
        for t in range(n):
            x = load("x", t)
            old, highest = highest, max(highest, x)
            d = make(highest, old if t else x, x) if make else highest - x
            y = put(d, before, x, highest - old if t else 0) if put else d + before
            store("y", t, y)
            before = keep(d, y) if keep else d

    return kernel


def three(load, store, n):
    for t in range(n):
        store("m", t, max(load("x", t), load("m", t - 1)) if t else load("x", t))
    for t in range(n):
        store("d", t, load("m", t) - load("x", t))
    for t in range(n):
        store("y", t, load("d", t) + (load("d", t - 1) if t else 0))


def also_storing(name):
    def kernel(load, store, n):
        def twice(y, t, number):
            store(name, t, number)
            store(y, t, number)

        fused(load, twice, n)

    return kernel


def once_more(load, store, n):
    highest, old = -float("inf"), 0
    for t in range(n):
        x = load("x", t)
        before = old - load("x", t - 1) if t else 0
        old = highest = max(highest, x)
        store("y", t, highest - x + before)


def all_first(load, store, n):
    x = [load("x", t) for t in range(n)]
    fused(lambda name, t: x[t], store, n)


MISTAKES = {
    "these are still three kernels: all that lies between them is written and read.": three,
    "you read x more than once a place. Keep in a variable what you need again.": (
        once_more,
        lambda load, store, n: fused(lambda name, t: load(name, t) + 0 * load(name, t), store, n),
    ),
    "you store what nobody wants. Only y leaves the chip.": (also_storing("m"), also_storing("d")),
    "you read all of x before you write. That many registers no chip has: y[t] can be written as "
    "soon as x[t] is there.": all_first,
    "your highest begins at a number that may lie above all x.": (*map(changed, (0, -(10**9))),),
    "you take the highest before place t for place t. Its own number counts too.": changed(
        make=lambda highest, old, x: old - x
    ),
    "you add up all d so far. Only the one before is asked.": changed(keep=lambda d, y: y),
    "the d before was made with the highest of its own place, and not with the new one.": changed(
        put=lambda d, last, x, more: d + last + more
    ),
    "you add d to itself: keep the d before until y is stored.": changed(
        put=lambda d, last, x, more: 2 * d
    ),
    "you leave out the d of the place before.": changed(put=lambda d, last, x, more: d),
    "the difference is the wrong way round: the highest so far, less the number.": changed(
        make=lambda highest, old, x: x - highest
    ),
    "you add the number itself, and not the d before.": changed(put=lambda d, last, x, more: d + x),
}

KNOWN = Known(
    right=(fused, first_apart),
    mistakes=MISTAKES,
    slips={
        "was never written": lambda load, store, n: None,
        "before anything was written": lambda load, store, n: load("m", 0),
    },
    show=lambda x: f"x = {x if len(x) < 20 else f'{len(x)} numbers'}",
    place=lambda at: (
        ("how many numbers it reads", "how many it writes", "how far reading is ahead")[at[0]]
        if at[0] < 3
        else f"y[{at[0] - 3}]"
    ),
    name="{:g}".format,
)
