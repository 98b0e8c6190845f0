"""08.4 An honest error."""

from math import sqrt

import numpy as np

from mixlab.chapters.router_decisions.exercises import choices, read_pair
from mixlab.checks.exercise import Asked, Known


def draw(rng):
    """Texts whose tokens depend on each other."""
    drawn = []
    for _ in range(6):
        texts, seq = int(rng.integers(3, 20)), int(rng.integers(8, 40))
        n_experts, k = int(rng.integers(4, 9)), int(rng.integers(2, 4))
        chosen = choices(rng, (texts, seq), n_experts, k, stay=0.8)
        drawn.append((chosen, int(chosen[0, 0, 0])))
    return drawn


TEXTS = choices(np.random.default_rng(8), (6, 12), 4, 2, stay=0.8)

ASKED = Asked(
    draw=draw,
    read=read_pair,
    atol=1e-6,
    examples=((TEXTS, 0), (TEXTS[:4], 1), (TEXTS[::2], 3)),
    hints=(
        "Which are the independent observations? Not the tokens. Make one number of each text.",
        "A text's number is the share of its seq · k choices that fell on the expert. The "
        "share of all choices is the mean of these numbers.",
        "The standard error of a mean of n observations is their standard deviation over √n, "
        "with n - 1 below the sum of squares: `std(ddof=1)`.",
    ),
)

# --- kept back while grading ---


def by_text(chosen, expert):
    return (chosen == expert).reshape(len(chosen), -1).mean(axis=1)


def step_by_step(chosen, expert):
    counts = [sum(row.count(expert) for row in text) for text in chosen.tolist()]
    shares = [count / (chosen.shape[1] * chosen.shape[2]) for count in counts]
    mean, n = sum(shares) / len(shares), len(shares)
    return mean, sqrt(sum((share - mean) ** 2 for share in shares) / (n * (n - 1)))


def observing(observed=by_text, ddof=1, scale=lambda chosen, n: 1.0):
    """Mean and error of some observations, the error scaled, by the choices and the texts n."""

    def share_and_error(chosen, expert):
        values = observed(chosen, expert)
        error = values.std(ddof=ddof) / sqrt(values.size)
        return values.mean(), error * scale(chosen, len(chosen))

    return share_and_error


def counting(observations):
    """√(p (1 − p) / n) for so many observations, by the choices."""

    def share_and_error(chosen, expert):
        p = (chosen == expert).mean()
        return p, sqrt(p * (1 - p) / observations(chosen))

    return share_and_error


def squared(chosen, expert):
    share, error = observing()(chosen, expert)
    return share, error**2


MISTAKES = {
    "√(p (1 - p) / n) takes all choices for independent. Neighbouring tokens hang together: count "
    "texts.": counting(lambda chosen: chosen.size),
    "√(p (1 - p) / n) takes the tokens for independent. Neighbours hang together: count "
    "texts.": counting(lambda chosen: chosen.shape[0] * chosen.shape[1]),
    "your observations are single choices. Neighbours hang together: make one number of each text "
    "first.": observing(lambda chosen, expert: 1.0 * (chosen == expert)),
    "your observations are single tokens. Neighbours hang together: make one number of each text "
    "first.": tuple(
        observing(lambda chosen, expert: (chosen == expert).mean(axis=2), ddof) for ddof in (1, 0)
    ),
    "your observations are places, the first token of all texts, the second, and so on. One number "
    "a text is asked for: which axis is the texts'?": tuple(
        observing(lambda chosen, expert: (chosen == expert).mean(axis=(0, 2)), ddof)
        for ddof in (1, 0)
    ),
    "√(p (1 - p) / texts) is for texts that are wholly for or against an expert. A text has a "
    "share: use how much the shares differ.": counting(len),
    "this is the spread of the texts, not the error of their mean: divide by √texts.": observing(
        scale=lambda chosen, n: sqrt(n)
    ),
    "this is the spread of the texts, with n below the sum of squares, not the error of their "
    "mean: n - 1 belongs there, and a division by √texts.": observing(
        scale=lambda chosen, n: sqrt(n - 1)
    ),
    "n - 1 belongs below the sum of squares: the mean comes from the same texts. `std` divides by "
    "n unless it is told ddof=1.": observing(ddof=0),
    "n - 1 belongs below the sum of squares, and is there. The root that the spread is divided by "
    "is √n.": observing(scale=lambda chosen, n: sqrt(n / (n - 1))),
    "you count tokens that chose the expert at all. Each token makes k choices, and the share is "
    "one of all choices.": observing(
        lambda chosen, expert: (chosen == expert).any(axis=2).mean(axis=1)
    ),
    "you count choices. A text's share is its count over all choices that it makes.": observing(
        lambda chosen, expert: (chosen == expert).sum(axis=(1, 2))
    ),
    "you look at first choices only. The share is one of all choices.": observing(
        lambda chosen, expert: by_text(chosen[..., :1], expert)
    ),
    "the spread of the texts is divided by n, and should be by √n.": observing(
        scale=lambda chosen, n: 1 / sqrt(n)
    ),
    "the spread of the texts, with n below the sum of squares, is divided by n or n - 1. There "
    "n - 1 belongs, and √n here.": tuple(
        observing(ddof=0, scale=lambda chosen, n, less=less: sqrt(n) / (n - less))
        for less in (0, 1)
    ),
    "the spread of the texts is divided by the root of a number of tokens or choices. They are no "
    "observations of their own: divide by √texts.": tuple(
        observing(scale=lambda chosen, n, of=of: sqrt(n / of(chosen).size))
        for of in (lambda c: c[0, :, 0], lambda c: c[..., 0], lambda c: c[0], np.asarray)
    ),
    "this is half of a 95% interval: 1.96 standard errors. One is asked for.": (
        observing(scale=lambda chosen, n: 1.96),
        observing(scale=lambda chosen, n: 2.0),
    ),
    "this is the square of the error: take the root.": squared,
    "the variance of the texts' shares is a square: take its root before you divide by "
    "√n.": lambda *given: np.multiply(squared(*given), (1, sqrt(len(given[0])))),
    "the share comes first, then its error.": lambda *given: observing()(*given)[::-1],
}

KNOWN = Known(
    right=(observing(), step_by_step),
    mistakes=MISTAKES,
    slips={
        "expected two numbers": lambda *given: observing()(*given)[0],
        "the standard error": observing(scale=lambda chosen, n: 0.5),
    },
    show=lambda chosen, expert: f"share_and_error(chosen of shape {chosen.shape}, expert={expert})",
    place=lambda at: ("the share", "the standard error")[at[0]],
    name="{:.5f}".format,
)
