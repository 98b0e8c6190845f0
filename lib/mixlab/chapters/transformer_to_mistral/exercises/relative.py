"""01.6 Prove by test: does a score know the distance only?"""

from functools import partial

import numpy as np
import torch

from mixlab.chapters.transformer_to_mistral.exercises import normal
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

WIDTH, LONGEST = 8, 4096  # numbers of a vector; positions lie below


def turned(x, position, theta=10_000.0):  # RoPE of one vector
    half = WIDTH // 2
    angle = position * theta ** (-torch.arange(half, dtype=torch.float64) / half)
    a, b = x[:half], x[half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()])


def pattern(position):
    return turned(torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0], dtype=torch.float64), position)


def rope(q, k, m, n, theta=10_000.0):
    return turned(q, m, theta) @ turned(k, n, theta)


def at(place):  # RoPE at positions that were changed before
    return lambda s, q, k, m, n: rope(q, k, place(m, s), place(n, s))


# A query at position m, a key at n; s is one of the NUMBERS, drawn when an answer is graded.
FAMILIES = {
    "RoPE with base {s}": lambda s, q, k, m, n: rope(q, k, m, n, s),
    "RoPE, the key {s} tokens further": lambda s, q, k, m, n: rope(q, k, m, n + s),
    "a product less {s} hundredths a token of distance": lambda s, q, k, m, n: (
        q @ k - s / 100 * abs(m - n)
    ),
    "a product that knows no position": lambda s, q, k, m, n: q @ k,
    "the pattern of sines, added to both": lambda s, q, k, m, n: (
        (q + pattern(m)) @ (k + pattern(n))
    ),
    "RoPE of the query alone": lambda s, q, k, m, n: turned(q, m) @ k,
    "RoPE, query and key turned against each other": lambda s, q, k, m, n: rope(q, k, m, -n),
    "RoPE, positions counted modulo {s}": at(lambda p, s: p % s),
    "RoPE, positions no greater than {s}": at(lambda p, s: min(p, s)),
    "RoPE, positions in bfloat16": at(lambda p, s: float(torch.tensor(float(p)).bfloat16())),
    "RoPE, base a million from position {s} on": lambda s, q, k, m, n: rope(
        q, k, m, n, 1e6 if max(m, n) >= s else 1e4
    ),
    "RoPE, and a sum that is 0 where query and key are equal": lambda s, q, k, m, n: (
        rope(q, k, m, n) + (q - k).sum() * m / 100
    ),
    "RoPE where the key is earlier; else a pattern": lambda s, q, k, m, n: (
        rope(q, k, m, n) if m >= n else q @ (k + pattern(n))
    ),
}
NUMBERS = {
    "RoPE with base {s}": (10_000, 100, 500, 1_000_000),
    "RoPE, the key {s} tokens further": (3, 1, 2, 50),
    "a product less {s} hundredths a token of distance": (5, 1, 2, 25),
    "RoPE, positions counted modulo {s}": (256, 128, 512, 1000, 2048),
    "RoPE, positions no greater than {s}": (1000, 64, 300, 2000, 3000),
    "RoPE, base a million from position {s} on": (2048, 100, 1024, 3000),
}


def scorer(family, number):
    """A score function, the same code for all."""
    made = partial(FAMILIES[family], number)

    def score(q, k, m, n):
        q, k = (torch.as_tensor(x, dtype=torch.float64) for x in (q, k))
        if not 0 <= min(m, n) <= max(m, n) < LONGEST:
            raise ValueError(f"positions lie between 0 and {LONGEST - 1}: got {m} and {n}")
        return float(made(q, k, int(m), int(n)))

    score.__doc__ = family.format(s=f"{number:,}")
    return score


