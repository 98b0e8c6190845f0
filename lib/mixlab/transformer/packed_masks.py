"""Block-diagonal masks: who sees whom when many prompts lie end to end as one sequence.

Packed prompts need no padding, but each must see only itself. A mask over packed queries and
packed keys is therefore made of blocks along the diagonal, one a prompt, and the window's rule
holds inside every block. A request meets three of them: causal blocks at its first chunk, blocks
with more keys than queries at later ones, and blocks of padded keys while it decodes from a cache
of fixed size. Source: the masks of xformers (Lefaudeux et al., 2022), `xformers.ops.fmha.
attn_bias`, which Mistral's own code packs prompts with; the tests hold these to those, cell by
cell:

    causal_block_mask(q)                                BlockDiagonalCausalMask
    causal_block_mask(q, window=W)                      … .make_local_attention(W)
    causal_block_mask(q, k, W, align="top_left")        … .make_local_attention(W)
    causal_block_mask(q, k)                             BlockDiagonalCausalFromBottomRightMask
    causal_block_mask(q, k, W)                          … .make_local_attention_from_bottomright(W)
    padded_keys_mask(q, k, size)                        BlockDiagonalCausalWithOffsetPaddedKeysMask
    padded_keys_mask(q, k, size, W)                     BlockDiagonalCausalLocalAttentionPadded…

Masks here are True where the row's query sees the column's key; xformers' hold 0 and -inf there.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mixlab.transformer.window import visible

Alignment = Literal["bottom_right", "top_left"]


def check_lengths(lengths: Sequence[int], name: str = "lengths") -> None:
    """Raise ValueError unless every length is a whole number, 0 or more."""
    if any(length != int(length) or length < 0 for length in lengths):
        raise ValueError(f"{name} must be 0 or more tokens each, whole: got {list(lengths)}")


def check_blocks(q_lengths: Sequence[int], k_lengths: Sequence[int]) -> None:
    """Raise ValueError unless there are as many key blocks as query blocks, each long enough."""
    check_lengths(q_lengths, "q_lengths")
    check_lengths(k_lengths, "k_lengths")
    if len(q_lengths) != len(k_lengths):
        raise ValueError(
            "queries and keys must come in the same number of blocks, one a prompt: got "
            f"{len(q_lengths)} query blocks and {len(k_lengths)} key blocks"
        )
    for block, (n_queries, n_keys) in enumerate(zip(q_lengths, k_lengths, strict=True)):
        if n_keys < n_queries:
            raise ValueError(
                f"block {block} has {n_queries} queries and {n_keys} keys: each query needs at "
                "least its own key. Do k_lengths count the chunk's own tokens too?"
            )


def block_positions(
    lengths: Sequence[int], device: torch.device | str | None = None
) -> tuple[Int[Tensor, " total"], Int[Tensor, " total"]]:
    """The block that each packed place belongs to, and its place inside the block.

    >>> block, place = block_positions([2, 3])
    >>> block.tolist(), place.tolist()
    ([0, 0, 1, 1, 1], [0, 1, 0, 1, 2])
    """
    check_lengths(lengths)
    sizes = torch.tensor(list(lengths), dtype=torch.long, device=device)
    block = torch.arange(len(lengths), device=device).repeat_interleave(sizes)
    starts = sizes.cumsum(0) - sizes
    return block, torch.arange(len(block), device=device) - starts[block]


def block_mask(
    q_lengths: Sequence[int],
    k_lengths: Sequence[int] | None = None,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "n_queries n_keys"]:
    """Each query sees the whole of its own block and nothing else.

    Args:
        q_lengths, k_lengths: queries and keys of each block, in tokens; as many keys as queries
            by default.
        device: where to build the mask.

    Raises:
        ValueError: if the numbers of blocks differ or a length is negative.

    >>> block_mask([1, 2]).int()
    tensor([[1, 0, 0],
            [0, 1, 1],
            [0, 1, 1]], dtype=torch.int32)
    """
    k_lengths = q_lengths if k_lengths is None else k_lengths
    if len(q_lengths) != len(k_lengths):
        raise ValueError(
            "queries and keys must come in the same number of blocks, one a prompt: got "
            f"{len(q_lengths)} query blocks and {len(k_lengths)} key blocks"
        )
    q_block, _ = block_positions(q_lengths, device)
    k_block, _ = block_positions(k_lengths, device)
    return q_block[:, None] == k_block[None, :]


def causal_block_mask(
    q_lengths: Sequence[int],
    k_lengths: Sequence[int] | None = None,
    window: int | None = None,
    align: Alignment = "bottom_right",
    device: torch.device | str | None = None,
) -> Bool[Tensor, "n_queries n_keys"]:
    """Causal blocks, with a window if there is one: the mask of a pre-fill chunk.

    With more keys than queries in a block, alignment decides where the queries stand. They are
    the block's *last* tokens when a chunk follows cached keys, so `bottom_right` is right.
    `top_left` counts them from the block's first key: xformers' `make_local_attention` does, and
    used after a cache it hides the newest keys without an error.

    Args:
        q_lengths, k_lengths: queries and keys of each block, in tokens; as many keys as queries
            by default, as in a first chunk.
        window: keys a query sees, itself included; None for all earlier ones.
        align: which corner of each block the diagonal starts from.
        device: where to build the mask.

    Raises:
        ValueError: for a window below 1, an unknown alignment, or a block with fewer keys than
            queries.

    >>> causal_block_mask([2, 1], [4, 2], window=2).int()  # two and one tokens were cached
    tensor([[0, 1, 1, 0, 0, 0],
            [0, 0, 1, 1, 0, 0],
            [0, 0, 0, 0, 1, 1]], dtype=torch.int32)
    """
    if align not in ("bottom_right", "top_left"):
        raise ValueError(f"align must be 'bottom_right' or 'top_left': got {align!r}")
    k_lengths = q_lengths if k_lengths is None else k_lengths
    check_blocks(q_lengths, k_lengths)
    q_block, q_place = block_positions(q_lengths, device)
    k_block, k_place = block_positions(k_lengths, device)
    if align == "bottom_right":
        q_place = q_place + _surplus(q_lengths, k_lengths, device)[q_block]
    same = q_block[:, None] == k_block[None, :]
    return same & visible(q_place[:, None], k_place[None, :], window)


def padded_keys_mask(
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    padding: int,
    window: int | None = None,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "n_queries n_keys"]:
    """Causal blocks over keys that lie in equal stretches of `padding` slots, partly in use.

    The mask of decoding: each sequence owns `padding` slots of the cache, of which the first
    `k_lengths` hold keys. A rolling cache passes its size as `padding` and needs no `window`,
    because what it forgot is out of the window.

    Args:
        q_lengths: queries of each block: 1 each while decoding.
        k_lengths: slots in use of each block, the new tokens' included.
        padding: slots a block.
        window: keys a query sees, itself included; None for all in use.
        device: where to build the mask.

    Returns:
        A mask of len(k_lengths) * padding columns. A query without a key in use sees nothing:
        its row is all False.

    Raises:
        ValueError: for a window below 1, or keys that overfill their slots.

    >>> padded_keys_mask([1, 1], [2, 3], padding=4).int()
    tensor([[1, 1, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 1, 1, 1, 0]], dtype=torch.int32)
    """
    if len(q_lengths) != len(k_lengths):
        raise ValueError(
            "queries and keys must come in the same number of blocks, one a sequence: got "
            f"{len(q_lengths)} query blocks and {len(k_lengths)} key blocks"
        )
    check_lengths(k_lengths, "k_lengths")
    check_lengths([padding], "padding")
    if any(length > padding for length in k_lengths):
        raise ValueError(
            f"k_lengths must fit into the {padding} slots of a block: got {list(k_lengths)}. A "
            "rolling cache holds min(tokens seen, window) keys"
        )
    q_block, q_place = block_positions(q_lengths, device)
    q_place = q_place + _surplus(q_lengths, k_lengths, device)[q_block]
    k_block, k_place = block_positions([padding] * len(k_lengths), device)
    in_use = k_place < torch.tensor(list(k_lengths), dtype=torch.long, device=device)[k_block]
    same = q_block[:, None] == k_block[None, :]
    return same & in_use & visible(q_place[:, None], k_place[None, :], window)


def _surplus(q_lengths: Sequence[int], k_lengths: Sequence[int], device) -> Tensor:
    """How many keys of each block come before its first query; negative if queries are more."""
    surplus = [n_keys - n_queries for n_queries, n_keys in zip(q_lengths, k_lengths, strict=True)]
    return torch.tensor(surplus, dtype=torch.long, device=device)
