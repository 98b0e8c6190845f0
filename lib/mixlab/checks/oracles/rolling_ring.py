"""What exercises 04.1 and 04.2 must return: a ring as it is written, and what comes out of it."""

import numpy as np

from mixlab.checks.cases.rolling_cache import NOTHING, written
from mixlab.checks.oracles import Misconception, Oracle


def _ring(window, items, slot=lambda n, w: n % w, out=lambda old, new: old):
    """One row a write: what it returns, then the slots."""
    slots, rows = [NOTHING] * window, []
    for number, item in enumerate(items):
        where = slot(number, window)
        old = slots[where] if where is not None else NOTHING
        if where is not None:
            slots[where] = item
        rows.append([out(old, item), *slots])
    return np.array(rows)


def _by_item(window, items):
    """The item itself, taken for its position."""
    return _ring(window, items, slot=lambda n, w: items[n] % w)


def _queue(window, items, front=False):
    """Every item moves up one place."""
    slots, rows = [NOTHING] * window, []
    for number, item in enumerate(items):
        full = number >= window
        if front:
            old, slots = slots[-1], [item, *slots[:-1]]
        elif full:
            old, slots = slots[0], [*slots[1:], item]
        else:
            old, slots[number] = NOTHING, item
        rows.append([old, *slots])
    return np.array(rows)


def _write_and_slot(index):
    if len(index) != 2:
        return ""
    write, column = index
    return f"write {write}, " + ("what it returned" if column == 0 else f"slot {column - 1}")


_QUEUE = (
    "your items move: each write shifts the others by one place. In a ring an item stays in its "
    "slot until it is overwritten; only the place of the next write moves on."
)


def _rows(ring, positions):
    return ring.double().numpy()[[p % len(ring) for p in positions]].reshape(-1, ring.shape[1])


def _past(ring, length):
    return _rows(ring, range(max(0, length - len(ring) + 1), length))


def _held(ring, length):
    return _rows(ring, range(max(0, length - len(ring)), length))


def _past_in_slot_order(ring, length):
    seen = range(max(0, length - len(ring) + 1), length)
    return _rows(ring, [p for p in slots_after(length, len(ring)) if p in seen])


def _turned(ring, by):
    """The slots, moved round by some places."""
    return np.roll(ring.double().numpy(), by % len(ring), axis=0)


def _row_channel(index):
    return f"row {index[0]}, channel {index[1]}" if len(index) == 2 else ""


def slots_after(length, window):
    """The position in each slot after `length` tokens, negative where it is empty."""
    held = [-1] * window
    for position in range(max(0, length - window), length):
        held[position % window] = position
    return held


EXERCISES = {
    "04.1": Oracle(
        expected=_ring,
        show=lambda window, items: (
            f"Ring({window}), then write({'), write('.join(map(str, items))})"
        ),
        place=_write_and_slot,
        name=lambda value: "None" if value == NOTHING else str(value),
        examples=((4, [7, 0, 3, 5, 8, 2]), (1, [6, 4, 0]), (3, [0, 0, 9, 1, 0, 2, 4])),
        misconceptions=(
            Misconception(
                "you return the item that you write. What is asked for is the one it overwrites.",
                lambda w, items: _ring(w, items, out=lambda old, new: new),
            ),
            Misconception(
                "your slots are right, but `write` returns nothing. Keep what stood in the slot "
                "before you overwrite it.",
                lambda w, items: _ring(w, items, out=lambda old, new: NOTHING),
            ),
            Misconception(
                "your slots are right, but an overwritten 0 is returned as None: `0 or None` is "
                "None, and `if 0` is false. Return what stood there as it is.",
                lambda w, items: _ring(w, items, out=lambda old, new: old or NOTHING),
            ),
            Misconception(
                "you put an item into the slot `item % window`. The slot comes from the item's "
                "position, from how many were written before, and not from the item.",
                _by_item,
            ),
            Misconception(_QUEUE, _queue),
            Misconception(_QUEUE, lambda w, items: _queue(w, items, front=True)),
            Misconception(
                "your first item goes to slot 1. Positions count from 0, so the first one is 0, "
                "and its slot too: count an item after it is written.",
                lambda w, items: _ring(w, items, slot=lambda n, w: (n + 1) % w),
            ),
            Misconception(
                "your ring stops taking items once it is full. A full ring overwrites the oldest.",
                lambda w, items: _ring(w, items, slot=lambda n, w: n if n < w else None),
            ),
            Misconception(
                "once your ring is full, every item goes to the last slot. The oldest is the one "
                "to go, and it stands in slot `position % window`.",
                lambda w, items: _ring(w, items, slot=lambda n, w: min(n, w - 1)),
            ),
            Misconception(
                "once your ring is full, every item goes to slot 0. That is the oldest only once "
                "in W writes: the slot must move on.",
                lambda w, items: _ring(w, items, slot=lambda n, w: n if n < w else 0),
            ),
        ),
    ),
    "04.2": Oracle(
        expected=_past,
        show=lambda ring, length: f"past(ring, {length}) with a ring of {len(ring)} slots",
        place=_row_channel,
        name=lambda value: f"{value:.4f}",
        examples=tuple(
            (written(np.random.default_rng(window), window, length), length)
            for window, length in ((4, 6), (4, 3), (5, 7), (4, 8), (1, 5), (3, 0), (6, 6))
        ),
        misconceptions=(
            Misconception(
                "you return all W rows of a full ring. The next token is itself one of the W "
                "that it sees, so the oldest row is out of its sight.",
                _held,
            ),
            Misconception(
                "you drop a row too early. While the ring isn't full, the next token sees all "
                "that was written.",
                lambda ring, length: _held(ring, length)[1:],
            ),
            Misconception(
                "your rows come as the slots lie, not in the order of their positions.",
                _past_in_slot_order,
            ),
            Misconception(
                "you return the slots as they lie, and all of them. Leave out what is empty or "
                "about to leave the window, and begin with the oldest.",
                lambda ring, length: ring.double().numpy(),
            ),
            Misconception(
                "you return the slots as they lie, as far as they are written. Begin with the "
                "oldest; and the next token is itself one of the W that it sees.",
                lambda ring, length: ring.double().numpy()[:length],
            ),
            Misconception(
                "your rows are the right ones, newest first. Begin with the oldest.",
                lambda ring, length: _past(ring, length)[::-1],
            ),
            Misconception(
                "you also turn a ring that isn't full, and so return slots that were never "
                "written. Before the first wrap, slot and position are the same.",
                lambda ring, length: _turned(ring, -length)[1:],
            ),
            Misconception(
                "you also turn a ring that isn't full, and so return slots that were never "
                "written; and the next token is itself one of the W that it sees.",
                lambda ring, length: _turned(ring, -length),
            ),
            Misconception(
                "you turn the ring the wrong way round: the oldest row stands in slot "
                "`length % window`, and has to come first.",
                lambda ring, length: (
                    _turned(ring, length)[1:] if length >= len(ring) else _past(ring, length)
                ),
            ),
        ),
    ),
}
