"""13.4 Find the bugs: Mamba-3's steps."""

from itertools import pairwise
from math import exp

import numpy as np

from mixlab.chapters.state_space_models.exercises import other_steps as steps
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


def euler(a, b, x, delta, weight):
    h, before, found = 0.0, 0.0, []
    for b_t, x_t, d, now in zip(b, x, delta, weight, strict=True):
        h = (1 + a * d) * (h + (1 - now) * d * before) + now * d * b_t * x_t
        before = b_t * x_t
        found.append(h)
    return found


FIRST = "the first token still has one before it: `x[-1]` is the last of the list."
DECAY = "what was pushed at a step's start has decayed by its end, as the state has."
OWN_B = "the token before was pushed by its own b, not by the new one's."
MISTAKES = {
    "this is the function as it was given. Step two tokens by hand.": steps.stepping(
        steps.other(steps.late), True
    ),
    f"{FIRST} And {DECAY}": steps.stepping(steps.other(steps.plain), True),
    f"{FIRST} And {OWN_B}": steps.stepping(steps.other(lambda t: t.alpha * steps.late(t)), True),
    FIRST: steps.stepping(steps.right, True),
    f"{DECAY} And {OWN_B}": steps.stepping(steps.other(steps.late)),
    DECAY: steps.stepping(steps.other(steps.plain)),
    OWN_B: steps.stepping(steps.other(lambda t: t.alpha * steps.late(t))),
    "your shares are exchanged: weight is that of the step's end.": tuple(
        steps.stepping(
            lambda t: t.alpha * (t.h + t.share * t.delta * t.old) + (1 - t.share) * t.delta * t.new,
            wraps,
        )
        for wraps in (False, True)
    ),
    "you take the share or the length of the step before for the old push. It counts at the start "
    "of *this* step.": (
        steps.stepping(steps.other(lambda t: t.alpha * (1 - t.before.share) * t.delta * t.old)),
        steps.stepping(steps.other(lambda t: t.alpha * (1 - t.share) * t.before.delta * t.old)),
        steps.stepping(
            steps.other(lambda t: t.alpha * (1 - t.before.share) * t.before.delta * t.old)
        ),
    ),
    "your old push decays by another step's alpha, or twice. It decays during *this* step.": (
        steps.stepping(steps.other(lambda t: t.before.alpha * steps.plain(t))),
        steps.stepping(steps.other(lambda t: t.alpha * steps.decayed(t))),
    ),
    "your alpha grows: a is below 0 already.": steps.stepping(
        lambda t: (t.h + steps.plain(t)) / t.alpha + t.share * t.delta * t.new
    ),
    "you let the new push decay. It comes at the end of the step.": tuple(
        steps.stepping(steps.other(old, lambda t: t.alpha * t.share * t.delta * t.new))
        for old in (steps.decayed, steps.plain)
    ),
    "your new push isn't weighed as it should be: by its share, and by the length of the step.": (
        steps.stepping(steps.other(steps.decayed, lambda t: t.share * t.new)),
        steps.stepping(steps.other(steps.decayed, lambda t: t.delta * t.new)),
        steps.stepping(steps.other(steps.decayed, lambda t: (1 - t.share) * t.delta * t.new)),
        steps.stepping(steps.other(steps.decayed, lambda t: t.new)),
    ),
    "you take half for each share. Every token brings its own.": steps.stepping(
        lambda t: t.alpha * (t.h + t.delta * t.old / 2) + t.delta * t.new / 2
    ),
    "your alpha is Euler's, 1 + aΔ.": euler,
    "you leave out the old push: that is Mamba's step, weighed.": steps.stepping(
        steps.other(lambda t: 0)
    ),
    "your old push is the new token's, with the b of the old one, or with its own.": (
        steps.stepping(steps.other(lambda t: t.alpha * (1 - t.share) * t.delta * t.crossed)),
        steps.stepping(steps.other(lambda t: t.alpha * (1 - t.share) * t.delta * t.new)),
        steps.stepping(
            lambda t: steps.right(t) + t.first * t.alpha * (1 - t.share) * t.delta * t.new
        ),
    ),
    "your first state is made otherwise. The same step holds, with nothing pushed before.": (
        steps.stepping(lambda t: t.new if t.first else steps.right(t)),
        steps.stepping(lambda t: t.delta * t.new if t.first else steps.right(t)),
        steps.stepping(lambda t: 0.0 if t.first else steps.right(t)),
    ),
    "there is one state for each token, from the first token's to the last one's.": (
        lambda *given: kept(*given)[1:],
        lambda *given: kept(*given)[-1:],
        lambda *given: [0.0, *kept(*given)],
    ),
    "the old push isn't weighed as it should be: by its share, and by the length of the step.": (
        steps.stepping(steps.other(lambda t: t.alpha * (1 - t.share) * t.old)),
        steps.stepping(steps.other(lambda t: t.alpha * t.delta * t.old)),
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
