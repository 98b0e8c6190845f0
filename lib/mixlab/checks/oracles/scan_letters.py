"""What exercises 17.2 and 17.3 must return: prefixes of letters, read off the text itself."""

from collections.abc import Callable

from mixlab.checks.cases import Unreadable
from mixlab.checks.cases.parallel_scan import EXERCISES as CASES
from mixlab.checks.cases.scan_items import outcome, rounds_of, verdict
from mixlab.checks.oracles import Misconception, Oracle


def _prefixes(text, *bounds):
    return outcome([text[: t + 1] for t in range(len(text))], *bounds)


def _doubling(text):
    return _prefixes(text, verdict(0, rounds_of(len(text)), "in a row"))


def _tree(text):
    rounds, work = 2 * rounds_of(len(text)), 2 * len(text)
    return _prefixes(text, verdict(0, rounds, "in a row"), verdict(0, work, "in all"))


def _doing(exercise: str, wrong: Callable) -> Callable:
    """What a wrong scan gives; None where it breaks down."""

    def gives(*arguments):
        try:
            return CASES[exercise].call(wrong, *arguments)
        except (Unreadable, IndexError, TypeError, ValueError):
            return None

    return gives


def _loop(operator, items):
    out = items[:1]
    for item in items[1:]:
        out.append(operator(out[-1], item))
    return out


def _rounds(operator, items, in_place, swapped, reaches=lambda n: [2**k for k in range(n)]):
    for reach in reaches(rounds_of(len(items))):
        read = items if in_place else list(items)
        for t in range(reach, len(items)):
            pair = (read[t - reach], read[t])
            items[t] = operator(*reversed(pair)) if swapped else operator(*pair)
    return items


def _reaching(in_place=False, swapped=False, **how):
    return lambda operator, items: _rounds(operator, items, in_place, swapped, **how)


def _pairing(up=True, down=True, last=True):
    """Blelloch's scan; up, down: the right order there; last: the odd one out is filled in."""

    def scan(operator, items):
        if len(items) == 1:
            return items
        n = len(items) // 2
        pairs = [(items[2 * k], items[2 * k + 1]) for k in range(n)]
        at_odd = scan(operator, [operator(*(p if up else reversed(p))) for p in pairs])
        out = [x for k in range(n) for x in (items[2 * k], at_odd[k])] + items[2 * n :]
        for t in range(2, len(items) if last else 2 * n, 2):
            pair = (out[t - 1], items[t])
            out[t] = operator(*(pair if down else reversed(pair)))
        return out

    return scan


def _only_up(operator, items):
    items, step = list(items), 1
    while step < len(items):
        for t in range(2 * step - 1, len(items), 2 * step):
            items[t] = operator(items[t - step], items[t])
        step *= 2
    return items


def _show_scan(name):
    def show(text):
        given = f"list({text!r})" if len(text) <= 16 else f"{len(text)} items"
        return f"{name}(operator, {given})"

    return show


def _named(text):
    return f"{text[:24]}…, {len(text)} items" if len(text) > 32 else text


def _place_of_letters(index):
    row, column = index
    return f"prefix {column}" if row == 0 else _BOUNDS[column]


_BOUNDS = (
    "how many applications of the operator had to wait for one another",
    "how often the operator was applied in all",
)
_REVERSED = (
    "the order is swapped: the operator takes the earlier item first, and your prefixes have the "
    "later letters in front. With + nobody would have noticed."
)
_A_LOOP = (
    "this is a loop: each prefix waits for the one before it, so a thousand processors would be "
    "no faster than one."
)


EXERCISES = {
    "17.2": Oracle(
        expected=_doubling,
        show=_show_scan("hillis_steele"),
        place=_place_of_letters,
        name=_named,
        examples=(("abcd",), ("abcdefg",), ("a",), ("abcdefghij",)),
        misconceptions=(
            Misconception(
                "both mistakes are still there: letters come in the wrong order, and some come "
                "twice, because a place reads values that this round has already overwritten.",
                _doing("17.2", _reaching(in_place=True, swapped=True)),
            ),
            Misconception(
                "the order is right now. But some letters come twice: a place reads values that "
                "this round has already overwritten.",
                _doing("17.2", _reaching(in_place=True)),
            ),
            Misconception(_REVERSED, _doing("17.2", _reaching(swapped=True))),
            Misconception(_A_LOOP, _doing("17.2", _loop)),
            Misconception(
                "your reach grows by one. After the rounds with reach 1 and 2 each place holds "
                "four items already, so reach 3 would count one of them twice: double it.",
                _doing("17.2", _reaching(reaches=lambda n: range(1, 2**n))),
            ),
            Misconception(
                "one round is missing: the reach must double until it has passed the last place.",
                _doing("17.2", _reaching(reaches=lambda n: [2**k for k in range(n - 1)])),
            ),
            Misconception(
                "only the first round is there: each prefix holds two items at most.",
                _doing("17.2", _reaching(reaches=lambda n: [1][:n])),
            ),
        ),
    ),
    "17.3": Oracle(
        expected=_tree,
        show=_show_scan("blelloch"),
        place=_place_of_letters,
        name=_named,
        examples=(("abcdefgh",), ("abcdefg",), ("a",), ("abcdefghijklmnop",), ("abc",)),
        misconceptions=(
            Misconception(_REVERSED, _doing("17.3", _pairing(up=False, down=False))),
            Misconception(
                "on the way up the order is swapped: of two neighbours, the left one is earlier.",
                _doing("17.3", _pairing(up=False)),
            ),
            Misconception(
                "on the way down the order is swapped: the prefix that a place reads is earlier "
                "than its own item.",
                _doing("17.3", _pairing(down=False)),
            ),
            Misconception(
                "the last item of an odd length has no partner on the way up, and you have "
                "forgotten it on the way down.",
                _doing("17.3", _pairing(last=False)),
            ),
            Misconception(
                "these prefixes are right, but Hillis and Steele's way takes about L log₂ L "
                "applications. Blelloch's takes 2 L: recurse on half as many items.",
                _doing("17.3", _reaching()),
            ),
            Misconception(_A_LOOP, _doing("17.3", _loop)),
            Misconception(
                "that is the way up alone. Places 2, 4, 5, 6 and others still lack their "
                "beginning: the way down fills them in.",
                _doing("17.3", _only_up),
            ),
        ),
    ),
}
