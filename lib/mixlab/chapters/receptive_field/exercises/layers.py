"""03.2 Predict the layer: after how many layers one token first knows another."""

import math

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Distances of whole steps, of one more and of others; far ones; the token itself; later ones.

    Far ones take some hundred layers of a wide window, so that a loop over the layers ends.
    """

    def far(window, times, more):
        j = int(rng.integers(0, 50))
        return j + times * (window - 1) + more, j, window

    drawn = [far(int(rng.integers(3, 12)), int(rng.integers(1, 9)), 0) for _ in range(3)]
    drawn += [far(int(rng.integers(4, 12)), int(rng.integers(0, 9)), 1) for _ in range(3)]
    drawn += [far(int(rng.integers(5, 12)), int(rng.integers(1, 9)), 3) for _ in range(2)]
    drawn += [far(int(rng.integers(1002, 5000)), int(rng.integers(100, 300)), n) for n in (1, 999)]
    drawn += [far(2, int(rng.integers(256, 290)), 0)]  # as many layers as tokens, beyond 8 bits
    i = int(rng.integers(3, 60))
    drawn += [(i, i, 4), (i, i, 1), (i, i - 2, 1), (i - 2, i, 5), (i - 2, i, 1), (i, i - 3, 2)]
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        *((10, 3, 4), (9, 3, 4), (10, 0, 3), (5, 5, 4), (6, 2, 1)),
        *((2, 9, 4), (8, 8, 1), (12, 0, 5), (11, 3, 4), (3, 8, 1)),
    ),
    hints=(
        "Make a table for a window of 4: which distances does one layer bridge? Which two?",
        "k layers bridge k (window - 1). You look for the smallest k for which that is at least "
        "the distance i - j: round up, not down.",
        "Before you divide: the token itself needs no layer; a later token is never reached; and "
        "with a window of 1 there is nothing to divide by.",
    ),
)

# --- kept back while grading ---


def step_by_step(i, j, window):
    if j > i or (window == 1 and i != j):
        return -1
    layers = 0
    while i - layers * (window - 1) > j:
        layers += 1
    return layers


def needing(rounds=math.ceil, step=lambda window: window - 1, same=0, ahead=-1, alone=-1, more=0):
    """The distance over a step, rounded, and `more`; with another idea of this, or of the token
    itself (`same`), a later one (`ahead`) and a window of 1 (`alone`): for None it is divided too.
    """

    def layers_needed(i, j, window):
        if i == j and same is not None:
            return same
        if j > i and ahead is not None:
            return ahead
        if window == 1 and alone is not None:
            return alone
        return rounds((i - j) / step(window)) + more

    return layers_needed


MISTAKES = {
    "you round down. What is left of the distance after whole steps needs one more layer.": (
        needing(math.floor),
        needing(math.floor, ahead=None, alone=0),
        needing(math.floor, ahead=None),
    ),
    "you round to the nearest number. Any rest of the distance, however small, needs one more "
    "layer.": needing(round),
    "you divide by the window. A layer bridges W - 1 tokens, because the window counts the token "
    "itself.": (needing(step=lambda w: w), needing(step=lambda w: w, alone=None)),
    "you divide by the window, and round down. A layer bridges W - 1 tokens, and what is left of "
    "the distance needs one more.": (
        needing(math.floor, step=lambda w: w),
        needing(math.floor, step=lambda w: w, alone=None),
    ),
    "you divide by W + 1. A layer bridges W - 1 tokens, because the window counts the token "
    "itself.": needing(step=lambda w: w + 1),
    "you add a layer even where the distance is a whole number of steps.": (
        needing(math.floor, more=1),
        needing(math.floor, more=1, same=None),
    ),
    "you start counting at 1: a token knows itself before any layer.": (
        needing(more=1, same=1),
        needing(more=1),
        needing(same=1),
        lambda i, j, w: -1 if w == 1 else needing(same=1)(i, j, w),
    ),
    "you count one layer too few, as if the input were one.": needing(more=-1),
    "your count is right except for later tokens, which no number of layers reaches: there the "
    "answer is -1.": (
        needing(ahead=None),
        lambda i, j, w: step_by_step(max(i, j), min(i, j), w),
    ),
    "a later token is never reached: that is -1, not 0 layers.": (
        needing(ahead=0),
        lambda i, j, w: -1 if w == 1 and i != j else needing(ahead=0)(i, j, w),
    ),
    "with a window of 1 a token sees only itself, in every layer: another is never reached, and "
    "the token itself needs no layer.": (
        needing(alone=0),
        needing(alone=1),
        needing(step=lambda w: max(1, w - 1), alone=None),
        lambda i, j, w: i - j if w == 1 else step_by_step(i, j, w),
        lambda i, j, w: -1 if w == 1 else step_by_step(i, j, w),
    ),
    "where no number of layers is enough, the answer is -1.": (
        needing(ahead=-2, alone=-2),
        needing(ahead=10**9, alone=10**9),
    ),
    "you count tokens. A layer bridges W - 1 of them at once.": needing(step=lambda w: 1),
}

KNOWN = Known(
    right=(step_by_step, needing()),
    mistakes=MISTAKES,
    slips={
        "it raised ZeroDivisionError": needing(alone=None),
        "got:      255": lambda i, j, w: min(255, step_by_step(i, j, w)),
        "expected a whole number: got 2.3": needing(rounds=float),
        "layers_needed(i=10, j=3, window=4)": lambda i, j, w: 0,
    },
    show=lambda i, j, window: f"layers_needed(i={i}, j={j}, window={window})",
)
