"""13.2 Zero-order hold, for every A."""

import numpy as np
import torch

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
    """Ā and B̄ side by side: (n, n + 1)."""
    n = len(B)
    A_bar, B_bar = parts(answer(A, B, delta), ("A_bar", "B_bar"), ((n, n), (n,)))
    return np.column_stack((A_bar, B_bar))


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
        "B̄ is a sum that never divides. Where does the formula with A's inverse come from?",
        "Make the input one more number of the state: it doesn't change while it is held. Then one "
        "matrix exponential, `torch.matrix_exp`, holds both parts.",
        "Put A and B side by side, a row of zeros below, times delta, and take its exponential. "
        "Ā is its upper left corner, and B̄ the last column above the 1.",
    ),
)

# --- kept back while grading ---

from mixlab.chapters.state_space_models.exercises.other_holds import (  # noqa: E402
    block,
    by_entries,
    by_inverse,
    carried,
    eye,
    middles,
    powers,
    pushed,
    scaled,
    slopes,
)


def many_short(A, B, delta):
    """A sum of a few powers for a very short step, which is then doubled."""
    A_bar, B_bar = powers(8)(A, B, delta / 2**12)
    for _ in range(12):
        A_bar, B_bar = A_bar @ A_bar, A_bar @ B_bar + B_bar
    return A_bar, B_bar


MISTAKES = {
    "you take e to the power of each entry. A matrix exponential is the sum I + ΔA + …, with "
    "products of matrices.": (
        carried(lambda A, d: torch.exp(d * A)),
        lambda A, B, d: (torch.exp(d * A), d * B),
    ),
    "that is Euler's rule: I + ΔA and ΔB.": slopes(0),
    "that is the bilinear rule, or backward Euler. Holding the input is solved exactly.": (
        slopes(0.5),
        slopes(1),
    ),
    "that is Mamba's rule: your B̄ is ΔB, as if a push didn't change during its own step.": (
        pushed(lambda A, B, d, A_bar: d * B)
    ),
    "your B̄ takes a push from the start, the middle or the ends of the step for all. The sum over "
    "the step is asked for.": (
        pushed(lambda A, B, d, A_bar: d * A_bar @ B),
        pushed(lambda A, B, d, A_bar: d / 2 * (A_bar + eye(A)) @ B),
        pushed(lambda A, B, d, A_bar: d * torch.matrix_exp(d / 2 * A) @ B),
    ),
    "your B̄ is (Ā − I) B: the division by A, or what stands for it, is missing.": (
        pushed(lambda A, B, d, A_bar: (A_bar - eye(A)) @ B),
        pushed(lambda A, B, d, A_bar: d * (A_bar - eye(A)) @ B),
    ),
    "you leave out delta.": (
        lambda A, B, d: block(A, B, 1.0),
        carried(lambda A, d: torch.matrix_exp(A)),
        pushed(lambda A, B, d, A_bar: block(A, B, 1.0)[1]),
    ),
    "you multiply by delta once too often, or divide by it.": (
        scaled(lambda B_bar, d: d * B_bar),
        scaled(lambda B_bar, d: B_bar / d),
        by_inverse(torch.linalg.pinv, lambda B_bar, d: B_bar / d),
        lambda A, B, d: block(d * A, d * B, d),
    ),
    "your A has no inverse in some calls, and what you put in its place gives another B̄. The sum "
    "needs no inverse.": (
        by_inverse(torch.linalg.pinv),
        pushed(lambda A, B, d, A_bar: (A_bar - eye(A)) @ torch.linalg.pinv(A) @ B),
        by_inverse(lambda A: torch.linalg.inv(A + 1e-4 * eye(A))),
        pushed(lambda A, B, d, _: block(A, B, d)[1] if torch.linalg.det(A) else d * B),
    ),
    "your matrices are transposed: the state is a column, to the right of A.": (
        carried(lambda A, d: torch.matrix_exp(d * A).T),
        lambda A, B, d: block(A.T, B, d),
        pushed(lambda A, B, d, A_bar: block(A.T, B, d)[1]),
    ),
    "you divide by each entry of A, or by its diagonal. Its inverse is another matrix.": (
        by_inverse(lambda A: 1 / A),
        by_inverse(lambda A: torch.where(A == 0, 0.0, 1 / A)),
        pushed(lambda A, B, d, A_bar: torch.expm1(d * A.diag()) / A.diag() * B),
        pushed(by_entries),
    ),
    "your B̄ has the wrong sign.": (
        scaled(lambda B_bar, d: -B_bar),
        by_inverse(lambda A: -torch.linalg.pinv(A)),
    ),
    "your numbers are too coarse: float32, or a sum of short steps. Six digits are asked for.": (
        lambda A, B, d: block(A.float(), B.float(), d),
        pushed(middles),
    ),
    "your Ā runs backwards in time: e to the power of −ΔA.": carried(
        lambda A, d: torch.matrix_exp(-d * A)
    ),
    "your sum breaks off too early.": (powers(2), powers(3), powers(4), powers(6)),
}

KNOWN = Known(
    right=(block, many_short),
    mistakes=MISTAKES,
    slips={
        "it raised": by_inverse(torch.linalg.inv),
        "expected (A_bar, B_bar)": (
            lambda A, B, d: block(A, B, d)[0],
            lambda A, B, d: (*block(A, B, d), d),
        ),
        "expected B_bar of shape": lambda A, B, d: (block(A, B, d)[0], block(A, B, d)[0]),
    },
    show=lambda A, B, d: f"hold({A.tolist()}, {B.tolist()}, {d:g})" if len(B) < 3 else "hold(…)",
    place=lambda at: f"row {at[0]} of Ā and B̄ side by side, column {at[1]}",
    name="{:.6g}".format,
)
