"""Layers that are linear and time-invariant, and layers that aren't, for 16.5."""

import math

MOST, LARGEST = 24, 50  # numbers, and the size of one


def convolved(kernel, x):
    """y_t = Σ_k K_k x_{t−k}, with a kernel that may be shorter than x."""
    return [sum(k * x[t - n] for n, k in enumerate(kernel[: t + 1])) for t in range(len(x))]


def stepped(factor, x, let_in=lambda t, value: value):
    """h ← factor · h + what is let in; a factor may depend on the place and the input."""
    h, y = 0.0, []
    for t, value in enumerate(x):
        h = factor(t, value) * h + let_in(t, value)
        y.append(h)
    return y


def turning(x):
    """A state of two numbers that turns."""
    h, y = 0j, []
    for value in x:
        h = 0.9 * complex(math.cos(1), math.sin(1)) * h + value
        y.append(h.real)
    return y


def bent(x, change):
    """An LTI layer whose outputs are changed, each by itself; t is the place."""
    return [change(t, y) for t, y in enumerate(convolved([1.0, 0.5, -0.25], x))]


# What a layer makes of x; n is a number of the family's own. The first of the NUMBERS is in the
# check, where everybody may read it; another is drawn when an answer is graded.
FAMILIES = {
    "a kernel of three taps": lambda x, n: convolved([1.0, -0.5, n / 4], x),
    "a state that leaks evenly": lambda x, n: stepped(lambda t, v: 1 - 1 / n, x),
    "a state of two numbers that turns": lambda x, n: turning(x),
    "a shift by {n} places": lambda x, n: ([0.0] * n + x)[: len(x)],
    "nothing but 0": lambda x, n: [0.0] * len(x),
    "running sums": lambda x, n: [sum(x[: t + 1]) for t in range(len(x))],
    "a Δ that follows the input": lambda x, n: stepped(
        lambda t, v: math.exp(-math.log1p(math.exp(v / 8))), x
    ),
    "a reset where the input is above {n}": lambda x, n: stepped(lambda t, v: float(v <= n), x),
    "a leak that changes with the place": lambda x, n: stepped(lambda t, v: 1 / (t + 1), x),
    "an LTI layer, and 1 added": lambda x, n: bent(x, lambda t, y: y + 1),
    "an LTI layer, and {n} added at the last place only": lambda x, n: bent(
        x, lambda t, y: y + n * (t == MOST - 1)
    ),
    "an LTI layer cut off beyond {n}": lambda x, n: bent(x, lambda t, y: max(-n, min(n, y))),
    "an LTI layer without its sign": lambda x, n: bent(x, lambda t, y: abs(y)),
    "an LTI layer, where outputs below 0 are 0": lambda x, n: bent(x, lambda t, y: max(0.0, y)),
    "an LTI layer whose outputs are rounded": lambda x, n: bent(x, lambda t, y: float(round(y))),
    "an LTI layer twice as loud from place {n} on": lambda x, n: bent(
        x, lambda t, y: y * (1 + (t >= n))
    ),
    "an LTI layer, silent at place {n} only": lambda x, n: bent(x, lambda t, y: y * (t != n)),
    "an LTI layer, silent at every second place": lambda x, n: bent(x, lambda t, y: y * (t % 2)),
    "products of neighbours": lambda x, n: [v * (x[t - 1] if t else 0) for t, v in enumerate(x)],
    "the largest so far": lambda x, n: [max(x[: t + 1]) for t in range(len(x))],
    "the mean so far": lambda x, n: [sum(x[: t + 1]) / (t + 1) for t in range(len(x))],
    "an LTI layer, but 9 more where an input is above 40": lambda x, n: [
        y + 9 * (v > 40) for y, v in zip(bent(x, lambda t, y: y), x, strict=True)
    ],
    "an LTI layer, but 0.4 less where an input is below -20": lambda x, n: [
        y - 0.4 * (v < -20) for y, v in zip(bent(x, lambda t, y: y), x, strict=True)
    ],
    "sizes without directions: as loud as the input, always above 0 or 0": lambda x, n: [
        math.sqrt(v * v) for v in x
    ],
}
NUMBERS = {
    "an LTI layer cut off beyond {n}": (20, 12, 25, 30),
    "a reset where the input is above {n}": (9, 12, 20, 30),
    "an LTI layer twice as loud from place {n} on": (17, 11, 14, 20),
    "an LTI layer, silent at place {n} only": (13, 9, 15, 18),
    "a shift by {n} places": (3, 2, 4, 5),
}


def numbers_of(family):
    return NUMBERS.get(family, (2, 3, 4, 5))


def layer_of(family, n):
    """A layer of this family: the same code for all."""

    def layer(x, made=FAMILIES[family]):
        numbers = [float(number) for number in x]
        if not 1 <= len(numbers) <= MOST or max(map(abs, numbers)) > LARGEST:
            raise ValueError(
                f"these layers take 1 to {MOST} numbers from -{LARGEST} to {LARGEST}: got "
                f"{len(numbers)}, the largest of them {max(map(abs, numbers), default=0):g}"
            )
        return [float(number) for number in made(numbers, n)]

    layer.__doc__ = family.format(n=n)
    return layer
