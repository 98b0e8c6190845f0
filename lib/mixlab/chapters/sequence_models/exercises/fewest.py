"""12.2 The fewest steps with which all that decays shrinks."""

from fractions import Fraction
from math import ceil, prod

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Products that are even and odd, rates of 0, one and many, billions."""
    drawn = [
        ([0], 7),
        ([0, 0, 3], 1),
        ([1], 1),
        ([2], 1),
        ([6, 2, 6], 4),
        ([3, 900_000_001, 5], 900_000_007),
        ([10**9, 0], 10**9),
    ]
    for _ in range(9):
        rates = rng.integers(0, 40, int(rng.integers(1, 6))).tolist()
        drawn.append((rates, int(rng.integers(1, 12))))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        ([10, 1], 1),
        ([3], 1),
        ([1, 4], 3),
        ([0], 5),
        ([2, 7, 5], 2),
        ([5, 3], 1),
        ([1, 10**9 + 1], 10**9 + 1),
    ),
    hints=(
        "What does one step of length h multiply x by? Which of the things sets the limit?",
        "|1 - h · rate| must be below 1, and not equal to it: so h · rate below 2, for the largest "
        "rate. And h is duration / n.",
        "So n must be *greater* than rate · duration / 2. Which is the next whole number, if that "
        "is whole, and if it isn't? `//` divides whole numbers of any size exactly.",
    ),
)

# --- kept back while grading ---


def next_whole(rates, duration):
    return max(rates) * duration // 2 + 1


def bisected(rates, duration):
    """The border, looked for by halving."""

    def shrinks(n):
        return all(abs(1 - Fraction(duration * rate, n)) < 1 for rate in rates if rate)

    low, high = 0, 1
    while not shrinks(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shrinks(middle) else (middle, high)
    return high


def of(choose, needed=lambda product: product // 2 + 1, least=1):
    """Steps for another choice of the rate, or another idea of what it needs."""
    return lambda rates, duration: max(least, needed(int(choose(rates) * duration)))


def halved(needed):
    """Ideas of what half of rate · duration needs, in floats and exactly, from 0 and from 1 on."""
    return tuple(
        of(max, lambda product, half=half: needed(half(product)), least)
        for half in (lambda product: product / 2, lambda product: Fraction(product, 2))
        for least in (0, 1)
    )


MISTAKES = {
    "you let a thing swing forever: where 1 - h · rate is exactly -1, it doesn't come nearer to "
    "0.": (
        *halved(ceil),
        lambda rates, t: ceil(t / (2 / max(rates))) if any(rates) else 1,
    ),
    "one step too few: where rate · duration / 2 isn't whole, you round down, and h is too "
    "long.": halved(int),
    "one step too many where rate · duration / 2 isn't whole: rounded up it is enough.": (
        *halved(lambda half: ceil(half) + 1),
        *halved(lambda half: round(half) + 1),
    ),
    "one step too many: the next whole number above half of rate · duration is enough.": of(
        max, lambda product: product // 2 + 2
    ),
    "you divide by the duration. The n steps fill it: the longer, the more of them.": (
        lambda rates, duration: max(rates) // (2 * duration) + 1
    ),
    "your numbers overflow or round in 32 bits. The numbers go up to billions.": (
        lambda rates, duration: int(np.array(max(rates) * duration).astype(np.int32)) // 2 + 1,
        lambda rates, duration: int(np.float32(max(rates) * duration)) // 2 + 1,
    ),
    "you forbid ringing as well. A thing may change sides, as long as it comes nearer to 0: "
    "h · rate may be up to 2.": (
        of(max, lambda product: product),
        of(max, lambda product: product + 1),
        lambda rates, duration: max(rates) * duration,
    ),
    "you take no step where nothing decays. At least one is asked for.": (
        lambda rates, duration: next_whole(rates, duration) if any(rates) else 0
    ),
    "you take one step, whatever the rates: it may be too long.": lambda rates, duration: 1,
    "you multiply the rates. Each thing decays by its own, and the fastest sets the step.": (
        of(prod)
    ),
    "you let the slowest decide. The fastest has the shortest step.": (
        of(min),
        of(lambda rates: min([rate for rate in rates if rate] or [0])),
    ),
    "you add up the rates. Each thing decays by its own, and the fastest sets the step.": of(sum),
    "you take the mean of the rates. Then the fastest blows up.": of(
        lambda rates: Fraction(sum(rates), len(rates))
    ),
    "you look at the first rate only.": of(lambda rates: rates[0]),
    "you look at the last rate only.": of(lambda rates: rates[-1]),
    "you leave out the duration: n steps share it.": lambda rates, duration: max(rates) // 2 + 1,
    "you add the steps that each thing needs. All are followed by the same steps.": (
        lambda rates, duration: sum(rate * duration // 2 + 1 for rate in rates)
    ),
    "you multiply by 2 where h · rate < 2 asks to divide.": of(
        max, lambda product: 2 * product + 1
    ),
    "your answer is right for small numbers, and a little off for large ones: floats have 16 "
    "digits. `//` divides whole numbers exactly.": (
        lambda rates, duration: int(max(rates) * duration / 2) + 1,
        lambda rates, duration: int(duration / (2 / max(rates))) + 1 if any(rates) else 1,
        of(max, lambda product: ceil(product / 2 + 1e-9)),
        of(max, lambda product: ceil((product + 1) / 2)),
    ),
    "you halve before you multiply, and lose a half where that isn't whole.": (
        lambda rates, duration: max(rates) // 2 * duration + 1,
        lambda rates, duration: duration // 2 * max(rates) + 1,
    ),
    "you take a quarter: h · rate may be up to 2, so n is above half of rate · duration.": of(
        max, lambda product: product // 4 + 1
    ),
}

KNOWN = Known(
    right=(next_whole, bisected),
    mistakes=MISTAKES,
    slips={
        "it raised ZeroDivisionError": lambda rates, duration: int(duration / (2 / max(rates))) + 1,
        "expected a whole number": lambda rates, duration: max(rates) * duration / 2 + 1.25,
    },
    show=lambda rates, duration: f"fewest_steps({rates}, duration={duration})",
    name="{:,}".format,
)
