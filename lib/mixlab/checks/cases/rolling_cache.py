"""Inputs for the exercises of chapter 04: a ring, what it hands on, its bytes, a chunk, a test."""

import numpy as np
import torch

from mixlab.checks.cases import (
    Cases,
    Unreadable,
    _kind,
    read_count,
    read_reals,
    read_verdict,
)
from mixlab.checks.cases.rolling_rings import CACHES, recorded

_OURS = (
    "mixlab.transformer.rolling_layer",
    "mixlab.transformer.rolling_cache",
    "mixlab.transformer.growing_cache",
    "mixlab.traces.rolling_cache",
)
_ATTENTION = (
    "mixlab.transformer.attention",
    "mixlab.transformer.packing",
    "mixlab.transformer.packed_masks",
    "mixlab.transformer.window",
)
_RINGS = "mixlab.checks.cases.rolling_rings"
NOTHING = -1  # stands for None in the result of 04.1


def _draw_ring(rng: np.random.Generator) -> list[tuple]:
    """Windows, and token ids that repeat themselves; 0 is a token like any other."""
    windows = [1, 2, 3, *(int(rng.integers(4, 9)) for _ in range(3))]
    return [(w, rng.integers(0, 6, size=3 * w + int(rng.integers(0, 3))).tolist()) for w in windows]


def _call_ring(answer, window: int, items: list[int]) -> np.ndarray:
    """One row a write: what it returned, then the slots."""
    cache, rows = answer(window), []
    for number, item in enumerate(items):
        out = cache.write(item)
        slots = list(cache.slots)
        if len(slots) != window:
            raise Unreadable(
                f"after write {number}, `slots` has {len(slots)} entries: a ring of W slots has W "
                "from the start, None where nothing has been written yet"
            )
        rows.append([_item(out), *map(_item, slots)])
    return np.array(rows)


def _item(value) -> int:
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise Unreadable(f"expected an item that was written, or None: got {_kind(value)}")
    if value == NOTHING:
        raise Unreadable(f"expected an item that was written, or None: got {value}")
    return int(value)


def _draw_past(rng: np.random.Generator) -> list[tuple]:
    sizes = [(4, 6), (3, 9), (5, 3), (6, 6), (1, 4), (3, 0), (4, 5), (4, 10), (5, 13)]
    for _ in range(5):
        window = int(rng.integers(2, 10))
        sizes.append((window, int(rng.integers(0, 4 * window))))
    drawn = [(written(rng, *size, int(rng.integers(1, 6))), size[1]) for size in sizes]
    drawn[-1][0][:] = 0  # what was written may be zeros, too
    drawn[0][0][0] = 0
    return drawn


def written(rng: np.random.Generator, window: int, length: int, head_dim: int = 3) -> torch.Tensor:
    """A ring of random rows, after `length` writes."""
    ring = torch.zeros(window, head_dim)
    rows = torch.from_numpy(rng.standard_normal((length, head_dim))).float()
    for position in range(length):
        ring[position % window] = rows[position]
    return ring


def _draw_bytes(rng: np.random.Generator) -> list[tuple]:
    drawn = []
    for _ in range(8):
        n_layers = int(rng.integers(1, 9))
        choices = [None, *rng.integers(1, 5000, size=3).tolist()]
        windows = tuple(choices[i] for i in rng.integers(0, 4, size=n_layers))
        lengths = tuple(rng.integers(1, 9000, size=int(rng.integers(1, 5))).tolist())
        groups, n_kv_heads = int(rng.integers(2, 9)), int(rng.integers(1, 9))
        head_dim = 2 * int(rng.integers(8, 80))
        n_bytes = (1, 2, 4)[int(rng.integers(0, 3))]
        drawn.append((windows, lengths, groups * n_kv_heads, n_kv_heads, head_dim, n_bytes))
    return drawn


def _draw_extend(rng: np.random.Generator) -> list[tuple]:
    schedules = [(4, (3, 3, 2)), (5, (1, 4, 5, 1, 3)), (3, (7, 2, 6)), (1, (2, 1, 3)), (6, (4,))]
    for _ in range(3):
        window = int(rng.integers(2, 7))
        chunks = tuple(rng.integers(1, window + 3, size=int(rng.integers(3, 7))).tolist())
        schedules.append((window, chunks))
    dims = rng.permutation([2, 3, 4, 5, 6, 8, 10, 12])
    return [
        (window, chunks, *qkv(rng, sum(chunks), int(head_dim)))
        for (window, chunks), head_dim in zip(schedules, dims, strict=True)
    ]


def qkv(rng: np.random.Generator, seq: int, head_dim: int = 8) -> list[torch.Tensor]:
    """Random queries, keys and values of one head, (seq, head_dim) each."""
    shape = (seq, head_dim)
    return [torch.from_numpy(1.5 * rng.standard_normal(shape)).float() for _ in range(3)]


