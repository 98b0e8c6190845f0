"""13.6 Prove by test: is this rule of second order?"""

from math import cos, exp, sin

import numpy as np

from mixlab.chapters.state_space_models.exercises.rules import FAMILIES, numbers_of, rule_of
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(rule_of, FAMILIES, numbers_of, again=5),
    hints=(
        "You need an input whose true answer you know, and it must move: with an input that stands "
        "still, or without any, a held sample is as good as two.",
        "Try a = -1 and x(t) = t. From h(0) = 0 the truth is h(t) = t - 1 + exp(-t). Step to t = 1 "
        "with 100 and with 200 steps: by what is the error divided?",
        "By about 4 for order 2, by 2 for order 1, by 1 for a rule that goes elsewhere: ask for "
        "more than 3. An error of 1e-12 is none; don't divide by it.",
    ),
)

# --- kept back while grading ---


def stepped(rule, a, x, h, duration, n):
    delta = duration / n
    for k in range(n):
        h = rule(a, delta, x(k * delta), x((k + 1) * delta), h)
    return h


def wave(a, t, start=0.5):
    """h(t) of h' = a h + cos t."""
    forced = (sin(t) - a * cos(t)) / (1 + a * a)
    return forced + (start + a / (1 + a * a)) * exp(a * t)


def errors(rule, counts=(50, 100), a=-1.0, x=cos, truth=wave, start=0.5, duration=2.0):
    return [abs(stepped(rule, a, x, start, duration, n) - truth(a, duration)) for n in counts]


def by_quotient(rule):
    """Half the step, a quarter of the error."""
    coarse, fine = errors(rule)
    return fine < 1e-11 or coarse / fine > 3


def by_slope(rule):
    """The slope of logarithms, on an input that goes straight, for two rates."""

    def line(a, t):
        return -t / a - 1 / a**2 + (2 + 1 / a**2) * exp(a * t)

    for a in (-0.7, -2.0):
        found = errors(rule, (40, 80, 160), a, lambda t: t, line, 2.0, 1.0)
        slope = np.polyfit(np.log([1 / 40, 1 / 80, 1 / 160]), np.log(np.array(found) + 1e-13), 1)[0]
        if max(found) > 1e-9 and slope < 1.6:
            return False
    return True


def judging(least=3.0, **posed):
    """A test by the quotient of two errors, on another equation or with another border."""

    def judge(rule):
        coarse, fine = errors(rule, **posed)
        return fine < 1e-11 or coarse / fine > least

    return judge


def constant(a, t):
    return -1 / a + (0.5 + 1 / a) * exp(a * t)


def against_itself(rule):
    """Takes the rule's own fine steps for the truth."""
    runs = [stepped(rule, -1.0, cos, 0.5, 2.0, n) for n in (50, 100, 3200)]
    return abs(runs[0] - runs[2]) / max(abs(runs[1] - runs[2]), 1e-15) > 3


STILL = dict(x=lambda t: 1.0, truth=constant)
ALONE = dict(x=lambda t: 0.0, truth=lambda a, t: 0.5 * exp(a * t))

MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": (
        lambda rule: True,
        judging(least=0.5),
        lambda rule: errors(rule)[1] < 0.5,
        lambda rule: errors(rule)[1] < errors(rule)[0],
    ),
    "your test rejects every rule, or all but those with a quotient of just 4. Print the quotients "
    "that it finds: they come near to 4, from either side. Or is a sample in the wrong place?": (
        lambda rule: False,
        judging(least=5.0),
        lambda rule: errors(rule)[0] / max(errors(rule)[1], 1e-15) == 4,
        lambda rule: by_quotient(lambda a, d, old, new, h: rule(a, d, new, new, h)),
        lambda rule: by_quotient(lambda a, d, old, new, h: rule(a, d, old, old, h)),
    ),
    "your test says True for the rules of first order, and False for those of second.": (
        lambda rule: not by_quotient(rule)
    ),
    "your test has an input that stands still. Held or not, such an input is the same.": (
        judging(**STILL)
    ),
    "your test has no input. Without one many rules are right that aren't with one.": (
        judging(**ALONE)
    ),
    "your test takes the size of an error for its order. A rule's error may be large and of second "
    "order, or small and of first: how does it change with the step?": tuple(
        lambda rule, n=n, most=most: errors(rule, (n, n))[0] < most
        for n, most in ((50, 1e-3), (100, 1e-3), (100, 1e-4), (64, 1e-3), (200, 1e-4))
    ),
    "your test accepts whatever converges: an error that halves with the step is of first order.": (
        judging(least=1.5),
        lambda rule: errors(rule, (1000, 2000))[1] < 0.01,
    ),
    "your test takes the rule's own short steps for the truth. A rule may settle down elsewhere.": (
        against_itself
    ),
}


def advice(rule):
    """What this rule is like, in words that leave the finding to the reader."""
    if by_quotient(rule):
        return (
            "this rule is of second order. Print the errors that your test finds, and a quotient."
        )
    coarse, fine = errors(rule)
    if fine > 0.9 * coarse:
        return "this rule's error doesn't vanish with the step: it settles down beside the truth."
    if judging(**STILL)(rule):
        return "this rule is right for an input that stands still. What if it moves?"
    return (
        "half the step only halves this rule's error. At a few moments an error happens to vanish: "
        "look at several, or at another a."
    )


KNOWN = Known(
    right=(by_quotient, by_slope),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda rule: errors(rule)[0] / max(errors(rule)[1], 1e-15),
        "these rules take a below 0": lambda rule: rule(1.0, 0.1, 0.0, 0.1, 1.0) > 1,
    },
    show=lambda rule: f"is_second_order on {rule.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
