"""14.1 The kernel, with its skip."""

import torch

from mixlab.chapters.ssm_convolution.exercises import unchanged
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def system(A, B, C, D, length):
    return torch.tensor(A), torch.tensor(B), torch.tensor(C), D, length


JORDAN = [[0.5, 1.0], [0.0, 0.5]]  # has no basis of eigenvectors


def draw(rng):
    """One tap and many, states of 1 to 6 numbers, matrices without an inverse or a basis."""
    drawn = [system(JORDAN, [0.0, 1.0], [1.0, 0.0], -1.5, 20)]
    drawn.append(system([[0.0, 1.0], [0.0, 0.0]], [0.0, 2.0], [1.0, 0.5], 0.25, 7))
    for size, length in ((1, 1), (1, 9), (2, 1), (2, 40), (3, 2), (4, 17), (6, 30)):
        A = rng.normal(size=(size, size))
        A *= 0.9 / max(1, abs(A).sum(axis=1).max())
        B, C = rng.normal(size=(2, size))
        D = float(rng.normal())
        drawn.append(system(*(part.astype("float32").tolist() for part in (A, B, C)), D, length))
    return drawn


ASKED = Asked(
    draw=draw,
    call=unchanged,
    read=read_reals(1),
    examples=(
        system([[0.5]], [1.0], [4.0], 3.0, 4),
        system([[0.0, 1.0], [-0.5, 1.0]], [1.0, 2.0], [3.0, 1.0], 0.5, 5),
        system(JORDAN, [0.0, 1.0], [1.0, 3.0], 2.0, 4),
        system([[0.5, -0.5], [0.25, 1.0]], [2.0, 1.0], [1.0, -1.0], -2.0, 1),
        system([[2.0, 1.0], [1.0, 0.0]], [1.0, 0.0], [0.0, 2.0], 1.0, 3),
    ),
    hints=(
        "Send 1, 0, 0, 0, … through the layer, as written, D too. What comes out?",
        "Tap j is C Ā^j B̄: j steps after the knock. Only the very first output meets D.",
        "Keep a column that begins as B̄. For each tap append `C @ column`, then make the next "
        "column by `A_bar @ column`. Add D to the first tap.",
    ),
)

# --- kept back while grading ---


def stepped(A_bar, B_bar, C, D, length, start=0):
    column, taps = torch.linalg.matrix_power(A_bar, start) @ B_bar, []
    for _ in range(length):
        taps.append(C @ column)
        column = A_bar @ column
    return torch.stack(taps) + D * (torch.arange(length) == 0)


def knocked(A_bar, B_bar, C, D, length):
    """Plays the layer on 1, 0, 0, …, in float64."""
    h, out = 0.0 * B_bar.double(), []
    for x in [1.0] + [0.0] * (length - 1):
        h = A_bar.double() @ h + B_bar.double() * x
        out.append((C.double() @ h + D * x).item())
    return out


def powers(power, D_at=lambda taps, D: taps + D * (torch.arange(len(taps)) == 0)):
    """Taps from another idea of a power, or of D."""

    def kernel(A_bar, B_bar, C, D, length):
        taps = torch.stack([C @ power(A_bar, j) @ B_bar for j in range(length)])
        return D_at(taps, D)

    return kernel


def another_D(D_at):
    return powers(torch.linalg.matrix_power, D_at)


def by_eigenvectors(A_bar, B_bar, C, D, length, whole=True):
    values, V = torch.linalg.eig(A_bar)
    weights = (C + 0j) @ V * torch.linalg.solve(V, B_bar + 0j)
    values = values if whole else values.real + 0j
    taps = (weights[:, None] * values[:, None] ** torch.arange(length)).sum(0).real
    taps[0] += D
    return taps


def halved(A_bar, j):
    return A_bar.diag().diag().matrix_power(j)


