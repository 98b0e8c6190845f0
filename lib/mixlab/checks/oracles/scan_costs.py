"""What exercise 17.5 must return: work and depth by the bits of the length."""

from collections.abc import Callable

import numpy as np

from mixlab.checks.oracles import Misconception, Oracle


def _costs(length):
    rounds = (length - 1).bit_length()
    bits = length.bit_length()
    second = 0 if length < 2 else (length >> (bits - 2)) & 1
    depth = 0 if length == 1 else 2 * (bits - 1) - 1 + second
    work = 2 * length - length.bit_count() - bits
    return np.array([rounds * length - 2**rounds + 1, rounds, work, depth])


def _costs_but(**changed: Callable) -> Callable:
    """The right costs, with some of the four computed in another way."""

    def gives(length):
        names = ("doubling", "rounds", "tree", "up_and_down")
        right = zip(names, _costs(length).tolist(), strict=True)
        return np.array([changed[name](length) if name in changed else n for name, n in right])

    return gives


def _floor_log(length):
    return length.bit_length() - 1


EXERCISES = {
    "17.5": Oracle(
        expected=_costs,
        show=lambda length: f"costs({length})",
        place=lambda index: (
            "Hillis and Steele's work",
            "Hillis and Steele's depth",
            "Blelloch's work",
            "Blelloch's depth",
        )[index[0]],
        examples=((8,), (5,), (12,), (1,), (2,)),
        misconceptions=(
            Misconception(
                "Hillis and Steele: you let every place work in every round. In the round with "
                "reach r the first r places have nothing before them to read.",
                _costs_but(doubling=lambda n: n * (n - 1).bit_length()),
            ),
            Misconception(
                "Hillis and Steele: for a length between two powers of two the rounds are rounded "
                "up, not down: 5 items need reach 4 as well.",
                _costs_but(
                    doubling=lambda n: _floor_log(n) * n - 2 ** _floor_log(n) + 1,
                    rounds=_floor_log,
                ),
            ),
            Misconception(
                "Hillis and Steele: after k rounds it is 2^k − 1 applications that were saved, "
                "not length − 1; the two agree for powers of two only.",
                _costs_but(doubling=lambda n: n * (n - 1).bit_length() - n + 1),
            ),
            Misconception(
                "Blelloch: those are the formulas for powers of two with the logarithm rounded "
                "down. Count the recursion for 5: two pairs, the scan of two, two left to fill in.",
                _costs_but(
                    tree=lambda n: 2 * n - _floor_log(n) - 2,
                    up_and_down=lambda n: max(0, 2 * _floor_log(n) - 1),
                ),
            ),
            Misconception(
                "Blelloch: those are the formulas for powers of two with the logarithm rounded "
                "up. Count the recursion for 5: two pairs, the scan of two, two left to fill in.",
                _costs_but(
                    tree=lambda n: max(0, 2 * n - (n - 1).bit_length() - 2),
                    up_and_down=lambda n: max(0, 2 * (n - 1).bit_length() - 1),
                ),
            ),
            Misconception(
                "Blelloch: you count only the way up. The way down fills in every other place.",
                _costs_but(
                    tree=lambda n: n - n.bit_count(),
                    up_and_down=_floor_log,
                ),
            ),
            Misconception(
                "Blelloch: for two items the way down has nothing to do, so it is no round.",
                _costs_but(up_and_down=lambda n: 2 * _floor_log(n)),
            ),
            Misconception(
                "Blelloch: place 0 needs nothing on the way down, so ⌈L/2⌉ − 1 places are filled "
                "in, one less than you count.",
                _costs_but(tree=lambda n: 2 * n - n.bit_count() - 1),
            ),
        ),
    ),
}
