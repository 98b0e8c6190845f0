"""13.5 Another step length, from what is stored."""

from fractions import Fraction
from math import exp, expm1, log, log1p

import numpy as np

from mixlab.chapters.state_space_models.exercises.reading import parts
from mixlab.checks.exercise import Asked, Known


def draw(rng):
    """Rates of 0 and others, steps that become longer and shorter, by whole numbers and not."""
    drawn = [
        ([1.0, 0.5], [3.0, 2.0], 0.3),
        ([1.0], [-2.0], 4.0),
        ([0.999, 0.001], [0.1, 7.0], 2.5),
        ([0.7, 0.7], [1.0, -1.0], 1.0),
    ]
    for ratio in (2.0, 3.0, 0.5, 0.25, 1.7, 10.0):
        n = int(rng.integers(1, 5))
        drawn.append((rng.uniform(0.05, 0.98, n).tolist(), rng.normal(size=n).tolist(), ratio))
    return drawn


def call(answer, A_bar, B_bar, ratio):
    """The new Ā and B̄: (2, n)."""
    n = len(A_bar)
    return np.stack(parts(answer(A_bar, B_bar, ratio), ("A_bar", "B_bar"), ((n,), (n,))))


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    atol=1e-7,
    examples=(
        ([0.25], [0.75], 0.5),
        ([0.5], [3.0], 2.0),
        ([0.64, 0.36], [1.0, 2.0], 1.5),
        ([0.5, 0.9], [1.0, 0.2], 3.0),
        ([1.0], [2.0], 3.0),
        ([0.3], [2.0], 1.0),
        ([0.9999], [5.0], 3.0),
    ),
    hints=(
        "Two steps with the same held input are one step twice as long: what are its Ā and B̄? That "
        "is the answer for a ratio of 2, whatever A is.",
        "Ā is e to the power of ΔA: what is it for r times Δ? B̄ is (Ā − 1) B/A. You know neither A "
        "nor B, but for both steps B/A is the same number.",
        "The new Ā is Ā ** ratio. The new B̄ is the old one times (new Ā − 1) / (old Ā − 1); where "
        "Ā is 1, ask what it tends to.",
    ),
)

# --- kept back while grading ---


def by_quotient(A_bar, B_bar, ratio):
    new = [a**ratio for a in A_bar]
    grown = [ratio if a == 1 else (b - 1) / (a - 1) for a, b in zip(A_bar, new, strict=True)]
    return new, [b * g for b, g in zip(B_bar, grown, strict=True)]


def by_rates(A_bar, B_bar, ratio):
    """Finds A and B first, as if the old step were 1."""
    rates = [log1p(a - 1) for a in A_bar]
    pushes = [b * (r / expm1(r) if r else 1) for b, r in zip(B_bar, rates, strict=True)]
    held = [expm1(ratio * r) / r if r else ratio for r in rates]
    return [exp(ratio * r) for r in rates], [p * h for p, h in zip(pushes, held, strict=True)]


def other(A_bar=None, B_bar=None):
    """Ā or B̄ by another idea, number by number: of Ā, B̄ and ratio."""

    def resample(A, B, ratio):
        right = by_quotient(A, B, ratio)
        return [
            [idea(a, b, ratio) for a, b in zip(A, B, strict=True)] if idea else part
            for idea, part in zip((A_bar, B_bar), right, strict=True)
        ]

    return resample


def quotient(a, ratio):
    return ratio if a == 1 else (a**ratio - 1) / (a - 1)


def whole_steps(round_):
    return lambda A, B, r: by_quotient(A, B, max(1, int(round_(r))))


