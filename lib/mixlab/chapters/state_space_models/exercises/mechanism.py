"""13.1 A mechanism as matrices."""

import numpy as np
import torch

from mixlab.chapters.state_space_models.exercises.reading import parts
from mixlab.checks.exercise import Asked, Known


def draw(rng):
    """Equations of order 1 to 6, coefficients of both signs, and 0."""
    drawn = [([0.0, 0.0, 0.0],), ([-3.0],), ([0.0, 7.0],)]
    for n in (1, 2, 3, 3, 4, 5, 6):
        drawn.append((rng.integers(-9, 10, n).astype(float).tolist(),))
    return drawn


def call(answer, coefficients):
    """A's rows, then B, then C: (n + 2, n)."""
    n = len(coefficients)
    A, B, C = parts(answer(coefficients), ("A", "B", "C"), ((n, n), (n,), (n,)))
    return np.vstack((A, B, C))


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=(
        ([1.0, 0.5],),
        ([2.0, 3.0, 5.0],),
        ([4.0],),
        ([2.0, 0.0, -1.0, 3.0],),
    ),
    hints=(
        "The state's numbers are y, y', y'', … How fast does the first one change? And the second?",
        "Each number's speed is the next number: a single 1 in its row. Only the last number's "
        "speed isn't in the state: solve the equation for it.",
        "The last row of A is minus the coefficients, in the order in which they are given. The "
        "push acts on the last number; the first one is what is seen.",
    ),
)

# --- kept back while grading ---


def row_by_row(coefficients):
    n = len(coefficients)
    A = [[float(column == row + 1) for column in range(n)] for row in range(n - 1)]
    A.append([-a for a in coefficients])
    return A, [0.0] * (n - 1) + [1.0], [1.0] + [0.0] * (n - 1)


def shifted(coefficients):
    n = len(coefficients)
    A = torch.diag(torch.ones(n - 1), 1)
    A[-1] -= torch.tensor(coefficients)
    eye = torch.eye(n)
    return A, eye[-1], eye[0]


def changed(A=lambda A, a: A, B=lambda B: B, C=lambda C: C):
    """The right matrices, with something done to them."""

    def matrices(coefficients):
        found = [np.array(part) for part in row_by_row(coefficients)]
        return A(found[0], np.array(coefficients)), B(found[1]), C(found[2])

    return matrices


def last_row(make):
    """A with another last row."""

    def A(A, a):
        A[-1] = make(a)
        return A

    return changed(A)


def all_below(A, a):
    return np.diag(np.ones(len(a) - 1), -1) + np.vstack((0 * A[:-1], A[-1:]))


def first_row(A, a):
    A = np.diag(np.ones(len(a) - 1), -1)
    A[0] = -a[::-1]
    return A


MISTAKES = {
    "your coefficients have the wrong sign: to solve for the highest derivative, they go to the "
    "other side.": last_row(lambda a: a),
    "your coefficients stand in the reverse order: the first is that of y itself.": (
        last_row(lambda a: -a[::-1]),
        last_row(lambda a: a[::-1]),
    ),
    "you write the state with the highest derivative first. Asked is y first, "
    "then y', and so on.": (
        changed(first_row, lambda B: B[::-1], lambda C: C[::-1]),
        changed(first_row),
        changed(lambda A, a: A[::-1, ::-1], lambda B: B[::-1], lambda C: C[::-1]),
    ),
    "your A is transposed: row n says how fast number n changes.": (
        changed(lambda A, a: A.T),
        changed(lambda A, a: A.T, lambda B: B[::-1], lambda C: C[::-1]),
    ),
    "your ones stand below the diagonal: number n's speed is the *next* number.": (
        changed(all_below),
        changed(lambda A, a: np.vstack((np.eye(len(a), k=-1)[:-1], A[-1:]))),
    ),
    "your ones stand on the diagonal. That would say y' = y, or it is a step's matrix.": (
        changed(lambda A, a: np.vstack((np.eye(len(a))[:-1], A[-1:]))),
        changed(lambda A, a: np.eye(len(a)) + A),
    ),
    "the ones are missing: y' is the second number, and so on.": changed(
        lambda A, a: np.vstack((0 * A[:-1], A[-1:]))
    ),
    "you push the first number. y changes by its own derivative alone; the push is in the last "
    "equation.": changed(B=lambda B: B[::-1]),
    "you push every number. The push is in one equation only.": changed(B=lambda B: B * 0 + 1),
    "you show the last number. Asked is y.": changed(C=lambda C: C[::-1]),
    "you show the sum of all numbers. Asked is y alone.": changed(C=lambda C: C * 0 + 1),
    "you push with the wrong sign.": changed(B=lambda B: -B),
    "you have the push on the first number and show the last one: B and C are exchanged.": (
        changed(B=lambda B: B[::-1], C=lambda C: C[::-1])
    ),
    "you leave out the coefficient of y itself.": (
        last_row(lambda a: np.append(-a[1:], 0)),
        last_row(lambda a: -a * (np.arange(len(a)) > 0)),
        last_row(lambda a: np.append(0, -a[1:])),
    ),
    "you move the coefficients by one place: the first belongs to y, the first number.": (
        last_row(lambda a: np.append(-1, -a[:-1])),
        last_row(lambda a: np.append(0, -a[:-1])),
        last_row(lambda a: np.roll(-a, 1)),
        last_row(lambda a: np.roll(-a, -1)),
    ),
    "your coefficients stand in the first row. That row says how fast y changes: by y' alone.": (
        changed(lambda A, a: np.vstack((-a, A[1:])) if len(a) > 1 else A),
        changed(lambda A, a: np.vstack((-a, A[1:-1], 0 * A[-1:])) if len(a) > 1 else A),
        changed(lambda A, a: np.vstack((-a[::-1], A[:-1]))),
    ),
    "your coefficients stand on the diagonal: as if each number knew only itself.": (
        changed(lambda A, a: np.diag(-a)),
        changed(lambda A, a: np.diag(np.ones(len(a) - 1), 1) - np.diag(a)),
    ),
    "you take the coefficients without their signs.": last_row(lambda a: -abs(a)),
    "your numbers are cut to whole ones: what kind of numbers does your matrix hold?": last_row(
        lambda a: np.trunc(-a)
    ),
    "you divide by a coefficient. That of the highest derivative is 1 already.": (
        last_row(lambda a: -a / (a[-1] or 1)),
        last_row(lambda a: -a / (a[0] or 1)),
    ),
    "you scale the push. It enters the equation as it is.": (
        lambda c: (row_by_row(c)[0], c[0] * np.array(row_by_row(c)[1]), row_by_row(c)[2]),
        lambda c: (row_by_row(c)[0], np.array(row_by_row(c)[1]) / (c[0] or 1), row_by_row(c)[2]),
    ),
}


def place(at):
    """Names a row by what it belongs to, which a matrix's size decides; see `call`."""
    return f"row {at[0]} of A, then B, then C, number {at[1]}" if len(at) == 2 else ""


KNOWN = Known(
    right=(row_by_row, shifted),
    mistakes=MISTAKES,
    slips={
        "expected (A, B, C)": (lambda a: row_by_row(a)[0], lambda a: row_by_row(a)[:2]),
        "expected A of shape": lambda a: (row_by_row(a)[0][:-1], *row_by_row(a)[1:]),
    },
    show=lambda coefficients: f"matrices({coefficients})",
    place=place,
    name="{:g}".format,
)
