"""09.4 Find the bug: windows that restart on every rank."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of

NO_LAYER = -1


def draw(rng):
    """Windows that alternate or not, None among them; ranks with fewer layers, and with none."""
    cases = [(4, (4, 16) * 3, 9), (1, (7, None, 3), 5), (5, (2, 3), 8), (3, (None,) * 7, 6)]
    for _ in range(8):
        choices = [None, *rng.integers(1, 40, size=4).tolist()]
        windows = tuple(choices[i] for i in rng.integers(0, 5, size=int(rng.integers(1, 15))))
        cases.append((int(rng.integers(1, 7)), windows, int(rng.integers(0, 60))))
    return cases


def call(answer, n_ranks, windows, length):
    """A row for each rank, a number for each of its layers, filled up to one length."""
    rows = np.full((n_ranks, len(windows)), NO_LAYER)
    for rank in range(n_ranks):
        given = answer(rank, n_ranks, windows, length)
        try:
            numbers = [int(number) for number in ([given] if isinstance(given, dict) else given)]
        except (TypeError, ValueError):
            raise Unreadable(
                f"expected a list of whole numbers for rank {rank}: got {kind_of(given)}"
            ) from None
        if len(numbers) > len(windows):
            raise Unreadable(f"rank {rank} names {len(numbers)} layers of {len(windows)}")
        rows[rank, : len(numbers)] = numbers
    return rows


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=(
        (2, (4, 16, 4, 16, 4, 16), 10),
        (4, (2, 3, 5, 7, 9, 11), 8),
        (2, (2, None, 3), 5),
        (2, (6, 2, 9), 3),
        (1, (3, None), 0),
        (3, (1, 2, 3, 4, 5, 6, 7), 9),
        (2, (8, 8, 2, 9), 20),
    ),
    hints=(
        "Run it for two ranks and windows 4, 16, 4, 16, 4, 16. Which entry does rank 1 take for "
        "its first layer, and which is that layer's own?",
        "How many layers does the last rank have, if they don't come out even? And what is "
        "min(length, None)?",
        "This rank's windows are `windows[rank * each : (rank + 1) * each]`; a slice stops at the "
        "end by itself.",
    ),
)

# --- kept back while grading ---


def own_windows(rank, n_ranks, windows):
    each = -(-len(windows) // n_ranks)
    return windows[rank * each : (rank + 1) * each]


def slots(rank, n_ranks, windows, length, own=own_windows, held=min, free=lambda n: n):
    return [free(length) if w is None else held(length, w) for w in own(rank, n_ranks, windows)]


def by_number(rank, n_ranks, windows, length):
    each = int(np.ceil(len(windows) / n_ranks))
    kept = np.array([np.inf if w is None else w for w in windows])
    layers = [layer for layer in range(len(windows)) if layer // each == rank]
    return np.minimum(kept[layers], length).astype(int).tolist()


def but(**changes):
    return lambda *given: slots(*given, **changes)


def restarted(rank, n_ranks, windows):
    return windows[: len(own_windows(rank, n_ranks, windows))]


def full_share(rank, n_ranks, windows):
    each = -(-len(windows) // n_ranks)
    return [windows[n % len(windows)] for n in range(rank * each, (rank + 1) * each)]


def clamped(rank, n_ranks, windows):
    each = -(-len(windows) // n_ranks)
    return [windows[min(n, len(windows) - 1)] for n in range(rank * each, (rank + 1) * each)]


def evenly(rank, n_ranks, windows):
    return [windows[n] for n in np.array_split(np.arange(len(windows)), n_ranks)[rank]]


def floored(rank, n_ranks, windows):
    each = len(windows) // n_ranks
    return windows[rank * each : (rank + 1) * each]


MISTAKES = {
    "your windows still restart: every rank begins with the list's first. A rank's layer has a "
    "number in the whole model.": (
        but(own=restarted),
        but(own=lambda rank, k, w: own_windows(0, k, w)),
    ),
    "your ranks take a full share of layers past the end of the model, with a window from "
    "somewhere. The last rank may have fewer, or none.": (
        but(own=full_share),
        but(own=clamped),
    ),
    "your layers are dealt out as evenly as can be. Here they are cut by ceil.": but(own=evenly),
    "you round the share of layers down, and some are nobody's.": but(own=floored),
    "each rank lists the layers of the whole model. It holds the keys of its own.": but(
        own=lambda rank, k, w: w
    ),
    "you deal layers out in turn, 0 to rank 0, 1 to rank 1. A rank has layers in a row.": but(
        own=lambda rank, k, w: w[rank::k]
    ),
    "your rank's slice begins one layer late.": but(
        own=lambda rank, k, w: w[rank * -(-len(w) // k) + 1 : (rank + 1) * -(-len(w) // k) + 1]
    ),
    "your rank's slice ends one layer late.": but(
        own=lambda rank, k, w: w[rank * -(-len(w) // k) : (rank + 1) * -(-len(w) // k) + 1]
    ),
    "your windows begin at the rank's number. Rank r's first layer is r times the share.": but(
        own=lambda rank, k, w: [w[(rank + n) % len(w)] for n in range(len(own_windows(rank, k, w)))]
    ),
    "a layer without a window holds nothing with you. It keeps every key.": but(free=lambda n: 0),
    "you leave layers without a window out. They keep every key, and are layers of this rank.": but(
        own=lambda rank, k, w: [one for one in own_windows(rank, k, w) if one is not None]
    ),
    "you count a ring's slots, also those that a short text leaves empty.": but(
        held=lambda n, w: w
    ),
    "you count the larger of window and length. A ring never holds more than was written.": but(
        held=max
    ),
    "you hold one key less than the window in a full ring. A token's own key is in it too.": but(
        held=lambda n, w: min(n, w - 1)
    ),
    "your windows have no effect: a layer with a window holds at most that many.": but(
        held=lambda n, w: n
    ),
    "you add a layer that holds nothing where a rank has none. The list has one number for each of "
    "its layers, and may be empty.": lambda rank, k, w, n: [
        *slots(rank, k, w, n),
        *[0] * (-(-len(w) // k) - len(own_windows(rank, k, w))),
    ],
    "you hold one key more than the window. A token's own key is one of them.": but(
        held=lambda n, w: min(n, w + 1)
    ),
    "your layers come in reverse.": but(own=lambda rank, k, w: own_windows(rank, k, w)[::-1]),
}

KNOWN = Known(
    right=(slots, by_number),
    mistakes=MISTAKES,
    slips={
        "expected a list of whole numbers": lambda *given: sum(slots(*given)),
        "it raised TypeError": but(free=lambda n: min(n, None)),
    },
    show=lambda n_ranks, windows, length: (
        f"slots(rank, n_ranks={n_ranks}, windows={windows}, length={length}) for every rank"
    ),
    place=lambda at: f"rank {at[0]}, its layer {at[1]}" if at else "",
    name=lambda number: "no such layer" if number == NO_LAYER else f"{number:,}",
)
