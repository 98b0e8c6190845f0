"""17.3 Blelloch's scan, for any length."""

from functools import reduce

from mixlab.chapters.parallel_scan import exercises as shared
from mixlab.checks.exercise import Asked, Known


def call(answer, text):
    return shared.outcome(answer, text, 2 * shared.rounds_of(len(text)), 2 * len(text))


ASKED = Asked(
    draw=shared.draw,
    call=call,
    read=lambda texts: texts,
    examples=(
        *(("abcdefgh",), ("abcdefg",), ("a",), ("abcdefghijklmnop",), ("abc",), ("abcdefghi",)),
        ("abcdefghijklmnopqrstuvwxyzABCDEFG",),
    ),
    hints=(
        "Pair up neighbours: places 0 and 1, 2 and 3, … That is half as many items, and the "
        "same problem. When is it so small that nothing is left to do?",
        "The prefixes of the pairs are final for places 1, 3, 5, … For place 2 one item is "
        "missing: the prefix up to place 1, then item 2.",
        "At an odd length the last item has no partner: it takes part only on the way down. A "
        "recursive function needs about eight lines.",
    ),
)

# --- kept back while grading ---


def sweeping(down=lambda steps: steps[::-1], size=len):
    """Up and down in one list, with another idea of the steps down, or of the length taken."""

    def scan(operator, items):
        length = len(items)
        items = [*items, *items[-1:] * (size(items) - length)]
        steps = [2**k for k in range(shared.rounds_of(len(items)))]
        for step in steps:
            for t in range(2 * step - 1, len(items), 2 * step):
                items[t] = operator(items[t - step], items[t])
        for step in down(steps):
            for t in range(3 * step - 1, len(items), 2 * step):
                items[t] = operator(items[t - step], items[t])
        return items[:length]

    return scan


def halving(operator, items):
    """Sklansky's: scan both halves, then put the first one's last prefix before the second."""
    if len(items) == 1:
        return items
    middle = 2 ** shared.rounds_of(len(items)) // 2
    first, second = halving(operator, items[:middle]), halving(operator, items[middle:])
    return first + [operator(first[-1], x) for x in second]


def anew(operator, items):
    """Each prefix for itself, joined from its end."""
    return [
        reduce(lambda later, earlier: operator(earlier, later), items[t::-1])
        for t in range(len(items))
    ]


def behind(operator, pairs, items, t):
    return operator(items[t], pairs[t // 2 - 1])


MISTAKES = {
    shared.REVERSED: shared.pairing(shared.swapped, behind),
    "on the way up the order is swapped: of two neighbours, the left one is "
    "earlier.": shared.pairing(up=shared.swapped),
    "on the way down the order is swapped: the prefix that a place reads is earlier than its own "
    "item.": shared.pairing(fill=behind),
    "the last item of an odd length has no partner on the way up, and you have forgotten it on "
    "the way down.": shared.pairing(places=lambda n: range(2, n // 2 * 2, 2)),
    "these prefixes are right, but Hillis and Steele's way takes about L log₂ L applications. "
    "Blelloch's takes 2 L: recurse on half as many items.": shared.reaching(),
    "these prefixes are right, but you scan both halves and then touch all of the second: that "
    "takes about L/2 log₂ L applications. Pair up neighbours instead, and one half is "
    "left.": halving,
    "these prefixes are right, but you join each of them anew. What one has joined, the next can "
    "use.": anew,
    "these prefixes are right, but you fill up to a power of two with items, and join those too. "
    "An odd one out needs no partner.": sweeping(
        size=lambda items: 2 ** shared.rounds_of(len(items))
    ),
    "these prefixes are right, but places 1, 3, 5, … are joined anew: the pairs' prefixes are "
    "theirs.": shared.pairing(
        fill=lambda operator, pairs, items, t: reduce(
            operator, [*pairs[t // 2 - 1 : t // 2], *items[t // 2 * 2 : t + 1]]
        ),
        places=lambda n: range(1, n),
    ),
    "that is the way up alone. Places 2, 4, 5, 6 and others still lack their beginning: the way "
    "down fills them in.": sweeping(lambda steps: []),
    "on the way down a place begins with the wrong pair's prefix. Prefix k of the pairs ends with "
    "place 2k + 1, so place 2k needs the one before it.": (
        shared.pairing(fill=lambda operator, pairs, items, t: operator(pairs[t // 2], items[t])),
        shared.pairing(
            fill=lambda operator, pairs, items, t: operator(pairs[max(0, t // 2 - 2)], items[t])
        ),
    ),
    "on the way down you join a place with the item before it. What it needs is the whole prefix "
    "up to there, which the pairs' scan has found.": shared.pairing(
        fill=lambda operator, pairs, items, t: operator(items[t - 1], items[t])
    ),
    "your way down begins at the bottom, with step 1. It is the way up backwards: the places that "
    "step 1 fills in read what larger steps have filled in.": sweeping(lambda steps: steps),
    "your way down begins with place 0. There is no prefix before it, and the pairs' number -1 is "
    "the last.": shared.pairing(places=lambda n: range(0, n, 2)),
    "places 2, 4, 6, … get the prefix before them as it is: their own item is "
    "missing.": shared.pairing(fill=lambda operator, pairs, items, t: pairs[t // 2 - 1]),
    **shared.COMMON,
}

KNOWN = Known(
    right=(shared.pairing(), sweeping()),
    mistakes=MISTAKES,
    slips={
        "joined or not: got 6": lambda operator, items: shared.pairing()(
            operator, items[: len(items) // 2 * 2] or items
        ),
        "does it return its result?": lambda operator, items: sweeping()(operator, items).clear(),
        "joined or not: got 4": lambda operator, items: [
            operator(items[t], items[t + 1]) for t in range(0, len(items), 2)
        ],
    },
    show=shared.shown("blelloch"),
    place=shared.placed,
    name=shared.named,
)
