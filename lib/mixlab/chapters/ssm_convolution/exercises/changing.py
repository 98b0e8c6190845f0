"""14.5 The matrix of changing steps."""

import torch

from mixlab.chapters.ssm_convolution.exercises import unchanged
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def steps(a, b, c):
    return tuple(torch.tensor(part, dtype=torch.float64) for part in (a, b, c))


def draw(rng):
    """One step and many; factors of 0, below 0, and so small that their product underflows."""
    drawn = [steps([0.0], [2.0], [3.0]), steps([1e-40] * 30, [1.0] * 30, [1.0] * 30)]
    for length in (1, 2, 5, 8, 13, 24):
        a, b, c = rng.normal(size=(3, length)).round(2)
        a[rng.random(length) < 0.2] = 0
        drawn.append(steps(a.tolist(), b.tolist(), c.tolist()))
    return drawn


ASKED = Asked(
    draw=draw,
    call=unchanged,
    read=read_reals(2),
    examples=(
        steps([9.0, 0.5, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),
        steps([2.0, 3.0, 5.0], [1.0, 10.0, 100.0], [7.0, 11.0, 13.0]),
        steps([5.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]),
        steps([1.0, -2.0, 0.5, -1.0], [2.0, 1.0, 3.0, 1.0], [1.0, 2.0, 1.0, 5.0]),
        steps([4.0], [2.0], [3.0]),
    ),
    hints=(
        "Column s is what comes out if only input s is 1. Write it down for three steps.",
        "Input s enters with b_s, is multiplied by each a after it, up to a_t, and is "
        "read with c_t. "
        "Nothing comes out before s.",
        "For each s begin with h = b_s, write c_s h into row s, and go on with h = a_t "
        "h. Don't divide "
        "products: they may be 0.",
    ),
)

# --- kept back while grading ---


def walked(a, b, c):
    M = torch.zeros(len(a), len(a), dtype=torch.float64)
    for s in range(len(a)):
        h = b[s]
        M[s, s] = c[s] * h
        for t in range(s + 1, len(a)):
            h = a[t] * h
            M[t, s] = c[t] * h
    return M


def played(a, b, c):
    """Lets every unit input through at once."""
    h, rows = torch.zeros(len(a), dtype=torch.float64), []
    for t, x in enumerate(torch.eye(len(a), dtype=torch.float64)):
        h = a[t] * h + b[t] * x
        rows.append(c[t] * h)
    return torch.stack(rows)


def between(first, last):
    """Π a over places from `first(s)` to `last(t)`, both included."""
    return lambda a, s, t: a[first(s) : last(t) + 1].prod()


def entries(product, enters=lambda b, s, t: b[s], read=lambda c, s, t: c[t], keep=torch.tril):
    """M[t, s] under another idea of the product, of b and c, or of which entries there are."""

    def matrix(a, b, c):
        places = range(len(a))
        M = [[read(c, s, t) * product(a, s, t) * enters(b, s, t) for s in places] for t in places]
        return keep(torch.tensor(M, dtype=torch.float64))

    return matrix


def alone(part, s, t):
    return 1.0


AFTER = between(lambda s: s + 1, lambda t: t)


def divided(a, b, c):
    product = a.cumprod(0)
    return torch.tril(c[:, None] * product[:, None] / product * b)


def by_logarithms(a, b, c, of=torch.abs):
    total = of(a).log().cumsum(0)
    return torch.tril(c[:, None] * (total[:, None] - total).exp() * b)


MISTAKES = {
    "you multiply by a_s as well. Step s lets input s in; it is the steps after s that "
    "shrink it.": (entries(between(lambda s: s, lambda t: t))),
    "you multiply by a_s, and leave out a_t. The steps after s act, up to t.": entries(
        between(lambda s: s, lambda t: t - 1)
    ),
    "you leave out a_t: step t multiplies the state before it adds its input.": entries(
        between(lambda s: s + 1, lambda t: t - 1)
    ),
    "you divide one product by another. With a factor of 0 that is 0 / 0.": (
        divided,
        lambda *given: divided(*given).nan_to_num(),
    ),
    "you add logarithms. There is none of 0, and a sign is lost.": (
        by_logarithms,
        lambda a, b, c: by_logarithms(a, b, c, of=lambda a: a),
    ),
    "your matrix lies on its side: row t has what reaches output t.": lambda *given: (
        walked(*given).T
    ),
    "you take a power of one a. Every step has its own.": (
        entries(lambda a, s, t: a[t] ** max(0, t - s)),
        entries(lambda a, s, t: a[s] ** max(0, t - s)),
        entries(lambda a, s, t: a[0] ** max(0, t - s)),
        entries(lambda a, s, t: a[-1] ** max(0, t - s)),
    ),
    "you use b_t. An input comes in with the b of its own step.": (
        entries(AFTER, enters=lambda b, s, t: b[t])
    ),
    "you use c_s. An output is read with the c of its own step.": (
        entries(AFTER, read=lambda c, s, t: c[s])
    ),
    "b and c have changed places: b goes with the input, c with the output.": (
        lambda a, b, c: walked(a, c, b),
        entries(AFTER, lambda b, s, t: b[t], lambda c, s, t: c[s]),
    ),
    "b is missing.": lambda a, b, c: walked(a, 0 * b + 1, c),
    "c is missing.": lambda a, b, c: walked(a, b, 0 * c + 1),
    "a is missing.": lambda a, b, c: walked(0 * a + 1, b, c),
    "you take one factor. All steps after s act, up to t.": (
        entries(lambda a, s, t: a[t] if t > s else 1.0),
        entries(lambda a, s, t: a[s + 1] if t > s else 1.0),
    ),
    "you move the first column down. That is right for steps that don't change.": (
        lambda a, b, c: entries(lambda M, s, t: M[abs(t - s)], alone, alone)(
            walked(a, b, c)[:, 0], b, c
        )
    ),
    "you add the factors up. They are multiplied.": (
        entries(lambda a, s, t: a[s + 1 : t + 1].sum() if t > s else 1.0),
        entries(lambda a, s, t: a[s + 1 : t + 1].sum()),
    ),
    "you lose signs. A factor below 0 turns the sign.": lambda a, b, c: walked(a.abs(), b, c),
    "you multiply all factors from the beginning. Those up to s came before the input.": (
        entries(between(lambda s: 0, lambda t: t)),
        entries(between(lambda s: 1, lambda t: t)),
    ),
    "you leave the diagonal empty: an input acts on its own output.": entries(
        AFTER, keep=lambda M: torch.tril(M, -1)
    ),
    "your matrix isn't empty above the diagonal: a later input would act on an earlier output.": (
        entries(AFTER, keep=lambda M: M),
        entries(lambda a, s, t: a[min(s, t) + 1 : max(s, t) + 1].prod(), keep=lambda M: M),
    ),
    "you fill the diagonal and the places right below it alone. An input acts on.": entries(
        AFTER, keep=lambda M: torch.tril(M) - torch.tril(M, -2)
    ),
    "your matrix begins at the end: time runs downwards, and to the right.": (
        lambda *given: walked(*given).flip(0, 1)
    ),
}


def show(a, b, c):
    return f"matrix({a.tolist()}, {b.tolist()}, {c.tolist()})"


KNOWN = Known(
    right=(walked, played),
    mistakes=MISTAKES,
    slips={
        "a tensor that was handed in has been changed": lambda a, b, c: walked(a.mul_(2), b, c),
        "expected real numbers in 2 axes": lambda a, b, c: a * b * c,
    },
    show=show,
    place=lambda at: f"row {at[0]} (output), column {at[1]} (input)" if len(at) == 2 else "",
    name="{:.5g}".format,
)
