"""What listens to a signal and keeps three numbers: weights of every sample, for every length."""

import math
from functools import cache

import numpy as np

LONGEST = 40  # samples
SCALE = np.sqrt([1.0, 3.0, 5.0])


def integrals(s):
    """Of the polynomials p_0, p_1, p_2, from 0 to s."""
    return SCALE * np.stack((s, s**2 - s, 2 * s**3 - 3 * s**2 + s), axis=-1)


def values(s):
    return SCALE * np.stack((s**0, 2 * s - 1, 6 * s**2 - 6 * s + 1), axis=-1)


@cache
def whole(n):
    """(n, 3): how much each of n samples brings to each number of the best parabola."""
    return np.diff(integrals(np.arange(n + 1) / n), axis=0)


def between(edges):
    return np.diff(integrals(edges), axis=0)


def stepped(n, step):
    """Weights left by a rule that leads from k samples to k + 1 by A and B."""
    A, B = np.tril(-np.outer(SCALE, SCALE), -1) - np.diag([1.0, 2, 3]), SCALE
    weights = np.array([[1.0, 0, 0]])
    for k in range(1, n):
        keeps, lets_in = step(A, B, k)
        weights = np.vstack((weights @ keeps.T, lets_in))
    return weights


def euler(A, B, k):
    return np.eye(3) + A / k, B / k


def bilinear(A, B, k):
    after = np.eye(3) - A / (2 * k + 2)
    both = np.column_stack((np.eye(3) + A / (2 * k), B * (1 / k + 1 / (k + 1)) / 2))
    solved = np.linalg.solve(after, both)
    return solved[:, :3], solved[:, 3]


def last(n, most):
    """The best parabola over the newest samples alone."""
    return np.vstack((np.zeros((max(0, n - most), 3)), whole(min(n, most))))


def first(n, most):
    return np.vstack((whole(min(n, most)), np.zeros((max(0, n - most), 3))))


def changed(weights, sample, number, by):
    """One weight is another."""
    weights = weights.copy()
    weights[sample, number] += by
    return weights


def middles(n):
    return (np.arange(n) + 0.5) / n


# From a length and a number of the family's own to weights; that number is the first of its NUMBERS
# in the check, where everybody may read it, and drawn when an answer is graded.
FAMILIES = {
    "the whole past, projected anew": lambda n, m: whole(n),
    "the whole past, rounded in the tenth digit": lambda n, m: whole(n) * (1 + m * 1e-10),
    "the polynomials in the middle of each sample": lambda n, m: values(middles(n)) / n,
    "the polynomials where a sample begins": lambda n, m: values(np.arange(n) / n) / n,
    "the newest {m} samples": last,
    "the first {m} samples": first,
    "no 1/t: a sample fades by 1/e in {m}": lambda n, m: between(np.exp(-np.arange(n, -1, -1) / m)),
    "Euler's rule": lambda n, m: stepped(n, euler),
    "the bilinear rule": lambda n, m: stepped(n, bilinear),
    "polynomials without their factors": lambda n, m: whole(n) / SCALE,
    "factors 3 and 5, not their roots": lambda n, m: whole(n) * SCALE,
    "the newest sample first": lambda n, m: whole(n)[::-1],
    "the last number always 0": lambda n, m: whole(n) * [1, 1, 0],
    "the signs of the last two exchanged": lambda n, m: whole(n) * [1, -1, -1],
    "a part of the second number added to the third, and taken from it": lambda n, m: (
        whole(n) @ [[1, 0, 0], [0, 0.9, 0.1], [0, 0, 1]]
    ),
    "all numbers half a hundredth too small": lambda n, m: whole(n) * 0.995,
    "nothing, where there is a single sample": lambda n, m: whole(n) * (n > 1),
    "sums, not means": lambda n, m: whole(n) * n,
    "one sample too few where there are {m}": lambda n, m: first(n, n - (n == m > 1)),
    "wrong from {m} samples on": lambda n, m: whole(n) * (1 + 0.05 * (n >= m)),
    "sample {m} counts twice, unless it is the newest": lambda n, m: (
        changed(whole(n), m, 0, 1 / n) if n > m + 1 else whole(n)
    ),
    "right for constants: two samples exchange a little of their weight": lambda n, m: changed(
        changed(whole(n), 0, 2, 0.1), n - 1, 2, -0.1
    ),
}
NUMBERS = {
    "the whole past, rounded in the tenth digit": (1, -1, 2, 3),
    "the newest {m} samples": (16, 12, 20, 25, 30, 39),
    "the first {m} samples": (20, 15, 25, 32, 39),
    "no 1/t: a sample fades by 1/e in {m}": (10, 5, 8, 15, 20),
    "one sample too few where there are {m}": (7, 5, 9, 13, 18, 23),
    "wrong from {m} samples on": (40, 31, 34, 37, 39),
    "sample {m} counts twice, unless it is the newest": (3, 1, 2, 5, 8, 11),
}


def numbers_of(family):
    return NUMBERS.get(family, (0,))


@cache
def tables(family, m):
    return [FAMILIES[family](n, m) for n in range(1, LONGEST + 1)]


def memory_of(family, m):
    """A memory of this family: the same code for all, whose weights were written down before."""
    table = tables(family, m)

    def remember(samples):
        x = [float(value) for value in samples]
        if not 1 <= len(x) <= LONGEST or not all(map(math.isfinite, x)):
            raise ValueError(
                f"these memories take 1 to {LONGEST} samples, which are numbers: got {len(x)}"
            )
        return (np.array(x) @ table[len(x) - 1]).tolist()

    remember.__doc__ = family.format(m=m)
    return remember