ASKED = Asked(
    read=read_verdict,
    **suspects(scorer, FAMILIES, lambda family: NUMBERS.get(family, (0,)), again=4),
    hints=(
        "Take a query and a key at two positions, move both by the same number of tokens, and "
        "compare the two scores. Real numbers: with a tolerance.",
        "Which vectors? Which distances, 0 and negative ones among them? Which positions? Each "
        "choice that you leave out is one in which a fault can hide.",
        "Random vectors; distances such as −7, −1, 0, 1, 2, 300; and positions over the whole "
        "range, up to 4,095, odd and even.",
    ),
)

# --- kept back while grading ---

NEAR = (0, 1, -1, 2, 7, -40, 300)
STARTS = (0, 1, 2, 63, 129, 256, 301, 777, 1501, 1901, 3001, 3794)
EQUAL = torch.ones(WIDTH, dtype=torch.float64)
FIRST, SECOND, THIRD = (normal(np.random.default_rng(seed), 2, WIDTH) for seed in range(3))
SAME = ((EQUAL, EQUAL), (FIRST[0], FIRST[0]))


def judging(distances=NEAR, starts=STARTS, pairs=(FIRST, SECOND), room=1e-6):
    """A test that looks at some distances, from some positions on, with some vectors."""

    def judge(score):
        for q, k in pairs:
            for distance in distances:
                found = [score(q, k, n + distance, n) for n in starts if n + distance >= 0]
                if max(found) - min(found) > room:
                    return False
        return True

    return judge


def by_steps(score):
    """A few distances, over the whole range."""
    q, k = THIRD
    for distance in (0, 1, -1, 2, 300, -40):
        first, last = max(0, -distance), min(LONGEST, LONGEST - distance)
        known = score(q, k, first + distance, first)
        if any(abs(score(q, k, n + distance, n) - known) > 1e-6 for n in range(first, last, 29)):
            return False
    return True


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda score: True,
    "your test rejects everything. Print the two scores at which it thinks that they differ.": (
        lambda score: False
    ),
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda score: not judging()(score)
    ),
    "your test rejects RoPE itself. Does it compare with ==, though turning rounds? Or ask that "
    "query and key may change places, that distance 3 and −3 score alike?": (
        judging(room=0.0),
        lambda score: judging()(score) and abs(score(*FIRST, 3, 0) - score(*FIRST, 0, 3)) < 1e-6,
    ),
    "your test asks that a score falls, or that it changes, with the distance. It may do what it "
    "likes with the distance, if it only knows that.": (
        lambda score: score(EQUAL, EQUAL, 9, 1) < score(EQUAL, EQUAL, 5, 1),
        lambda score: judging()(score) and score(*FIRST, 9, 1) != score(*FIRST, 5, 1),
    ),
    "your test asks for the plain product at distance 0. A score may change it there, too.": (
        lambda score: judging()(score) and abs(score(*FIRST, 5, 5) - FIRST.prod(0).sum()) < 1e-6
    ),
}


def advice(score):
    """Which choice of a test this score needs, in words that leave the finding to the reader."""
    if by_steps(score) and judging()(score):
        return "this score knows the distance only, and your test finds a fault. Print the first."
    kinds = {
        "your test takes one vector as query and as key. Draw two.": dict(pairs=SAME),
        "your test misses it: this score goes wrong further on, perhaps at some places only.": dict(
            starts=range(60), distances=(0, 1, -1, 2, 7)
        ),
        "your test leaves out keys that are *later* than the query.": dict(distances=(0, 2, 300)),
        "your test compares too few scores: move both by several numbers of tokens.": None,
    }
    return next(words for words, less in kinds.items() if less is None or judging(**less)(score))


KNOWN = Known(
    right=(judging(), by_steps),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda score: score(EQUAL, EQUAL, 3, 1),
        "positions lie between": judging(starts=(0, 5000)),
        "goes wrong further on": judging(starts=range(30), distances=(-1, 0, 1, 2, 7)),
        "one vector as query and as key": judging(pairs=SAME),
        "*later* than the query": judging((0, 2, 5, 300)),
    },
    show=lambda score: f"knows_distance_only on {score.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
