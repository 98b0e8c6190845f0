"""04.2 What the next token will see: a ring's rows in the window, oldest first."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    sizes = [(4, 6), (3, 9), (5, 3), (6, 6), (1, 4), (3, 0), (4, 5), (4, 10), (5, 13), (140, 300)]
    for _ in range(5):
        window = int(rng.integers(2, 10))
        sizes.append((window, int(rng.integers(0, 4 * window))))
    drawn = [(written(rng, *size, int(rng.integers(1, 6))), size[1]) for size in sizes]
    drawn[-1][0][:] = 0  # what was written may be zeros, too
    drawn[0][0][0] = 0
    return drawn


def written(rng, window, length, head_dim=3):
    """A ring of random rows, after `length` writes."""
    ring = torch.zeros(window, head_dim)
    rows = torch.from_numpy(rng.standard_normal((length, head_dim))).float()
    for position in range(length):
        ring[position % window] = rows[position]
    return ring


ASKED = Asked(
    draw=draw,
    read=read_reals(2),
    examples=(
        *(
            (written(np.random.default_rng(window), window, length), length)
            for window, length in ((4, 6), (4, 3), (5, 7), (4, 8), (1, 5), (3, 0), (6, 6))
        ),
        (torch.tensor([[0.0, 0.0], [2.0, 1.0], [0.0, 0.0]]), 2),
    ),
    hints=(
        "Write down the slots of a ring of 4 after 6 tokens: positions 4, 5, 2, 3. The next "
        "token, position 6, sees 3, 4, 5 and itself.",
        "The oldest position stands in slot `length % window`, once the ring is full. Before "
        "that the slots are in order already, and only the first `length` of them are written.",
        "List the positions you want, oldest first: from `max(0, length - window + 1)` to "
        "`length - 1`. Each one's slot is its position modulo W; index the ring with them.",
    ),
)

# --- kept back while grading ---


def rows(ring, first, end, order=list):
    """The rows of the positions from `first`, or 0, to before `end`."""
    return ring[order(position % len(ring) for position in range(max(0, first), end))]


def past(ring, length):
    return rows(ring, length - len(ring) + 1, length)


def past_rolled(ring, length):
    window = len(ring)
    turned = ring.roll(-length, dims=0) if length >= window else ring[:length]
    return turned[max(0, len(turned) - window + 1) :]


def held(ring, length):
    """All that the ring holds, oldest first."""
    return ring.roll(-length, dims=0) if length > len(ring) else ring[:length]


def turned_the_wrong_way(ring, length):
    return past(ring, length) if length < len(ring) else ring.roll(length, dims=0)[1:]


def without_zeros(ring, length):
    found = held(ring, length)
    return found[found.abs().sum(1) > 0][int(length >= len(ring)) :]


MISTAKES = {
    "you return all W rows of a full ring. The next token is itself one of the W that it sees, so "
    "the oldest row is out of its sight.": held,
    "you return W - 2 rows at most. The window counts the next token itself once.": (
        lambda ring, length: past(ring, length)[int(length >= len(ring)) :],
        lambda ring, length: rows(ring, length - len(ring) + 2, length),
    ),
    "your last row is the slot that the next token will be written to.": (
        lambda ring, length: rows(ring, length - len(ring) + 1, length + 1),
        lambda ring, length: rows(ring, length - len(ring) + 2, length + 1),
    ),
    "you leave out the newest row of a full ring. The oldest is the one out of sight.": (
        lambda ring, length: held(ring, length)[: len(ring) - 1]
    ),
    "a ring of exactly W tokens is full, too: its oldest row is out of the next token's sight.": (
        lambda ring, length: held(ring, length)[int(length > len(ring)) :]
    ),
    "you drop a row too early: the next token sees all of a ring that isn't full.": (
        lambda ring, length: held(ring, length)[1:],
        lambda ring, length: past(ring, length) if length >= len(ring) else ring[: length - 1],
    ),
    "with a window of 1, `[-(window - 1):]` is `[0:]`, and that is everything. Nothing is to be "
    "seen there.": lambda ring, length: held(ring, length)[-(len(ring) - 1) :],
    "your rows come as the slots lie, not in the order of their positions.": (
        lambda ring, length: rows(ring, length - len(ring) + 1, length, order=sorted)
    ),
    "you return the slots as they lie, and all of them. Leave out what is empty or about to leave "
    "the window, and begin with the oldest.": lambda ring, length: ring,
    "you return the slots as they lie, as far as they are written. Begin with the oldest; and the "
    "next token is itself one of the W that it sees.": (
        lambda ring, length: ring[:length],
        lambda ring, length: ring[: min(length, len(ring) - 1)],
    ),
    "your rows are the right ones, newest first. Begin with the oldest.": (
        lambda ring, length: past(ring, length).flip(0)
    ),
    "you also turn a ring that isn't full, and so return slots that were never written. Before "
    "the first wrap, slot and position are the same.": (
        lambda ring, length: ring.roll(-length, dims=0)[1:],
        lambda ring, length: ring.roll(-length, dims=0),
    ),
    "you turn the ring the wrong way round: the oldest row stands in slot `length % window`, and "
    "has to come first.": turned_the_wrong_way,
    "you look for rows of zeros to find the empty slots. What was written may be zeros, too: "
    "`length` says how many slots are in use.": without_zeros,
}

KNOWN = Known(
    right=(past, past_rolled),
    mistakes=MISTAKES,
    slips={
        "expected real numbers in 2 axes": lambda ring, length: str(past(ring, length)),
        "expected shape: (3, 3)": lambda ring, length: past(ring, length)[:, :1],
    },
    show=lambda ring, length: f"past(ring, {length}) with a ring of {len(ring)} slots",
    place=lambda at: f"row {at[0]}, channel {at[1]}" if at else "",
    name="{:.4f}".format,
)
