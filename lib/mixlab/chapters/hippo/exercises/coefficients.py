"""15.1 Three numbers for a signal."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """One sample, a few, many; of any size and sign."""
    lengths = (1, 2, 3, 4, 7, 10, 60)
    return [(rng.normal(scale=5, size=length).round(2).tolist(),) for length in lengths]


ASKED = Asked(
    draw=draw,
    read=read_reals(1),
    examples=(
        ([1.0, 3.0, 7.0, 5.0],),
        ([2.0],),
        ([0.0, 6.0],),
        ([3.0, 0.0, 0.0],),
        ([4.0, 4.0, 4.0, 4.0, 4.0],),
        ([-1.0, 5.0, 2.0, 0.0, 8.0, 1.0],),
    ),
    hints=(
        "Each number is the mean, over all s from 0 to 1, of signal times polynomial. A sample "
        "is constant over its part of [0, 1], and the polynomial isn't.",
        "So a sample counts as often as its polynomial's integral over its part says. For 2s - 1 "
        "that is s² - s at the part's end, less the same at its beginning.",
        "The integrals from 0 to s are s, √3 (s² - s) and √5 (2s³ - 3s² + s). With edges "
        "`torch.linspace(0, 1, len(samples) + 1)`, `diff` of these gives each sample's weights.",
    ),
)

# --- kept back while grading ---


def by_edges(samples):
    s = np.linspace(0, 1, len(samples) + 1)
    integrals = np.stack((s, 3**0.5 * (s**2 - s), 5**0.5 * (2 * s**3 - 3 * s**2 + s)))
    return np.diff(integrals, axis=1) @ np.array(samples)


def by_two_points(samples):
    """Two points a sample integrate polynomials up to degree 3 exactly (Gauss)."""
    n = len(samples)
    middles = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    x = torch.tensor(samples, dtype=torch.float64)
    total = 0
    for point in (middles - 0.5 / n / 3**0.5, middles + 0.5 / n / 3**0.5):
        values = torch.stack((point**0, 3**0.5 * (2 * point - 1), 5**0.5 * quadratic(point)))
        total = total + values @ x / n / 2
    return total


def quadratic(s):
    return 6 * s**2 - 6 * s + 1


def scaled(*factors, of=by_edges):
    """The right numbers, times something."""
    return lambda samples: of(samples) * np.array(factors)


def at(points, weight=lambda n: 1 / n):
    """The polynomials taken at one point a sample."""

    def three(samples):
        n = len(samples)
        s = points(n)
        values = np.stack((s**0, 3**0.5 * (2 * s - 1), 5**0.5 * quadratic(s)))
        return values @ np.array(samples) * weight(n)

    return three


def against(*powers):
    """Means of the signal times polynomials, each given by its coefficients of 1, s, s²."""

    def three(samples):
        s = np.linspace(0, 1, len(samples) + 1)
        moments = np.stack([s ** (j + 1) / (j + 1) for j in range(3)])
        return np.array(powers) @ np.diff(moments, axis=1) @ np.array(samples)

    return three


def fitted(samples):
    """The parabola nearest to points in the middle of the samples."""
    n = len(samples)
    a, b, c = np.polyfit((np.arange(n) + 0.5) / n, samples, 2) if n > 2 else (0, 0, samples[0])
    return [a / 3 + b / 2 + c, (a + b) / 2 / 3**0.5, a / 6 / 5**0.5]


def nearest(samples):
    s = centre(len(samples))
    values = np.stack((s**0, 3**0.5 * (2 * s - 1), 5**0.5 * quadratic(s)), axis=1)
    return np.linalg.lstsq(values, np.array(samples), rcond=None)[0]


def left(n):
    return np.arange(n) / n


def centre(n):
    return (np.arange(n) + 0.5) / n


def right(n):
    return (np.arange(n) + 1) / n


def parabola(samples):
    """Coefficients of 1, s, s² of the best parabola."""
    h = by_edges(samples)
    r3, r5 = 3**0.5, 5**0.5
    return [h[0] - r3 * h[1] + r5 * h[2], 2 * r3 * h[1] - 6 * r5 * h[2], 6 * r5 * h[2]]


MISTAKES = {
    "you return the best parabola's coefficients of 1, s and s². Asked is how much of each p_n it "
    "holds.": (parabola, lambda samples: parabola(samples)[::-1]),
    "you leave out the factors √3 and √5: p_1 and p_2 must have the mean square 1.": scaled(
        1, 3**-0.5, 5**-0.5
    ),
    "you use the factors 3 and 5 where √3 and √5 belong. (They are squared only when the curve is "
    "drawn.)": scaled(1, 3**0.5, 5**0.5),
    "you scale for an interval of length 2, and [0, 1] has the length 1.": (
        scaled(2**-0.5, 2**-0.5, 2**-0.5),
        scaled(2**0.5, 2**0.5, 2**0.5),
        scaled(2, 2, 2),
    ),
    "you add up where a mean is asked: each sample lasts for 1 / len(samples).": (
        lambda samples: by_edges(samples) * len(samples),
        at(centre, lambda n: 1),
        at(left, lambda n: 1),
    ),
    "your time runs backwards: s = 0 is the first sample's beginning.": scaled(1, -1, 1),
    "you take each polynomial in the middle of a sample. A parabola isn't its middle value: its "
    "mean over the part counts.": (
        at(centre),
        scaled(1, 3**-0.5, 5**-0.5, of=at(centre)),
        scaled(1, 3**0.5, 5**0.5, of=at(centre)),
    ),
    "you average each polynomial at a sample's two ends. Between them a parabola bends.": (
        lambda samples: (at(left)(samples) + at(right)(samples)) / 2
    ),
    "your integral of p_2 lacks a part: 6s² - 6s + 1 comes from 2s³ - 3s² + s.": (
        lambda samples: by_edges(samples) - [0, 0, 5**0.5 * np.mean(samples)]
    ),
    "you take each polynomial where a sample begins. It changes while the sample is held.": at(
        left
    ),
    "you take each polynomial where a sample ends. It changes while the sample is held.": at(right),
    "you take each polynomial at one point a sample, from 0 to 1. A sample is held for a part of "
    "the time.": at(lambda n: np.linspace(0, 1, n)),
    "you use Legendre's polynomials as they are on [-1, 1]. Here s runs from 0 to 1.": (
        against((1, 0, 0), (0, 3**0.5, 0), (-(5**0.5) / 2, 0, 1.5 * 5**0.5)),
        against((1, 0, 0), (0, 1, 0), (-0.5, 0, 1.5)),
    ),
    "you multiply by 1, s and s². These aren't orthogonal: the numbers disturb each other.": (
        against((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        against((1, 0, 0), (0, 3**0.5, 0), (0, 0, 5**0.5)),
    ),
    "you fit a parabola to one point a sample. Asked is the best for all moments.": (
        fitted,
        nearest,
    ),
    "your first number is the mean, and the others are 0. What do they say of the signal?": (
        lambda samples: [by_edges(samples)[0], 0.0, 0.0]
    ),
    "your last number is 0. What does p_2 = √5 (6s² - 6s + 1) find?": scaled(1, 1, 0),
    "your numbers have the wrong sign.": (scaled(-1, -1, -1), scaled(1, -1, -1), scaled(1, 1, -1)),
}

KNOWN = Known(
    right=(by_edges, by_two_points),
    mistakes=MISTAKES,
    slips={
        "expected shape": lambda samples: by_edges(samples)[:2],
        "expected real numbers in 1 axis": lambda samples: by_edges(samples)[None],
    },
    show=lambda samples: f"three_numbers({samples if len(samples) < 12 else '[…], 60 samples'})",
    place=lambda index: f"h_{index[0]}" if index else "",
    name="{:.5g}".format,
)
