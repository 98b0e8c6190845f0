"""05.5 Find the bug: rolled once too often."""

import numpy as np
import torch

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of


def draw(rng):
    """Texts that end before W, at W and after it; chunks of 1, up to W and longer."""
    schedules = [(4, (2, 1, 1, 1)), (5, (5, 1, 1)), (3, (8, 1, 2)), (1, (1, 1, 2)), (6, (5, 1, 7))]
    for _ in range(5):
        window = int(rng.integers(1, 8))
        schedules.append((window, tuple(rng.integers(1, 6, size=int(rng.integers(2, 7))).tolist())))
    schedules.append((140, (139, 1, 3)))
    return [(window, chunks, keys_of(rng, sum(chunks))) for window, chunks in schedules]


def keys_of(rng, seq, head_dim=2):
    return torch.from_numpy(rng.integers(10, 100, size=(seq, head_dim))).float()


def call(answer, window, chunks, keys):
    """The cache after each chunk, one below the other."""
    cache, length, states = torch.zeros(window, keys.shape[1]), 0, []
    for n in chunks:
        given = cache
        out = answer(cache, length, keys[length : length + n].clone())
        length += n
        held = given[: min(length, window)]
        if out is not None and not held.abs().sum(1).all():
            raise Unreadable(
                f"it returned {kind_of(out)}, and the cache that came in has rows that were never "
                "written. Change the cache in place"
            )
        states.append(given.clone())
    return torch.cat(states).numpy()


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=tuple(
        (window, chunks, torch.arange(1.0, sum(chunks) + 1)[:, None].expand(-1, 1).clone())
        for window, chunks in (
            (4, (1, 1, 1, 1, 1)),
            (4, (4, 2)),
            (3, (2, 2)),
            (2, (5,)),
            (1, (1, 1)),
        )
    ),
    hints=(
        "Run it by hand with W = 4 and keys 1, 2, 3, 4, 5, one at a time. After which key does "
        "the cache first look wrong? And how long does it stay wrong?",
        "Which tokens find a full cache: the W-th, or the one after it?",
        "Position W - 1 fills the last empty row, and nothing has to move for it. From position W "
        "on, every key needs room.",
    ),
)

# --- kept back while grading ---


def rolling(cache, length, new, full=lambda p, w, start: p >= w, row=None, by=-1):
    """One key after the other, or under other ideas of when to roll and where to write."""
    for position, key in enumerate(new, length):
        if full(position, len(cache), length):
            cache.copy_(cache.roll(by, 0))
        at = min(position, len(cache) - 1) if row is None else row(position, len(cache))
        if at < len(cache):
            cache[at] = key


def joined(cache, length, new):
    window = len(cache)
    kept = torch.cat((cache[: min(length, window)], new))[-window:]
    cache[: len(kept)] = kept


def but(**changes):
    return lambda cache, length, new: rolling(cache, length, new, **changes)


def filled(rows):
    """The cache made of `rows(cache, length, new)`, from its first row on."""

    def keep(cache, length, new):
        made = rows(cache, length, new)
        cache.zero_()
        cache[: len(made)] = made[: len(cache)]

    return keep


def overflowing(cache, length, new):
    if length + len(new) <= len(cache):
        cache[length : length + len(new)] = new
    else:
        cache.copy_(torch.cat((cache, new))[-len(cache) :])


def cut_off(cache, length, new):
    if length < len(cache):
        cache[length : length + len(new)] = new[: len(cache) - length]
    else:
        joined(cache, length, new)


def rolled_once(cache, length, new):
    if length + len(new) > len(cache):
        cache.copy_(cache.roll(-1, 0))
    rolling(cache, length, new, full=lambda p, w, start: False)


def shifted_down(cache, length, new):
    for position, key in enumerate(new, length):
        if position >= len(cache):
            cache[1:] = cache[:-1].clone()
        cache[min(position, len(cache) - 1)] = key


def held(cache, length):
    return cache[: min(length, len(cache))]


MISTAKES = {
    "your cache doesn't change. `cache = …` gives the name to another tensor: write into the one "
    "that came in.": lambda cache, length, new: None,
    "your cache still rolls at position W - 1, when its last row is empty: the first key is gone, "
    "and a row of zeros stands in the middle.": but(full=lambda p, w, start: p >= w - 1),
    "your cache rolls one token too late: what comes at position W overwrites its neighbour.": but(
        full=lambda p, w, start: p > w
    ),
    "your cache never rolls: once it is full, only its last row changes.": but(
        full=lambda p, w, start: False
    ),
    "your cache rolls for every key, also while rows are empty.": but(
        full=lambda p, w, start: True
    ),
    "you ask once a chunk whether the cache is full. It may become full in the middle.": (
        but(full=lambda p, w, start: start >= w),
        but(full=lambda p, w, start: start >= w - 1),
    ),
    "where a chunk fills the cache and goes on, you keep empty rows among the newest.": overflowing,
    "of a chunk that fills the last empty rows, the rest is lost.": cut_off,
    "your keys go round like in a ring. This cache is kept in order, the oldest first.": (
        but(full=lambda p, w, start: False, row=lambda p, w: p % w),
        but(row=lambda p, w: p % w),
    ),
    "your cache rolls the other way: the newest key is pushed out, and the oldest stays.": (
        but(by=1),
        shifted_down,
    ),
    "your cache keeps the newest first. The oldest comes first.": filled(
        lambda c, length, new: torch.cat((new.flip(0), held(c, length)))
    ),
    "only the last key of a chunk is kept.": lambda c, length, new: joined(c, length, new[-1:]),
    "of a chunk that doesn't fit you keep the first keys. The newest are needed.": filled(
        lambda c, length, new: torch.cat((held(c, length), new[: len(c)]))[-len(c) :]
    ),
    "a chunk takes the place of all that was held.": filled(lambda c, length, new: new[-len(c) :]),
    "your cache takes keys while it has empty rows, and none later.": filled(
        lambda c, length, new: torch.cat((held(c, length), new))
    ),
    "your keys stand at the end of the cache while it isn't full. They begin in row 0.": (
        filled(lambda c, length, new: torch.cat((c, new))[-len(c) :])
    ),
    "your cache rolls once a chunk. A chunk of n keys needs room for n.": rolled_once,
}

KNOWN = Known(
    right=(rolling, joined),
    mistakes=MISTAKES,
    slips={
        "Change the cache in place": lambda cache, length, new: torch.cat((cache, new)),
    },
    show=lambda window, chunks, keys: (
        f"keep on a cache of {window} rows, chunks of {', '.join(map(str, chunks))} keys one after "
        "the other"
    ),
    name="{:g}".format,
)
