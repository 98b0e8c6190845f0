"""What 06.3 must return: which slots of all rings the newest tokens see."""

import numpy as np

from mixlab.checks.oracles import Misconception, Oracle
from mixlab.checks.oracles.packed_words import INVERTED, ONE_MORE, seen_name


def _ring(seen, slots, window, row_of=lambda row: row, kept=None):
    """Marks the slots of positions `kept(n, slots, window)`, a sequence each."""
    kept = kept or (lambda n, slots, window: range(max(0, n - window), n))
    mask = np.zeros((len(seen), len(seen) * slots), dtype=bool)
    for row, n in enumerate(seen):
        for position in kept(n, slots, window):
            mask[row, row * slots + position % slots] = True
    return mask


def _in_slots(seen, slots, chosen):
    """Marks the slots `chosen(n)` of each sequence's stretch, by number."""
    mask = np.zeros((len(seen), len(seen) * slots), dtype=bool)
    for row, n in enumerate(seen):
        mask[row, row * slots + np.array([s for s in chosen(n) if 0 <= s < slots], int)] = True
    return mask


def _slot(index):
    return f"sequence {index[0]}, column {index[1]}" if len(index) == 2 else ""


EXERCISES = {
    "06.3": Oracle(
        expected=_ring,
        show=lambda seen, s, w: f"decode_mask(seen={list(seen)}, slots={s}, window={w})",
        place=_slot,
        name=seen_name,
        examples=(([6, 8, 2], 3, 3), ([6, 9, 2], 4, 2), ([1, 7], 5, 4)),
        misconceptions=(
            Misconception(
                "everything is visible: every slot of every ring, to every sequence.",
                lambda seen, s, w: np.ones((len(seen), len(seen) * s), dtype=bool),
            ),
            Misconception(
                "every slot is visible, even those that no token has been written to.",
                lambda seen, s, w: _in_slots(seen, s, lambda n: range(s)),
            ),
            Misconception(
                "every slot in use is visible. That is right while window equals slots; with a "
                "shorter window the older ones must be hidden.",
                lambda seen, s, w: _in_slots(seen, s, lambda n: range(min(n, s))),
            ),
            Misconception(
                "you take the last slots in use. A ring that has wrapped isn't in order: slot s "
                "holds the last position that leaves remainder s.",
                lambda seen, s, w: _in_slots(
                    seen, s, lambda n: range(max(0, min(n, s) - w), min(n, s))
                ),
            ),
            Misconception(
                "you take the first slots. They hold the newest keys only by chance: position p "
                "is in slot p % slots.",
                lambda seen, s, w: _in_slots(seen, s, lambda n: range(min(n, w))),
            ),
            Misconception(
                "you look for positions up to `seen`, but the query, the newest token, stands at "
                "position seen - 1: you show the slot of a token that isn't there yet.",
                lambda seen, s, w: _ring(
                    seen, s, w, kept=lambda n, s, w: range(max(0, n + 1 - w), n + 1)
                ),
            ),
            Misconception(
                "your queries don't see themselves: the newest token has been written to its slot "
                "before it attends.",
                lambda seen, s, w: _ring(
                    seen, s, w, kept=lambda n, s, w: range(max(0, n - w), n - 1)
                ),
            ),
            Misconception(
                ONE_MORE,
                lambda seen, s, w: _ring(
                    seen, s, w, kept=lambda n, s, w: range(max(0, n - min(w + 1, s)), n)
                ),
            ),
            Misconception(
                "positions below 0 don't exist: a young sequence shows slots that nothing has "
                "been written to.",
                lambda seen, s, w: _ring(seen, s, w, kept=lambda n, s, w: range(n - w, n)),
            ),
            Misconception(
                "every sequence sees the slots of all the others too: row r may only see columns "
                "r * slots to (r + 1) * slots - 1.",
                lambda seen, s, w: np.tile(
                    np.stack([_ring([n], s, w)[0] for n in seen]), (1, len(seen))
                ),
            ),
            Misconception(INVERTED, lambda seen, s, w: ~_ring(seen, s, w)),
        ),
    ),
}
