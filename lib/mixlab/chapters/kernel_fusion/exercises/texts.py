"""18.3 Predict: from how many texts on does a chip compute?"""

from fractions import Fraction
from math import ceil

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Caches of nothing and of more than a chip can bear, borders met exactly, large chips."""
    drawn = [
        (7_000_000_000, 0, 989_000_000_000_000, 3_350_000_000_000),
        (7_000_000_000, 10**9, 989_000_000_000_000, 3_350_000_000_000),
        (134_515_008, 10**6, 50_000_000_000, 30_000_000_000),
        (10**12, 0, 10**18, 10**12),  # exactly two million
        (11, 0, 10**17 + 3, 2),  # beyond what a float can tell apart
    ]
    for _ in range(12):
        rate = int(rng.integers(1, 50))
        flops = rate * int(rng.integers(1, 40))
        weights = int(rng.integers(1, 2000))
        most = 2 * weights * rate / flops  # a cache of so much, and reading grows as computing
        drawn.append((weights, int(rng.random() * 1.3 * most), flops, rate))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        (100, 0, 40, 10),
        (100, 0, 45, 10),
        (100, 10, 40, 10),
        (100, 50, 40, 10),
        (100, 60, 40, 10),
        (3, 0, 10, 100),
        (50, 7, 30, 10),
        (100, 0, 20_001, 10),
    ),
    hints=(
        "Write down both times for b texts: what is read, over the rate; what is computed, over "
        "the operations a second.",
        "Weights are read once, caches b times. When is b · 2 · weights / flops at least "
        "(4 · weights + b · cache) / rate? Bring all b to one side.",
        "If what stands before b isn't above 0, no b will do. Else divide, and round up, with "
        "whole numbers or Fractions.",
    ),
)

# --- kept back while grading ---


def texts(weights, cache, flops, rate, itemsize=4, operations=2, up=ceil):
    a_text = Fraction(operations * weights, flops) - Fraction(cache, rate)
    return up(Fraction(itemsize * weights, rate) / a_text) if a_text > 0 else 0


def in_whole_numbers(weights, cache, flops, rate):
    gain = 2 * weights * rate - cache * flops
    return -(-4 * weights * flops // gain) if gain > 0 else 0


def other(**changes):
    return lambda *given: texts(*given, **changes)


def once(weights, cache, flops, rate):
    """Reads one cache, whatever the number of texts."""
    return ceil(Fraction(4 * weights + cache, rate) / Fraction(2 * weights, flops))


def searching(most):
    """Tries one number after the other, up to some number."""

    def search(weights, cache, flops, rate):
        b = texts(weights, cache, flops, rate)
        return b if b <= most else 0

    return search


MISTAKES = {
    "you search up to some number, and stop too early. Solve it for b.": tuple(
        searching(most) for most in (999, 1000, 10**4, 10**5, 10**6, 10**7)
    ),
    "a cache is in bytes already.": (
        lambda w, c, f, r: texts(w, 4 * c, f, r),
        lambda w, c, f, r: once(w, 4 * c, f, r),
    ),
    "if no number will do, 0 is asked.": lambda *given: texts(*given) or -1,
    "you leave out the caches. Each text reads its own.": lambda w, c, f, r: texts(w, 0, f, r),
    "you read one cache for all texts. Each reads its own.": once,
    "you return a number where there is none: if each text's cache takes as long to read as its "
    "operations take, no number of texts will do.": (
        lambda w, c, f, r: max(1, texts(w, c, f, r)),
        *(
            lambda w, c, f, r, none=none: (
                ceil(Fraction(4 * w * f, gain)) if (gain := 2 * w * r - c * f) else none
            )
            for none in (0, 10**9)
        ),
    ),
    "you count one operation a weight. It is a multiplication and an addition.": other(
        operations=1
    ),
    "you count two bytes a weight. float32 takes four.": other(itemsize=2),
    "you count weights and not bytes: each takes four.": other(itemsize=1),
    "you count bits: a weight has four bytes.": other(itemsize=32),
    "you round down. One text fewer still waits for memory.": other(up=lambda b: b.__floor__()),
    "you round to the nearest whole number. Below the border memory still decides.": other(
        up=lambda b: int(b + Fraction(1, 2))
    ),
    "you ask for more time than reading takes. As much is enough.": other(
        up=lambda b: b.__floor__() + 1
    ),
    "you let each text read the weights again. That is what many texts share.": (
        lambda w, c, f, r: int(Fraction(2 * w, f) >= Fraction(4 * w + c, r)),
    ),
    "you return FLOPs a byte at the ridge. How many does each text bring?": (
        lambda w, c, f, r: ceil(Fraction(f, r)),
        lambda w, c, f, r: f // r,
    ),
    "bytes and operations are exchanged: bytes go over the rate, operations over the operations a "
    "second.": lambda w, c, f, r: ceil(Fraction(2 * r, f)),
    "you multiply the operations by the caches as well. A cache is read, and no weight.": (
        lambda w, c, f, r: ceil(Fraction(4 * w * f, (2 * w + c) * r))
    ),
    "you take the cache off the bytes. It is read on top of the weights.": (
        lambda w, c, f, r: ceil(Fraction(4 * w * f, 2 * w * r + c * f))
    ),
}

KNOWN = Known(
    right=(texts, in_whole_numbers),
    mistakes=MISTAKES,
    slips={
        "flops=100_000_000_000_000_003": (  # floats have 53 bits
            lambda w, c, f, r: ceil(4 * w * f / (2 * w * r - c * f)) if 2 * w * r > c * f else 0
        ),
        "expected a whole number": other(up=float),
        "expected one whole number": lambda *given: texts(*given) or None,
    },
    show=lambda w, c, f, r: f"texts({w:_}, cache={c:_}, flops={f:_}, rate={r:_})",
    name="{:,}".format,
)
