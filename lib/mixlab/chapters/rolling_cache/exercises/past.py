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


def past(ring, length):
    positions = range(max(0, length - len(ring) + 1), length)
    return ring.double().numpy()[[p % len(ring) for p in positions]].reshape(-1, ring.shape[1])


def past_cut(ring, length):
    window = len(ring)
    if length < window:
        return ring[:length]
    cut = length % window
    return torch.cat((ring[cut:], ring[:cut]))[1:]


def past_rolled(ring, length):
    window = len(ring)
    turned = ring.roll(-length, dims=0) if length >= window else ring[:length]
    return turned[max(0, len(turned) - window + 1) :]


def held(ring, length):
    """All that the ring holds, oldest first."""
    return ring.roll(-length, dims=0) if length > len(ring) else ring[:length]


def in_slot_order(ring, length):
    positions = range(max(0, length - len(ring) + 1), length)
    return ring[sorted(p % len(ring) for p in positions)]


def turned_the_wrong_way(ring, length):
    return past(ring, length) if length < len(ring) else ring.roll(length, dims=0)[1:]


def last_of(ring, length):
    """`[-(window - 1):]`, which is everything where window is 1."""
    return held(ring, length)[-(len(ring) - 1) :]


def without_zeros(ring, length):
    rows = held(ring, length)
    return rows[rows.abs().sum(1) > 0][int(length >= len(ring)) :]


MISTAKES = {
    "you return all W rows of a full ring. The next token is itself one of the W that it sees, so "
    "the oldest row is out of its sight.": held,
    "you return W - 2 rows of a full ring. The window counts the next token itself once.": (
        lambda ring, length: past(ring, length)[int(length >= len(ring)) :]
    ),
    "your last row is the slot that the next token will be written to.": lambda ring, length: ring[
        [p % len(ring) for p in range(max(0, length - len(ring) + 1), length + 1)]
    ],
    "you drop a row too early. While the ring isn't full, the next token sees all that was "
    "written.": lambda ring, length: held(ring, length)[1:],
    "with a window of 1, `[-(window - 1):]` is `[0:]`, and that is everything. Nothing is to be "
    "seen there.": last_of,
    "your rows come as the slots lie, not in the order of their positions.": in_slot_order,
    "you return the slots as they lie, and all of them. Leave out what is empty or about to leave "
    "the window, and begin with the oldest.": lambda ring, length: ring,
    "you return the slots as they lie, as far as they are written. Begin with the oldest; and the "
    "next token is itself one of the W that it sees.": (
        lambda ring, length: ring[:length],
        lambda ring, length: ring[: min(length, len(ring) - 1)],
    ),
    "your rows are the right ones, newest first. Begin with the oldest.": lambda ring, length: past(
        ring, length
    )[::-1],
    "you also turn a ring that isn't full, and so return slots that were never written. Before "
    "the first wrap, slot and position are the same.": lambda ring, length: ring.roll(
        -length, dims=0
    )[1:],
    "you also turn a ring that isn't full, and so return slots that were never written; and the "
    "next token is itself one of the W that it sees.": lambda ring, length: ring.roll(
        -length, dims=0
    ),
    "you turn the ring the wrong way round: the oldest row stands in slot `length % window`, and "
    "has to come first.": turned_the_wrong_way,
    "you look for rows of zeros to find the empty slots. What was written may be zeros, too: "
    "`length` says how many slots are in use.": without_zeros,
}

KNOWN = Known(
    right=(past, past_cut, past_rolled),
    mistakes=MISTAKES,
    slips={
        "expected real numbers in 2 axes": lambda ring, length: str(past(ring, length)),
        "expected shape: (3, 3)": lambda ring, length: past(ring, length)[:, :1],
    },
    show=lambda ring, length: f"past(ring, {length}) with a ring of {len(ring)} slots",
    place=lambda at: f"row {at[0]}, channel {at[1]}" if at else "",
    name="{:.4f}".format,
)
