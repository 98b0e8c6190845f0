"""15.5 A memory in powers."""

from fractions import Fraction
from math import comb

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_real


def moments_of(samples, size):
    """The means of held samples times 1, s, s², …, exactly."""
    n = len(samples)
    return [
        sum(x * (Fraction(k + 1, n) ** j - Fraction(k, n) ** j) / j for k, x in enumerate(samples))
        for j in range(1, size + 1)
    ]


def draw(rng):
    """One moment to thirty, at the ends and between."""
    drawn = []
    for size, s in ((1, (1, 3)), (2, (0, 1)), (3, (1, 1)), (5, (2, 7)), (20, (1, 5)), (30, (4, 9))):
        samples = rng.integers(-9, 10, size=6).tolist()
        drawn.append((moments_of(samples, size), Fraction(*s)))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_real,
    examples=(
        ([Fraction(4), Fraction(5, 2)], Fraction(0)),
        ([Fraction(4), Fraction(5, 2)], Fraction(1)),
        ([Fraction(4), Fraction(5, 2)], Fraction(1, 4)),
        ([Fraction(3)], Fraction(1, 2)),
        (moments_of([1, 3, 7, 5], 3), Fraction(1, 3)),
        (moments_of([0, 0, 1], 4), Fraction(1)),
        (moments_of([2, -1, 5, 0], 24), Fraction(1, 6)),
    ),
    hints=(
        "The best polynomial is the sum of ⟨x, p_n⟩ p_n(s). What is ⟨x, p_n⟩, if p_n is written in "
        "powers and you know ⟨x, s^j⟩?",
        "Roots never appear: p_n stands in it twice, so √(2n + 1) is squared. And no float: its "
        "digits run out with 24 moments.",
        "P_n(2s - 1) has the coefficients (-1)^(n + j) · comb(n, j) · comb(n + j, j) of s^j. Take "
        "Q_n, the sum of these times m_j; the answer is the sum of (2n + 1) · Q_n · P_n(2s - 1).",
    ),
)

# --- kept back while grading ---


def coefficients(n):
    return [(-1) ** (n + j) * comb(n, j) * comb(n + j, j) for j in range(n + 1)]


def value(row, s):
    return sum(c * s**j for j, c in enumerate(row))


def by_legendre(moments, s, of=coefficients, scale=lambda n: 2 * n + 1):
    total = 0
    for n in range(len(moments)):
        held = sum(c * m for c, m in zip(of(n), moments, strict=False))
        total += scale(n) * held * value(of(n), s)
    return total


def by_elimination(moments, s):
    """The polynomial whose own moments are these: sum over i of a_i / (i + j + 1) = m_j."""
    size = len(moments)
    rows = [[Fraction(1, i + j + 1) for i in range(size)] + [moments[j]] for j in range(size)]
    for i in range(size):
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(size):
            if j != i:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    return sum(rows[i][-1] * s**i for i in range(size))


def scaled(scale):
    return lambda moments, s: by_legendre(moments, s, scale=scale)


def written(of):
    return lambda moments, s: by_legendre(moments, s, of)


def unshifted(n):
    """P_n's coefficients on [-1, 1]."""
    return np.polynomial.legendre.leg2poly([0] * n + [1]).tolist()


def mistaken(power):
    """The moments taken for the numbers that go with the polynomials."""
    return lambda moments, s: sum(
        (2 * n + 1) ** power * m * value(coefficients(n), s) for n, m in enumerate(moments)
    )


def in_floats(moments, s):
    return by_legendre([float(m) for m in moments], float(s))


def by_hilbert(inverse):
    """The polynomial with these moments, by its system of equations, in floats."""

    def read(moments, s):
        power = np.arange(len(moments))
        a = inverse(1 / (power[:, None] + power + 1)) @ [float(m) for m in moments]
        return sum(a * float(s) ** power)

    return read


MISTAKES = {
    "you use the moments as coefficients of 1, s, s², … A moment says how much of a power is in "
    "the signal, and powers aren't orthogonal.": (
        lambda moments, s: sum(m * s**j for j, m in enumerate(moments)),
        lambda moments, s: sum((j + 1) * m * s**j for j, m in enumerate(moments)),
    ),
    "you use the moments as if they were ⟨x, p_n⟩. They are ⟨x, s^n⟩.": (
        mistaken(1),
        mistaken(0.5),
        mistaken(0),
    ),
    "you leave out the factors √(2n + 1) of p_n, which stands in the sum twice.": scaled(
        lambda n: 1
    ),
    "you take √(2n + 1) once. p_n stands in the sum twice.": scaled(lambda n: (2 * n + 1) ** 0.5),
    "you take the square of 2n + 1: √(2n + 1) stands in the sum twice, not four times.": scaled(
        lambda n: (2 * n + 1) ** 2
    ),
    "you take Legendre's polynomials on [-1, 1]. Here s runs from 0 to 1.": (
        lambda moments, s: by_legendre(moments, s, unshifted),
        lambda moments, s: by_legendre(moments, s, unshifted, lambda n: (2 * n + 1) / 2),
    ),
    "your coefficients lack their signs: they alternate.": written(
        lambda n: [comb(n, j) * comb(n + j, j) for j in range(n + 1)]
    ),
    "your coefficients are comb(n, j)², or lack a factor: compare with 6s² - 6s + 1.": (
        written(lambda n: [(-1) ** (n + j) * comb(n, j) ** 2 for j in range(n + 1)]),
        written(lambda n: [(-1) ** (n + j) * comb(n, j) for j in range(n + 1)]),
    ),
    "you shift twice: P_n(2s - 1), written in powers of s, takes s itself.": (
        lambda moments, s: by_legendre(moments, 2 * s - 1)
    ),
    "your factor is another than 2n + 1, the square of √(2n + 1).": (
        scaled(lambda n: n + 1),
        scaled(lambda n: Fraction(2 * n + 1, 2)),
    ),
    "your s runs backwards.": lambda moments, s: by_legendre(moments, 1 - s),
    "you leave out the last moment, or the first number.": (
        lambda moments, s: by_legendre(moments[:-1], s),
        lambda moments, s: by_legendre(moments, s) - moments[0],
    ),
    "you return the mean. What do the other moments say?": lambda moments, s: moments[0],
    "you compute with floats. With 24 moments the answer lies behind their last digits: stay with "
    "fractions to the end.": (in_floats, by_hilbert(np.linalg.inv)),
}


def show(moments, s):
    told = (
        f"[{', '.join(map(str, moments))}]" if len(moments) < 5 else f"[…], {len(moments)} moments"
    )
    return f"read_powers({told}, s={s})"


def advice(moments, s):
    """Floats of any kind go wrong at the same place, each in its own way."""
    if len(moments) < 15:
        return None
    return "few moments come out right, and many don't. Does anything round on the way?"


KNOWN = Known(
    right=(by_legendre, by_elimination),
    mistakes=MISTAKES,
    slips={
        "expected one number": lambda moments, s: [by_legendre(moments, s)] * 2,
        "Does anything round on the way?": by_hilbert(np.linalg.pinv),
    },
    advice=advice,
    show=show,
    name="{:.6g}".format,
)
