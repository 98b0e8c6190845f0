"""16.5 Prove by test: is it LTI?"""

import random
from itertools import pairwise

from mixlab.chapters.selection.exercises.families import (
    FAMILIES,
    MOST,
    convolved,
    layer_of,
    numbers_of,
)
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(layer_of, FAMILIES, numbers_of, again=6),
    hints=(
        "An LTI layer has no freedom left once you know what it makes of 1, 0, 0, 0, … What must "
        "it then make of any other list?",
        "The answer to 1, 0, 0, … is its kernel. Compare each output with the convolution: for "
        "lists of 24 numbers, large and small, above 0 and below.",
        "Add up kernel[k] * x[t - k] for k from 0 to t. Random numbers between -50 and 50, twenty "
        "lists of 24, find all of these layers; rounding is far below 1e-6.",
    ),
)

# --- kept back while grading ---


def near(first, second):
    return all(abs(a - b) < 1e-6 * (1 + abs(a)) for a, b in zip(first, second, strict=True))


def lists(length=MOST, size=50.0, n=20, least=-1.0):
    draw = random.Random(16)
    return [[size * draw.uniform(least, 1) for _ in range(length)] for _ in range(n)]


def by_kernel(layer):
    kernel = layer([1.0] + [0.0] * (MOST - 1))
    return all(near(layer(x), convolved(kernel, x)) for x in lists())


def by_properties(
    layer,
    tried=None,
    sums=True,
    multiples=True,
    shifts=(1, 7),
    factors=(-1, 0.3),
    same=near,
):
    """Sums, multiples and shifts, each tried for itself."""
    tried = tried or lists(size=24)
    for x, y in pairwise(tried):
        if sums and not same(
            layer([a + b for a, b in zip(x, y, strict=True)]),
            [a + b for a, b in zip(layer(x), layer(y), strict=True)],
        ):
            return False
        for factor in factors if multiples else ():
            if not same(layer([factor * a for a in x]), [factor * a for a in layer(x)]):
                return False
        for places in shifts:
            if places < len(x):
                moved = ([0.0] * places + x)[: len(x)]
                if not same(layer(moved), ([0.0] * places + layer(x))[: len(x)]):
                    return False
    return True


def loud(layer):
    """Properties at two sizes: the largest sums reach 50."""
    return by_properties(layer) and by_properties(layer, lists(size=50, least=-0.9), sums=False)


def with_kernel(tried, agrees=near):
    def judge(layer):
        kernel = layer([1.0] + [0.0] * (MOST - 1))
        return all(agrees(layer(x), convolved(kernel, x)) for x in tried)

    return judge


def rolled(layer):
    return all(near(layer(x[-1:] + x[:-1]), (y := layer(x))[-1:] + y[:-1]) for x in lists())


def last_only(first, second):
    return near(first[-1:], second[-1:])


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda layer: True,
    "your test rejects everything, LTI layers too. Print the first list at which it finds a "
    "fault.": lambda layer: False,
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda layer: not by_kernel(layer)
    ),
    "your test asks for sums and multiples, and not for shifts: a layer may be linear, with other "
    "weights at every place.": (
        lambda layer: by_properties(layer, shifts=()),
        lambda layer: by_properties(layer, shifts=(), multiples=False),
        lambda layer: (
            by_properties(layer, lists(), sums=False, shifts=()) and by_properties(layer, shifts=())
        ),
    ),
    "your test asks for shifts, and not for sums or multiples: a selective layer passes that.": (
        lambda layer: by_properties(layer, sums=False, multiples=False),
        lambda layer: by_properties(layer, lists(), sums=False, multiples=False),
    ),
    "your test tries numbers above 0 only. Some layers go wrong at a sign.": (
        with_kernel(lists(least=0)),
        lambda layer: by_properties(layer, lists(size=24, least=0), factors=(0.3, 2)),
    ),
    "your test tries small numbers only: some layers go wrong at large ones.": (
        with_kernel(lists(size=1)),
        with_kernel(lists(size=5)),
        with_kernel(lists(size=40)),
        lambda layer: by_properties(layer, lists(size=3)),
    ),
    "your test tries short lists only. Some layers go wrong late.": (
        with_kernel(lists(length=8)),
        with_kernel(lists(length=12)),
        lambda layer: by_properties(layer, lists(length=3, size=24)),
        lambda layer: by_properties(layer, lists(length=10, size=24)),
    ),
    "your test looks at lists of one number, or at first outputs, or ends after the first list: "
    "does a `return` stand inside of the loop?": (
        with_kernel(lists(length=1)),
        with_kernel(lists(), lambda first, second: near(first[:1], second[:1])),
        lambda layer: by_properties(layer, lists(length=1, size=24)),
        lambda layer: by_properties(layer, lists(length=1, size=24), multiples=False),
    ),
    "your test compares without a tolerance, and rounding is no fault.": (
        with_kernel(lists(), lambda first, second: first == second),
        lambda layer: by_properties(layer, same=lambda first, second: first == second),
    ),
    "your shift lets the end of a list in at its front. Zeros should come in there, and the end "
    "is gone.": (rolled, lambda layer: rolled(layer) and by_properties(layer, shifts=())),
    "your test takes either for enough: linear, or time-invariant.": (
        lambda layer: (
            by_properties(layer, shifts=()) or by_properties(layer, sums=False, multiples=False)
        )
    ),
    "your test looks at one output of each list. Some layers are wrong elsewhere.": (
        with_kernel(lists(), last_only)
    ),
    "your tolerance is so wide that faults pass.": (
        with_kernel(lists(), lambda a, b: all(abs(p - q) < 3 for p, q in zip(a, b, strict=True))),
        with_kernel(lists(), lambda a, b: abs(sum(a) - sum(b)) < 30),
    ),
}


def advice(layer):
    """What the test misses, and where, in words that leave the finding to the reader."""
    if by_kernel(layer):
        return "this layer is LTI, and your test finds a fault. Print the first that it finds."
    where = "far from the beginning"
    if not with_kernel(lists(length=8, size=1, least=0))(layer):
        where = "in short lists of small numbers above 0 already"
    elif not with_kernel(lists(length=8, size=1))(layer):
        where = "where numbers are below 0"
    elif not with_kernel(lists(length=8))(layer):
        where = "where numbers are large"
    fault = "sums and shifts go wrong"
    if by_properties(layer, shifts=()):
        fault = "it is linear, and zeros in front change its answers"
    elif by_properties(layer, lists(), sums=False, multiples=False):
        fault = "its answers move with the input, and those to a sum aren't the sum of answers"
        if by_properties(layer, sums=False, shifts=(), factors=(2, 0.3)):
            fault += ", though twice the input makes twice the output"
    return f"your test misses a layer that isn't LTI: {fault}. It shows {where}."


KNOWN = Known(
    right=(by_kernel, loud),
    mistakes=MISTAKES,
    slips={
        "It shows where numbers are large": with_kernel(lists(size=12)),
        "expected True or False": lambda layer: None,
    },
    show=lambda layer: f"is_lti({layer.__doc__})",
    name=lambda value: str(bool(value)),
    advice=advice,
)
