"""The masks of a packed request's life: first chunk, later chunks, decoding.

The lengths come from a rolling cache that the request is really fed to, and the masks from the
library's own functions, whose names stand in each mask's trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.packed_masks import causal_block_mask, padded_keys_mask
from mixlab.transformer.packing import pack
from mixlab.transformer.rolling_cache import RollingCache

PADDING = -1  # in place of a position: a slot without a key


@dataclass(frozen=True)
class PackedMask:
    """One pass over a batch of prompts.

    Attributes:
        stage: "first chunk", "later chunk" or "decode".
        mask_name: xformers' mask of the same cells.
        query_prompt, query_position: of each packed query, which prompt and which place in it.
        key_prompt, key_position: the same of each packed key; PADDING for unused slots.
        mask: (queries, keys) booleans: who sees whom.
    """

    stage: str
    mask_name: str
    query_prompt: np.ndarray
    query_position: np.ndarray
    key_prompt: np.ndarray
    key_position: np.ndarray
    mask: np.ndarray


def trace_request(
    lengths: Sequence[int], window: int, chunk_size: int | None = None, n_decode: int = 1
) -> tuple[PackedMask, ...]:
    """Every mask that a batch of prompts meets, from its first chunk to `n_decode` new tokens.

    Args:
        lengths: of the prompts, in tokens; at least one each.
        window: of the layer.
        chunk_size: tokens of each prompt in one pass; None for all.
        n_decode: steps after the prompts.

    Raises:
        ValueError: for an empty prompt, or a window or chunk size below 1.

    >>> first, later, decode = trace_request([3, 1], window=2, chunk_size=2)
    >>> later.mask_name, later.key_position.tolist()
    ('BlockDiagonalCausalLocalAttentionFromBottomRightMask', [1, 2])
    >>> decode.mask.astype(int)
    array([[1, 1, 0, 0],
           [0, 0, 1, 1]])
    """
    if not lengths or min(lengths) < 1:
        raise ValueError(f"every prompt needs at least one token: got lengths {list(lengths)}")
    config = TransformerConfig.tiny(n_layers=1, n_heads=1, n_kv_heads=1, head_dim=2, window=window)
    cache = RollingCache(config, batch=len(lengths), capacity=window)
    passes = []
    for part in pack([[0] * length for length in lengths]).chunks(chunk_size):
        passes.append(_prefill_mask(cache, part.lengths))
        _feed(cache, part.lengths)
    for _ in range(n_decode):
        _feed(cache, [1] * len(lengths))
        passes.append(_decode_mask(cache))
    return tuple(passes)


def _feed(cache: RollingCache, lengths: Sequence[int]) -> None:
    """Run tokens through the layer whose keys and values are their position + 1, so not 0."""
    chunk = cache.begin(lengths)
    content = (chunk.positions + 1.0)[:, None, None].expand(-1, 1, 2)
    cache.layers[0].attend(content, content, content, chunk)
    cache.advance(chunk)


def _prefill_mask(cache: RollingCache, lengths: Sequence[int]) -> PackedMask:
    """Held keys, unrotated, then the chunk's own, for every prompt that brings tokens."""
    active = [row for row, n in enumerate(lengths) if n]
    queries = {row: range(cache.lengths[row], cache.lengths[row] + lengths[row]) for row in active}
    keys = {}
    for row in active:
        held, _ = cache.layers[0].held(row, cache.lengths[row])
        keys[row] = [*(held[:, 0, 0].long() - 1).tolist(), *queries[row]]
    first = not any(cache.lengths[row] for row in active)
    local = "LocalAttention" if first else "LocalAttentionFromBottomRight"
    return PackedMask(
        stage="first chunk" if first else "later chunk",
        mask_name=f"BlockDiagonalCausal{local}Mask",
        query_prompt=np.repeat(active, [len(queries[row]) for row in active]),
        query_position=np.array([p for row in active for p in queries[row]]),
        key_prompt=np.repeat(active, [len(keys[row]) for row in active]),
        key_position=np.array([p for row in active for p in keys[row]]),
        mask=causal_block_mask(
            [len(queries[row]) for row in active],
            [len(keys[row]) for row in active],
            cache.layers[0].window,
        ).numpy(),
    )


def _decode_mask(cache: RollingCache) -> PackedMask:
    """Every sequence's slots, in whatever order the ring has them."""
    slots = cache.layers[0].keys[:, :, 0, 0]  # (batch, slots)
    batch, n_slots = slots.shape
    in_use = [min(length, n_slots) for length in cache.lengths]
    return PackedMask(
        stage="decode",
        mask_name="BlockDiagonalCausalWithOffsetPaddedKeysMask",
        query_prompt=np.arange(batch),
        query_position=np.array(cache.lengths) - 1,
        key_prompt=np.repeat(np.arange(batch), n_slots),
        key_position=torch.where(slots > 0, slots.long() - 1, PADDING).flatten().numpy(),
        mask=padded_keys_mask([1] * batch, in_use, n_slots).numpy(),
    )
