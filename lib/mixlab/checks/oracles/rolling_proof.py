"""What exercise 04.6 must return: which of the caches keep the window's rule."""

import numpy as np

from mixlab.checks.cases.rolling_rings import CACHES
from mixlab.checks.oracles import Misconception, Oracle


def _wanted(window, position):
    return list(range(max(0, position - window + 1), position + 1))


def _judge(
    windows=range(1, 12), tokens=lambda w: 4 * w + 2, read=sorted, first=lambda w: 0, half=None
):
    """A test that tries some windows on texts of some lengths.

    Args:
        windows: that it tries.
        tokens: maps a window to how many tokens are fed.
        read: what of the handed list it compares.
        first: maps a window to the first token that it looks at.
        half: how the set of what is wanted has to lie to the set of what is handed over, instead.
    """

    def verdict(make_cache):
        for window in windows:
            see = make_cache(window)
            handed = [see(position) for position in range(tokens(window))]
            for position in range(first(window), tokens(window)):
                wanted = _wanted(window, position)
                if half and half(set(wanted), set(handed[position])):
                    continue
                if half or read(handed[position]) != read(wanted):
                    return np.array(False)
        return np.array(True)

    return verdict


_SOME_WINDOWS = (
    "your test tries too few windows. Some caches are right at those and wrong at another: "
    "try all from 1 to 9."
)
_SUMMARIES = (
    lambda keys: (sum(keys), len(keys)),
    lambda keys: (min(keys, default=0), max(keys, default=0), len(keys)),
    lambda keys: (min(keys, default=0), max(keys, default=0), len(keys), sum(keys)),
)
_FULL_RING = (
    "your test looks at full rings only. Some caches go wrong before: begin with the first token."
)

EXERCISES = {
    "04.6": Oracle(
        expected=_judge(),
        show=lambda make: f"is_rolling on a cache that hands over {make.__doc__}",
        place=lambda index: "",
        name=lambda value: "True (accept)" if value else "False (reject)",
        examples=tuple((make,) for make in CACHES),
        misconceptions=(
            Misconception(
                "your test accepts everything. Does it return False anywhere?",
                lambda make: np.array(True),
            ),
            Misconception(
                "your test rejects everything, right caches too. Print the first token at which "
                "it thinks that the rule is broken.",
                lambda make: np.array(False),
            ),
            Misconception(
                "your test insists on the oldest key first. One query may read its keys in any "
                "order: compare without order.",
                _judge(read=list),
            ),
            Misconception(
                "your test compares sets, and a set forgets that a key was handed over twice. "
                "Twice read, it has twice the weight.",
                _judge(read=set),
            ),
            Misconception(
                "your test counts the keys, and a cache can hand over the right number of wrong "
                "ones: compare the positions.",
                _judge(read=len),
            ),
            *(
                Misconception(
                    "your test compares numbers made of the keys, their sum, the smallest, how "
                    "many. Other keys can give the same numbers: compare the positions themselves.",
                    _judge(windows, tokens=tokens, read=read),
                )
                for read in _SUMMARIES
                for windows in (range(1, 10), (1, 6))
                for tokens in (lambda w: 33, lambda w: 40)
            ),
            Misconception(
                "your test doesn't fill the ring beyond its first wrap. That is where rings fail.",
                _judge(tokens=lambda w: w),
            ),
            Misconception(
                "your test stops before the ring has wrapped twice. Some rings survive the first "
                "wrap: give them more than 2 W tokens.",
                _judge(tokens=lambda w: 2 * w),
            ),
            Misconception(
                "your test tries windows that are powers of two only, and `p & (W - 1)` is right "
                "there: try the others.",
                _judge((1, 2, 4, 8)),
            ),
            Misconception(
                "your test leaves out W = 1, where a token sees itself and nothing else.",
                _judge(range(2, 12)),
            ),
            *(
                Misconception(_SOME_WINDOWS, _judge(windows, tokens))
                for tokens in (lambda w: 4 * w + 2, lambda w: 40)
                for windows in (
                    *((w,) for w in range(1, 10)),
                    *(range(low, high) for low in (1, 2, 3) for high in (4, 5)),
                    range(3, 10),
                    *(range(1, high) for high in (6, 7)),
                    (1, 6),
                    (1, 2, 4, 6),
                    (1, 2, 3, 5, 8),
                    range(1, 10, 2),
                    range(2, 10, 2),
                )
            ),
            Misconception(_FULL_RING, _judge(first=lambda w: w)),
            *(
                Misconception(
                    _FULL_RING,
                    _judge(
                        range(1, widest + 1),
                        tokens=lambda w, n=n: n * w,
                        first=lambda w, n=n: n * w - 1,
                    ),
                )
                for n in (2, 3, 4)
                for widest in (8, 9)
            ),
            *(
                Misconception(
                    "your test asks for one half of the rule: every key of the window is handed "
                    f"over, and no other one. It accepts caches that hand over {what}.",
                    _judge(tokens=lambda w: 40, half=half),
                )
                for what, half in (("too little", set.issuperset), ("too much", set.issubset))
            ),
            Misconception(
                "your test stops before a text gets long. Some caches lose count late: forty "
                "tokens find them all.",
                _judge(tokens=lambda w: 3 * w, windows=range(1, 10)),
            ),
        ),
    ),
}
