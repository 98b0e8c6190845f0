"""What the exercises of chapter 17 must return, each by another way than the one it asks for."""

from collections.abc import Callable

import numpy as np
import torch

from mixlab.checks.cases import Unreadable
from mixlab.checks.cases.parallel_scan import EXERCISES as CASES
from mixlab.checks.cases.parallel_scan import levels
from mixlab.checks.cases.scan_items import chunked_outcome, outcome, rounds_of, verdict
from mixlab.checks.oracles import Misconception, Oracle

# --- 17.1: one minute after the other, without combining anything ---------------------------


def _levels_after(minutes, start):
    ends = []
    for h in start:
        for rain, brim in minutes:
            h = min(brim, h + rain)
        ends.append(h)
    return np.array([ends, ends])


def _combining(operator: Callable) -> Callable:
    """What a wrong operator on two pairs gives."""
    call = CASES["17.1"].call
    return lambda minutes, start: np.array(call(operator, minutes, start))


def _show_minutes(minutes, start):
    if len(minutes) == 2:
        return f"combine({minutes[0]}, {minutes[1]}), applied to levels {start}"
    return f"combine over the {len(minutes)} minutes {minutes}, applied to levels {start}"[:200]


# --- 17.2 to 17.4: letters ------------------------------------------------------------------


def _prefixes(text, *bounds):
    return outcome([text[: t + 1] for t in range(len(text))], *bounds)


def _doubling(text):
    return _prefixes(text, verdict(0, rounds_of(len(text)), "in a row"))


def _tree(text):
    rounds, work = 2 * rounds_of(len(text)), 2 * len(text)
    return _prefixes(text, verdict(0, rounds, "in a row"), verdict(0, work, "in all"))


