"""14.6 Prove by test: is there a kernel?"""

import random
from operator import eq

import numpy as np

from mixlab.chapters.ssm_convolution.exercises.families import (
    FAMILIES,
    GREATEST,
    LONGEST,
    RIGHT,
    layer_of,
    numbers_of,
    slid,
)
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(layer_of, FAMILIES, numbers_of, again=RIGHT),
    hints=(
        "If there is a kernel, one list tells all its taps. After that a layer has no freedom "
        "left: you know what it must make of every other list.",
        "The impulse, 1 and eleven zeros, is answered by the kernel. Compare with the sum over "
        "taps on many other lists: of which lengths, with which numbers?",
        "Every length from 1 to 12, and for each some twenty random lists with numbers from −9 to "
        "9. Compare with `==`: floats would round taps of a billion.",
    ),
)

# --- kept back while grading ---

EVERY = range(1, LONGEST + 1)


def drawn(lengths=EVERY, low=-GREATEST, high=GREATEST, again=4):
    draw = random.Random(5)
    return [[draw.randint(low, high) for _ in range(n)] for n in lengths for _ in range(again)]


LISTS = drawn()


def judging(lists=LISTS, agrees=eq, anew=False, read=lambda y: y):
    """A test that compares with the kernel's sum on some lists, in its own way.

    Args:
        anew: take a kernel from an impulse of each list's own length.
    """

    def judge(layer):
        whole = layer([1] + [0] * (LONGEST - 1))
        for x in lists:
            K = layer([1] + [0] * (len(x) - 1)) if anew else whole
            if not agrees(read(layer(list(x))), read(slid(K, x))):
                return False
        return True

    return judge


def by_properties(layer):
    """Linear, the same however late and however long, and nothing before its time."""
    K = layer([1] + [0] * (LONGEST - 1))
    for n in EVERY:
        for s in range(n):
            knock = [int(t == s) for t in range(n)]
            if layer(knock) != ([0] * s + K)[:n]:
                return False
    return linear(drawn(again=2))(layer)


def linear(lists):
    """Whether sums of lists are answered by sums of answers, and multiples by multiples."""

    def judge(layer):
        for x in lists:
            parts = [[x_t * (t == s) for t, x_t in enumerate(x)] for s in range(len(x))]
            units = [layer([int(t == s) for t in range(len(x))]) for s in range(len(x))]
            scaled = [[x[s] * y for y in units[s]] for s in range(len(x))]
            if [layer(part) for part in parts] != scaled:
                return False
            if layer(x) != [sum(column) for column in zip(*scaled, strict=True)]:
                return False
        return True

    return judge


def causal(layer):
    """Whether what comes later never matters."""
    return all(layer(x)[:k] == layer(x[:k]) for x in drawn(again=2) for k in range(1, len(x)))


def knocks(lengths=EVERY, sizes=(1,)):
    return [
        [size * (t == s) for t in range(n)] for n in lengths for s in range(n) for size in sizes
    ]


def ones(lengths=EVERY):
    return [[1] * n for n in lengths]


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": (
        lambda layer: True,
        judging([[1] + [0] * 11]),
    ),
    "your test rejects everything, layers with a kernel too. Print the first list that "
    "it finds wrong.": (lambda layer: False),
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda layer: not judging()(layer)
    ),
    "your test knocks only: a 1 among zeros. What isn't linear may look right there.": (
        judging(knocks()),
        judging(knocks(range(LONGEST, LONGEST + 1))),
    ),
    "your test has knocks of several sizes, and never two in one list.": judging(
        knocks(sizes=range(-9, 10))
    ),
    "your test has lists of ones only.": judging(ones()),
    "your test has one length only, the longest.": judging(drawn([LONGEST], again=50)),
    "your test has no number below 0.": (judging(drawn(low=0)), judging(drawn(low=1))),
    "your test takes small numbers only.": (
        judging(drawn(low=-1, high=1)),
        judging(drawn(low=0, high=1)),
    ),
    "your test leaves out lists of twelve: `range(1, 12)` ends before it.": judging(
        drawn(range(1, LONGEST))
    ),
    "your test leaves out lists of one token.": judging(drawn(range(2, LONGEST + 1))),
    "your test takes the taps anew for each length. They are the same for every list.": judging(
        anew=True
    ),
    "your test asks whether a layer is linear. One that is may still look ahead, or "
    "change with time.": (linear(drawn((4, LONGEST), again=3))),
    "your test asks whether what comes later matters. A layer that never looks ahead may "
    "still have no "
    "kernel.": causal,
    "your test compares roughly, as floats are compared. Beside taps of a billion, one "
    "is a fault, too.": (judging(agrees=np.allclose)),
    "your test looks at the last output only.": judging(read=lambda y: y[-1]),
    "your test looks at the first output only.": judging(read=lambda y: y[0]),
    "your test compares the sums of the outputs.": judging(read=sum),
}


def advice(layer):
    """Where this layer has no kernel, in words that leave the finding to the reader."""
    if judging()(layer):
        return (
            "this layer has a kernel, and your test finds a fault. Print the first that it finds."
        )
    wrong = [n for n in EVERY if not judging(drawn([n]))(layer)]
    if len(wrong) == 1:
        return "this layer is wrong at lists of one length only."
    if judging(drawn(low=0))(layer):
        return "this layer has a kernel as long as no number is below 0."
    if judging(knocks())(layer):
        return "this layer answers single knocks as a kernel would, but not all that adds them up."
    if wrong[0] > 4:
        return "this layer has a kernel as long as lists are short."
    return (
        "this layer has no kernel at many lists. Compare it with the sum over taps at all lengths."
    )


KNOWN = Known(
    right=(judging(), by_properties),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda layer: layer([1]),
        "1 to 12 whole numbers": lambda layer: layer([1] * 13) == [],
        "lists of one length only": judging(drawn(range(1, 7))),
    },
    show=lambda layer: f"has_kernel on a layer: {layer.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
