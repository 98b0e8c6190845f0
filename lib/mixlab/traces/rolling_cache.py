"""What a rolling cache holds, overwrites and shows, step by step and chunk by chunk.

The traces come out of the cache's own code, run on tokens whose content says who they are: the key
and the value of position p are the unit vector p. What a slot holds can then be read back, and
because all scores are equal, a query's output is the mean of the unit vectors that it saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.rolling_cache import RollingCache

EMPTY = -1  # in place of a position: nothing has been written yet


@dataclass(frozen=True)
class DecodeStep:
    """One token's way through the cache of one layer.

    Attributes:
        position: of the token, from 0.
        token: its id.
        slot: where it was written.
        evicted: the position that it overwrote, or EMPTY.
        held: the position in each slot after writing, or EMPTY.
        seen_slots: the slots that its query read.
        seen: the positions that its query saw, oldest first.
    """

    position: int
    token: int
    slot: int
    evicted: int
    held: tuple[int, ...]
    seen_slots: tuple[int, ...]
    seen: tuple[int, ...]


@dataclass(frozen=True)
class PrefillChunk:
    """One chunk of a prompt's way through the cache of one layer.

    Attributes:
        positions: of the chunk's tokens.
        held_before: the position in each slot before the chunk, or EMPTY.
        unrotated: the cached positions that the chunk attends over, in order.
        sees: (len(positions), prompt length) booleans: which positions each token saw.
        held: the position in each slot after the chunk was written, or EMPTY.
    """

    positions: tuple[int, ...]
    held_before: tuple[int, ...]
    unrotated: tuple[int, ...]
    sees: np.ndarray
    held: tuple[int, ...]


def trace_decode(tokens: Sequence[int], window: int) -> tuple[DecodeStep, ...]:
    """Feed tokens one at a time.

    Args:
        tokens: ids, in order; kept as labels.
        window: of the layer, and slots of the cache.

    Raises:
        ValueError: for a window below 1 or no tokens.

    >>> last = trace_decode(range(6), window=4)[-1]
    >>> last.slot, last.evicted, last.held, last.seen
    (1, 1, (4, 5, 2, 3), (2, 3, 4, 5))
    """
    cache = _cache(len(tokens), window)
    steps = []
    for position, token in enumerate(tokens):
        before = _held(cache)
        seen = _pass(cache, position, 1, len(tokens))[0].nonzero()[0].tolist()
        held = _held(cache)
        slot = held.index(position)
        steps.append(
            DecodeStep(
                position=position,
                token=int(token),
                slot=slot,
                evicted=before[slot],
                held=held,
                seen_slots=tuple(sorted(held.index(p) for p in seen)),
                seen=tuple(seen),
            )
        )
    return tuple(steps)


@dataclass(frozen=True)
class Ways:
    """What three ways of writing a text compute and keep, token by token.

    Attributes:
        states: way to (steps, seq) whole numbers: 0 not read yet, 1 not in memory, 2 kept from an
            earlier step, 3 computed in this step.
        computed: way to (steps,): how many tokens were computed so far.
        held: way to (steps,): how many tokens' keys and values are kept after the step.
    """

    states: dict[str, np.ndarray]
    computed: dict[str, np.ndarray]
    held: dict[str, np.ndarray]


def trace_ways(n_tokens: int, window: int) -> Ways:
    """Write a text without a cache, with one that keeps everything, and with a ring.

    Args:
        n_tokens: length of the text.
        window: of the ring.

    Raises:
        ValueError: for a window below 1 or no tokens.

    >>> ways = trace_ways(6, window=4)
    >>> [(int(ways.computed[way][-1]), int(ways.held[way][-1])) for way in ways.states]
    [(21, 0), (6, 6), (6, 4)]
    """
    read = np.tri(n_tokens, dtype=bool)
    held = {
        "recompute everything": np.zeros_like(read),
        "keep everything": _held_after_each(n_tokens, n_tokens),
        f"keep the last {window}": _held_after_each(n_tokens, window),
    }
    states, computed = {}, {}
    for way, kept in held.items():
        # What was kept before this step needn't be computed in it, nor what is no longer asked for.
        before = np.vstack([np.zeros((1, n_tokens), dtype=bool), kept[:-1]])
        now = read if not kept.any() else read & ~np.maximum.accumulate(before)
        states[way] = np.where(now, 3, np.where(kept, 2, np.where(read, 1, 0)))
        computed[way] = now.sum(axis=1).cumsum()
    return Ways(states, computed, {way: kept.sum(axis=1) for way, kept in held.items()})


def _held_after_each(n_tokens: int, window: int) -> np.ndarray:
    """(steps, seq): which positions the cache holds after each token."""
    steps = trace_decode(range(n_tokens), window)
    return np.array([np.isin(np.arange(n_tokens), step.held) for step in steps])


def trace_prefill(n_tokens: int, window: int, chunk_size: int) -> tuple[PrefillChunk, ...]:
    """Feed a prompt in chunks.

    Args:
        n_tokens: length of the prompt.
        window: of the layer, and slots of the cache.
        chunk_size: tokens a chunk; the last may be shorter.

    Raises:
        ValueError: for a window or chunk size below 1, or no tokens.

    >>> second = trace_prefill(n_tokens=6, window=4, chunk_size=3)[1]
    >>> second.unrotated, second.held
    ((0, 1, 2), (4, 5, 2, 3))
    >>> second.sees.astype(int)
    array([[1, 1, 1, 1, 0, 0],
           [0, 1, 1, 1, 1, 0],
           [0, 0, 1, 1, 1, 1]])
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1 token: got {chunk_size}")
    cache = _cache(n_tokens, window)
    chunks = []
    for start in range(0, n_tokens, chunk_size):
        n = min(chunk_size, n_tokens - start)
        before = _held(cache)
        unrotated, _ = cache.layers[0].held(0, start)
        unrotated = unrotated[:, 0].argmax(dim=-1).tolist()  # read now: the chunk will overwrite it
        sees = _pass(cache, start, n, n_tokens)
        chunks.append(
            PrefillChunk(
                positions=tuple(range(start, start + n)),
                held_before=before,
                unrotated=tuple(unrotated),
                sees=sees,
                held=_held(cache),
            )
        )
    return tuple(chunks)


