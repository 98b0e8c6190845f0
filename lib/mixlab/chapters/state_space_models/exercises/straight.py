"""13.2 Exact for straight inputs, for every A."""

from math import factorial

import numpy as np
import torch

from mixlab.chapters.state_space_models.exercises import other_lines as lines
from mixlab.chapters.state_space_models.exercises.reading import parts
from mixlab.checks.exercise import Asked, Known


def posed(A, B, delta):
    return torch.tensor(A, dtype=torch.float64), torch.tensor(B, dtype=torch.float64), delta


def draw(rng):
    """Matrices with an inverse and without one, one number and many, short steps and long ones."""
    drawn = [
        posed([[0.0, 1.0], [0.0, 0.0]], [0.0, 1.0], 10.0),
        posed([[0.0, 0.0], [0.0, 0.0]], [2.0, -1.0], 3.0),
        posed([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]], [0.0, 0.0, 1.0], 2.0),
        posed([[-1e-9]], [1.0], 0.5),
    ]
    for n in (1, 2, 3, 4, 5):
        A = rng.normal(size=(n, n)) - 1.5 * np.eye(n)
        drawn.append(posed(A.tolist(), rng.normal(size=n).tolist(), float(rng.uniform(0.1, 1.5))))
    return drawn


def call(answer, A, B, delta):
    """Ā and both pushes side by side: (n, n + 2)."""
    n = len(B)
    names = ("A_bar", "before", "now")
    return np.column_stack(parts(answer(A, B, delta), names, ((n, n), (n,), (n,))))


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    atol=1e-6,
    examples=(
        posed([[-1.0, 2.0], [0.0, -3.0]], [1.0, 0.5], 0.5),
        posed([[0.0, 1.0], [-1.0, -0.5]], [0.0, 1.0], 1.0),
        posed([[-1.0]], [1.0], 0.5),
        posed([[0.0, 1.0], [0.0, 0.0]], [0.0, 1.0], 2.0),
        posed([[-2.0]], [3.0], 1.0),
    ),
    hints=(
        "The lesson made a held input one more number of the state, which stands still. This input "
        "moves, and its speed stands still.",
        "Append two numbers to the state, the input x and its slope s: x' = s and s' = 0. One "
        "matrix exponential holds Ā, and what x and s at the step's start do to h.",
        "The slope is (now − before) / delta. Put that in for s, and sort by the two samples.",
    ),
)

# --- kept back while grading ---


def summed(A, B, delta, terms=60):
    """Three sums of powers, which differ by their factorials."""
    powers = [torch.linalg.matrix_power(delta * A, k) for k in range(terms)]
    A_bar, start, slope = (
        sum(power / float(factorial(k + more)) for k, power in enumerate(powers))
        for more in range(3)
    )
    return A_bar, (start - slope) @ B * delta, slope @ B * delta