def _call_extend(answer, window, chunks, q, k, v) -> np.ndarray:
    """The text read chunk by chunk through the answer's own rings: one row a token."""
    keys, values = torch.zeros(window, q.shape[1]), torch.zeros(window, q.shape[1])
    parts, length = [], 0
    for n in chunks:
        now = slice(length, length + n)
        out = answer(keys, values, length, q[now].clone(), k[now].clone(), v[now].clone())
        part = read_reals(2)(out)
        if part.shape != (n, q.shape[1]):
            raise Unreadable(
                f"a chunk of {n} tokens should return shape ({n}, {q.shape[1]}): got {part.shape}"
            )
        parts.append(part)
        length += n
        for name, ring, rows in (("keys", keys, k), ("values", values, v)):
            _hold(name, ring, rows, n, length)
    return np.concatenate(parts)


def _hold(name: str, ring: torch.Tensor, rows: torch.Tensor, n: int, length: int) -> None:
    """Whether each of the last positions stands in its slot; the outputs alone wouldn't tell."""
    window = len(ring)
    for position in range(max(0, length - window), length):
        slot = position % window
        if not torch.allclose(ring[slot], rows[position], atol=1e-5):
            raise Unreadable(
                f"after the chunk of positions {length - n} to {length - 1}, slot {slot} of "
                f"`{name}` should hold position {position}, and doesn't. Change the rings that "
                "came in, in place, and keep position p in slot p % window"
            )


def _draw_back(rng: np.random.Generator) -> list[tuple]:
    drawn = [
        (length, new, window)
        for window in (1, 2, 3)
        for length in range(2 * window + 2)
        for new in range(length + 1)
    ]
    for _ in range(24):
        window = int(rng.integers(4, 9))
        length = int(rng.integers(1, 3 * window + 3))
        drawn.append((length, int(rng.integers(0, length + 1)), window))
    return drawn


def _draw_rings(rng: np.random.Generator) -> list[tuple]:
    return [(CACHES[i],) for i in rng.permutation(len(CACHES))]


def _call_verdict(answer, make_cache):
    return answer(recorded(make_cache))


EXERCISES = {
    "04.1": Cases(
        draw=_draw_ring,
        read=lambda rows: rows,
        call=_call_ring,
        forbids=(*_OURS, _RINGS),
        hints=(
            "The ring needs one more thing to remember than its slots: how many items it has been "
            "given so far.",
            "That number is the position of the next item, and the position modulo W is its slot.",
            "Read the slot before you write into it: what stood there is what you return, and an "
            "empty slot holds None already. Count the item last.",
        ),
    ),
    "04.2": Cases(
        draw=_draw_past,
        read=read_reals(2),
        seed=9,
        forbids=(*_OURS, _RINGS),
        hints=(
            "Write down the slots of a ring of 4 after 6 tokens: positions 4, 5, 2, 3. The next "
            "token, position 6, sees 3, 4, 5 and itself.",
            "The oldest position stands in slot `length % window`, once the ring is full. Before "
            "that the slots are in order already, and only the first `length` of them are written.",
            "List the positions you want, oldest first: from `max(0, length - window + 1)` to "
            "`length - 1`. Each one's slot is its position modulo W; index the ring with them.",
        ),
    ),
    "04.3": Cases(
        draw=_draw_bytes,
        read=read_count,
        forbids=(*_OURS, _RINGS),
        hints=(
            "One token takes, in one layer, a key and a value for each key/value head. Query heads "
            "keep nothing.",
            "How many tokens does a layer with window 4 hold of a sequence of 9? Of a sequence of "
            "3? And a layer without a window?",
            "Add up `length if window is None else min(length, window)` over all layers and "
            "sequences, and multiply by 2 * n_kv_heads * head_dim * bytes_per_number.",
        ),
    ),
    "04.4": Cases(
        draw=_draw_extend,
        read=read_reals(2),
        call=_call_extend,
        seed=0,
        forbids=(*_OURS, *_ATTENTION, _RINGS),
        hints=(
            "Ring of 4, after *The cat sat*: the chunk *on the mat* arrives. Which keys does *on* "
            "need? Which of them are left once the whole chunk has been written?",
            "Attend first: over the ring's keys and the chunk's, end to end. Give every column its "
            "position, and let the window's rule decide which query sees which column.",
            "What the ring holds are the positions from `max(0, length - window)` to `length - 1`: "
            "index the ring with them modulo W, and they come out in order. Join the chunk's own "
            "keys to them, and write into the ring last.",
        ),
    ),
    "04.5": Cases(
        draw=_draw_back,
        read=read_verdict,
        forbids=(*_OURS, _RINGS),
        hints=(
            "Which positions does the ring hold after `length` tokens? The oldest is "
            "`max(0, length - window)`.",
            "Which positions does the next token need, if it stands at position `new`? Itself, and "
            "the W - 1 before it, as far as the text goes back.",
            "Compare the oldest one needed, `max(0, new - window + 1)`, with the oldest one held. "
            "And two cases need nothing old at all: `new == 0` and `window == 1`.",
        ),
    ),
    "04.6": Cases(
        draw=_draw_rings,
        read=read_verdict,
        call=_call_verdict,
        forbids=_OURS,
        hints=(
            "For one window: make a cache, call it with 0, 1, 2, … and compare what it returns "
            "with the positions that the rule allows. Order doesn't matter, so sort first.",
            "A list can hold a position twice, and a set can't: compare sorted lists. A key that "
            "is read twice gets twice the weight.",
            "Try every window from 1 to 9 with forty tokens: some caches go wrong at the second "
            "wrap, some only late, some only where W is no power of two, some at one W.",
        ),
    ),
}
