"""Window attention by xformers on CUDA, for batches and packed prompts: what Mistral's code calls.

Readable twins of the same signatures: `mixlab.transformer.attention.dense_attention` and
`mixlab.transformer.packing.packed_attention_dense`. Imported only when a CUDA tensor asks for it.
xformers' masks can be built anywhere, its operator needs CUDA.
"""

import functools
import logging
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from xformers.ops.fmha.attn_bias import BlockDiagonalMask


@functools.cache
def masks() -> ModuleType | None:
    """xformers' module of masks, `xformers.ops.fmha.attn_bias`; None where it isn't installed.

    Beside a CPU build of torch, importing xformers logs that its CUDA operators are missing. Its
    masks are plain Python and don't need them, so here that message is held back.
    """
    logger = logging.getLogger("xformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from xformers.ops.fmha import attn_bias
    except ImportError:  # it isn't made for macOS
        return None
    finally:
        logger.setLevel(level)
    return attn_bias


@functools.cache
def available() -> bool:
    """Whether xformers is installed with an operator that runs on this CUDA device."""
    if not torch.cuda.is_available():
        return False
    try:
        from xformers.ops import memory_efficient_attention
        from xformers.ops.fmha.attn_bias import LowerTriangularFromBottomRightLocalAttentionMask

        probe = torch.zeros(1, 16, 1, 64, device="cuda", dtype=torch.float16)
        bias = LowerTriangularFromBottomRightLocalAttentionMask(_window_size=4)
        memory_efficient_attention(probe, probe, probe, attn_bias=bias)
    except (ImportError, NotImplementedError, RuntimeError):
        return False
    return True


def window_attention(
    q: Float[Tensor, "batch n_heads n_queries head_dim"],
    k: Float[Tensor, "batch n_kv_heads n_keys head_dim"],
    v: Float[Tensor, "batch n_kv_heads n_keys head_dim"],
    window: int,
) -> Float[Tensor, "batch n_heads n_queries head_dim"]:
    """Attention under a sliding window, keys ending where queries end.

    xformers lays tensors out as (batch, seq, heads, head_dim) and aligns this mask bottom-right;
    its window counts the token itself, as ours does.

    Raises:
        RuntimeError: without a CUDA device.
    """
    from xformers.ops.fmha.attn_bias import LowerTriangularFromBottomRightLocalAttentionMask

    bias = LowerTriangularFromBottomRightLocalAttentionMask(_window_size=window)
    return _attend(*(x.transpose(1, 2) for x in (q, k, v)), bias).transpose(1, 2)


def packed_bias(
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    window: int | None,
    device: torch.device | str | None = None,
) -> "BlockDiagonalMask":
    """xformers' mask of packed prompts whose keys end where their queries end.

    The masks that `make_local_attention` gives count queries from the first key instead, so
    after a cache they hide the newest keys; this one is aligned bottom-right throughout.

    Returns:
        A BlockDiagonalCausalFromBottomRightMask, or its local form if there is a window.
    """
    from xformers.ops.fmha.attn_bias import BlockDiagonalMask

    lengths = list(q_lengths), list(k_lengths)
    mask = BlockDiagonalMask.from_seqlens(*lengths, device=torch.device(device or "cpu"))
    if window is None:
        return mask.make_causal_from_bottomright()
    return mask.make_local_attention_from_bottomright(window)


def packed_attention(
    q: Float[Tensor, "n_queries n_heads head_dim"],
    k: Float[Tensor, "n_keys n_kv_heads head_dim"],
    v: Float[Tensor, "n_keys n_kv_heads head_dim"],
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    window: int | None = None,
) -> Float[Tensor, "n_queries n_heads head_dim"]:
    """Attention of packed prompts, each over its own keys, in one launch.

    Every prompt must bring a query: an empty block has no place in xformers' masks.

    Raises:
        RuntimeError: without a CUDA device.
    """
    bias = packed_bias(q_lengths, k_lengths, window, q.device)
    return _attend(q[None], k[None], v[None], bias)[0]


def _attend(q: Tensor, k: Tensor, v: Tensor, bias) -> Tensor:
    """xformers' operator over (batch, seq, heads, head_dim), with groups of query heads."""
    from xformers.ops import memory_efficient_attention

    if not q.is_cuda:
        raise RuntimeError(
            "xformers' attention operator runs on CUDA only; on a CPU call attention.attention or "
            "packing.packed_attention in mixlab.transformer, which take the same arguments"
        )
    n_heads, n_kv_heads = q.shape[2], k.shape[2]
    if n_heads == n_kv_heads:
        return memory_efficient_attention(q, k, v, attn_bias=bias)
    group = n_heads // n_kv_heads
    if any(x.requires_grad for x in (q, k, v)):  # grouped heads have a forward pass only
        k, v = (x.repeat_interleave(group, dim=2) for x in (k, v))
        return memory_efficient_attention(q, k, v, attn_bias=bias)
    q = q.unflatten(2, (n_kv_heads, group))
    k, v = (x[:, :, :, None].expand(-1, -1, -1, group, -1) for x in (k, v))  # views: no copies
    return memory_efficient_attention(q, k, v, attn_bias=bias).flatten(2, 3)
