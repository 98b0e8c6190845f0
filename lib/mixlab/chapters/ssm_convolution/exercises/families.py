"""Layers that have a kernel and layers that haven't: what each makes of a list of whole numbers."""

LONGEST, GREATEST = 12, 9  # tokens, the greatest number in a list


def slid(K, x):
    """y_t = Σ_j K_j x_{t−j}, exactly."""
    return [sum(K[j] * x[t - j] for j in range(min(t + 1, len(K)))) for t in range(len(x))]


def round_the_end(K, x, places):
    """The same on a circle."""
    row = x + [0] * (places - len(x))
    return [sum(K[j] * row[(t - j) % places] for j in range(len(K))) for t in range(len(x))]


def stepped(x, factor, enters=lambda t: 1, kept=lambda h: h):
    """h_t = factor(t) h_{t−1} + enters(t) x_t, and what is kept of it."""
    h, y = 0, []
    for t, x_t in enumerate(x):
        h = kept(factor(t) * h + enters(t) * x_t)
        y.append(h)
    return y


def changed(y, at, by):
    return [y_t + by * (t == at) for t, y_t in enumerate(y)]


def exchanged(y, n):
    return y if len(y) < n + 2 else [*y[:n], y[n + 1], y[n], *y[n + 2 :]]


FEW, MANY = [3, -2, 1], [5, 1, -3, 2, 2, -1, 4, 0, 1, 1, -2, 6]
HUGE = [10**12 * 19**j for j in range(4)]  # no sum of theirs is small

# What a layer makes of x; n is a number of the family's own. The first of the NUMBERS is in the
# check, where everybody may read it; another is drawn when an answer is graded.
FAMILIES = {
    "a kernel of three taps": lambda x, n: slid([n, -2, 1], x),
    "a kernel of twelve taps": lambda x, n: slid([n, *MANY[1:]], x),
    "a recurrence that doubles": lambda x, n: stepped(x, lambda t: 2, lambda t: n),
    "a delay of {n} tokens": lambda x, n: ([0] * n + x)[: len(x)],
    "the input as it is, and nothing else": lambda x, n: x,
    "huge taps": lambda x, n: slid([n, *HUGE], x),
    "no output but 0": lambda x, n: [0] * len(x),
    "a circle with as many places as tokens": lambda x, n: round_the_end(
        [n, -2, 1][: len(x)], x, len(x)
    ),
    "a circle of 16 places under twelve taps": lambda x, n: round_the_end([n, *MANY[1:]], x, 16),
    "a kernel that reaches one token ahead": lambda x, n: [
        n * here + after for here, after in zip(x, [*x[1:], 0], strict=True)
    ],
    "a kernel, and {n} added": lambda x, n: [y_t + n for y_t in slid(FEW, x)],
    "a kernel, and {n} added in lists of 7": lambda x, n: [
        y_t + n * (len(x) == 7) for y_t in slid(FEW, x)
    ],
    "sizes without signs": lambda x, n: slid([n, 1], [abs(x_t) for x_t in x]),
    "a kernel, but nothing above {n}": lambda x, n: [min(y_t, n) for y_t in slid(FEW, x)],
    "a kernel, but inputs below 0 count for nothing": lambda x, n: slid(
        [n, 1], [max(0, x_t) for x_t in x]
    ),
    "a step that forgets at token {n}": lambda x, n: stepped(x, lambda t: 2 * (t != n)),
    "a step that doubles at even tokens only": lambda x, n: stepped(
        x, lambda t: 1 + (t % 2 == 0), lambda t: n
    ),
    "inputs from token {n} on count twice": lambda x, n: slid(
        FEW, [x_t * (1 + (t >= n)) for t, x_t in enumerate(x)]
    ),
    "one tap more in lists of {n} and longer": lambda x, n: slid([*FEW, len(x) >= n], x),
    "the kernel turned round": lambda x, n: slid([n, 1, -3], x[::-1])[::-1],
    "outputs divided by the number of tokens": lambda x, n: [
        y_t // len(x) for y_t in slid([12 * n, 60], x)
    ],
    "a single token is doubled": lambda x, n: slid([2 if len(x) == 1 else n], x),
    "in lists of twelve the last output is one more": lambda x, n: changed(
        slid([n, 2], x), LONGEST - 1, 1
    ),
    "huge taps, and at token {n} one more": lambda x, n: changed(slid(HUGE, x), n, 1),
    "the output of token {n} exchanged with the next": lambda x, n: exchanged(slid(FEW, x), n),
    "an output that remembers the greatest so far": lambda x, n: [
        max(x[: t + 1]) + n * x_t for t, x_t in enumerate(x)
    ],
    "a kernel, and one more where an input is odd": lambda x, n: [
        y_t + x_t % 2 for y_t, x_t in zip(slid([n, 2], x), x, strict=True)
    ],
    "products of neighbours": lambda x, n: [
        n * x_t + x_t * before for x_t, before in zip(x, [0, *x[:-1]], strict=True)
    ],
}
RIGHT = 7
NUMBERS = {
    "a delay of {n} tokens": (1, 2, 5, 11),
    "a kernel, but nothing above {n}": (12, 8, 15, 20),
    "a step that forgets at token {n}": (5, 1, 3, 8, 10),
    "inputs from token {n} on count twice": (6, 1, 3, 9, 11),
    "one tap more in lists of {n} and longer": (9, 5, 6, 11, 12),
    "huge taps, and at token {n} one more": (4, 3, 7, 10),
    "the output of token {n} exchanged with the next": (5, 3, 4, 8),
    "a kernel, and {n} added": (1, -3, 4),
    "a kernel, and {n} added in lists of 7": (1, -3, 4),
}


def numbers_of(family):
    return NUMBERS.get(family, (3, 4, 5, 7))


def layer_of(family, n):
    """A layer of this family: the same code for all."""

    def layer(x, made=FAMILIES[family]):
        x = [int(x_t) for x_t in x]
        if not 1 <= len(x) <= LONGEST or max(map(abs, x)) > GREATEST:
            raise ValueError(
                f"these layers take 1 to {LONGEST} whole numbers from -{GREATEST} to {GREATEST}: "
                f"got {x}"
            )
        return list(made(x, n))

    layer.__doc__ = family.format(n=n)
    return layer
