"""13.2 Zero-order hold, for every A."""

from math import factorial

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


def block(A, B, delta):
    n = len(B)
    whole = torch.zeros(n + 1, n + 1, dtype=A.dtype)
    whole[:n, :n], whole[:n, n] = A, B
    both = torch.matrix_exp(delta * whole)
    return both[:n, :n], both[:n, n]


def many_short(A, B, delta, halvings=12):
    """A sum of a few powers for a very short step, which is then doubled."""
    short = delta / 2**halvings
    powers = [torch.linalg.matrix_power(short * A, k) for k in range(8)]
    A_bar = sum(power / factorial(k) for k, power in enumerate(powers))
    B_bar = sum(power / factorial(k + 1) for k, power in enumerate(powers)) @ (short * B)
    for _ in range(halvings):
        A_bar, B_bar = A_bar @ A_bar, A_bar @ B_bar + B_bar
    return A_bar, B_bar


def other(A_bar=None, B_bar=None):
    """Ā or B̄ by another idea; each is handed A, B, Δ and what is right."""

    def hold(A, B, delta):
        right = block(A, B, delta)
        return (
            A_bar(A, B, delta, *right) if A_bar else right[0],
            B_bar(A, B, delta, *right) if B_bar else right[1],
        )

    return hold


def eye(B):
    return torch.eye(len(B), dtype=B.dtype)


def bilinear(A, B, delta):
    inverse = torch.linalg.inv(eye(B) - delta / 2 * A)
    return inverse @ (eye(B) + delta / 2 * A), inverse @ (delta * B)


def powers(n_terms):
    """Both sums, broken off."""

    def hold(A, B, delta):
        steps = [torch.linalg.matrix_power(delta * A, k) for k in range(n_terms)]
        return (
            sum(power / factorial(k) for k, power in enumerate(steps)),
            sum(power / factorial(k + 1) for k, power in enumerate(steps)) @ (delta * B),
        )

    return hold


def by_inverse(inverse):
    return lambda A, B, d, A_bar, _: inverse(A) @ (A_bar - eye(B)) @ B


MISTAKES = {
    "you take e to the power of each entry. A matrix exponential is the sum I + ΔA + …, with "
    "products of matrices.": (
        other(lambda A, B, d, *_: torch.exp(d * A)),
        lambda A, B, d: (torch.exp(d * A), d * B),
    ),
    "that is Euler's rule: I + ΔA and ΔB.": lambda A, B, d: (eye(B) + d * A, d * B),
    "that is the bilinear rule. Holding the input is solved exactly.": bilinear,
    "that is Mamba's rule: your B̄ is ΔB, as if a push didn't change during its own step.": other(
        None, lambda A, B, d, *_: d * B
    ),
    "your B̄ lets every push act at the start of the step: they come one after the other.": other(
        None, lambda A, B, d, A_bar, _: d * A_bar @ B
    ),
    "your B̄ takes a push from the middle, or from the ends, of the step for all. The sum over the "
    "step is asked for.": (
        other(None, lambda A, B, d, A_bar, _: d / 2 * (A_bar + eye(B)) @ B),
        other(None, lambda A, B, d, *_: d * torch.matrix_exp(d / 2 * A) @ B),
    ),
    "your B̄ is (Ā − I) B: the division by A, or what stands for it, is missing.": (
        other(None, lambda A, B, d, A_bar, _: (A_bar - eye(B)) @ B),
        other(None, lambda A, B, d, A_bar, _: d * (A_bar - eye(B)) @ B),
    ),
    "you leave out delta.": (
        lambda A, B, d: block(A, B, 1.0),
        lambda A, B, d: (torch.matrix_exp(A), block(A, B, d)[1]),
        lambda A, B, d: (block(A, B, d)[0], block(A, B, 1.0)[1]),
    ),
    "you multiply by delta once too often, or divide by it.": (
        other(None, lambda A, B, d, _, B_bar: d * B_bar),
        other(None, lambda A, B, d, _, B_bar: B_bar / d),
        lambda A, B, d: block(d * A, d * B, d),
    ),
    "your A has no inverse in some calls, and what you put in its place gives another B̄. The sum "
    "needs no inverse.": (
        other(None, by_inverse(torch.linalg.pinv)),
        other(None, by_inverse(lambda A: torch.linalg.inv(A + 1e-4 * torch.eye(len(A))))),
        other(
            None,
            lambda A, B, d, A_bar, B_bar: d * B if torch.linalg.det(A).abs() < 1e-12 else B_bar,
        ),
    ),
    "your matrices are transposed: the state is a column, to the right of A.": (
        other(lambda A, B, d, A_bar, _: A_bar.T),
        lambda A, B, d: block(A.T, B, d),
    ),
    "your Ā runs backwards in time: e to the power of −ΔA.": other(
        lambda A, B, d, *_: torch.matrix_exp(-d * A)
    ),
    "your sum breaks off too early, or leaves out the factorials.": (
        powers(2),
        powers(3),
        powers(4),
        powers(6),
    ),
}

KNOWN = Known(
    right=(block, many_short),
    mistakes=MISTAKES,
    slips={
        "it raised": other(None, by_inverse(torch.linalg.inv)),
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
