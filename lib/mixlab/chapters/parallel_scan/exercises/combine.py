"""17.1 A bucket with a brim."""

from numbers import Real

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_count


def draw(rng):
    """Two minutes and more; rain over the brim, no rain, a brim of 0, and a lake."""
    drawn = []
    for n, most, low, high in (
        *((2, 9, 3, 25), (2, 9, 3, 25), (2, 9, 3, 25), (2, 9, 0, 6), (3, 9, 3, 25)),
        *((4, 9, 0, 12), (7, 9, 3, 25), (20, 9, 3, 25), (3, 10**6, 10**5, 10**6)),
    ):
        rain, brims = rng.integers(0, most, n).tolist(), rng.integers(low, high, n).tolist()
        levels = sorted(rng.integers(0, high + 5, 4).tolist())
        drawn.append((list(zip(rain, brims, strict=True)), levels))
    return drawn


def call(answer, minutes, levels):
    """The levels after all minutes, combined from the left and from the right."""
    left, right = minutes[0], minutes[-1]
    for minute in minutes[1:]:
        left = pair(answer(left, minute))
    for minute in reversed(minutes[:-1]):
        right = pair(answer(minute, right))
    return [[read_count(min(c, h + b)) for h in levels] for b, c in (left, right)]


def pair(value):
    """What an operator returned, as two numbers."""
    try:
        b, c = (number.item() if hasattr(number, "item") else number for number in value)
        if isinstance(b + c, Real):
            return b, c
    except (TypeError, ValueError):
        pass
    shown = "None (does the function return?)" if value is None else f"{value!r:.60}"
    raise Unreadable(f"expected a pair of numbers (b, c): got {shown}")


ASKED = Asked(
    draw=draw,
    read=np.asarray,
    call=call,
    examples=(
        ([(2, 9), (3, 6)], [0, 1, 5]),
        ([(4, 5), (3, 20)], [0, 2, 9]),
        ([(1, 8), (2, 4)], [0, 3]),
        ([(1, 5), (4, 7), (2, 8)], [0, 6]),
        ([(3, 7), (0, 9)], [0, 2]),
    ),
    hints=(
        "Do as the lesson did: send a level h through both minutes. After the first it is "
        "min(c₀, h + b₀). What does the second minute make of that?",
        "min(x, y) + b = min(x + b, y + b): rain lifts both. So the level after two minutes is "
        "the least of three terms. Only one of them holds h.",
        "min(c₁, c₀ + b₁, h + b₀ + b₁). What is added to h is the new b, and the least of the "
        "rest is the new c.",
    ),
)

# --- kept back while grading ---


def by_trial(earlier, later):
    """An overfull bucket ends at the brim of both; one that is far from full takes all the rain."""

    def after(level):
        for rain, brim in (earlier, later):
            level = min(brim, level + rain)
        return level

    return after(-(10**9)) + 10**9, after(10**9)


def clipped(earlier, later):
    """Another pair for the same bucket: more rain than fits under the brim makes no difference."""
    brim = np.minimum(later[1], earlier[1] + later[0])
    return np.minimum(earlier[0] + later[0], brim), brim


def combining(
    brim=lambda b0, c0, b1, c1: min(c1, c0 + b1), rain=lambda b0, c0, b1, c1: b0 + b1, pair=tuple
):
    """The rain and the brim of both minutes, each by another idea."""
    return lambda earlier, later: pair((rain(*earlier, *later), brim(*earlier, *later)))


MISTAKES = {
    "you take the lower of the two brims. But rain of the second minute falls on top of what the "
    "first brim let through: that part stands at most at c₀ + b₁.": combining(
        lambda b0, c0, b1, c1: min(c0, c1)
    ),
    "the order is swapped: that is the second minute first, then the first. Which brim still has "
    "rain to come after it?": combining(lambda b0, c0, b1, c1: min(c0, c1 + b0)),
    "the wrong minute's rain falls on the first brim: b₀ has fallen before c₀ cuts, and only b₁ "
    "comes after it.": (
        combining(lambda b0, c0, b1, c1: min(c1, c0 + b0)),
        combining(lambda b0, c0, b1, c1: min(c1, c0 + b0 + b1)),
    ),
    "the first minute's brim has no effect. What spilled over it is gone, and doesn't come back "
    "in the second minute.": combining(lambda b0, c0, b1, c1: c1),
    "the second minute's brim has no effect: it is the last word on the level.": (
        combining(lambda b0, c0, b1, c1: c0 + b1),
        combining(lambda b0, c0, b1, c1: c0),
    ),
    "rain falls on top of the second brim too. It cuts after its own minute's rain.": (
        combining(lambda b0, c0, b1, c1: min(c0, c1) + b1),
        combining(lambda b0, c0, b1, c1: min(c1 + b1, c0 + b1 + b0)),
        combining(lambda b0, c0, b1, c1: min(c1 + b1, c0 + b0)),
    ),
    "the first minute's rain is lost: rain adds up.": combining(rain=lambda b0, c0, b1, c1: b1),
    "the second minute's rain is lost: rain adds up.": combining(rain=lambda b0, c0, b1, c1: b0),
    "your rain is the larger of the two minutes', the smaller or the product. Rain adds up.": (
        combining(rain=lambda b0, c0, b1, c1: b0 * b1),
        combining(rain=lambda b0, c0, b1, c1: max(b0, b1)),
        combining(rain=lambda b0, c0, b1, c1: min(b0, b1)),
    ),
    "you add the brims. The level is the least of what each brim allows: min, not +.": combining(
        lambda b0, c0, b1, c1: c0 + c1
    ),
    "this is max where the level takes the least of two terms, min.": (
        combining(lambda b0, c0, b1, c1: max(c1, c0 + b1)),
        combining(lambda b0, c0, b1, c1: max(c0, c1)),
        combining(lambda b0, c0, b1, c1: min(c1, max(c0, b1))),
    ),
    "your brim is filled by rain alone. Up to c₀ may stand there when the second minute "
    "begins.": combining(lambda b0, c0, b1, c1: min(c1, b0 + b1)),
    "your pair is exchanged: rain first, then the brim.": combining(pair=lambda both: both[::-1]),
    "this is the operator of the leaky bucket, a h + b. Here a step is min(c, h + b): compose two "
    "of those.": lambda x, y: (y[0] * x[0], y[0] * x[1] + y[1]),
    "you return one of the two minutes and drop the other.": (
        lambda earlier, later: earlier,
        lambda earlier, later: later,
    ),
}


def show(minutes, levels):
    if len(minutes) == 2:
        return f"combine({minutes[0]}, {minutes[1]}), applied to levels {levels}"
    return f"combine over the {len(minutes)} minutes {minutes}, applied to levels {levels}"[:200]


KNOWN = Known(
    right=(by_trial, clipped, combining()),
    mistakes=MISTAKES,
    slips={
        "expected a pair of numbers": (lambda x, y: combining()(x, y)[1], lambda x, y: x + y),
        "expected a whole number": combining(lambda b0, c0, b1, c1: min(c1, c0 + b1) - 0.5),
        "first wrong place: level": combining(lambda b0, c0, b1, c1: min(c1, c0 + b1) - 1),
    },
    show=show,
    place=lambda at: f"level {at[1]}, combined from the {('left', 'right')[at[0]]}",
)
