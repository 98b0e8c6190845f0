"""Ideas of what a step of Mamba-3's recurrence is, for 13.4."""

# --- kept back while grading ---

from math import exp
from types import SimpleNamespace


def stepping(step, wraps=False):
    """States by another idea of a step, which is handed all that belongs to it: h, alpha, delta and
    share; `old` and `new`, what the two tokens push; `mixed`, the old token with the new b, and
    `crossed`, the new one with the old b; `before`, all this of the step before. With `wraps` the
    last token stands before the first.
    """

    def states(a, b, x, delta, weight):
        rest = SimpleNamespace(b=0.0, x=0.0, alpha=1.0, delta=0.0, share=0.0)
        made = [
            SimpleNamespace(b=b_t, x=x_t, alpha=exp(a * d), delta=d, share=w)
            for b_t, x_t, d, w in zip(b, x, delta, weight, strict=True)
        ]
        h, found = 0.0, []
        for t, now in enumerate(made):
            old = now.before = made[t - 1] if t or wraps else rest
            now.h, now.old, now.new = h, old.b * old.x, now.b * now.x
            now.mixed, now.crossed, now.first = now.b * old.x, old.b * now.x, t == 0
            h = step(now)
            found.append(h)
        return found

    return states


def right(t):
    return t.alpha * (t.h + (1 - t.share) * t.delta * t.old) + t.share * t.delta * t.new


def other(old, new=lambda t: t.share * t.delta * t.new):
    """Another idea of what the old token's push adds, or the new one's."""
    return lambda t: t.alpha * t.h + old(t) + new(t)


def plain(t):
    return (1 - t.share) * t.delta * t.old


def decayed(t):
    return t.alpha * plain(t)


def late(t):
    return (1 - t.share) * t.delta * t.mixed
