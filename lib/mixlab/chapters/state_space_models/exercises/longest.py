"""13.3 Predict: how long may Euler's step be?"""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_real


def draw(rng):
    """Real rates and pairs, slow and fast, one and many; a swing without friction."""
    drawn = [([-16.0, -1.0],), ([-0.001],), ([1j, -1j],), ([-2.0, 3j, -3j],), ([-40.0 + 0j],)]
    for n_real, n_pairs in ((1, 1), (0, 2), (3, 0), (2, 2), (1, 3), (4, 1), (0, 1)):
        rates = (-rng.uniform(0.2, 6, n_real)).tolist()
        for _ in range(n_pairs):
            rate = complex(-rng.uniform(0.1, 2), rng.uniform(0.1, 6))
            rates += [rate, rate.conjugate()]
        drawn.append(([rates[at] for at in rng.permutation(len(rates))],))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_real,
    atol=1e-7,
    examples=(
        ([-10.0, -1.0],),
        ([-1 + 1j, -1 - 1j],),
        ([-3 + 4j, -3 - 4j, -1.0],),
        ([-1.0, -0.5 + 3j, -0.5 - 3j],),
        ([-4.0, -0.5, -1 + 2j, -1 - 2j],),
        ([2j, -2j],),
        ([-0.5 + 3j, -0.5 - 3j, -6.0],),
        ([-20.0, 1j, -1j, -1 + 3j, -1 - 3j],),
    ),
    hints=(
        "A step multiplies a rate's number by 1 + Δλ. Where in the plane does that lie for Δ = 0, "
        "and which way does it move as Δ grows?",
        "Write λ = a + ib. The size squared of 1 + Δλ is (1 + Δa)² + (Δb)². When is that 1? And "
        "which of the rates decides?",
        "Multiply out: 2Δa + Δ²(a² + b²) = 0. One solution is Δ = 0; take the other. Every rate "
        "has its own border, and the shortest one counts.",
    ),
)

# --- kept back while grading ---


def shortest(rates):
    return min(-2 * complex(rate).real / abs(rate) ** 2 for rate in rates)


def bisected(rates):
    """The border, looked for by halving."""
    low, high = 0.0, 1e5
    for _ in range(120):
        middle = (low + high) / 2
        # |1 + Δλ|² − 1, over Δ, in a form that keeps its digits
        shrinks = all(2 * complex(r).real + middle * abs(r) ** 2 < 0 for r in rates)
        low, high = (middle, high) if shrinks else (low, middle)
    return high


def of(border, choose=min):
    """Another idea of one rate's border, or of which rate decides."""
    return lambda rates: choose([border(complex(rate)) for rate in rates])


def true(rate):
    return -2 * rate.real / abs(rate) ** 2


def divided(border, by):
    return lambda rate: border(rate) / by(rate) if by(rate) else 0.0