def _cache(n_tokens: int, window: int) -> RollingCache:
    """One layer of one head, as wide as there are positions, with all its slots."""
    if n_tokens < 1:
        raise ValueError(f"a trace needs at least one token: got {n_tokens}")
    width = n_tokens + n_tokens % 2  # head_dim is even
    config = TransformerConfig.tiny(
        n_layers=1, n_heads=1, n_kv_heads=1, head_dim=width, window=window
    )
    return RollingCache(config, batch=1, capacity=window)  # declared, so allocated at once


def _pass(cache: RollingCache, start: int, n: int, n_tokens: int) -> np.ndarray:
    """Run positions start … start + n - 1 through the layer: (n, n_tokens), who saw whom."""
    layer = cache.layers[0]
    unit = torch.eye(layer.keys.shape[-1])[start : start + n, None]  # (n, 1 head, head_dim)
    chunk = cache.begin([n])
    # Queries of zeros score every key alike, so a key that is seen has a weight above 0.
    mixed = layer.attend(torch.zeros_like(unit), unit, unit, chunk)
    cache.advance(chunk)
    return (mixed[:, 0, :n_tokens] > 0).numpy()


def _held(cache: RollingCache) -> tuple[int, ...]:
    """The position in each slot, read back from the keys."""
    keys = cache.layers[0].keys[0, :, 0]  # (slots, head_dim)
    position = keys.argmax(dim=-1).masked_fill(keys.amax(dim=-1) == 0, EMPTY)
    return tuple(position.tolist())
