"""13.4 Find the bugs: Mamba-3's steps."""

from itertools import pairwise
from math import exp

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """No token, one, and many; shares of 0 and 1 among them."""
    drawn = [(-1.0, [], [], [], []), (-0.5, [2.0], [3.0], [0.4], [0.25])]
    for n in (2, 3, 5, 8, 20):
        weight = rng.uniform(0, 1, n)
        weight[rng.integers(n)] = rng.integers(2)
        rows = (rng.normal(size=n), rng.normal(size=n), rng.uniform(0.05, 1.5, n), weight)
        drawn.append((-float(rng.uniform(0.1, 2)), *(row.tolist() for row in rows)))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_reals(1),
    atol=1e-7,
    examples=(
        (-1.0, [2.0, 3.0], [1.0, 5.0], [0.5, 1.0], [0.5, 0.25]),
        (-0.7, [1.0, 2.0, -1.0], [4.0, 1.0, 3.0], [0.2, 0.9, 0.4], [0.3, 0.8, 0.6]),
        (-1.0, [3.0], [2.0], [0.5], [0.25]),
        (
            -2.0,
            [1.0, 1.0, 1.0, 1.0],
            [1.0, 0.0, 0.0, 2.0],
            [0.5, 0.1, 0.3, 0.6],
            [1.0, 0.5, 0.0, 0.7],
        ),
    ),
    hints=(
        "Step two tokens by hand, and compare. What does `x[t - 1]` mean for t = 0?",
        "Three places: the first token has no token before it; what was pushed at the start of a "
        "step has decayed by its end; and it was pushed by its own b.",
        "Keep what was pushed, b·x, from one round to the next, in a variable that begins with 0. "
        "Multiply it by the same alpha as the old state.",
    ),
)

# --- kept back while grading ---


def kept(a, b, x, delta, weight):
    h, before, states = 0.0, 0.0, []
    for b_t, x_t, delta_t, now in zip(b, x, delta, weight, strict=True):
        h = exp(delta_t * a) * (h + (1 - now) * delta_t * before) + now * delta_t * b_t * x_t
        before = b_t * x_t
        states.append(h)
    return states


def summed(a, b, x, delta, weight):
    """Every push, decayed to every later end of a step."""
    ends, pushed = np.concatenate(([0.0], np.cumsum(delta))), np.multiply(b, x)
    states = np.zeros(len(x))
    for t, end in enumerate(ends[1:]):
        for s, (start, stop) in enumerate(pairwise(ends[: t + 2])):
            states[t] += weight[s] * delta[s] * pushed[s] * exp(a * (end - stop))
            if s:
                states[t] += (1 - weight[s]) * delta[s] * pushed[s - 1] * exp(a * (end - start))
    return states


def stepping(step, wraps=False):
    """States by another idea of a step, which is handed what belongs to t, and what to t − 1.

    Args:
        step: maps (h, alpha, old and new (b, x, delta, weight)) to the new state.
        wraps: takes the last token for the one before the first.
    """

    def states(a, b, x, delta, weight):
        rows, h, out = list(zip(b, x, delta, weight, strict=True)), 0.0, []
        for t, row in enumerate(rows):
            old = rows[t - 1] if t or wraps else (0.0, 0.0, 0.0, 0.0)
            h = step(h, exp(row[2] * a), old, row, a)
            out.append(h)
        return out

    return states


def term(alpha=True, own_b=True, share=lambda new, old: 1 - new[3], time=lambda new, old: new[2]):
    """A step whose old push is weighed otherwise."""

    def step(h, decay, old, new, a):
        push = (old[0] if own_b else new[0]) * old[1]
        was = share(new, old) * time(new, old) * push * (decay if alpha else 1)
        return decay * h + was + new[3] * new[2] * new[0] * new[1]

    return step


def given(alpha=False, own_b=False, wraps=True):
    return stepping(term(alpha=alpha, own_b=own_b), wraps=wraps)


MISTAKES = {
    "this is the function as it was given. Step two tokens by hand.": given(),
    "the first token still has one before it: `x[-1]` is the last of the list. And what was pushed "
    "at a step's start has decayed by its end.": given(own_b=True),
    "the first token still has one before it: `x[-1]` is the last of the list. And each token is "
    "pushed by its own b.": given(alpha=True),
    "the first token still has one before it: `x[-1]` is the last of the list.": given(
        alpha=True, own_b=True
    ),
    "what was pushed at a step's start has decayed by its end; and it was pushed by its own b.": (
        given(wraps=False)
    ),
    "what was pushed at a step's start has decayed by its end, as the state has.": given(
        own_b=True, wraps=False
    ),
    "the token before was pushed by its own b, not by the new one's.": given(
        alpha=True, wraps=False
    ),
    "your shares are exchanged: weight is that of the step's end.": stepping(
        lambda h, decay, old, new, a: (
            decay * (h + new[3] * new[2] * old[0] * old[1])
            + (1 - new[3]) * new[2] * new[0] * new[1]
        )
    ),
    "you weigh the old push by the share of its own step. It counts at the start of *this* one.": (
        stepping(term(share=lambda new, old: 1 - old[3]))
    ),
    "you weigh the old push by the length of its own step. It counts at the start of *this* one.": (
        stepping(term(time=lambda new, old: old[2])),
        stepping(term(share=lambda new, old: 1 - old[3], time=lambda new, old: old[2])),
    ),
    "you let the old push decay twice.": stepping(
        lambda h, decay, old, new, a: (
            decay * (h + (1 - new[3]) * new[2] * decay * old[0] * old[1])
            + new[3] * new[2] * new[0] * new[1]
        )
    ),
    "you let the new push decay as well. It comes at the end of the step.": stepping(
        lambda h, decay, old, new, a: (
            decay
            * (h + (1 - new[3]) * new[2] * old[0] * old[1] + new[3] * new[2] * new[0] * new[1])
        )
    ),
    "you leave out the old push: that is Mamba's step, weighed.": stepping(
        lambda h, decay, old, new, a: decay * h + new[3] * new[2] * new[0] * new[1]
    ),
    "you begin at the second token, and have no state for the first.": (
        lambda *given: kept(*given)[1:],
        lambda *given: (
            [0.0] * bool(given[1]) + kept(*(row[1:] if n else row for n, row in enumerate(given)))
        ),
    ),
    "your first token is its own old one. Nothing was pushed before it.": (
        lambda a, b, x, d, w: (
            kept(a, [b[0], *b], [x[0], *x], [d[0], *d], [0.0, *w])[1:] if x else []
        )
    ),
    "the old push isn't weighed by the length of the step.": stepping(
        term(time=lambda new, old: 1.0)
    ),
    "your old push has its whole weight. The two shares add up to 1.": stepping(
        term(share=lambda new, old: 1.0)
    ),
}


KNOWN = Known(
    right=(kept, summed),
    mistakes=MISTAKES,
    slips={
        "it raised": lambda a, b, x, d, w: kept(a, b, x, d, w[1:]),
        "expected real numbers": lambda *given: sum(kept(*given)),
    },
    show=lambda a, b, x, d, w: (
        f"states({a:g}, b={b}, x={x}, delta={d}, weight={w})"
        if len(x) < 4
        else f"states(…), {len(x)} tokens"
    ),
    place=lambda at: f"state {at[0]}" if at else "",
    name="{:.6g}".format,
)
