"""Window attention by xformers on CUDA: the kernel that Mistral's own code calls.

Readable twin of the same signature: `mixlab.transformer.attention.dense_attention`. Imported only
when a CUDA tensor asks for it. xformers' masks can be built anywhere, its operator needs CUDA.
"""

import functools

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor


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
    from xformers.ops import memory_efficient_attention
    from xformers.ops.fmha.attn_bias import LowerTriangularFromBottomRightLocalAttentionMask

    if not q.is_cuda:
        raise RuntimeError(
            "xformers' attention operator runs on CUDA only; on a CPU call "
            "mixlab.transformer.attention.banded_attention, which takes the same arguments"
        )
    group = q.shape[1] // k.shape[1]
    q = rearrange(q, "b h s d -> b s h d")
    k, v = (repeat(x, "b h s d -> b s (h group) d", group=group) for x in (k, v))
    bias = LowerTriangularFromBottomRightLocalAttentionMask(_window_size=window)
    out = memory_efficient_attention(q, k, v, attn_bias=bias)
    return rearrange(out, "b s h d -> b h s d")