MISTAKES = {
    "you hold the sample of the step's end: that is zero-order hold. Here the input moves.": (
        lines.of(lambda B, d, E, x, s: (0 * B, x))
    ),
    "you hold the sample of the step's start. Here the input moves.": lines.of(
        lambda B, d, E, x, s: (x, 0 * B)
    ),
    "you hold the mean of both samples. It pushes as much as the line does, but at other times: "
    "what comes later has decayed less.": lines.of(lambda B, d, E, x, s: (x / 2, x / 2)),
    "that is Mamba-3's trapezoid: it looks at the push at the ends of the step, and not between.": (
        lines.of(lambda B, d, E, x, s: (d / 2 * E @ B, d / 2 * B))
    ),
    "that is the bilinear rule. A line is to be solved exactly.": lines.bilinear,
    "you give each sample half of ΔB, or look at a few moments of the step. A line is to be "
    "solved exactly.": (
        lines.of(lambda B, d, E, x, s: (d / 2 * B, d / 2 * B)),
        lines.simpson,
    ),
    "your slope's column is wrong: the slope acts on the input alone, and is no push itself.": (
        lines.of_columns(lambda A, B, d: (B, 0)),
        lines.of_columns(lambda A, B, d: (B, 1)),
    ),
    "you have exchanged `before` and `now`.": lines.of(lambda B, d, E, x, s: (s / d, x - s / d)),
    "you take the difference of the samples for the slope. It is a speed: it lasts for delta.": (
        lines.of(lambda B, d, E, x, s: (x - s, s))
    ),
    "you multiply the slope by delta, where it is the difference divided by it.": lines.of(
        lambda B, d, E, x, s: (x - s * d, s * d)
    ),
    "the slope has both samples in it: the old one is subtracted there.": (
        lines.of(lambda B, d, E, x, s: (x, s / d)),
        lines.of(lambda B, d, E, x, s: (x, s)),
        lines.of(lambda B, d, E, x, s: (-s / d, x + s / d)),
    ),
    "your slope has the wrong sign: the line goes from the old sample to the new one.": lines.of(
        lambda B, d, E, x, s: (x + s / d, -s / d)
    ),
    "you return what the start and the slope do. Asked is what the two samples do.": (
        lines.of(lambda B, d, E, x, s: (s, x)),
    ),
    "you let the slope's push go undecayed: half of ΔB is taken from one sample to the other.": (
        lines.of(lambda B, d, E, x, s: (x - d / 2 * B, d / 2 * B))
    ),
    "you halve what the slope does. The exponential's sum has done that.": lines.of(
        lambda B, d, E, x, s: (x - s / d / 2, s / d / 2)
    ),
    "you take e to the power of each entry. A matrix exponential is the sum I + ΔA + …, with "
    "products of matrices.": lines.other_A(lambda A, d: torch.exp(d * A)),
    "your Ā is Euler's, I + ΔA.": (
        lines.other_A(lambda A, d: torch.eye(len(A)).double() + d * A),
        lambda A, B, d: (torch.eye(len(A)).double() + d * A, d / 2 * B, d / 2 * B),
    ),
    "your sum of powers ends too early. Where ΔA is large, its terms first grow.": (
        lambda A, B, d: summed(A, B, d, 3),
        lambda A, B, d: summed(A, B, d, 8),
        lambda A, B, d: summed(A, B, d, 10),
    ),
    "your Ā is transposed, or runs backwards.": (
        lines.other_A(lambda A, d: torch.matrix_exp(d * A).T),
        lines.other_A(lambda A, d: torch.matrix_exp(-d * A)),
        lambda A, B, d: lines.block(A.T, B, d),
    ),
    "you leave out delta.": (
        lambda A, B, d: lines.block(A, B, 1.0),
        lines.other_A(lambda A, d: torch.matrix_exp(A)),
        lines.of(lambda B, d, E, x, s: ((x - s / d) / d, s / d / d)),
    ),
    "your A has no inverse in some calls, and what you put in its place gives another push. The "
    "exponential needs no inverse.": (
        lines.by_inverse(torch.linalg.pinv),
        lines.by_inverse(lambda A: torch.linalg.inv(A + 1e-4 * torch.eye(len(A)).double())),
        lines.by_inverse(lambda A: torch.linalg.inv(A + 1e-6 * torch.eye(len(A)).double())),
    ),
    "your numbers are float32. Six digits are asked for.": lambda A, B, d: lines.block(
        A.float(), B.float(), d
    ),
}

KNOWN = Known(
    right=(lines.block, summed),
    mistakes=MISTAKES,
    slips={
        "it raised": lines.by_inverse(torch.linalg.inv),
        "expected (A_bar, before, now)": lambda A, B, d: lines.block(A, B, d)[:2],
        "expected now of shape": lambda A, B, d: (*lines.block(A, B, d)[:2], A),
    },
    show=lambda A, B, d: f"straight({A.tolist()}, {B.tolist()}, {d:g})" if len(B) < 3 else "…",
    place=lambda at: f"row {at[0]} of A_bar, before and now side by side, column {at[1]}",
    name="{:.6g}".format,
)