def _chunks(text, chunk_size):
    return _prefixes(text, verdict(0, 2 * -(-len(text) // chunk_size), "in a row"))


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


def _chunking(carry="running", swapped=False, to="all"):
    """A chunked scan that carries something, in some order, to some of a chunk's places."""

    def scan(operator, block_scan, items, chunk_size):
        out, carried = [], None
        for start in range(0, len(items), chunk_size):
            own = block_scan(items[start : start + chunk_size])
            chunk = list(own)
            if carried is not None and carry != "nothing":
                places = {"all": range(len(own)), "first": [0], "last": [-1]}[to]
                for t in places:
                    pair = (carried, own[t])
                    chunk[t] = operator(*(reversed(pair) if swapped else pair))
            carried = own[-1] if carry == "own" else chunk[-1]
            out += chunk
        return out

    return scan


def _chunks_by_loop(operator, block_scan, items, chunk_size):
    return _loop(operator, items)


def _twice(text, chunk_size):
    """The carried prefix stands before the chunk's first item, and again before every prefix."""

    def scan(operator, block_scan, items, chunk_size):
        out = []
        for start in range(0, len(items), chunk_size):
            chunk = list(items[start : start + chunk_size])
            if out:
                chunk[0] = operator(out[-1], chunk[0])
            chunk = block_scan(chunk)
            out += [operator(out[-1], x) for x in chunk] if out else chunk
        return out

    return chunked_outcome(scan, text, chunk_size)


def _show_scan(name):
    def show(text):
        given = f"list({text!r})" if len(text) <= 16 else f"{len(text)} items"
        return f"{name}(operator, {given})"

    return show


def _show_chunks(text, chunk_size):
    given = f"list({text!r})" if len(text) <= 16 else f"{len(text)} items"
    return f"chunked(operator, block_scan, {given}, chunk_size={chunk_size})"


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

# --- 17.5: by the bits of the length --------------------------------------------------------


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


# --- 17.6: by the matrix of who reaches whom ------------------------------------------------


def _gradients(a, h, above, state, shift=1, before="previous", g_is=None, state_by=True):
    a, h, above, state = (x.double().numpy() for x in (a, h, above, state))
    seq = len(a)
    reach = np.zeros((seq, seq))
    for s in range(seq):
        reach[s:, s] = np.cumprod(np.append(1.0, a[s + shift :]))[: seq - s]
    g = reach.T @ above if g_is is None else g_is(a, above)
    previous = {
        "previous": np.append(state, h)[:-1],
        "no state": np.append(0.0, h)[:-1],
        "own": h,
    }[before]
    to_state = a[0] * g[0] if state_by else g[0]
    return np.stack([g * previous, g, np.pad([to_state], (0, seq - 1))])


def _unreversed(a, above):
    """g_t = above_t + a_t g_{t−1}: the same scan, forwards."""
    g, out = 0.0, []
    for a_t, from_above in zip(a, above, strict=True):
        g = from_above + a_t * g
        out.append(g)
    return np.array(out)


def _same_factor(a, above):
    """g_t = above_t + a_t g_{t+1}: the factor of this token instead of the next one's."""
    return _unreversed(a[::-1], above[::-1])[::-1]


def _example(*numbers):
    a, b, above = (torch.tensor(part) for part in numbers[:3])
    state = torch.tensor(numbers[3])
    return a, levels(a, b, state), above, state


def _show_backward(a, h, above, state):
    if len(a) > 5:
        return f"scan_backward(a, h, above, state) on {len(a)} tokens"
    given = ", ".join(
        f"{name}={[round(x, 3) for x in part.tolist()]}"
        for name, part in (("a", a), ("h", h), ("above", above))
    )
    return f"scan_backward({given}, state={state.item():.3g})"


def _place_of_gradient(index):
    return f"the gradient for {('a', 'b', 'the state')[index[0]]}" + (
        f", token {index[1]}" if index[0] < 2 else ""
    )


EXERCISES = {
    "17.1": Oracle(
        expected=_levels_after,
        show=_show_minutes,
        place=lambda index: f"level {index[1]}, combined from the {('left', 'right')[index[0]]}",
        examples=(
            ([(2, 9), (3, 6)], [0, 1, 5]),
            ([(4, 5), (3, 20)], [0, 2, 9]),
            ([(1, 8), (2, 4)], [0, 3]),
            ([(1, 5), (4, 7), (2, 8)], [0, 6]),
        ),
        misconceptions=(
            Misconception(
                "you take the lower of the two brims. But rain of the second minute falls on top "
                "of what the first brim let through: that part stands at most at c₀ + b₁.",
                _combining(lambda x, y: (x[0] + y[0], min(x[1], y[1]))),
            ),
            Misconception(
                "the order is swapped: that is the second minute first, then the first. Which "
                "brim still has rain to come after it?",
                _combining(lambda x, y: (x[0] + y[0], min(x[1], y[1] + x[0]))),
            ),
            Misconception(
                "the first minute's brim has no effect. What spilled over it is gone, and doesn't "
                "come back in the second minute.",
                _combining(lambda x, y: (x[0] + y[0], y[1])),
            ),
            Misconception(
                "the second minute's brim has no effect: it is the last word on the level.",
                _combining(lambda x, y: (x[0] + y[0], x[1] + y[0])),
            ),
            Misconception(
                "the first minute's rain is lost: rain adds up.",
                _combining(lambda x, y: (y[0], min(y[1], x[1] + y[0]))),
            ),
            Misconception(
                "you add the brims. The level is the least of what each brim allows: min, not +.",
                _combining(lambda x, y: (x[0] + y[0], x[1] + y[1])),
            ),
            Misconception(
                "this is max where the level takes the least of two terms, min.",
                _combining(lambda x, y: (x[0] + y[0], max(y[1], x[1] + y[0]))),
            ),
            Misconception(
                "this is the operator of the leaky bucket, a h + b. Here a step is min(c, h + b): "
                "compose two of those.",
                _combining(lambda x, y: (y[0] * x[0], y[0] * x[1] + y[1])),
            ),
        ),
    ),
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
    "17.4": Oracle(
        expected=_chunks,
        show=_show_chunks,
        place=_place_of_letters,
        name=_named,
        examples=(("abcdefghijkl", 3), ("abcdefgh", 3), ("ab", 4), ("abcdef", 1)),
        misconceptions=(
            Misconception(
                "every chunk begins anew: nothing is carried from one chunk to the next.",
                _doing("17.4", _chunking(carry="nothing")),
            ),
            Misconception(
                "you carry a chunk's own total, so the third chunk knows of the second and not of "
                "the first. The prefix must run on: carry the last finished one.",
                _doing("17.4", _chunking(carry="own")),
            ),
            Misconception(
                "the carried prefix stands after the chunk's items. It is earlier than all of "
                "them: it comes first.",
                _doing("17.4", _chunking(swapped=True)),
            ),
            Misconception(
                "only the first place of each chunk gets the carried prefix; all its places lack "
                "the same beginning.",
                _doing("17.4", _chunking(to="first")),
            ),
            Misconception(
                "only the last place of each chunk gets the carried prefix; all its places lack "
                "the same beginning.",
                _doing("17.4", _chunking(to="last")),
            ),
            Misconception(
                "the carried prefix comes in twice: before the scan of the chunk and after it.",
                _twice,
            ),
            Misconception(_A_LOOP, _doing("17.4", _chunks_by_loop)),
        ),
    ),
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
    "17.6": Oracle(
        expected=_gradients,
        show=_show_backward,
        place=_place_of_gradient,
        name=lambda value: f"{value:.4f}",
        examples=(
            _example([0.5, 0.25, 0.5], [1.0, 2.0, 4.0], [1.0, 3.0, 2.0], 2.0),
            _example([0.5, 0.0, 1.0, 0.25], [4.0, 1.0, 2.0, 1.0], [1.0, 0.0, 2.0, 1.0], 8.0),
            _example([0.5], [3.0], [2.0], 4.0),
        ),
        misconceptions=(
            Misconception(
                "g doesn't flow back: you return `above` alone, as if h_t had no effect on later "
                "tokens.",
                lambda *x: _gradients(*x, g_is=lambda a, above: above),
            ),
            Misconception(
                "the factor is one token off. What carried h_t on to the next token is a_{t+1}, "
                "so g_t = above_t + a_{t+1} g_{t+1}.",
                lambda *x: _gradients(*x, g_is=_same_factor),
            ),
            Misconception(
                "you scan forwards. What h_t causes happens later, so g must be collected from "
                "the end.",
                lambda *x: _gradients(*x, g_is=_unreversed),
            ),
            Misconception(
                "a_t multiplied the level *before* token t: ∂a_t = g_t h_{t−1}, not g_t h_t.",
                lambda *x: _gradients(*x, before="own"),
            ),
            Misconception(
                "before the first token the level is the state, not zero: ∂a_0 = g_0 · state.",
                lambda *x: _gradients(*x, before="no state"),
            ),
            Misconception(
                "the state came in through a_0: its gradient is a_0 g_0, not g_0.",
                lambda *x: _gradients(*x, state_by=False),
            ),
            Misconception(
                "the gradients come in the order a, b, state: yours for a and b are exchanged.",
                lambda *x: _gradients(*x)[[1, 0, 2]],
            ),
        ),
    ),
}
