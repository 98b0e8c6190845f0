"""Steps that are lines and steps that aren't: what each makes of a state of two numbers."""

WIDEST = 20  # the greatest number in a state


def line(x, y, n):
    return [2 * x - y + 3, x + n * y - 1]


# What a step makes of (x, y); n is a number of the family's own. The first of the NUMBERS is in the
# check, where everybody may read it; another is drawn when an answer is graded.
FAMILIES = {
    "a matrix and a vector": line,
    "a matrix alone": lambda x, y, n: [n * x + y, 3 * y - x],
    "nothing but a vector, whatever the state": lambda x, y, n: [n, -2],
    "the two numbers exchanged, and {n} added": lambda x, y, n: [y + n, x],
    "a matrix and a vector, all large": lambda x, y, n: [10**9 * x + n, y - 10**12],
    "a line, and x · y added": lambda x, y, n: [line(x, y, n)[0], line(x, y, n)[1] + x * y],
    "a line, and x · (x - 1) taken from one number and given to the other": lambda x, y, n: [
        line(x, y, n)[0] + x * (x - 1),
        line(x, y, n)[1] - x * (x - 1),
    ],
    "a line, and y³ - y added": lambda x, y, n: [line(x, y, n)[0], n * x + y**3 - y],
    "the size of x, without its sign": lambda x, y, n: [abs(x) + n, y],
    "a brim: nothing above {n}": lambda x, y, n: [min(x + y, n), y],
    "a floor: nothing below -{n}": lambda x, y, n: [x, max(y, -n)],
    "the greater of the two": lambda x, y, n: [max(x, y), x + n * y],
    "half of x, rounded down": lambda x, y, n: [x // 2, y + n],
    "another matrix where x is even": lambda x, y, n: [x + n * y if x % 2 else x - y, y],
    "a line, and x · y · (x - y) added": lambda x, y, n: [x + y + x * y * (x - y), n * y],
    "a line, but at the state (13, -{n}) one more": lambda x, y, n: [
        line(x, y, n)[0] + (x == 13 and y == -n),
        line(x, y, n)[1],
    ],
    "a line, but at x = -{n} the second number one less": lambda x, y, n: [
        line(x, y, n)[0],
        line(x, y, n)[1] - (x == -n),
    ],
    "a line, but at y = 20 one more": lambda x, y, n: [x + n * y + (y == WIDEST), y],
    "a line, and at x = y one more": lambda x, y, n: [x + 2 * y + (x == y), n * y],
    "a line, and where both are below 0 one more": lambda x, y, n: [
        10**9 * x - n * y + (x < 0 and y < 0),
        y,
    ],
}
NUMBERS = {
    "a brim: nothing above {n}": (9, 8, 10, 12, 15),
    "a floor: nothing below -{n}": (7, 8, 11, 14),
    "a line, but at the state (13, -{n}) one more": (4, 7, 11, 16),
    "a line, but at x = -{n} the second number one less": (6, 9, 12, 17),
}


def numbers_of(family):
    return NUMBERS.get(family, (2, 3, 4, 5))


def step_of(family, n):
    """A step of this family: the same code for all."""

    def step(h, made=FAMILIES[family]):
        x, y = (int(number) for number in h)
        if max(abs(x), abs(y)) > WIDEST or [x, y] != [*h]:
            raise ValueError(
                f"these steps take two whole numbers from -{WIDEST} to {WIDEST}: got {h}"
            )
        return made(x, y, n)

    step.__doc__ = family.format(n=n)
    return step
