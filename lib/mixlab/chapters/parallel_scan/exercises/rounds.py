"""17.2 Find the bugs: Hillis and Steele."""

from mixlab.chapters.parallel_scan import exercises as shared
from mixlab.checks.exercise import Asked, Known


def call(answer, text):
    return shared.outcome(answer, text, shared.rounds_of(len(text)))


ASKED = Asked(
    draw=shared.draw,
    call=call,
    read=lambda texts: texts,
    examples=(("abcd",), ("abcdefg",), ("a",), ("abcdefghij",), ("ab",), ("abcdefghijklmnopq",)),
    hints=(
        "Run it on list('abcd') with `lambda x, y: x + y` and print items after each reach. "
        "Which letters are in the wrong order, and which appear twice?",
        "The operator takes the earlier item first: which of `t` and `t - reach` is earlier?",
        "Within one round everybody must read what stood there before the round. When place 5 "
        "reads place 4, has place 4 been overwritten already?",
        "Build the round's values in a new list, or copy the old ones before the loop.",
    ),
)

# --- kept back while grading ---


def backwards(operator, items):
    """In place, but from the end: whoever is read has not been written yet."""
    reach = 1
    while reach < len(items):
        for t in range(len(items) - 1, reach - 1, -1):
            items[t] = operator(items[t - reach], items[t])
        reach *= 2
    return items


MISTAKES = {
    "both mistakes are still there: letters come in the wrong order, and some come twice, because "
    "a place reads values that this round has already overwritten.": shared.reaching(
        shared.swapped, reads=lambda items, came: items
    ),
    "the order is right now. But some letters come twice: a place reads values that this round "
    "has already overwritten.": shared.reaching(reads=lambda items, came: items),
    shared.REVERSED: shared.reaching(shared.swapped),
    "every round reads the items as they came. A copy that is made before the first round holds "
    "nothing of what the rounds have joined: each must start from what the last one left.": (
        shared.reaching(reads=lambda items, came: came),
        shared.reaching(shared.swapped, reads=lambda items, came: came),
    ),
    "your reach grows by one. After the rounds with reach 1 and 2 each place holds four items "
    "already, so reach 3 would count one of them twice: double it.": shared.reaching(
        reaches=lambda n: range(1, 2 ** shared.rounds_of(n))
    ),
    "your reach grows too fast. After reach 1 a place holds two items, so the next round must "
    "reach back by two; 3 or 4 leaves a gap.": (
        shared.reaching(reaches=lambda n: [3**k for k in range(shared.rounds_of(n))]),
        shared.reaching(reaches=lambda n: [4**k for k in range(shared.rounds_of(n))]),
    ),
    "one round is missing: the reach must double until it has passed the last "
    "place.": shared.reaching(reaches=lambda n: [2**k for k in range(shared.rounds_of(n) - 1)]),
    "one round is missing where the length is no power of two: any reach below the length has "
    "places to join.": shared.reaching(reaches=lambda n: [2**k for k in range(n.bit_length() - 1)]),
    "you read the neighbour in every round: the reach says how far back a place reads.": (
        shared.reaching(back=lambda reach: 1),
        shared.reaching(back=lambda reach: 1, places=lambda reach, n: range(1, n)),
    ),
    "only the first round is there: each prefix holds two items at most.": shared.reaching(
        reaches=lambda n: [1][: n - 1]
    ),
    "your first round is missing: the reach starts at 1, with the neighbour.": shared.reaching(
        reaches=lambda n: [2**k for k in range(1, shared.rounds_of(n))]
    ),
    "your rounds begin before place `reach`. There t - reach is below 0, and Python counts that "
    "from the end of the list.": (
        shared.reaching(places=lambda reach, n: range(n)),
        shared.reaching(places=lambda reach, n: range(1, n)),
    ),
    "your rounds begin one place too late: place `reach` is the first with somebody to "
    "read.": shared.reaching(places=lambda reach, n: range(reach + 1, n)),
    "your rounds stop one place too early: the last place joins too.": shared.reaching(
        places=lambda reach, n: range(reach, n - 1)
    ),
    "these prefixes are right, but this is Blelloch's scan, up and down: a prefix waits for "
    "twice as many rounds.": shared.pairing(),
    **shared.COMMON,
}

KNOWN = Known(
    right=(shared.reaching(), backwards),
    mistakes=MISTAKES,
    slips={
        "joined or not: got 1": lambda *given: shared.loop(*given)[-1:],
        "expected a list of 4 prefixes: got Item": lambda *given: shared.loop(*given)[-1],
        "does the reach grow?": shared.reaching(reaches=lambda n: [1] * 999 * (n > 1)),
        "the operator takes two items": lambda operator, items: [operator(items, items)],
        "unsupported operand": lambda operator, items: [sum(items)],
    },
    show=shared.shown("hillis_steele"),
    place=shared.placed,
    name=shared.named,
)
