"""04.1 A ring: slots that are written round and round."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of

NOTHING = -1  # stands for None in a result
OF_ONE_RING = "what belongs to one ring is an attribute of `self`, not of the class."


def draw(rng):
    """Windows, and token ids that repeat themselves; 0 is a token like any other."""
    windows = [1, 2, 3, *(int(rng.integers(4, 9)) for _ in range(3)), 130]
    return [(w, rng.integers(0, 6, size=3 * w + int(rng.integers(0, 3))).tolist()) for w in windows]


def call(answer, window, items):
    """One row a write: what it returned, then the slots. A second ring is filled meanwhile."""
    ring, rows = answer(window), []
    before = len(list(ring.slots))
    other = answer(window + 1)
    if len(list(ring.slots)) != before:
        raise Unreadable(f"a second ring changed the slots of the first: {OF_ONE_RING}")
    for number, item in enumerate(items):
        out = ring.write(item)
        other.write(number)
        slots = list(ring.slots)
        if len(slots) != window:
            raise Unreadable(
                f"after write {number}, `slots` has {len(slots)} entries: a ring of W slots has W "
                "from the start, None where nothing has been written yet"
            )
        rows.append([as_number(out), *map(as_number, slots)])
    return np.array(rows)


def as_number(item):
    if item is None:
        return NOTHING
    if isinstance(item, bool) or not isinstance(item, int | np.integer) or item == NOTHING:
        raise Unreadable(f"expected an item that was written, or None: got {kind_of(item)}")
    return int(item)


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=((4, [7, 0, 3, 5, 8, 2]), (1, [6, 4, 0]), (3, [0, 0, 9, 1, 0, 2, 4])),
    hints=(
        "The ring needs one more thing to remember than its slots: how many items it has been "
        "given so far.",
        "That number is the position of the next item, and the position modulo W is its slot.",
        "Read the slot before you write into it: what stood there is what you return, and an "
        "empty slot holds None already. Count the item last.",
    ),
)

# --- kept back while grading ---


class Ring:
    def __init__(self, window):
        self.slots = [None] * window
        self.length = 0

    def slot(self, item):
        return self.length % len(self.slots)

    def returned(self, old, item):
        return old

    def write(self, item):
        slot = self.slot(item)
        old, self.slots[slot] = self.slots[slot], item
        self.length += 1
        return self.returned(old, item)


class RingByPointer:
    def __init__(self, window):
        self.slots = np.full(window, None, dtype=object)
        self.next = 0

    def write(self, item):
        old = self.slots[self.next]
        self.slots[self.next] = item
        self.next = self.next + 1 if self.next + 1 < len(self.slots) else 0
        return old


def ring(slots=lambda window: [None] * window, **parts):
    """A ring with other slots at first, or another `slot`, `returned` or `write`."""

    def begin(self, window):
        self.slots, self.length = slots(window), 0

    return type("Ring", (Ring,), {"__init__": begin, **parts})


def shift(self, item):
    self.slots.append(item)
    return self.slots.pop(0)


class CountingForAll(Ring):
    def __init__(self, window):
        super().__init__(window)
        CountingForAll.written = 0

    def slot(self, item):
        CountingForAll.written += 1
        return (CountingForAll.written - 1) % len(self.slots)


MISTAKES = {
    "you return the item that you write. What is asked for is the one it overwrites.": ring(
        returned=lambda self, old, item: item
    ),
    "your slots are right, but `write` returns nothing. Keep what stood in the slot before you "
    "overwrite it.": ring(returned=lambda self, old, item: None),
    "an overwritten 0 is returned as None: `0 or None` is None, and `if 0` is false.": ring(
        returned=lambda self, old, item: old or None
    ),
    "you put an item into the slot `item % window`. The slot comes from how many were written "
    "before, and not from the item.": ring(slot=lambda self, item: item % len(self.slots)),
    "your items move: each write shifts the others by one place. In a ring an item stays in its "
    "slot until it is overwritten; only the place of the next write moves on.": (
        ring(write=shift),
        ring(write=lambda self, item: (Ring.write, shift)[None not in self.slots](self, item)),
        ring(write=lambda self, item: (self.slots.insert(0, item), self.slots.pop())[1]),
    ),
    "your first item goes to slot 1. Positions count from 0, so the first one is 0, and its slot "
    "too: count an item after it is written.": ring(
        slot=lambda self, item: (self.length + 1) % len(self.slots)
    ),
    "your ring stops taking items once it is full. A full ring overwrites the oldest.": ring(
        write=lambda self, item: Ring.write(self, item) if self.length < len(self.slots) else None
    ),
    "your empty slots hold 0, which is an item. They hold None.": ring(slots=lambda w: [0] * w),
    "your items go round the other way: after slot 0 comes slot 1.": (
        ring(slot=lambda self, item: -self.length % len(self.slots)),
        ring(slot=lambda self, item: -(self.length + 1) % len(self.slots)),
    ),
    "you return what the next write will overwrite, and not what this one has overwritten.": ring(
        returned=lambda self, old, item: self.slots[self.slot(item)]
    ),
    "once your ring is full, every item goes to the last slot. The oldest is the one to go, and it "
    "stands in slot `position % window`.": ring(
        slot=lambda self, item: min(self.length, len(self.slots) - 1)
    ),
    "once your ring is full, every item goes to slot 0. That is the oldest only once in W writes: "
    "the slot must move on.": ring(
        slot=lambda self, item: self.length if self.length < len(self.slots) else 0
    ),
    f"your rings count their items together: {OF_ONE_RING}": CountingForAll,
    "every item goes to slot 0: count what is written.": ring(slot=lambda self, item: 0),
    "your ring begins anew after W - 1 items, and its last slot stays empty.": ring(
        slot=lambda self, item: self.length % max(1, len(self.slots) - 1)
    ),
    "an item that stands in the ring isn't written again with you. The same may come twice.": ring(
        write=lambda self, item: None if item in self.slots else Ring.write(self, item)
    ),
    "you return the slot's number. Asked for is what stood in it.": ring(
        returned=lambda self, old, item: (self.length - 1) % len(self.slots)
    ),
}

KNOWN = Known(
    right=(Ring, RingByPointer),
    mistakes=MISTAKES,
    slips={
        "`slots` has 5 entries": ring(slots=lambda window: [None] * (window + 1)),
        "list index out of range": ring(slot=lambda self, item: self.length),
        "first wrong place: write 3": ring(
            slot=lambda self, item: self.length % len(self.slots[:3])
        ),
        "or None: got int -1": ring(returned=lambda self, old, item: -1 if old is None else old),
    },
    show=lambda w, items: (
        f"Ring({w}), then write({'), write('.join(map(str, items[:30]))})"
        + " …" * (len(items) > 30)
    ),
    place=lambda at: (
        f"write {at[0]}, " + (f"slot {at[1] - 1}" if at[1] else "what it returned") if at else ""
    ),
    name=lambda value: "None" if value == NOTHING else str(value),
)
