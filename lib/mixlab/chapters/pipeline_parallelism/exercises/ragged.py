"""10.4 Find the bug: one gradient of ragged microbatches."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def draw(rng):
    """Equal and ragged lengths, padding, nothing but padding, one row, one microbatch."""
    drawn = [[(3, 3), (3, 3)], [(1, 1)], [(5, 0), (4, 2)], [(1, 1), (40, 40)], [(6, 1), (0, 0)]]
    for _ in range(6):
        rows = rng.integers(1, 12, size=int(rng.integers(1, 6)))
        drawn.append([(int(n), int(rng.integers(1, n + 1))) for n in rows])
    return [batch(rng, sizes) for sizes in drawn]


def batch(rng, sizes, dim=3):
    """A weight, and for each (rows, real) a microbatch with so many rows, of which some count."""
    microbatches = []
    for rows, real in sizes:
        x = torch.from_numpy(rng.integers(-4, 5, size=(rows, dim))).double()
        y = torch.from_numpy(rng.integers(-4, 5, size=rows)).double()
        microbatches.append((x, y, torch.from_numpy(rng.permutation(rows) < real)))
    return torch.from_numpy(rng.integers(-3, 4, size=dim)).double(), microbatches


def call(answer, weight, microbatches):
    gradient = answer(weight, microbatches)
    if weight.requires_grad:
        raise Unreadable(
            "`weight` was changed: it has a gradient now, and the next call would add to it. Make "
            "a copy"
        )
    return gradient


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(1),
    examples=tuple(
        batch(np.random.default_rng(seed), sizes, dim=2)
        for seed, sizes in enumerate(
            [
                [(2, 2), (2, 2)],
                [(1, 1), (3, 3)],
                [(3, 2), (3, 1)],
                [(2, 0), (2, 2)],
                [(4, 4), (2, 1), (1, 1)],
            ]
        )
    ),
    hints=(
        "Two microbatches of 1 and 3 real rows: what does each row weigh in the mean of all four? "
        "And in the mean of the two means?",
        "Sum the squares of each microbatch, and divide by one number that is the same for all. "
        "Which number is known only when all microbatches have been counted?",
        "`total = sum(real.sum() for _, _, real in microbatches)` first; then each loss is "
        "`(errors**2).sum() / total`, and backward() adds them up.",
    ),
)

# --- kept back while grading ---


def accumulated(weight, microbatches):
    weight = weight.clone().requires_grad_()
    total = sum(int(real.sum()) for _, _, real in microbatches)
    for x, y, real in microbatches:
        errors = (x @ weight - y)[real]
        ((errors**2).sum() / total).backward()
    return weight.grad


def joined(weight, microbatches, pick=lambda real: real, count=None):
    """By hand, of all rows at once, or of those that are picked; divided by a count."""
    x, y, real = (torch.cat(parts) for parts in zip(*microbatches, strict=True))
    chosen = pick(real)
    total = chosen.sum() if count is None else count(microbatches)
    return 2 * ((x @ weight - y) * chosen) @ x / total


def everything(real):
    return torch.ones_like(real)


def each_mean(weight, microbatches, share, keep=lambda real: real, divide=None):
    """The gradients of each microbatch's own mean, times a share of its own."""
    out = torch.zeros_like(weight)
    for x, y, real in microbatches:
        chosen = keep(real)
        n = chosen.sum() if divide is None else divide(real)
        out = out + share(real, microbatches) * 2 * ((x @ weight - y) * chosen) @ x / n
    return out


def n_real(microbatches):
    return sum(int(real.sum()) for _, _, real in microbatches)


def n_rows(microbatches):
    return sum(len(real) for _, _, real in microbatches)


def one_over_m(real, microbatches):
    return 1 / len(microbatches)


def means(**changes):
    return lambda weight, microbatches: each_mean(weight, microbatches, **changes)


def at_once(after=lambda gradient, microbatches: gradient, **changes):
    return lambda weight, microbatches: after(joined(weight, microbatches, **changes), microbatches)


MISTAKES = {
    "this is still a mean of means: a row of a short microbatch weighs more than of a long one.": (
        means(share=one_over_m),
        means(share=one_over_m, divide=lambda real: max(1, int(real.sum()))),
    ),
    "you divide by the rows counted so far. The first microbatches weigh too much: count them all "
    "before.": lambda weight, all_: sum(
        joined(weight, [one], count=lambda _, k=k: max(1, n_real(all_[: k + 1])))
        for k, one in enumerate(all_)
    ),
    "a microbatch of padding alone divides 0 by 0: the mean of nothing is NaN, times anything.": (
        means(share=lambda real, all_: real.sum() / n_real(all_))
    ),
    "you leave out empty microbatches, and still take a mean of means.": lambda weight, all_: (
        each_mean(weight, [one for one in all_ if one[2].any()], share=one_over_m)
    ),
    "you weigh each mean by its rows with the padding. Only real rows count.": means(
        share=lambda real, all_: len(real) / n_rows(all_),
        divide=lambda real: max(1, int(real.sum())),
    ),
    "you add up the means of the microbatches. A sum of means grows with their number.": means(
        share=lambda real, all_: 1, divide=lambda real: max(1, int(real.sum()))
    ),
    "you divide by all rows, padding among them. Padding adds nothing above, so it mustn't count "
    "below.": (at_once(count=n_rows), means(share=one_over_m, divide=len)),
    "your loss takes in padding: rows whose `real` is False have nothing to say.": (
        at_once(pick=everything),
        at_once(pick=everything, count=n_real),
        means(share=one_over_m, keep=everything, divide=lambda real: max(1, len(real))),
    ),
    "you divide the sum by the number of microbatches. It is a sum over rows.": at_once(count=len),
    "you return the sum over all rows. Asked is the gradient of their mean.": at_once(
        count=lambda microbatches: 1
    ),
    "you divide by all rows and once more by the number of microbatches.": at_once(
        count=lambda microbatches: n_real(microbatches) * len(microbatches)
    ),
    "only the last microbatch's gradient is left: accumulate, and don't reset in the loop.": (
        lambda weight, all_: joined(weight, all_[-1:], count=lambda last: n_real(all_))
    ),
    "your gradient points the other way.": at_once(after=lambda gradient, all_: -gradient),
    "you lost the 2 of the square's derivative.": at_once(
        after=lambda gradient, all_: gradient / 2
    ),
}

KNOWN = Known(
    right=(accumulated, joined),
    mistakes=MISTAKES,
    slips={
        "`weight` was changed": lambda weight, microbatches: joined(
            weight.requires_grad_(), microbatches
        ).detach(),
        "expected real numbers in 1 axis": lambda weight, microbatches: joined(
            weight, microbatches
        ).sum(),
    },
    show=lambda weight, microbatches: (
        "accumulate on microbatches of "
        + ", ".join(f"{int(real.sum())} real of {len(real)} rows" for _, _, real in microbatches)
    ),
    place=lambda at: f"the derivative by weight {at[0]}" if at else "",
    name="{:.4g}".format,
)
