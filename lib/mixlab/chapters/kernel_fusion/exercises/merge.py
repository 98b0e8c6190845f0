"""18.5 A softmax in pieces."""

from math import exp, inf, isinf, log

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def pair(scores):
    """What a program hands on of its scores: the largest, and the sum of exp(score - largest)."""
    m = max(scores, default=-inf)
    return m, sum(exp(score - m) for score in scores)


def draw(rng):
    """Equal and far apart, thousands below and above 0, either one empty, both."""
    drawn = [(pair([]), pair([])), (pair([-5000.0]), pair([5000.0])), (pair([900.0] * 3),) * 2]
    for _ in range(9):
        middle = (0, 1000, -1000)[int(rng.integers(3))]
        drawn.append(
            tuple(
                pair((middle + 3 * rng.standard_normal(n)).tolist()) for n in rng.integers(1, 9, 2)
            )
        )
    few = [pair([]), pair((-800 + rng.standard_normal(4)).tolist())]
    return [*drawn, tuple(few), tuple(few[::-1])]


def read(value):
    """Two numbers of any kind."""
    try:
        numbers = np.array([float(number) for number in value])
    except (TypeError, ValueError):
        numbers = np.array([])
    if numbers.shape != (2,):
        raise Unreadable(f"expected a pair of numbers: got {kind_of(value)}")
    return numbers


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(
        ((2.0, 1.0), (2.0, 3.0)),
        ((1.0, 1.5), (3.0, 1.25)),
        ((3.0, 1.25), (1.0, 1.5)),
        ((-4.0, 2.0), (-5.0, 1.0)),
        ((1000.0, 1.0), (1001.0, 2.0)),
        ((-1000.0, 2.0), (-1000.0, 1.0)),
        ((-2.0, 1.5), (-inf, 0.0)),
        ((-inf, 0.0), (-inf, 0.0)),
    ),
    hints=(
        "The largest of all is easy. But each sum was made with its own part's largest: what has "
        "it to be multiplied by, so that it is made with the common one?",
        "exp(x - m) = exp(x - m_0) · exp(m_0 - m). And an empty part: what is -inf - (-inf)?",
        "m = max(m_0, m_1); each s_i times exp(m_i - m), unless m is -inf: then (-inf, 0).",
    ),
)

# --- kept back while grading ---


def merge(first, second):
    (m_0, s_0), (m_1, s_1) = first, second
    m = max(m_0, m_1)
    if isinf(m):
        return m, 0.0
    return m, s_0 * exp(m_0 - m) + s_1 * exp(m_1 - m)


def larger_first(first, second):
    (high, s), (low, rest) = sorted((first, second), reverse=True)
    return (high, s + rest * np.exp(low - high)) if rest else (high, s)


def merging(m, total):
    """Another largest, or another sum: where an empty part is nothing, and where it isn't."""

    def plainly(first, second):
        (m_0, s_0), (m_1, s_1) = first, second
        return m(m_0, m_1), total(m_0, s_0, m_1, s_1, m(m_0, m_1))

    def safely(first, second):
        return plainly(first, second) if first[1] and second[1] else max(first, second)

    return safely, plainly


def both(m_0, s_0, m_1, s_1, m):
    return s_0 * exp(m_0 - m) + s_1 * exp(m_1 - m)


def unsafe(first, second):
    (m_0, s_0), (m_1, s_1) = first, second
    m = max(m_0, m_1)
    with np.errstate(all="ignore"):
        scales = np.exp(np.array([m_0, m_1]) - m)
    return m, float(s_0 * scales[0] + s_1 * scales[1])


def naive(first, second):
    """Goes back to the exponentials themselves."""
    (m_0, s_0), (m_1, s_1) = first, second
    with np.errstate(all="ignore"):
        total = s_0 * np.exp(m_0) + s_1 * np.exp(m_1)
        m = max(m_0, m_1)
        return m, float(total / np.exp(m)) if m > -inf else 0.0


