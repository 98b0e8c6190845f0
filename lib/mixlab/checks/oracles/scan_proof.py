"""What exercise 17.4 must return: which of the scans give the prefixes of everything."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from mixlab.checks.cases.scan_suspects import LONGEST, hand_out
from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.scan_makers import described

_ALL = range(1, LONGEST + 1)


def _joined(x, y):
    return f"{x}-{y}"


def _judge(
    operator: Callable = _joined,
    make: Callable = str,
    lengths: Sequence[int] = _ALL,
    agree: Callable = lambda got, wanted: got == wanted,
) -> Callable:
    """A test that tries one operator on lists of some lengths.

    Args:
        operator: that it tries.
        make: maps a place to the item there.
        lengths: of the lists.
        agree: how it compares a scan's result with a loop's.
    """

    def verdict(scan):
        for length in lengths:
            items = [make(t) for t in range(length)]
            if not agree(scan(operator, items), list(accumulate(items, operator))):
                return np.array(False)
        return np.array(True)

    return verdict


def _union(x, y):
    return x | y


def _alone(t):
    return frozenset([t])


def _hidden(operator: Callable) -> tuple[Callable, ...]:
    """Tests that can't see the order, on whole numbers small and large, equal and not."""
    makes = (lambda t: t + 1, lambda t: 7 * t % 11 + 2, lambda t: 3**t)
    return tuple(_judge(operator, make) for make in makes)


_SOME_LENGTHS = (
    "your test tries too few lengths. Some scans are right at those and wrong at another: try all "
    f"from 1 to {LONGEST}."
)

EXERCISES = {
    "17.4": Oracle(
        expected=_judge(),
        show=lambda scan: f"is_scan on this scan: {described(scan)}",
        place=lambda index: "",
        name=lambda value: "True (accept)" if value else "False (reject)",
        examples=tuple((scan,) for scan in hand_out()),
        misconceptions=(
            Misconception(
                "your test accepts everything. Does it return False anywhere?",
                lambda scan: np.array(True),
            ),
            Misconception(
                "your test rejects everything, right scans too. Print the first prefix at which "
                "it thinks that one is wrong.",
                lambda scan: np.array(False),
            ),
            *(
                Misconception(
                    "your test can't see the order: for its operator x ∘ y = y ∘ x. Scans that "
                    "put the later item in front pass. Join letters, or pairs of the leaky bucket.",
                    judge,
                )
                for judge in (
                    *_hidden(lambda x, y: x + y),
                    *_hidden(lambda x, y: x * y),
                    *_hidden(max),
                    _judge(_union, _alone),
                )
            ),
            Misconception(
                "your test compares the prefixes as a set. They have to come in order.",
                _judge(agree=lambda got, wanted: set(got) == set(wanted)),
            ),
            Misconception(
                "your test refuses right scans, all but the loop: its operator isn't associative, "
                "and a scan may move brackets. (5 − 3) − 1 isn't 5 − (3 − 1).",
                _judge(lambda x, y: x - y, lambda t: t + 1),
            ),
            Misconception(
                "your test refuses right scans, all but the loop. Floats round elsewhere when "
                "brackets move: take whole numbers, or letters, and `==` is right. Or its "
                "operator isn't associative, as a mean isn't.",
                _judge(lambda x, y: x + y, lambda t: 0.1 * (t + 1)),
            ),
            Misconception(
                "your test looks at the last prefix only. A scan gives them all.",
                _judge(agree=lambda got, wanted: got[-1:] == wanted[-1:]),
            ),
            Misconception(
                "your test doesn't count the prefixes: `zip` stops where the shorter list ends.",
                _judge(agree=lambda got, wanted: got == wanted[: len(got)]),
            ),
            Misconception(
                "your test leaves out the shortest list, of one item.",
                _judge(lengths=range(2, LONGEST + 1)),
            ),
            Misconception(
                "your test tries powers of two only, where every pair has its partner.",
                _judge(lengths=(1, 2, 4, 8, 16, 32)),
            ),
            *(
                Misconception(_SOME_LENGTHS, _judge(lengths=lengths))
                for lengths in (
                    *((n,) for n in range(1, LONGEST + 1)),
                    *(range(low, high) for low in (1, 2) for high in (5, 9, 11, 17, 18, 21, 33)),
                    (1, 2, 33),
                    (1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 40),
                    range(1, LONGEST + 1, 2),
                    range(2, LONGEST + 1, 2),
                )
            ),
        ),
    ),
}
