"""01.1 A norm's factors, folded into the matrix behind it."""

import numpy as np
import torch

from mixlab.chapters.transformer_to_mistral.exercises import normal
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_reals


def draw(rng):
    sizes = [(3, 5), (4, 4), (1, 6), (6, 1), *((int(rng.integers(2, 9)),) * 2 for _ in range(3))]
    drawn = [(normal(rng, b, a), normal(rng, b), normal(rng, a), normal(rng, a)) for b, a in sizes]
    drawn[0][2][0] = 0  # a factor may be 0
    return drawn


def read(value) -> np.ndarray:
    """A matrix and a vector of offsets, as one table: the offsets are its last column."""
    try:
        matrix, offsets = value
        matrix, offsets = read_reals(2)(matrix), read_reals(1)(offsets)
    except (TypeError, ValueError):
        raise Unreadable(f"expected a matrix and its offsets: got {kind_of(value)}") from None
    if len(matrix) != len(offsets):
        raise Unreadable(
            "expected an offset for each row of the matrix: got a matrix of "
            f"{matrix.shape} and {len(offsets)} offsets"
        )
    return np.hstack([matrix, offsets[:, None]])


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(
        (
            torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]),
            torch.tensor([1.0, 2.0, 4.0]),
            torch.tensor([10.0, 100.0]),
            torch.tensor([0.5, 0.25]),
        ),
        (
            torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
            torch.tensor([1.0, 3.0]),
            torch.tensor([2.0, 5.0]),
            torch.tensor([-1.0, 3.0]),
        ),
    ),
    hints=(
        "Write out one number that leaves the layer: a sum over the numbers z_c that come in. What "
        "is each z_c multiplied by, all in all?",
        "z_c meets factor c and then column c of the matrix. The norm's offsets go through the "
        "matrix, too, whatever z is.",
        "The new matrix is the old one, each *column* times its factor. The new offsets are what "
        "leaves the old layer at z = 0: `matrix @ offsets + bias`.",
    ),
)

# --- kept back while grading ---


def by_probing(matrix, bias, factors, offsets):
    """What leaves the two steps for z = 0 and for each unit vector."""

    def both(z):
        return matrix.double() @ (z * factors.double() + offsets.double()) + bias.double()

    rest = both(torch.zeros(len(factors)).double())
    return torch.stack([both(z) - rest for z in torch.eye(len(factors)).double()], dim=1), rest


def in_numpy(matrix, bias, factors, offsets):
    m, b, f, o = (np.asarray(t, dtype=float) for t in (matrix, bias, factors, offsets))
    return np.einsum("ba,a->ba", m, f), b + np.einsum("ba,a->b", m, o)


def folding(scaled=lambda m, f: m * f, rest=lambda m, b, f, o: m @ o + b):
    """Another idea of the new matrix, or of the new offsets."""
    return lambda m, b, f, o: (scaled(m, f), rest(m, b, f, o))


def rows(m, f):
    return m * f[:, None] if len(m) == len(f) else m * f


MISTAKES = {
    "you scale the matrix's rows. A factor belongs to a number that comes *in*, and so to a "
    "column.": (folding(rows), lambda m, b, f, o: (rows(m, f), rows(m, f) @ o + b)),
    "the norm's offsets pass the old matrix: they are added after the factors, which don't "
    "touch them.": folding(rest=lambda m, b, f, o: (m * f) @ o + b),
    "your layer has lost the norm's offsets: they go through the matrix, and move the result.": (
        folding(rest=lambda m, b, f, o: b)
    ),
    "your layer has lost its own offsets.": folding(rest=lambda m, b, f, o: m @ o),
    "both offsets are gone: what leaves the layer for z = 0?": folding(
        rest=lambda m, b, f, o: torch.zeros_like(b)
    ),
    "you add the norm's offsets to the layer's own. They are numbers that go into the matrix, and "
    "come out of it as others.": folding(
        rest=lambda m, b, f, o: b + o if len(b) == len(o) else m @ o + b
    ),
    "you scale the layer's own offsets by the norm's factors. They are added after the matrix.": (
        folding(rest=lambda m, b, f, o: m @ o + b * f if len(b) == len(f) else m @ o + b)
    ),
    "your matrix is the old one: the factors have no effect.": folding(lambda m, f: m),
    "you divide by the factors. Whoever undoes them does that; here they are to be kept.": (
        folding(lambda m, f: m / f),
        lambda m, b, f, o: (m / f, (m / f) @ o + b),
        lambda m, b, f, o: (m / f, b - m @ (o / f)),
    ),
    "your factors are 1 + what is handed over: this model doesn't store them so.": folding(
        lambda m, f: m * (1 + f)
    ),
    "you add up the norm's offsets, or take their mean. Each goes through its own column.": (
        folding(rest=lambda m, b, f, o: b + o.sum()),
        folding(rest=lambda m, b, f, o: b + o.mean()),
        folding(rest=lambda m, b, f, o: b + m.sum(1) * o.sum()),
    ),
    "you add the factors to the matrix. They multiply.": folding(lambda m, f: m + f),
    "you apply the factors twice.": folding(lambda m, f: m * f * f),
    "your offsets have the wrong sign: the norm adds them.": folding(
        rest=lambda m, b, f, o: b - m @ o
    ),
    "you multiply by the matrix's transpose. Its rows are what leaves the layer.": folding(
        rest=lambda m, b, f, o: m.T @ o + b if len(m) == len(f) else m @ o + b
    ),
    "your matrix lies on its side: it has a row for each number that leaves the layer.": folding(
        lambda m, f: (m * f).T if len(m) == len(f) else m * f
    ),
}

KNOWN = Known(
    right=(by_probing, in_numpy, folding()),
    mistakes=MISTAKES,
    slips={
        "expected a matrix and its offsets": lambda m, b, f, o: m * f,
        "expected an offset for each row": lambda m, b, f, o: ((m * f).T, m @ o + b),
    },
    show=lambda m, b, f, o: f"fold with a matrix of {len(m)} rows and {len(f)} columns",
    place=lambda at: f"row {at[0]}, column {at[1]} (the last one: the offsets)",
    name="{:.4f}".format,
)