MISTAKES = {
    "two empty parts give NaN: -inf less -inf isn't 0. Two nothings are a nothing, (-inf, 0).": (
        unsafe
    ),
    "you go back to the exponentials of the scores. Of 1000 they overflow, of -1000 they vanish; "
    "only differences are safe.": naive,
    "you add the sums as they are. Each was made with the largest of its own part.": merging(
        max, lambda m_0, s_0, m_1, s_1, m: s_0 + s_1
    ),
    "you scale the first sum alone. The second may have the smaller largest.": merging(
        max, lambda m_0, s_0, m_1, s_1, m: s_0 * exp(m_0 - m) + s_1
    ),
    "you scale the second sum alone. The first may have the smaller largest.": merging(
        max, lambda m_0, s_0, m_1, s_1, m: s_0 + s_1 * exp(m_1 - m)
    ),
    "you scale the second sum always. It is the smaller largest that gives way.": merging(
        max, lambda m_0, s_0, m_1, s_1, m: s_0 + s_1 * exp(-abs(m_0 - m_1))
    ),
    "you scale each sum by the other's difference.": merging(
        max, lambda m_0, s_0, m_1, s_1, m: s_0 * exp(m_1 - m) + s_1 * exp(m_0 - m)
    ),
    "you scale the wrong way round: exp(m - m_0) makes the smaller part larger.": (
        *merging(max, lambda m_0, s_0, m_1, s_1, m: s_0 * exp(m - m_0) + s_1 * exp(m - m_1)),
        lambda first, second: (
            max(first, second)[0],
            max(first, second)[1]
            + min(first, second)[1] * exp(max(first, second)[0] - min(first, second)[0]),
        ),
    ),
    "you keep the smaller of the two largest.": merging(min, both),
    "you keep the mean of the two largest.": merging(lambda m_0, m_1: (m_0 + m_1) / 2, both),
    "you keep one part's largest, though the other's may be larger.": (
        *merging(lambda m_0, m_1: m_0, both),
        *merging(lambda m_0, m_1: m_1, both),
    ),
    "you add the two largest.": (
        *merging(lambda m_0, m_1: m_0 + m_1, both),
        *merging(lambda m_0, m_1: m_0 + m_1, lambda m_0, s_0, m_1, s_1, m: s_0 + s_1),
    ),
    "your largest begins at 0. All scores may lie below.": merging(
        lambda m_0, m_1: max(m_0, m_1, 0), both
    ),
    "of an empty part and another you return the empty one.": (
        lambda first, second: merge(first, second) if first[1] and second[1] else (-inf, 0.0)
    ),
    "of two equal largest you keep one sum. Both count.": merging(
        max, lambda m_0, s_0, m_1, s_1, m: both(m_0, s_0, m_1, s_1, m) if m_0 != m_1 else s_0
    ),
    "you leave the sums out: each part has more scores than its largest.": merging(
        max, lambda m_0, s_0, m_1, s_1, m: exp(m_0 - m) + exp(m_1 - m)
    ),
    "two empty parts make an empty part: its largest stays -inf, its sum 0.": tuple(
        lambda first, second, none=none: merge(first, second) if first[1] or second[1] else none
        for none in ((0.0, 0.0), (-1e9, 0.0), (-inf, 1.0))
    ),
    "you keep one part. The other's scores count, too.": lambda first, second: max(first, second),
    "you multiply the sums.": (
        *merging(max, lambda m_0, s_0, m_1, s_1, m: s_0 * exp(m_0 - m) * s_1 * exp(m_1 - m)),
        *merging(max, lambda m_0, s_0, m_1, s_1, m: s_0 * s_1),
    ),
    "you return a logarithm. The sum itself is asked.": (
        *merging(max, lambda *given: log(both(*given))),
        *merging(max, lambda m_0, s_0, m_1, s_1, m: log(s_0 * exp(m_0) + s_1 * exp(m_1))),
    ),
    "you scale by 2 to the power of the difference. These sums are made with e.": merging(
        max, lambda m_0, s_0, m_1, s_1, m: s_0 * 2 ** (m_0 - m) + s_1 * 2 ** (m_1 - m)
    ),
}

KNOWN = Known(
    right=(merge, larger_first),
    mistakes=MISTAKES,
    slips={"expected a pair of numbers": lambda first, second: merge(first, second)[1]},
    show=lambda first, second: f"merge({first}, {second})",
    place=lambda at: ("the largest", "the sum")[at[0]],
    name="{:.6g}".format,
)
