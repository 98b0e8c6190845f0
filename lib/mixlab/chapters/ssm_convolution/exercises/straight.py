"""14.4 Straight to token one billion."""

import torch

from mixlab.chapters.ssm_convolution.exercises import unchanged
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_real


def layer(A, B, C, knocks, t):
    A, B, C = (torch.tensor(part, dtype=torch.float64) for part in (A, B, C))
    return A, B, C, knocks, t


QUARTER = [[0.0, 1.0], [-1.0, 0.0]]  # a quarter turn a step: never dies out
DRIFT = [[1.0, 1.0], [0.0, 1.0]]  # no basis of eigenvectors
SHIFT = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]  # no inverse: forgets after three


def draw(rng):
    """Knocks at t, after it, long before it, in any order, none; systems that don't die out."""
    drawn = [
        layer(DRIFT, [0.0, 1.0], [1.0, 0.0], [(10, 2.0), (10**9, 5.0)], 10**9 + 3),
        layer(SHIFT, [1.0, 2.0, 3.0], [1.0, -1.0, 2.0], [(7, 1.0), (5, -2.0), (8, 4.0)], 7),
        layer([[0.5]], [1.0], [1.0], [(0, 1.0)], 0),
    ]
    for size, far in ((1, 6), (2, 9), (3, 12), (2, 10**9), (4, 30)):
        A = rng.normal(size=(size, size))
        A = A / max(1, abs(A).sum(axis=1).max()) if far < 10**9 else QUARTER
        B, C = rng.normal(size=(2, size)).round(2)
        places = rng.permutation(8) + far - 5 * (far > 6)
        knocks = [(int(s), round(float(rng.normal()), 1)) for s in places[: rng.integers(2, 6)]]
        A = A if isinstance(A, list) else A.tolist()
        drawn.append(layer(A, B.tolist(), C.tolist(), [(1, 2.5), *knocks], far))
    return drawn


ASKED = Asked(
    draw=draw,
    call=unchanged,
    read=read_real,
    examples=(
        layer([[0.5]], [1.0], [1.0], [(0, 8.0), (2, 1.0)], 3),
        layer([[0.5]], [1.0], [2.0], [(3, 8.0), (1, 4.0), (2, 3.0)], 2),
        layer([[0.5, 1.0], [0.0, 0.25]], [1.0, 2.0], [3.0, 1.0], [(4, 2.0), (1, 1.0), (6, 9.0)], 4),
        layer([[2.0, 1.0], [1.0, 3.0]], [1.0, 0.0], [0.0, 1.0], [(9, 1.0), (2, 2.0)], 5),
        layer([[0.5]], [1.0], [1.0], [(5, 1.0)], 4),
        layer([[0.5]], [1.0], [1.0], [], 3),
        layer(DRIFT, [0.0, 1.0], [1.0, 2.0], [(0, 1.0)], 100),
        layer(SHIFT, [1.0, 2.0, 3.0], [1.0, 0.0, 0.0], [(0, 1.0), (3, 2.0)], 2),
        layer(QUARTER, [1.0, 0.0], [1.0, 3.0], [(3, 2.0)], 10**9 + 2),
    ),
    hints=(
        "Each knock does something to y_t for itself. What, if it is k tokens old? And if it comes "
        "only later?",
        "A knock at s adds its value times K_{t-s} = C Ā^{t-s} B̄, if s ≤ t.",
        "`torch.linalg.matrix_power(A_bar, k)` squares again and again: thirty products for a "
        "billion.",
    ),
)

# --- kept back while grading ---


def powered(A_bar, B_bar, C, knocks, t):
    power = torch.linalg.matrix_power
    return sum(value * (C @ power(A_bar, t - s) @ B_bar).item() for s, value in knocks if s <= t)


def jumping(A_bar, B_bar, C, knocks, t):
    """Goes from knock to knock, squaring by itself."""
    h, now = 0 * B_bar, 0
    for s, value in [*sorted((s, v) for s, v in knocks if s <= t), (t, 0.0)]:
        square, wait = A_bar, s - now
        while wait:
            h, square, wait = (square @ h if wait % 2 else h), square @ square, wait // 2
        h, now = h + B_bar * value, s
    return C @ h


def each_knock(tap, counts=lambda s, t: s <= t):
    """The sum under another idea of a tap, or of which knocks count."""

    def output_at(A_bar, B_bar, C, knocks, t):
        return sum(v * float(tap(A_bar, B_bar, C, s, t)) for s, v in knocks if counts(s, t))

    return output_at


def power(A, k):
    return torch.linalg.matrix_power(A, k)


