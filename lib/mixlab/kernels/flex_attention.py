"""Packed window attention by FlexAttention: a mask as a function, compiled into the kernel.

PyTorch's FlexAttention takes a function from (query, key) to "sees" and compiles it into a fused
kernel; blocks of 128 x 128 in which nothing is seen are skipped. The rule of the window is the
library's own, `mixlab.transformer.window.visible`. Readable twin of the same signature:
`mixlab.transformer.packing.packed_attention_dense`.
Source: Dong et al., "Flex Attention" (2024), sections 3 and 4.

On a CPU the function runs uncompiled, as the tests do: it then holds every score.
"""

import functools
import warnings
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask
from torch.nn.attention.flex_attention import flex_attention as torch_flex_attention

from mixlab.transformer.packed_masks import block_positions, check_blocks
from mixlab.transformer.window import visible


@functools.cache
def available() -> bool:
    """Whether FlexAttention compiles and runs on this CUDA device."""
    if not torch.cuda.is_available():
        return False
    try:
        q = torch.zeros(2, 2, 64, device="cuda", dtype=torch.float16)
        packed_attention(q, q, q, [1, 1], [1, 1], window=1)
    except Exception:
        # The compiler fails in as many ways as there are machines; any of them means no.
        return False
    return True


def packed_rule(
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    window: int | None = None,
    device: torch.device | str | None = None,
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """FlexAttention's `mask_mod` of packed prompts: whether packed query i sees packed key j.

    Raises:
        ValueError: for a block with fewer keys than queries.

    >>> sees = packed_rule([2, 1], [4, 2], window=2)
    >>> bool(sees(0, 0, torch.tensor(1), torch.tensor(3))), bool(
    ...     sees(0, 0, torch.tensor(2), torch.tensor(3))
    ... )
    (True, False)
    """
    check_blocks(q_lengths, k_lengths)
    q_block, q_place = block_positions(q_lengths, device)
    k_block, k_place = block_positions(k_lengths, device)
    cached = [keys - queries for queries, keys in zip(q_lengths, k_lengths, strict=True)]
    q_place = q_place + torch.tensor(cached, dtype=torch.long, device=device)[q_block]
    return lambda batch, head, query, key: (
        (q_block[query] == k_block[key]) & visible(q_place[query], k_place[key], window)
    )


def packed_attention(
    q: Float[Tensor, "n_queries n_heads head_dim"],
    k: Float[Tensor, "n_keys n_kv_heads head_dim"],
    v: Float[Tensor, "n_keys n_kv_heads head_dim"],
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    window: int | None = None,
) -> Float[Tensor, "n_queries n_heads head_dim"]:
    """Attention of packed prompts, each over its own keys.

    Raises:
        ValueError: for a block with fewer keys than queries.
    """
    rule = packed_rule(q_lengths, k_lengths, window, q.device)
    blocks = create_block_mask(rule, None, None, len(q), len(k), device=q.device)
    attend = _compiled() if q.is_cuda else torch_flex_attention
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))  # (1, heads, tokens, head_dim)
    with warnings.catch_warnings():
        # It warns that it holds every score, which is what we want of it on a CPU.
        warnings.filterwarnings("ignore", "flex_attention called without torch.compile")
        mixed = attend(q, k, v, block_mask=blocks, enable_gqa=q.shape[1] != k.shape[1])
    return mixed[0].transpose(0, 1)


@functools.cache
def _compiled():
    return torch.compile(torch_flex_attention, dynamic=True)
