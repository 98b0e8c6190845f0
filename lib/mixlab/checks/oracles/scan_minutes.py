"""What exercise 17.1 must return: one minute after the other, without combining anything."""

from collections.abc import Callable

import numpy as np

from mixlab.checks.cases.parallel_scan import EXERCISES as CASES
from mixlab.checks.oracles import Misconception, Oracle


def _levels_after(minutes, start):
    ends = []
    for h in start:
        for rain, brim in minutes:
            h = min(brim, h + rain)
        ends.append(h)
    return np.array([ends, ends])


def _combining(operator: Callable) -> Callable:
    """What a wrong operator on two pairs gives."""
    call = CASES["17.1"].call
    return lambda minutes, start: np.array(call(operator, minutes, start))


def _show_minutes(minutes, start):
    if len(minutes) == 2:
        return f"combine({minutes[0]}, {minutes[1]}), applied to levels {start}"
    return f"combine over the {len(minutes)} minutes {minutes}, applied to levels {start}"[:200]


EXERCISES = {
    "17.1": Oracle(
        expected=_levels_after,
        show=_show_minutes,
        place=lambda index: f"level {index[1]}, combined from the {('left', 'right')[index[0]]}",
        examples=(
            ([(2, 9), (3, 6)], [0, 1, 5]),
            ([(4, 5), (3, 20)], [0, 2, 9]),
            ([(1, 8), (2, 4)], [0, 3]),
            ([(1, 5), (4, 7), (2, 8)], [0, 6]),
        ),
        misconceptions=(
            Misconception(
                "you take the lower of the two brims. But rain of the second minute falls on top "
                "of what the first brim let through: that part stands at most at c₀ + b₁.",
                _combining(lambda x, y: (x[0] + y[0], min(x[1], y[1]))),
            ),
            Misconception(
                "the order is swapped: that is the second minute first, then the first. Which "
                "brim still has rain to come after it?",
                _combining(lambda x, y: (x[0] + y[0], min(x[1], y[1] + x[0]))),
            ),
            Misconception(
                "the first minute's brim has no effect. What spilled over it is gone, and doesn't "
                "come back in the second minute.",
                _combining(lambda x, y: (x[0] + y[0], y[1])),
            ),
            Misconception(
                "the second minute's brim has no effect: it is the last word on the level.",
                _combining(lambda x, y: (x[0] + y[0], x[1] + y[0])),
            ),
            Misconception(
                "the first minute's rain is lost: rain adds up.",
                _combining(lambda x, y: (y[0], min(y[1], x[1] + y[0]))),
            ),
            Misconception(
                "you add the brims. The level is the least of what each brim allows: min, not +.",
                _combining(lambda x, y: (x[0] + y[0], x[1] + y[1])),
            ),
            Misconception(
                "this is max where the level takes the least of two terms, min.",
                _combining(lambda x, y: (x[0] + y[0], max(y[1], x[1] + y[0]))),
            ),
            Misconception(
                "this is the operator of the leaky bucket, a h + b. Here a step is min(c, h + b): "
                "compose two of those.",
                _combining(lambda x, y: (y[0] * x[0], y[0] * x[1] + y[1])),
            ),
        ),
    ),
}