def right_tap(A, B, C, s, t):
    return C @ power(A, t - s) @ B


def first_later_ends(A, B, C, knocks, t):
    before = []
    for s, value in knocks:
        if s > t:
            break
        before.append((s, value))
    return powered(A, B, C, before, t)


def unsorted(A, B, C, knocks, t):
    h, now = 0 * B, 0
    for s, value in knocks:
        if s <= t:
            h, now = power(A, max(0, s - now)) @ h + B * value, s
    return float(C @ power(A, t - now) @ h)


def by_eigenvectors(A, B, C, s, t):
    values, V = torch.linalg.eig(A)
    return ((C + 0j) @ V * torch.linalg.solve(V, B + 0j) * values ** (t - s)).sum().real


MISTAKES = {
    "you count knocks that come after t.": (
        each_knock(lambda A, B, C, s, t: C @ power(A, abs(t - s)) @ B, lambda s, t: True),
        each_knock(right_tap, lambda s, t: True),
        each_knock(lambda A, B, C, s, t: C @ power(A, max(0, t - s)) @ B, lambda s, t: True),
    ),
    "you leave out a knock at t itself: an input acts at once.": each_knock(
        right_tap, lambda s, t: s < t
    ),
    "one step too many: a knock at t is met by C B̄, without any Ā.": each_knock(
        lambda A, B, C, s, t: C @ power(A, t - s + 1) @ B
    ),
    "one step too few.": each_knock(lambda A, B, C, s, t: C @ power(A, max(0, t - s - 1)) @ B),
    "you count steps from the beginning, and not from the knock.": (
        each_knock(lambda A, B, C, s, t: C @ power(A, t) @ B),
        each_knock(lambda A, B, C, s, t: C @ power(A, s) @ B),
    ),
    "you raise each number of Ā to the power. `**` isn't the power of a matrix.": each_knock(
        lambda A, B, C, s, t: C @ A ** (t - s) @ B
    ),
    "Ā is a step already: you take its exponential once more.": each_knock(
        lambda A, B, C, s, t: C @ torch.matrix_exp(A * (t - s)) @ B
    ),
    "you use the first number of Ā alone.": each_knock(
        lambda A, B, C, s, t: A[0, 0] ** (t - s) * (C @ B)
    ),
    "you use Ā's diagonal alone.": each_knock(lambda A, B, C, s, t: C @ (A.diag() ** (t - s) * B)),
    "B̄ and C are exchanged, or Ā is transposed.": each_knock(
        lambda A, B, C, s, t: B @ power(A, t - s) @ C
    ),
    "you leave out how hard a knock is: its value.": (
        lambda A, B, C, knocks, t: powered(A, B, C, [(s, 1.0) for s, _ in knocks], t)
    ),
    "you stop at the first knock that comes too late. They are in no order.": first_later_ends,
    "you go from knock to knock as they stand in the list. They are in no order.": unsorted,
    "you take the last knock of the list alone. All that came before t add up.": (
        lambda A, B, C, knocks, t: powered(A, B, C, knocks[-1:], t)
    ),
    "you take the knock nearest before t alone. Older ones still act.": (
        lambda A, B, C, knocks, t: powered(A, B, C, sorted(k for k in knocks if k[0] <= t)[-1:], t)
    ),
    "you take the first knock of the list alone. All that came before t add up.": (
        lambda A, B, C, knocks, t: powered(A, B, C, knocks[:1], t)
    ),
    "you sum the state's numbers. The output weighs them by C.": each_knock(
        lambda A, B, C, s, t: (power(A, t - s) @ B).sum()
    ),
    "you add up all outputs until t. Asked is the last.": (
        lambda A, B, C, knocks, t: sum(powered(A, B, C, knocks, k) for k in range(min(t, 200) + 1))
    ),
    "you go by eigenvectors. This Ā has no basis of them.": each_knock(by_eigenvectors),
    "knocks that are long ago still act: this system doesn't die out.": (
        each_knock(right_tap, lambda s, t: s <= t < s + 50),
        each_knock(right_tap, lambda s, t: s <= t < s + 1000),
    ),
}


def show(A_bar, B_bar, C, knocks, t):
    rows = [[round(a, 2) for a in row] for row in A_bar.tolist()]
    b, c = ([round(a, 2) for a in part.tolist()] for part in (B_bar, C))
    return f"output_at({rows}, {b}, {c}, {knocks}, t={t})"


KNOWN = Known(
    right=(powered, jumping),
    mistakes=MISTAKES,
    slips={"expected one number": lambda A, B, C, knocks, t: [1.0, 2.0]},
    show=show,
    name="{:.12g}".format,
)
