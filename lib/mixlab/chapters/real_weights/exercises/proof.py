"""11.6 Prove by test: does a cache keep its sinks?"""

from collections import Counter
from operator import eq, ge, le

from mixlab.chapters.real_weights.exercises.suspects import FAMILIES, NUMBERS, cache_of, seen
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(cache_of, FAMILIES, lambda family: NUMBERS.get(family, (0,)), again=3),
    hints=(
        "For one window, one number of sinks and one position the rule gives a set of keys. Write "
        "it down, and compare it with what the cache hands over, in whatever order.",
        "Every wrong one shows itself at some window from 1 to 6 before position 30. Which numbers "
        "of sinks are special? None at all, and as many as leave one slot to roll.",
        "All windows from 1 to 6, all sinks from 0 to window - 1, all positions from 0 to 29: "
        "`sorted(see(...))` against the list of the positions j that the rule shows.",
    ),
)

# --- kept back while grading ---

WINDOWS, LENGTH = range(1, 7), 30


def judging(
    read=sorted,
    agrees=eq,
    windows=WINDOWS,
    sinks=range,
    positions=lambda w: range(LENGTH),
    rule=seen,
):
    """A test that tries some sizes, and looks at what it is handed in its own way."""

    def judge(see):
        return all(
            agrees(read(see(w, s, p)), read(rule(w, s, p)))
            for w in windows
            for s in sinks(w)
            if s < w
            for p in positions(w)
        )

    return judge


MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda see: True,
    "your test rejects everything, right caches too. Print the first key list that it finds "
    "wrong.": lambda see: False,
    "your test says True where it finds a fault, and False where it finds none.": (
        lambda see: not judging()(see)
    ),
    "your test insists on an order. A query may read its keys in any order.": judging(list),
    "your test compares sets, and a set forgets that a key was handed over twice.": judging(set),
    "your test counts keys. A cache can hand over the right number of wrong ones.": judging(len),
    "your test asks whether all keys are there that the rule shows, not if others are.": judging(
        set, ge
    ),
    "your test asks whether no other key is there, not whether all of the rule's are.": judging(
        set, le
    ),
    "your test expects the sinks on top of the window. They come out of its budget.": judging(
        rule=lambda w, s, p: seen(w + s, s, p)
    ),
    "your test expects a window without sinks.": judging(rule=lambda w, s, p: seen(w, 0, p)),
    "your test expects sinks before they have come.": judging(
        rule=lambda w, s, p: sorted({*range(s), *seen(w, s, p)})
    ),
    "your test asks for the sinks alone, and not for the newest keys.": lambda see: all(
        set(range(min(s, p + 1))) <= set(see(w, s, p))
        for w in WINDOWS
        for s in range(w)
        for p in range(LENGTH)
    ),
    "your test leaves out W = 1, where a query sees itself alone.": judging(windows=range(2, 7)),
    "your test tries one window.": (judging(windows=(4,)), judging(windows=(3,))),
    "your test leaves out caches without sinks.": judging(sinks=lambda w: range(1, w)),
    "your test tries one number of sinks.": (
        judging(sinks=lambda w: (1,)),
        judging(sinks=lambda w: (min(2, w - 1),)),
    ),
    "your test leaves out as many sinks as leave one slot to roll.": judging(
        sinks=lambda w: range(max(1, w - 1))
    ),
    "your test looks at one position of each text.": judging(positions=lambda w: (LENGTH - 1,)),
    "your test stops before the ring has wrapped.": judging(positions=range),
    "your test's texts end too soon: a fault may show itself late.": judging(
        positions=lambda w: range(14)
    ),
    "your test looks at full rings only: a fault may show itself before.": judging(
        positions=lambda w: range(w, LENGTH)
    ),
}


def advice(see):
    """What a test must have left out, in words that leave the finding open."""
    wrong = [
        (w, s, p)
        for w in WINDOWS
        for s in range(w)
        for p in range(LENGTH)
        if sorted(see(w, s, p)) != seen(w, s, p)
    ]
    if not wrong:
        return "this cache is right, and your test finds a fault. Print the first that it finds."
    kinds = {
        "your test leaves out W = 1.": {w for w, _, _ in wrong} == {1},
        "your test tries too few windows: this cache is right at most.": len(
            {w for w, _, _ in wrong}
        )
        == 1,
        "your test leaves out caches without sinks.": {s for _, s, _ in wrong} == {0},
        "your test leaves out as many sinks as leave one slot.": {w - s for w, s, _ in wrong}
        == {1},
        "your test's texts end too soon.": min(p for _, _, p in wrong) >= 14,
        "your test looks at full rings only.": all(p < w for w, _, p in wrong),
        "your test tries too few windows or sinks, or only what is right here.": True,
    }
    return next(words for words, found in kinds.items() if found)


KNOWN = Known(
    right=(judging(), judging(Counter, windows=(6, 3, 1, 5, 2, 4))),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda see: see(4, 1, 9),
        "sinks from 0 to window - 1": lambda see: see(4, 4, 9) == [],
        "too few windows or sinks": judging(windows=(2, 3)),
    },
    show=lambda see: f"keeps_sinks on a cache that hands over {see.__doc__}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
