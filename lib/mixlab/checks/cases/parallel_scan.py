"""Inputs for the exercises of chapter 17: an operator, two scans, suspects, costs, a way back."""

from collections import deque
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch

from mixlab.checks.cases import Cases, Unreadable, _kind, read_verdict
from mixlab.checks.cases.scan_items import rounds_of, scan_outcome
from mixlab.checks.cases.scan_suspects import hand_out

_OURS = ("mixlab.ssm.scan", "mixlab.chapters.parallel_scan.traces")
_SUSPECTS = "mixlab.checks.cases.scan_suspects"
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _letters(rng: np.random.Generator, length: int) -> str:
    """Different letters in a random order; past the alphabet, different signs of another one."""
    if length <= len(_LETTERS):
        return "".join(rng.permutation(list(_LETTERS))[:length])
    return "".join(chr(0x4E00 + int(n)) for n in rng.permutation(length))


def _draw_minutes(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for minutes in (2, 2, 2, 3, 4, 7, 20):
        rain, brims = rng.integers(0, 9, minutes).tolist(), rng.integers(3, 25, minutes).tolist()
        levels = sorted(rng.integers(0, 30, 4).tolist())
        drawn.append((list(zip(rain, brims, strict=True)), levels))
    return drawn


def _call_combine(answer, minutes: list[tuple[int, int]], levels: list[int]) -> list[list]:
    """The levels after all minutes, combined from the left and from the right."""
    left = minutes[0]
    for minute in minutes[1:]:
        left = _pair(answer(left, minute))
    right = minutes[-1]
    for minute in reversed(minutes[:-1]):
        right = _pair(answer(minute, right))
    return [[min(c, h + b) for h in levels] for b, c in (left, right)]


def _pair(value) -> tuple:
    """What a student's operator returned, as two numbers."""
    try:
        b, c = (number.item() if hasattr(number, "item") else number for number in value)
        if isinstance(b + c, int | float):
            return b, c
    except (TypeError, ValueError):
        pass
    shown = "None (does the function return?)" if value is None else f"{value!r:.60}"
    raise Unreadable(f"expected a pair of numbers (b, c): got {shown}")


def _read_whole(value) -> np.ndarray:
    """Whole numbers in an array; 12.0 is taken for 12."""
    array = np.asarray(value, dtype=np.float64)
    if not np.isfinite(array).all() or (array != np.round(array)).any():
        raise Unreadable(f"expected whole numbers: got {array.ravel().tolist()}")
    return array.astype(np.int64)


def _draw_texts(rng: np.random.Generator) -> list[tuple]:
    lengths = [
        1,
        2,
        3,
        8,
        9,
        *(int(n) for n in rng.integers(4, 52, 5)),
        int(rng.integers(150, 260)),
    ]
    return [(_letters(rng, length),) for length in lengths]


def _call_doubling(answer, text: str) -> np.ndarray:
    return scan_outcome(answer, text, None, rounds_of(len(text)))


def _call_tree(answer, text: str) -> np.ndarray:
    return scan_outcome(answer, text, 2 * len(text), 2 * rounds_of(len(text)))


def _draw_suspects(rng: np.random.Generator) -> list[tuple]:
    scans = hand_out()
    return [(scans[i],) for i in rng.permutation(len(scans))]


def _draw_lengths(rng: np.random.Generator) -> list[tuple]:
    small = [(int(n),) for n in rng.integers(5, 100, 6)]
    powers = [(2 ** int(k) + extra,) for k in rng.integers(3, 16, 2) for extra in (-1, 0, 1)]
    return [(1,), (2,), (3,), *small, *powers, (int(rng.integers(10**6, 10**7)),)]


def _read_costs(value) -> np.ndarray:
    """Four whole numbers."""
    if isinstance(value, torch.Tensor):
        value = value.tolist()
    try:
        numbers = [n.item() if hasattr(n, "item") else n for n in value]
        array = np.array([float(n) for n in numbers])
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.shape != (4,):
        shown = "None (does the function return?)" if value is None else f"{value!r:.60}"
        raise Unreadable(f"expected four whole numbers: got {shown}")
    return _read_whole(array)


# What a token may keep, and what may come in. Floats hold the others exactly, but not thirds.
_SHARES = sorted({Fraction(n, d) for d in (2, 3, 4, 8) for n in range(1, d + 1)})
_LITRES = sorted({Fraction(n, d) for d in (2, 3, 4, 8) for n in range(-3 * d, 3 * d + 1)})
_MOST_BITS = 10_000  # of a number that is read; Python writes none of more than 4,300 digits


def _draw_recurrences(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for seq in (1, 2, 3, int(rng.integers(4, 20)), int(rng.integers(60, 121))):
        a = [_SHARES[n] for n in rng.integers(len(_SHARES), size=seq)]
        emptied = np.flatnonzero(rng.random(seq) < 0.1).tolist()
        if seq > 3:
            emptied.append(int(rng.integers(seq)))
        for t in emptied:
            a[t] = Fraction(0)
        b, above = ([_LITRES[n] for n in rng.integers(len(_LITRES), size=seq)] for _ in range(2))
        state = _LITRES[rng.integers(len(_LITRES))]
        drawn.append((a, levels(a, b, state), above, state))
    return drawn


def levels(a: list[Fraction], b: list[Fraction], state: Fraction) -> list[Fraction]:
    """h_t = a_t h_{t−1} + b_t, forwards."""
    h = []
    for a_t, b_t in zip(a, b, strict=True):
        state = a_t * state + b_t
        h.append(state)
    return h


def _call_backward(answer, *arguments) -> np.ndarray:
    seq = len(arguments[0])  # before the answer: a list may be used up
    return _three(answer(*arguments), seq)


def _three(value, seq: int) -> np.ndarray:
    """(3, seq): ∂a, ∂b, and ∂state with nothing behind it; each number as text, '3/7'."""
    if not isinstance(value, tuple | list) or len(value) != 3:
        shown = "None (does the function return?)" if value is None else type(value).__name__
        size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
        raise Unreadable(f"expected three gradients, for a, b and the state: got {shown}{size}")
    a, b, state = value
    state = _listed(state)
    if not isinstance(state, _ROWS):
        state = [state]
    if len(state) != 1:
        raise Unreadable(f"the gradient for the state is one number: got {len(state)}")
    rows = [_exact_row("a", a, seq), _exact_row("b", b, seq), [_exact("the state", state[0])]]
    rows[2] += [""] * (seq - 1)
    return np.array(rows)


_ROWS = list | tuple | deque


def _listed(value):
    """A tensor or an array as a list, or as a plain number; anything else as it is."""
    return value.tolist() if isinstance(value, torch.Tensor | np.ndarray | np.generic) else value


def _exact_row(name: str, value, seq: int) -> list[str]:
    numbers = _listed(value)
    if not isinstance(numbers, _ROWS):
        raise Unreadable(f"the gradient for {name}: expected a list of numbers: got {_kind(value)}")
    if len(numbers) != seq:
        raise Unreadable(
            f"the gradient for {name} has {seq} numbers here, one a token: got {len(numbers)}"
        )
    return [_exact(f"{name}, token {t}", number) for t, number in enumerate(numbers)]


def _exact(name: str, value) -> str:
    """One exact number as text: '3/7', or '2' where it is whole."""
    number = _listed(value)
    if isinstance(number, bool) or not isinstance(number, Fraction | int):
        told = f"expected an exact number, a Fraction or an int: got {_kind(value)}"
        if isinstance(number, float | np.floating):
            told += ". A float rounds. Was an int divided by an int, or float() called?"
        raise Unreadable(f"the gradient for {name}: {told}")
    number = Fraction(number)
    if max(abs(number.numerator), number.denominator).bit_length() > _MOST_BITS:
        raise Unreadable(f"the gradient for {name}: got a number of more than 3,000 digits")
    return str(number)


def _texts(value) -> np.ndarray:
    return value


def _exercise(draw: Callable, call: Callable, hints: tuple[str, ...]) -> Cases:
    return Cases(draw=draw, read=_texts, call=call, forbids=(*_OURS, _SUSPECTS), hints=hints)


EXERCISES = {
    "17.1": Cases(
        draw=_draw_minutes,
        read=_read_whole,
        call=_call_combine,
        forbids=_OURS,
        hints=(
            "Do as the lesson did: send a level h through both minutes. After the first it is "
            "min(c₀, h + b₀). What does the second minute make of that?",
            "min(x, y) + b = min(x + b, y + b): rain lifts both. So the level after two minutes is "
            "the least of three terms. Only one of them holds h.",
            "min(c₁, c₀ + b₁, h + b₀ + b₁). What is added to h is the new b, and the least of the "
            "rest is the new c.",
        ),
    ),
    "17.2": _exercise(
        _draw_texts,
        _call_doubling,
        (
            "Run it on list('abcd') with `lambda x, y: x + y` and print items after each reach. "
            "Which letters are in the wrong order, and which appear twice?",
            "The operator takes the earlier item first: which of `t` and `t - reach` is earlier?",
            "Within one round everybody must read what stood there before the round. When place 5 "
            "reads place 4, has place 4 been overwritten already?",
            "Build the round's values in a new list, or copy the old ones before the loop.",
        ),
    ),
    "17.3": _exercise(
        _draw_texts,
        _call_tree,
        (
            "Pair up neighbours: places 0 and 1, 2 and 3, … That is half as many items, and the "
            "same problem. When is it so small that nothing is left to do?",
            "The prefixes of the pairs are final for places 1, 3, 5, … For place 2 one item is "
            "missing: the prefix up to place 1, then item 2.",
            "At an odd length the last item has no partner: it takes part only on the way down. A "
            "recursive function needs about eight lines.",
        ),
    ),
    "17.4": Cases(
        draw=_draw_suspects,
        read=read_verdict,
        forbids=_OURS,
        hints=(
            "A loop gives the right prefixes, slowly. So for one operator and one list: compare "
            "what the scan returns with what a loop returns, the whole lists.",
            "The operator must be associative, or right scans differ from the loop. And it "
            "should hide nothing: joining texts shows what was joined, in which order, how often.",
            "Some scans are right for one item, for powers of two, or for short lists only. Try "
            "every length from 1 to 40, and return True only after the last.",
        ),
    ),
    "17.5": Cases(
        draw=_draw_lengths,
        read=_read_costs,
        forbids=_OURS,
        hints=(
            "Hillis and Steele: in the round with reach r, the first r places are already done. "
            "How many applications does that leave?",
            "Their reaches are 1, 2, 4, … as long as they are below the length. For 5: 4 + 3 + 1.",
            "Blelloch: write it as a recursion. blelloch(L) = ⌊L/2⌋ + blelloch(⌊L/2⌋) + ⌈L/2⌉ − 1, "
            "and one item costs nothing.",
            "Its depth: one round up, that of ⌊L/2⌋ items, and one round down unless L is 2.",
        ),
    ),
    "17.6": Cases(
        draw=_draw_recurrences,
        read=_texts,
        call=_call_backward,
        forbids=(*_OURS, "mixlab.ssm.chunked_scan", "mixlab.ssm.selective_scan"),
        hints=(
            "Start at the end: nothing comes after the last token, so g there is just `above` "
            "there. Then walk back.",
            "g_t = above_t + a_{t+1} g_{t+1}: the factor is the *next* token's, because that is "
            "the one that carried h_t on.",
            "∂b_t = g_t, and ∂a_t = g_t h_{t−1}, where before the first token h is the state. The "
            "state itself entered through a_0 alone.",
        ),
    ),
}
