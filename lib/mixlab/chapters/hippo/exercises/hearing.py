"""15.2 Find the bugs: one sample more."""

import math

import numpy as np
import torch

from mixlab.chapters.hippo.exercises.steps import (
    GOOD,
    bilinear,
    bilinear_clock,
    but,
    clocked,
    given,
    letting,
    ruled,
    stepped,
    with_,
)
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def posed(h, heard, x):
    return torch.tensor(h, dtype=torch.float64), heard, x


def draw(rng):
    """One number to eight, the first steps and late ones."""
    drawn = []
    for size, heard in ((1, 1), (1, 6), (2, 1), (3, 2), (5, 1), (8, 3), (8, 12), (4, 40)):
        h = rng.normal(scale=3, size=size).round(2).tolist()
        drawn.append(posed(h, heard, round(float(rng.normal(scale=4)), 2)))
    return drawn


def call(answer, h, heard, x):
    """The new numbers; whoever changes `h` is told."""
    before = h.clone()
    new = answer(h, heard, x)
    if not torch.equal(h, before):
        raise Unreadable("`h` has been changed: `h += …` changes the tensor that was handed in")
    return new


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(1),
    examples=(
        posed([4.0], 9, 14.0),
        posed([4.0, 3**0.5], 4, 0.0),
        posed([2.0, 0.0, 0.0], 1, 5.0),
        posed([2.0, 1.0, -1.0, 0.5], 3, 2.0),
        posed([0.0, 0.0, 0.0], 2, 1.0),
    ),
    hints=(
        "Try signals whose numbers you know: the mean of 4 over nine samples, and then 14; or a "
        "constant, which must stay (x, 0, 0, …).",
        "Look at A's diagonal. How long does a sample last on the clock r = ln t? And what does a "
        "sample that is held still bring during that time: is `duration * B * x` exact?",
        "A's diagonal is -(n + 1), the sample lasts log((heard + 1) / heard). A constant past of x "
        "stays where it is, so what the sample lets in is x · (I - keeps) applied to (1, 0, 0, …); "
        "A⁻¹ (keeps - I) B x is the same.",
    ),
)

# --- kept back while grading ---


def squeezed(h, heard, x):
    """The past as a polynomial, squeezed, with the sample behind it, projected anew."""
    size = len(h)
    points, weights = np.polynomial.legendre.leggauss(size + 1)
    edge, scale = heard / (heard + 1), np.sqrt(2 * np.arange(size) + 1)
    basis = np.polynomial.legendre.legvander
    past = basis(points, size - 1) * scale @ h.numpy()
    old, new = (points + 1) / 2 * edge, edge + (points + 1) / 2 * (1 - edge)
    shares = (past * weights / 2 * edge) @ (basis(2 * old - 1, size - 1) * scale)
    return shares + x * (weights / 2 * (1 - edge)) @ (basis(2 * new - 1, size - 1) * scale)


def entries(A, k):
    return torch.exp(A * math.log((k + 1) / k))


MISTAKES = {
    "all three mistakes are still there. Try a signal whose numbers you know.": given,
    "A's diagonal is right now. Two mistakes are left: how long a sample lasts, and what it lets "
    "in.": with_(diagonal=GOOD["diagonal"]),
    "what a sample lets in is exact now. Two mistakes are left: A, and how long a sample lasts.": (
        with_(held=True)
    ),
    "how long a sample lasts is right now. Two mistakes are left: A, and what a sample lets in.": (
        with_(duration=GOOD["duration"])
    ),
    "what a sample lets in is Euler's: B times how long it lasts. While it is held, the numbers "
    "move.": but(held=False),
    "the sample lasts for 1 / heard in your step: that is Euler's idea of the clock r = ln t. How "
    "far does the clock go from heard to heard + 1?": but(duration=lambda k: 1 / k),
    "A's diagonal is still B's square, 2n + 1. Look it up on the slide LegS.": but(
        diagonal=lambda n: 2 * n + 1
    ),
    "A's diagonal is another: it holds the rates 1, 2, 3, …": (
        but(diagonal=lambda n: n + 0.5),
        but(diagonal=lambda n: n + 2),
        but(diagonal=lambda n: torch.sqrt(2 * n + 1)),
    ),
    "your sample lasts for 1 / (heard + 1). On the clock r = ln t it is a logarithm.": (
        but(duration=lambda k: 1 / (k + 1)),
    ),
    "your sample lasts for the logarithm of heard / (heard - 1) or of (heard + 2) / (heard + 1): "
    "that is the sample before, or after.": (
        but(duration=lambda k: math.log(k / (k - 1))),
        but(duration=lambda k: math.log((k + 2) / (k + 1))),
    ),
    "your sample lasts for log(heard) or log(heard + 1): the whole time so far, not one sample.": (
        but(duration=lambda k: math.log(k + 1)),
        but(duration=lambda k: math.log(k)),
    ),
    "you average slopes at both ends, by the bilinear rule. A held sample has an exact step.": (
        ruled(bilinear),
        ruled(bilinear_clock),
        ruled(
            lambda A, B, eye, h, k, x: torch.linalg.solve(
                eye - A / (2 * k + 2), (eye + A / (2 * k)) @ h + B * x / k
            )
        ),
    ),
    "you step by Euler's rule. A held sample has an exact step.": (
        ruled(lambda A, B, eye, h, k, x: h + (A @ h + B * x) / k),
        ruled(lambda A, B, eye, h, k, x: h + (A @ h + B * x) * math.log((k + 1) / k)),
    ),
    "your A is upper triangular: number n must follow from those before it.": ruled(
        lambda A, B, eye, h, k, x: stepped(A.T, B, h, k, x)
    ),
    "your A has the wrong sign: the numbers must fade, not grow.": ruled(
        lambda A, B, eye, h, k, x: stepped(-A, B, h, k, x)
    ),
    "you treat all numbers like the mean. Each has a row of A of its own.": (
        lambda h, heard, x: (heard * h + x) / (heard + 1)
    ),
    "what a sample lets in lacks A⁻¹, or its part of the fading.": (
        letting(lambda A, B, keeps, z: keeps @ B - B),
        letting(lambda A, B, keeps, z: z * keeps @ B),
        letting(lambda A, B, keeps, z: B),
    ),
    "you let in what isn't kept, of B. A held sample drives the numbers towards -A⁻¹B x, a past of "
    "nothing but x.": letting(lambda A, B, keeps, z: B - keeps @ B),
    "you take the exponential of each entry. What is kept needs that of the whole matrix.": (
        ruled(lambda A, B, eye, h, k, x: entries(A, k) @ (h - x * eye[0]) + x * eye[0]),
        ruled(lambda A, B, eye, h, k, x: entries(A, k).tril() @ (h - x * eye[0]) + x * eye[0]),
    ),
    "what a sample lets in has the wrong sign.": (
        lambda h, heard, x: 2 * clocked(h, heard, 0.0) - clocked(h, heard, x)
    ),
}

KNOWN = Known(
    right=(clocked, squeezed),
    mistakes=MISTAKES,
    slips={
        "`h` has been changed": lambda h, heard, x: h.mul_(0.5),
        "expected shape": lambda h, heard, x: clocked(h, heard, x)[:1].repeat(len(h) + 1),
    },
    show=lambda h, heard, x: (
        f"hear(torch.tensor({[round(a, 2) for a in h.tolist()]}), {heard}, {x})"
    ),
    place=lambda index: f"h_{index[0]}" if index else "",
    name="{:.5g}".format,
)
