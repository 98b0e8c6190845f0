"""17.4 Prove by test: is it a scan?"""

from itertools import accumulate

from mixlab.chapters.parallel_scan.exercises.suspects import FAMILIES, LENGTHS, Suspect
from mixlab.checks.exercise import Asked, Known, suspects
from mixlab.checks.readers import read_verdict

ASKED = Asked(
    read=read_verdict,
    **suspects(Suspect, FAMILIES, lambda family: FAMILIES[family].numbers, again=5),
    hints=(
        "A loop gives the right prefixes, slowly. So for one operator and one list: compare "
        "what the scan returns with what a loop returns, the whole lists.",
        "The operator must be associative, or right scans differ from the loop. And it "
        "should hide nothing: joining texts shows what was joined, in which order, how often. Some "
        "scans are wrong at a single length, or in long lists only.",
        "Some scans are right for one item, for powers of two, or for short lists only. Try "
        "every length from 1 to 40, and return True only after the last.",
    ),
)

# --- kept back while grading ---


def joined(x, y):
    return f"{x}-{y}"


def judging(op=joined, make=str, lengths=LENGTHS, agree=lambda got, wanted: got == wanted):
    """A test that tries one operator on lists of items, made of their places, and compares."""

    def judge(scan):
        lists = [[make(t) for t in range(length)] for length in lengths]
        return all(agree(scan(op, items), list(accumulate(items, op))) for items in lists)

    return judge


def lists_them(scan):
    """Whether each prefix lists the places up to its own."""
    return all(
        scan(lambda x, y: [*x, *y], [[t] for t in range(n)])
        == [list(range(t + 1)) for t in range(n)]
        for n in reversed(LENGTHS)
    )


# Whole numbers small and large, equal and not.
NUMBERS = (lambda t: t + 1, lambda t: 7 * t % 11 + 2, lambda t: 3**t)

MISTAKES = {
    "your test accepts everything. Does it return False anywhere?": lambda scan: True,
    "your test rejects everything, right scans too. Print the first prefix at which it thinks "
    "that one is wrong.": lambda scan: False,
    "your test says True where it finds a fault, and False where it finds none.": lambda scan: (
        not judging()(scan)
    ),
    "your test can't see the order: for its operator x ∘ y = y ∘ x. Scans that put the later item "
    "in front pass. Join letters, or pairs of the leaky bucket.": (
        *(judging(lambda x, y: x + y, make) for make in NUMBERS),
        *(judging(lambda x, y: x * y, make) for make in NUMBERS),
        *(judging(op, make) for op in (max, min) for make in NUMBERS),
        judging(lambda x, y: x | y, lambda t: frozenset([t])),
    ),
    "your test compares the prefixes as a set. They have to come in order.": judging(
        agree=lambda got, wanted: set(got) == set(wanted)
    ),
    "your test counts the prefixes, and doesn't look at them.": judging(
        agree=lambda got, wanted: len(got) == len(wanted)
    ),
    "your test refuses right scans, all but the loop: a scan may move brackets. Its operator isn't "
    "associative, as (5 − 3) − 1 isn't 5 − (3 − 1), or floats round elsewhere: take whole numbers, "
    "or letters, and `==` is right.": (
        judging(lambda x, y: x - y, lambda t: t + 1),
        judging(lambda x, y: x + y, lambda t: 0.1 * (t + 1)),
    ),
    "your test looks at the last prefix only. A scan gives them all.": judging(
        agree=lambda got, wanted: got[-1:] == wanted[-1:]
    ),
    "your test doesn't count the prefixes: `zip` stops where the shorter list ends.": judging(
        agree=lambda got, wanted: all(x == y for x, y in zip(got, wanted, strict=False))
    ),
    "your test doesn't see when there are more prefixes than items: count them.": judging(
        agree=lambda got, wanted: got[: len(wanted)] == wanted
    ),
}


def advice(scan):
    """At which lengths this scan is wrong, in words that leave the finding to the reader."""
    wrong, ordered = [], []
    for length in LENGTHS:
        items = [chr(97 + t) for t in range(length)]
        got, wanted = scan(lambda x, y: x + y, items), list(accumulate(items))
        if got != wanted:
            wrong.append(length)
            ordered.append([*map(sorted, got)] == [*map(sorted, wanted)])
    if not wrong:
        return "this scan is right, and your test finds a fault. Print the first that it finds."
    if wrong == [1]:
        return "your test leaves out the shortest list, of one item."
    if all(ordered) and len(wrong) > 30:
        return (
            "your test can't see the order in which items were joined. Is x ∘ y = y ∘ x for its "
            "operator, or does it look at some prefixes only?"
        )
    if len(wrong) > 35:
        return (
            "this scan is wrong at nearly every length, and your test doesn't see it: its operator "
            "hides something, or it looks at some prefixes only."
        )
    if wrong == [n for n in LENGTHS if n & (n - 1)]:
        return "your test tries powers of two only, where every pair has its partner."
    if wrong == list(range(wrong[0], 41)) and wrong[0] > 16:
        return "your test stops too early: this scan is wrong in long lists alone, up to 40."
    return (
        "your test tries too few lengths. Some scans are right at those and wrong at another: try "
        "all from 1 to 40."
    )


KNOWN = Known(
    right=(judging(), lists_them),
    mistakes=MISTAKES,
    slips={
        "expected True or False": lambda scan: scan(joined, list("abc")),
        "shortest list, of one item": judging(lengths=LENGTHS[1:]),
        "powers of two only": judging(lengths=(1, 2, 4, 8, 16, 32)),
        "stops too early": tuple(judging(lengths=range(1, n)) for n in (9, 21, 33, 40)),
        "too few lengths": tuple(
            judging(lengths=lengths) for lengths in ((7,), LENGTHS[::2], LENGTHS[1::2], (1, 2, 33))
        ),
        "can't see the order in which": judging(lambda x, y: x + y, int, lengths=(8,)),
        "hides something": judging(lambda x, y: x + "".join(c for c in y if c not in x), chr),
        "these scans take 1 to 40 items": judging(lengths=range(1, 42)),
    },
    show=lambda scan: f"is_scan on this scan: {scan.description}",
    name=lambda value: "True (accept)" if value else "False (reject)",
    advice=advice,
)