MISTAKES = {
    "you look at the size of λ alone, as if it were real. A rate that turns reaches the circle's "
    "edge sooner.": (
        of(lambda rate: 2 / abs(rate)),
        lambda rates: 2 / max(map(abs, rates)),
    ),
    "you look at the real part alone. Turning leaves the circle, too.": (
        of(divided(lambda rate: 2, lambda rate: -rate.real)),
        of(lambda rate: -2 / rate.real if rate.real else 1e9),
        lambda rates: 2 / max(-complex(rate).real for rate in rates),
    ),
    "half of it: the size squared has a 2 in front of Δ times the real part.": of(
        lambda rate: true(rate) / 2
    ),
    "you forbid ringing as well: up to 2 over the rate a real one still shrinks.": (
        lambda rates: 1 / max(map(abs, rates)),
        of(lambda rate: 1 / abs(rate)),
        of(divided(lambda rate: 1, lambda rate: -rate.real)),
    ),
    "you divide by the size of λ, and not by its square.": (
        of(lambda rate: -2 * rate.real / abs(rate)),
        of(lambda rate: -2 * rate.real / abs(rate) if rate.imag else true(rate)),
    ),
    "you look at the rate with the fastest decay only. Another may turn faster.": lambda rates: (
        true(complex(min(rates, key=lambda rate: complex(rate).real)))
    ),
    "your λ squared is a complex number's square, not its size's: (a + ib)² is a² − b² + 2iab.": (
        of(divided(lambda rate: -2 * rate.real, lambda rate: (rate**2).real)),
        of(divided(lambda rate: -2 * rate.real, lambda rate: abs((rate**2).real))),
        of(lambda rate: abs((-2 / rate).imag) or abs(2 / rate)),
    ),
    "your border is negative: a decay's real part is below 0.": (
        of(lambda rate: -true(rate)),
        lambda rates: -shortest(rates),
        of(lambda rate: -true(rate), max),
    ),
    "you let the rate with the longest border decide. The others have blown up by then.": (
        of(true, max)
    ),
    "you look at the first rate only.": lambda rates: true(complex(rates[0])),
    "you look at the last rate only.": lambda rates: true(complex(rates[-1])),
    "you take the mean of the borders, or of the rates. Each has its own, and one is the first.": (
        of(true, np.mean),
        of(true, np.median),
        lambda rates: true(complex(np.mean(rates))) if np.mean(rates) else 0.0,
    ),
    "you add up the borders, or the rates.": (
        of(true, sum),
        lambda rates: true(sum(map(complex, rates))) if abs(sum(rates)) else 0.0,
        lambda rates: 2 / sum(map(abs, rates)),
    ),
    "you leave out what swings without friction: any step makes it grow.": (
        lambda rates: shortest([r for r in rates if complex(r).real] or [-1e9]),
        of(lambda rate: true(rate) or 1e9),
        of(lambda rate: true(rate) or np.inf),
        lambda rates: min([true(complex(r)) for r in rates if complex(r).real], default=0.0),
    ),
    "your number is rounded, or found on a grid: not all of the digits are right.": (
        lambda rates: round(shortest(rates), 4),
        lambda rates: int(1000 * shortest(rates) + 1 + 1e-9) / 1000,
        lambda rates: int(1000 * shortest(rates) + 1e-9) / 1000,
        lambda rates: int(10_000 * shortest(rates) + 1e-9) / 10_000,
    ),
    "you look at the rate with the slowest decay. Another may turn faster.": lambda rates: true(
        complex(max(rates, key=lambda rate: complex(rate).real))
    ),
    "you look at the largest rate only. A smaller one that hardly decays may leave the circle "
    "first.": lambda rates: true(complex(max(rates, key=abs))),
    "you look at the rate that turns fastest only.": lambda rates: true(
        complex(max(rates, key=lambda rate: complex(rate).imag))
    ),
    "you look at real rates only, or at pairs only.": (
        lambda rates: shortest([r for r in rates if not complex(r).imag] or [-1e9]),
        lambda rates: shortest([r for r in rates if complex(r).imag] or [-1e9]),
    ),
    "twice too much: the quotient has one 2.": of(lambda rate: 2 * true(rate)),
    "you add both parts. The size squared is a² + b².": (
        of(lambda rate: -2 * rate.real / (abs(rate.real) + abs(rate.imag)) ** 2),
        of(lambda rate: 2 / (abs(rate.real) + abs(rate.imag))),
    ),
}

KNOWN = Known(
    right=(shortest, bisected),
    mistakes=MISTAKES,
    slips={
        "expected one number": lambda rates: [true(complex(rate)) for rate in rates] * 2,
        "it raised": lambda rates: shortest([r for r in rates if complex(r).imag]),
    },
    show=lambda rates: f"longest_step({rates})" if len(rates) < 5 else "longest_step([…])",
    name=lambda border: f"{border + 0.0:.6g}",  # no -0
)
