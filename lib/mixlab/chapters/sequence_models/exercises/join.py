"""12.3 Join two steps of a vector."""

from functools import reduce

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def step(A, b):
    return torch.tensor(A, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)


def draw(rng):
    """Two steps and more, vectors of 1 to 6 numbers."""
    drawn = []
    for n_steps, size in ((2, 1), (2, 2), (2, 3), (3, 2), (3, 4), (5, 3), (2, 6), (12, 2)):
        rows = [
            step(rng.integers(-2, 3, (size, size)).tolist(), rng.integers(-3, 4, size).tolist())
            for _ in range(n_steps)
        ]
        drawn.append((rows,))
    return drawn


def pair(value, size):
    """What was returned, as a matrix and a vector beside each other."""
    try:
        if isinstance(value, torch.Tensor):
            raise TypeError
        A, b = (torch.as_tensor(part, dtype=torch.float64) for part in value)
    except (TypeError, ValueError):
        raise Unreadable(f"expected a pair (A, b) of tensors: got {kind_of(value)}") from None
    if A.shape != (size, size) or b.shape != (size,):
        hint = ". `*` isn't the product of a matrix and a vector" if b.shape == A.shape else ""
        raise Unreadable(
            f"expected A of shape ({size}, {size}) and b of shape ({size},): got {tuple(A.shape)} "
            f"and {tuple(b.shape)}{hint}"
        )
    return A, b


def call(answer, steps):
    """All steps in one, joined from the first on and from the last on: (2, size, size + 1)."""
    size = len(steps[0][1])

    def joined(first, then):
        return pair(answer(first, then), size)

    whole = [reduce(joined, steps), reduce(lambda then, first: joined(first, then), steps[::-1])]
    return [torch.cat((A, b[:, None]), dim=1).numpy() for A, b in whole]


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=(
        ([step([[1, 0], [0, 1]], [1, 0]), step([[0, 1], [-1, 0]], [0, 0])],),
        ([step([[1, 2], [0, 1]], [1, 3]), step([[2, 0], [1, 1]], [0, 5])],),
        ([step([[2]], [1]), step([[3]], [5])],),
        (
            [
                step([[1, 1], [0, 2]], [2, 1]),
                step([[0, 1], [3, 1]], [1, 1]),
                step([[1, 0], [2, 1]], [4, 0]),
            ],
        ),
    ),
    hints=(
        "Do as the lesson did: put a state h through both. After `first` it is A_0 h + b_0. What "
        "does `then` make of that?",
        "A_1 (A_0 h + b_0) + b_1. Multiply out, and keep the order: matrices may not be exchanged.",
        "What stands before h is the new A, the rest is the new b: two products with `@`, one sum.",
    ),
)

# --- kept back while grading ---


def multiplied(first, then):
    (A_0, b_0), (A_1, b_1) = first, then
    return A_1 @ A_0, A_1 @ b_0 + b_1


def stacked(first, then):
    """A step as one matrix, with a 1 below the vector."""
    whole = []
    for A, b in (first, then):
        size = len(b)
        matrix = torch.eye(size + 1, dtype=torch.float64)
        matrix[:size, :size], matrix[:size, size] = A, b
        whole.append(matrix)
    both = whole[1] @ whole[0]
    return both[:-1, :-1], both[:-1, -1]


def joining(matrix=lambda A, B: B @ A, offset=lambda A, a, B, b: B @ a + b):
    """Another idea of the matrix, or of the vector; A, a come first, B, b then."""
    return lambda first, then: (matrix(first[0], then[0]), offset(*first, *then))


def in_place(first, then):
    then[1].add_(then[0] @ first[1])
    return then[0] @ first[0], then[1]


MISTAKES = {
    "you have exchanged the two steps: what you return does `then` first.": (
        lambda first, then: multiplied(then, first)
    ),
    "you treat h as a row: h A + b. Here a step is A h + b, with the matrix on the left.": joining(
        lambda A, B: A @ B, lambda A, a, B, b: a @ B + b
    ),
    "your vector is right, and your matrices stand in the wrong order: the later one acts on what "
    "the first has made, so it stands on the left.": joining(lambda A, B: A @ B),
    "you multiply the matrices number by number: `*` isn't the matrix product.": (
        joining(lambda A, B: A * B),
        joining(lambda A, B: A * B, lambda A, a, B, b: B.diag() * a + b),
    ),
    "you add the matrices. One acts after the other: they are multiplied.": (
        joining(lambda A, B: A + B),
        joining(lambda A, B: A + B, lambda A, a, B, b: a + b),
    ),
    "you add the two vectors as they are. What `first` has added goes through `then`'s matrix.": (
        joining(offset=lambda A, a, B, b: a + b)
    ),
    "you leave out the vector that `then` adds.": joining(offset=lambda A, a, B, b: B @ a),
    "you leave out what becomes of the vector that `first` adds.": joining(
        offset=lambda A, a, B, b: b
    ),
    "you send `then`'s own vector through its matrix. It is added after that.": joining(
        offset=lambda A, a, B, b: B @ (a + b)
    ),
    "your matrix is right, and your vector is that of the other order: A_0 b_1 + b_0.": joining(
        offset=lambda A, a, B, b: A @ b + a
    ),
    "you send `first`'s vector through its own matrix as well. It is added after that.": (
        joining(offset=lambda A, a, B, b: B @ A @ a + b),
        joining(offset=lambda A, a, B, b: A @ a + b),
    ),
    "your matrix is transposed: a state is a column, to the right of it.": (
        joining(lambda A, B: (B @ A).T),
        joining(lambda A, B: B.T @ A),
        joining(lambda A, B: B @ A.T),
    ),
    "you keep the matrix of one step. Both act.": (
        joining(lambda A, B: A),
        joining(lambda A, B: B),
    ),
    "you multiply the two vectors.": joining(offset=lambda A, a, B, b: a * b),
    "you subtract a vector where it is added.": joining(offset=lambda A, a, B, b: B @ a - b),
    "you multiply the vector from the left, b_0 @ A_1: that is the transposed matrix's product.": (
        joining(offset=lambda A, a, B, b: a @ B + b)
    ),
    "you change a tensor that was handed in. The next who joins that step gets another one.": (
        in_place,
        lambda first, then: (
            first[0].copy_(then[0] @ first[0]),
            first[1].copy_(then[0] @ first[1] + then[1]),
        ),
    ),
}


def show(steps):
    rows = ", ".join(f"({A.int().tolist()}, {b.int().tolist()})" for A, b in steps)
    return f"join, on the steps (A, b): {rows}"


KNOWN = Known(
    right=(multiplied, stacked),
    mistakes=MISTAKES,
    slips={
        "expected a pair (A, b)": (
            lambda first, then: None,
            lambda first, then: then[0] @ first[0],
        ),
        "`*` isn't the product": joining(offset=lambda A, a, B, b: B * a + b),
    },
    show=show,
    place=lambda at: (
        f"joined from the {('first', 'last')[at[0]]} on, row {at[1]} of A and b side by side, "
        f"column {at[2]}"
    ),
    name="{:g}".format,
)
