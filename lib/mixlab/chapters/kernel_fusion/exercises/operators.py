"""Operators that may be scanned and operators that may not: two whole numbers, 0 to 8, to one."""

LARGEST = 8
ALL = range(LARGEST + 1)


def lines(a, b, n):
    """A straight line after a straight line, slope and height modulo 3, each pair as one number."""
    return a // 3 * (b // 3) % 3 * 3 + (a % 3 * (b // 3) + b) % 3


def but(made, first, second):
    """As `made`, but of one pair it is n."""
    return lambda a, b, n: n if (a, b) == (first, second) else made(a, b)


def latter(a, b):
    return b


# n is a number of the family's own. The first of the NUMBERS is in the check, where everybody may
# read it; another is drawn when an answer is graded.
FAMILIES = {
    "the sum and {n}, modulo 9": lambda a, b, n: (a + b + n) % 9,
    "the first": lambda a, b, n: a,
    "the second": lambda a, b, n: b,
    "the greater, but at least {n}": lambda a, b, n: max(a, b, n),
    "the sum, at most 8": lambda a, b, n: min(a + b, 8),
    "the product, modulo 9": lambda a, b, n: a * b % 9,
    "a straight line after a straight line, both in code": lines,
    "half of the first and the second, modulo 9": lambda a, b, n: (a // 2 + b) % 9,
    "{n} times the first and the second, modulo 9": lambda a, b, n: (n * a + b) % 9,
    "the first and {n} times the second, modulo 9": lambda a, b, n: (a + n * b) % 9,
    "the mean, rounded down": lambda a, b, n: (a + b) // 2,
    "how far apart they are": lambda a, b, n: abs(a - b),
    "the first less the second, modulo 9": lambda a, b, n: (a - b) % 9,
    "the greater, but of 8 and 8 it is {n}": but(max, 8, 8),
    "the second, but of 8 and 5 it is {n}": but(latter, 8, 5),
    "the second, but of 0 and 1 it is {n}": but(latter, 0, 1),
    "the smaller, but of 6 and 7 it is {n}": but(min, 6, 7),
    "the greater, but of 7 and 6 it is {n}": but(max, 7, 6),
    "the second, but of 5 and 7 it is {n}": but(latter, 5, 7),
    "the greater, but of 0 and 0 it is {n}": but(max, 0, 0),
}
RIGHT = 7  # so many of them, the first, are associative


def numbers_of(family):
    return (2, 3, 4) if "{n}" in family else (0,)


def operator_of(family, n):
    """An operator of this family: the same code for all."""

    def operator(a, b, made=FAMILIES[family]):
        for number in (a, b):
            if not (0 <= number <= LARGEST and number == int(number)):
                raise ValueError(f"these operators take whole numbers from 0 to 8: got {number}")
        return made(int(a), int(b), n)

    operator.__doc__ = family.format(n=n)
    return operator
