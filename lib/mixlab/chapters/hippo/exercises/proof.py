"""15.6 Prove by test: is it the whole past?"""

import numpy as np

from mixlab.chapters.hippo.exercises.families import (
    FAMILIES,
    LONGEST,
    memory_of,
    middles,
    numbers_of,
    stepped,
    values,
    whole,
)
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(memory_of, FAMILIES, numbers_of, again=2),
    hints=(
        "You know from 15.1 what the three numbers of any signal must be. Compare, with a small "
        "tolerance: right ones differ by rounding.",
        "Some are wrong at one length alone, some only beyond 30 samples, some at a single sample. "
        "A constant, or a symmetric signal, hides most faults.",
        "For every length from 1 to 40 hand over a random signal, and compare all three numbers "
        "with your `three_numbers` of it, to about 1e-6.",
    ),
)

# --- kept back while grading ---

ALL = range(1, LONGEST + 1)
RNG = np.random.default_rng(15)
NOISE = {n: RNG.normal(size=n).round(3) for n in ALL}


def judging(lengths=ALL, signal=NOISE.get, weights=whole, read=lambda h: h, atol=1e-6):
    """A test that compares with the best parabola, in its own way."""

    def judge(remember):
        for n in lengths:
            x = signal(n)
            got, wanted = np.array(remember(x)), np.array(x) @ weights(n)
            if np.abs(read(got) - read(wanted)).max() > atol:
                return False
        return True

    return judge


def by_impulses(remember):
    """Every memory here is linear: each sample alone must bring what it should."""
    return all(
        np.allclose([remember(one) for one in np.eye(n)], whole(n), rtol=0, atol=1e-6) for n in ALL
    )


def constant(n):
    return np.full(n, 2.0)


def ramp(n):
    return np.arange(n) * 1.0


def slow(remember):
    """A signal at half the speed leaves the same numbers."""
    return all(
        np.allclose(remember(NOISE[n]), remember(np.repeat(NOISE[n], 2)), atol=1e-6)
        for n in range(1, 21)
    )


def linear(remember):
    return all(
        np.allclose(remember(NOISE[n] + ramp(n)), np.add(remember(NOISE[n]), remember(ramp(n))))
        for n in ALL
    )


def exactly(remember):
    return all(remember(NOISE[n]) == (NOISE[n] @ whole(n)).tolist() for n in ALL)


def halves(n):
    """Symmetric: its second half is its first, backwards."""
    return np.concatenate((NOISE[(n + 1) // 2], NOISE[(n + 1) // 2][: n // 2][::-1]))


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": (lambda remember: True, linear),
    "your test rejects everything, right memories too. Print the first length at which it thinks "
    "that the numbers are wrong.": lambda remember: False,
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda remember: not judging()(remember)
    ),
    "your test compares exactly. Right memories round differently: allow a millionth.": exactly,
    "your test compares the first number only.": judging(read=lambda h: h[0]),
    "your test compares the last number only.": judging(read=lambda h: h[-1]),
    "your test compares the sum of the numbers, or their squares. Others can give the same.": (
        judging(read=np.sum),
        judging(read=np.square),
        judging(read=np.abs),
    ),
    "your test's signals are constant. Weights that add up rightly may be distributed wrongly.": (
        judging(signal=constant),
        judging(signal=lambda n: np.ones(n)),
    ),
    "your test's signals are 0 but for one sample, which stands at the same end. Other samples may "
    "count wrongly.": (
        judging(signal=lambda n: np.eye(n)[0]),
        judging(signal=lambda n: np.eye(n)[-1]),
    ),
    "your test's signals are symmetric, or their order hardly matters.": judging(signal=halves),
    "your test asks whether a slower signal leaves the same numbers. Other memories do that too.": (
        slow,
        lambda remember: slow(remember) and judging(signal=constant)(remember),
    ),
    "your test is too generous. A millionth is enough for rounding.": (
        judging(atol=0.1),
        judging(atol=0.03),
        judging(atol=0.3),
    ),
    "your test leaves out the longest signals: `range(1, 40)` ends before 40.": (
        judging(range(1, 40)),
        judging(range(2, 40)),
    ),
    "your test leaves out signals of a single sample.": judging(range(2, 41)),
    "your test takes each polynomial at one point a sample, and compares with that.": (
        judging(weights=lambda n: values(middles(n)) / n),
        judging(weights=lambda n: values(np.arange(n) / n) / n),
    ),
    "your test compares with another rule's steps: Euler's or the bilinear one. Asked is the best "
    "parabola itself.": (
        judging(weights=lambda n: stepped(n, lambda A, B, k: (np.eye(3) + A / k, B / k))),
    ),
    "your test compares with polynomials without the factors √3 and √5.": judging(
        weights=lambda n: whole(n) / np.sqrt([1, 3, 5])
    ),
}


def advice(remember):
    """Where this memory is wrong, in words that leave the finding to the reader."""
    off = {n: np.abs([remember(one) for one in np.eye(n)] - whole(n)).max() for n in ALL}
    wrong = [n for n in ALL if off[n] > 1e-7]
    if not wrong:
        return "this memory is right, and your test finds a fault. Print the first that it finds."
    if len(wrong) == 1:
        return "this memory is wrong at one length alone. Which lengths does your test try?"
    if wrong[0] > 10:
        return "your test stops too early: this memory goes wrong after more samples."
    if max(off[n] for n in wrong if n > 20) < 0.02 * max(off.values()):
        return "your test looks at long signals only, or too generously: look at short ones."
    return (
        "this memory is wrong at most lengths. Compare all its numbers with those of 15.1, for a "
        "signal in which no two samples are alike."
    )


KNOWN = Known(
    right=(judging(), by_impulses),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda remember: remember([1.0]),
        "these memories take 1 to 40": lambda remember: remember([]) == [],
        "wrong at one length alone": (judging(range(2, 41, 3)), judging((1, 2, 3, 5, 10, 20, 40))),
        "stops too early": (judging(range(1, 11)), judging([4])),
    },
    show=lambda remember: f"is_whole_memory on one that keeps: {remember.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
