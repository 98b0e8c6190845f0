"""06.3 Decoding from rings: which slots the newest tokens see."""

import torch

from mixlab.chapters.packed_prompts.exercises import masks
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_mask


def draw(rng):
    drawn = []
    for _ in range(6):
        slots = int(rng.integers(2, 8))
        seen = rng.integers(1, 4 * slots, int(rng.integers(1, 5))).tolist()
        drawn.append((seen, slots, int(rng.integers(1, slots + 1))))
    slots = int(rng.integers(4, 8))
    wrapped = [slots + 2 + int(rng.integers(0, 9)), 1, slots]
    drawn += [(wrapped, slots, window) for window in (slots, slots - 1, 1)]
    return [*drawn, ([1000, 3, 200], 150, 140)]  # more than 8 bits can count


ASKED = Asked(
    draw=draw,
    read=read_mask(),
    examples=(([6, 8, 2], 3, 3), ([6, 9, 2], 4, 2), ([1, 7], 5, 4)),
    hints=(
        "Which position does slot s hold, after `n` tokens? Try n = 8 and 3 slots: positions "
        "6, 7, 5. Each is the last position below n that leaves remainder s.",
        "The query stands at position n - 1. A key is visible if its position is 0 or more "
        "and less than `window` steps back.",
        "Loop over the last `min(window, n)` positions p of each sequence, and set column "
        "`row * slots + p % slots`. Everything else stays hidden.",
    ),
)

# --- kept back while grading ---


def written_down(seen, slots, window):
    """Each ring as it was written, slot by slot."""
    mask = torch.zeros(len(seen), len(seen), slots, dtype=torch.bool)
    for row, n in enumerate(seen):
        ring = [None] * slots
        for position in range(n):
            ring[position % slots] = position
        mask[row, row] = torch.tensor([p is not None and p >= n - window for p in ring])
    return mask.flatten(1)


def last(n, slots, window):
    """The positions that the query sees."""
    return range(max(0, n - window), n)


def marking(kept=last, column=lambda row, position, slots, window: row * slots + position % slots):
    """A mask by another idea of the positions that are seen, or of where they stand."""

    def mask(seen, slots, window):
        found = torch.zeros(len(seen), len(seen) * slots, dtype=torch.bool)
        for row, n in enumerate(seen):
            for position in kept(n, slots, window):
                found[row, column(row, position, slots, window)] = True
        return found

    return mask


def tiled(seen, slots, window):
    """Each sequence's own slots, in every ring."""
    own = [marking()([n], slots, window)[0] for n in seen]
    return torch.stack(own).repeat(1, len(seen))


# Another idea of the positions that are seen, of n tokens and s slots, and of their columns.
KEPT = {
    "every slot is visible, even the empty ones.": (lambda n, s, window: range(s),),
    "every slot in use is visible. That is right while window equals slots; with a shorter window "
    "the older ones must be hidden.": (lambda n, s, window: range(min(n, s)),),
    "you take the last slots in use. A ring that has wrapped isn't in order: slot s holds the last "
    "position that leaves remainder s.": (lambda n, s, window: last(min(n, s), s, window),),
    "you take the first slots. They hold the newest keys only by chance: position p is in slot "
    "p % slots.": (lambda n, s, window: range(min(n, window)), lambda n, s, window: range(window)),
    "you look for positions up to `seen`, but the query, the newest token, stands at position "
    "seen - 1: you show the slot of a token that isn't there yet.": (
        lambda n, s, window: last(n + 1, s, window),
        lambda n, s, window: range(max(0, n - window), n + 1),
    ),
    "your queries don't see themselves: the newest token has been written to its slot before it "
    "attends.": (
        lambda n, s, window: range(max(0, n - window), n - 1),
        lambda n, s, window: last(n - 1, s, window),
        lambda n, s, window: last(n - 1, s, window - 1),
    ),
    "your queries see themselves alone, not the W - 1 before.": (lambda n, s, window: [n - 1],),
    masks.ONE_MORE: (lambda n, s, window: last(n, s, min(window + 1, s)),),
    masks.ONE_LESS: (lambda n, s, window: last(n, s, window - 1),),
    "positions below 0 don't exist: a young sequence shows slots that nothing has been written "
    "to.": (lambda n, s, window: range(n - window, n),),
}
COLUMNS = {
    "all your sequences read the first ring. The slots of sequence r begin at column r * slots.": (
        lambda r, p, s, window: p % s,
    ),
    "your rings lie `window` columns apart. Each has `slots` slots, however few of them are "
    "visible.": (lambda r, p, s, window: r * window + p % s,),
    "your slots begin at 1, not at 0.": (lambda r, p, s, window: r * s + (p + 1) % s,),
    "you take positions for slots, and so run into the next sequence's ring: position p is in slot "
    "p % slots.": (
        lambda r, p, s, window: [at for at in [r * s + p] if at < (r + 1) * s],
        lambda r, p, s, window: slice(r * s + p, r * s + p + 1),
    ),
}
MISTAKES = {
    "everything is visible: every slot of every ring, to every sequence.": (
        lambda seen, slots, window: torch.ones(len(seen), len(seen) * slots)
    ),
    **{words: tuple(map(marking, ideas)) for words, ideas in KEPT.items()},
    **{words: tuple(marking(column=idea) for idea in ideas) for words, ideas in COLUMNS.items()},
    "every sequence sees the slots of all the others too: row r may only see columns r * slots to "
    "(r + 1) * slots - 1.": tiled,
    "the columns of slot 0 of all rings come first in your mask, then those of slot 1. What is "
    "asked are all slots of the first ring, then of the second.": lambda seen, slots, window: (
        written_down(seen, slots, window).unflatten(1, (-1, slots)).transpose(1, 2).flatten(1)
    ),
    "your mask has the slots of one ring. It needs a column for each slot of every ring.": (
        lambda seen, slots, window: torch.cat([written_down([n], slots, window) for n in seen])
    ),
    masks.INVERTED: lambda *given: ~written_down(*given),
}


def advice(seen, slots, window):
    """What stands out in the case that goes wrong."""
    if window == slots:
        return "the window is the whole ring here: which slots are in use, and where are they?"
    return "all is right where the window is the whole ring. A shorter one hides older keys, too."


KNOWN = Known(
    right=(written_down, marking()),
    mistakes=MISTAKES,
    slips={"expected a mask with 2 axes": lambda *given: written_down(*given).flatten()},
    show=lambda seen, slots, window: f"decode_mask(seen={seen}, slots={slots}, window={window})",
    place=lambda at: f"sequence {at[0]}, column {at[1]}" if at else "",
    name=masks.visible,
    advice=advice,
)
