"""16.2 Set the gate."""

import math
from decimal import Decimal, localcontext

import numpy as np
import torch
from torch.nn import functional as F

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_real


def draw(rng):
    """Shares from 1e-300 to nearly 1, rates from 0.01 to 16."""
    drawn = [(1e-300, 0.01), (1e-300, 16.0), (1 - 1e-12, 1.0), (1 - 1e-12, 16.0), (0.5, 0.01)]
    for _ in range(12):
        share = float(rng.choice((rng.uniform(0.01, 0.99), 10 ** -rng.uniform(1, 250))))
        drawn.append((share, float(rng.uniform(0.01, 16))))
    return drawn


def read(value) -> np.ndarray:
    """One finite number."""
    number = read_real(value)
    if not np.isfinite(number):
        raise Unreadable(
            f"expected a finite number: got {number}. Which step overflows, or takes a logarithm "
            "of 0?"
        )
    return number


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(
        (0.5, 1.0),
        (0.25, 2.0),
        (0.9, 1.0),
        (0.1, 1.0),
        (0.2, 4.0),
        (0.5, 0.25),
        (1e-300, 0.01),
        (1 - 1e-12, 1.0),
    ),
    hints=(
        "First the time: which Δ makes e^(-aΔ) equal to the share? Then: which r gives this Δ?",
        "Δ = -log(p) / a. Softplus undone: e^r = e^Δ - 1. For large Δ, e^Δ overflows, and for a "
        "tiny one e^Δ - 1 loses its digits.",
        "log(e^Δ - 1) = Δ + log(1 - e^-Δ). And `expm1` knows e^x - 1 with all digits.",
    ),
)

# --- kept back while grading ---


def factored(share, rate):
    delta = -math.log(share) / rate
    return delta + math.log(-math.expm1(-delta))


def in_decimals(share, rate):
    """The formula as it stands, with 80 digits and exponents of any size."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 80, 10**9, -(10**9)
        delta = -Decimal(share).ln() / Decimal(rate)
        return float((delta.exp() - 1).ln())


def undone(delta):
    """Softplus undone, for any Δ above 0."""
    return delta + math.log(-math.expm1(-delta))


def where_it_can(formula, otherwise=lambda share, rate: 0.0):
    """A formula, and another answer where it overflows or asks for the logarithm of 0."""

    def answer(share, rate):
        try:
            return formula(share, rate)
        except (OverflowError, ValueError, ZeroDivisionError):
            return otherwise(share, rate)

    return answer


def naive(share, rate):
    return math.log(math.exp(-math.log(share) / rate) - 1)


def of_time(time):
    return where_it_can(lambda share, rate: undone(time(share, rate)))


MISTAKES = {
    "you return Δ. Asked is the r before softplus.": (
        lambda p, a: -math.log(p) / a,
        lambda p, a: math.log(p) / a,
    ),
    "you return softplus of Δ. It has to be undone: e^r = e^Δ - 1, and not + 1.": (
        lambda p, a: -math.log(p) / a + math.log1p(p ** (1 / a)),
        lambda p, a: F.softplus(torch.tensor(-math.log(p) / a)).item(),
    ),
    "you return Δ's logarithm: softplus isn't exp.": (
        lambda p, a: math.log(-math.log(p) / a),
        lambda p, a: -math.log(-math.log(p) / a),
    ),
    "you leave out the rate: the number keeps e^(-aΔ).": of_time(lambda p, a: -math.log(p)),
    "you multiply by the rate. A fast number needs less time.": of_time(
        lambda p, a: -math.log(p) * a
    ),
    "you take the share for what is let in. It is what is kept.": (
        where_it_can(lambda p, a: undone(-math.log1p(-p) / a)),
        lambda p, a: -math.log1p(-p) / a,
    ),
    "you use Euler's step, 1 - aΔ, for what is kept. It is e^(-aΔ).": of_time(
        lambda p, a: (1 - p) / a
    ),
    "you use a logarithm of another base: e^(-aΔ) is undone by the natural one.": (
        of_time(lambda p, a: -math.log2(p) / a),
        of_time(lambda p, a: -math.log10(p) / a),
    ),
    "you divide r by the rate. It is Δ that the rate stretches, and softplus is no line.": (
        where_it_can(lambda p, a: undone(-math.log(p)) / a)
    ),
    "your r has the wrong sign: the less is kept, the larger it is.": (
        lambda p, a: -factored(p, a),
        where_it_can(lambda p, a: math.log(p) - math.log(1 - p)),
    ),
    "your r is right for middling shares, and 0 or cut off where e^Δ is too large for a float. "
    "Take e^Δ out of the logarithm: what is left?": (
        where_it_can(lambda p, a: math.log(math.expm1(-math.log(p) / a))),
        lambda p, a: naive(p, a) if 1e-200 < p < 0.999 else 0.0,
        *(
            lambda p, a, most=most: undone(min(-math.log(p) / a, most))
            for most in (20, 30, 50, 88, 100, 500, 700, 709)
        ),
    ),
    "your r is right for middling shares, and loses its digits where nearly all is kept: e^Δ - 1 "
    "is then a small difference of two numbers near 1.": (
        lambda p, a: -math.log(p) / a + math.log(1 - math.exp(math.log(p) / a)),
        where_it_can(naive, lambda p, a: -math.log(p) / a),
        lambda p, a: -math.log(p) / a + math.log(max(1 - math.exp(math.log(p) / a), 1e-9)),
        lambda p, a: -math.log(p) / a if p < 0.99 else math.log(1 - p ** (1 / a)),
    ),
}

KNOWN = Known(
    right=(factored, in_decimals),
    mistakes=MISTAKES,
    slips={
        "it raised OverflowError": naive,
        "expected a finite number": lambda p, a: torch.log(
            torch.expm1(torch.tensor(-math.log(p) / a))
        ).item(),
        "expected one number": lambda p, a: (p, a),
    },
    show=lambda share, rate: f"before_softplus(share={share!r}, rate={rate!r})",
    name="{:.6g}".format,
)