MISTAKES = {
    "one power too many: the first tap is C B̄, an input acts at once.": (
        lambda A, B, C, D, n: stepped(A, B, C, D, n, start=1)
    ),
    "D is missing.": another_D(lambda taps, D: taps),
    "you add D to every tap. D x_t reaches output t alone: which tap is that?": another_D(
        lambda taps, D: taps + D
    ),
    "you put D in the place of the first tap. Both act there.": another_D(
        lambda taps, D: torch.cat((taps.new_tensor([D]), taps[1:]))
    ),
    "you put D in front of the other taps, which moves them by one.": (
        another_D(lambda taps, D: torch.cat((taps.new_tensor([D]), taps))[:-1]),
        another_D(lambda taps, D: torch.cat((taps.new_tensor([D]), taps))),
    ),
    "you put D behind the taps. It is no tap of its own.": another_D(
        lambda taps, D: torch.cat((taps, taps.new_tensor([D])))
    ),
    "you multiply by D. It is added.": (
        another_D(lambda taps, D: torch.cat((taps[:1] * D, taps[1:]))),
        another_D(lambda taps, D: taps * D),
    ),
    "you add D to the last tap. D x_t reaches output t at once.": another_D(
        lambda taps, D: taps + D * (torch.arange(len(taps)) == len(taps) - 1)
    ),
    "you add D to the second tap.": another_D(
        lambda taps, D: taps + D * (torch.arange(len(taps)) == 1)
    ),
    "you subtract D.": another_D(lambda taps, D: taps - D * (torch.arange(len(taps)) == 0)),
    "B̄ and C are exchanged, or Ā is transposed: B̄ is the column on the right, C the row on the "
    "left.": (
        lambda A, B, C, D, n: stepped(A, C, B, D, n),
        lambda A, B, C, D, n: stepped(A.T, B, C, D, n),
    ),
    "you raise each number of Ā to the power. `**` isn't the power of a matrix.": powers(
        lambda A, j: A**j
    ),
    "you use Ā's diagonal alone.": powers(halved),
    "you use the first number of Ā alone.": powers(lambda A, j: A[0, 0] ** j * torch.eye(len(A))),
    "Ā is a step already: you take its exponential once more.": powers(
        lambda A, j: torch.matrix_exp(A * j)
    ),
    "you take powers of the eigenvalues, and leave B̄ and C in the old basis.": powers(
        lambda A, j: torch.linalg.eigvals(A).pow(j).real.diag()
    ),
    "you multiply Ā and the column number by number. `*` isn't the product of a matrix and a "
    "vector.": powers(lambda A, j: (A.sum(0) ** j).diag()),
    "your taps run backwards: the first is what an input does at once.": (
        lambda *given: stepped(*given).flip(0)
    ),
    "you add the taps up. That is what a steady input of ones makes; a tap is what one "
    "input makes.": (lambda *given: stepped(*given).cumsum(0)),
    "you multiply Ā by j where it is taken to the power j.": (
        powers(lambda A, j: A * j),
        powers(lambda A, j: A * j if j else torch.eye(len(A))),
    ),
    "you have one power for all taps.": (
        powers(lambda A, j: A),
        powers(lambda A, j: torch.eye(len(A))),
    ),
    "one tap too many.": lambda A, B, C, D, n: stepped(A, B, C, D, n + 1),
    "one tap too few: `length` taps are asked, K_0 among them.": (
        lambda A, B, C, D, n: stepped(A, B, C, D, n)[: n - 1],
        lambda A, B, C, D, n: stepped(A, B, C, D, n)[1:],
    ),
    "you go by eigenvectors. This Ā has no basis of them: multiply by Ā, j times.": by_eigenvectors,
    "you drop the imaginary part of the eigenvalues before the power. Those of a real "
    "matrix may be "
    "complex.": lambda *given: by_eigenvectors(*given, whole=False),
}


def show(A_bar, B_bar, C, D, length):
    rows = [[round(a, 2) for a in row] for row in A_bar.tolist()]
    b, c = ([round(a, 2) for a in part.tolist()] for part in (B_bar, C))
    return f"kernel({rows}, {b}, {c}, {D:.3g}, {length})"


KNOWN = Known(
    right=(stepped, knocked),
    mistakes=MISTAKES,
    slips={
        "a tensor that was handed in has been changed": (
            lambda A, B, C, D, n: stepped(A, B.add_(1), C, D, n)
        ),
        "expected real numbers in 1 axis": lambda *given: stepped(*given)[:, None],
    },
    show=show,
    place=lambda at: f"tap {at[0]}" if at else "",
    name="{:.5g}".format,
)