MISTAKES = {
    "you multiply Ā by the ratio. It is the rate that a longer step multiplies, in the exponent.": (
        other(lambda a, b, r: a * r),
        lambda A, B, r: ([a * r for a in A], [b * r for b in B]),
        lambda A, B, r: ([a / r for a in A], [b / r for b in B]),
        other(lambda a, b, r: a / r),
    ),
    "your Ā is another rule's: here it is e to the power of ΔA.": (
        other(lambda a, b, r: 1 + r * (a - 1)),
        other(lambda a, b, r: (1 + a + r * (a - 1)) / (1 + a - r * (a - 1))),
        other(lambda a, b, r: 1 / (1 + r * (1 / a - 1))),
    ),
    "you add the ratio to the exponent. A longer step multiplies it.": other(
        lambda a, b, r: exp(log(a) + r)
    ),
    "you keep Ā as it is: a longer step forgets more.": other(lambda a, b, r: a),
    "your Ā is that of a step `ratio` times shorter.": (
        other(lambda a, b, r: a ** (1 / r)),
        lambda A, B, r: by_quotient(A, B, 1 / r),
    ),
    "you multiply B̄ by the ratio, as Euler's rule and Mamba's would. A push decays within its "
    "step.": other(None, lambda a, b, r: b * r),
    "your new B̄ is 1 − Ā. That is right where the state settles at the input itself; here it "
    "settles elsewhere.": (
        other(None, lambda a, b, r: 1 - a**r),
        other(None, lambda a, b, r: b * (1 - a**r)),
        other(None, lambda a, b, r: b * (a**r - 1)),
    ),
    "you keep B̄ as it is: in a longer step more gets in.": other(None, lambda a, b, r: b),
    "your quotient stands on its head: the new B̄ is to the old one as the new step's gain is to "
    "the old one's.": other(None, lambda a, b, r: b / quotient(a, r)),
    "your B̄ is raised to the power of the ratio. Only Ā is a power of e.": (
        other(None, lambda a, b, r: abs(b) ** r),
        other(None, lambda a, b, r: np.sign(b) * abs(b) ** r),
    ),
    "where Ā is 1, the state adds up its inputs: a longer step lets in more of one.": (
        other(None, lambda a, b, r: b * (1 if a == 1 else quotient(a, r))),
        other(None, lambda a, b, r: 0.0 if a == 1 else b * quotient(a, r)),
        other(None, lambda a, b, r: r if a == 1 else b * quotient(a, r)),
        other(None, lambda a, b, r: b * (a**r - 1) / (a - 1 - 1e-12)),
    ),
    "you join whole steps: the ratio need not be a whole number, and may be below 1.": (
        whole_steps(int),
        whole_steps(round),
        whole_steps(lambda ratio: ratio + 0.999),
        other(None, lambda a, b, r: sum(b * a**k for k in range(int(r)))),
        other(lambda a, b, r: a ** int(r)),
    ),
    "your B̄ is that of a step more, or of a step less.": (
        other(None, lambda a, b, r: b * quotient(a, r + 1)),
        other(None, lambda a, b, r: b * quotient(a, r - 1)),
    ),
    "you leave out the old B̄: it is what the quotient multiplies.": other(
        None, lambda a, b, r: quotient(a, r)
    ),
    "your B̄ has the wrong sign: both differences have the same.": other(
        None, lambda a, b, r: -b * quotient(a, r)
    ),
    "what you put in against dividing by 0 shows where Ā is near 1, or elsewhere. Only where it "
    "*is* 1 is there nothing to divide.": (
        other(None, lambda a, b, r: b * (a**r - 1 + 1e-6) / (a - 1 + 1e-6)),
        other(None, lambda a, b, r: b * (1 - a**r + 1e-6) / (1 - a + 1e-6)),
        other(None, lambda a, b, r: b * (r if a > 0.999 else quotient(a, r))),
    ),
    "you let in the input of the last old step only, or of the first. Each lets in its own.": (
        other(None, lambda a, b, r: b * a**r),
        other(None, lambda a, b, r: b * a ** (r - 1)),
    ),
    "your B̄ grows with Ā's logarithm alone, which the new step multiplies: that is Euler's B̄.": (
        other(None, lambda a, b, r: b * r * log(a) / (a - 1) if a < 1 else b * r),
        other(None, lambda a, b, r: b * (a**r - 1) / log(a) if a < 1 else b * r),
    ),
    "your new B̄ uses the old Ā, or twice the new one.": (
        other(None, lambda a, b, r: b * (1 - a) * r),
        other(None, lambda a, b, r: b * (1 - a ** (2 * r)) / (1 - a) if a < 1 else b * 2 * r),
        other(None, lambda a, b, r: b * (1 + a**r)),
    ),
    "you use one ratio in every call.": (
        lambda A, B, r: by_quotient(A, B, 2),
        lambda A, B, r: by_quotient(A, B, 0.5),
        other(None, lambda a, b, r: b * (1 + a)),
    ),
}

KNOWN = Known(
    right=(by_quotient, by_rates),
    mistakes=MISTAKES,
    slips={
        "it raised ZeroDivisionError": other(
            None, lambda a, b, r: b * float(Fraction(a**r - 1) / Fraction(a - 1))
        ),
        "expected (A_bar, B_bar)": lambda A, B, r: by_quotient(A, B, r)[0] + [0.0, 1.0],
    },
    show=lambda A, B, r: f"resample({A}, {B}, {r:g})" if len(A) < 3 else f"resample(…, {r:g})",
    place=lambda at: f"number {at[1]} of the new {('Ā', 'B̄')[at[0]]}" if len(at) == 2 else "",
    name="{:.6g}".format,
)
