"""Grouped-query attention under a sliding window: one readable form, and fast ones that equal it.

Every query scores the keys it may see, turns the scores into weights with a softmax, and returns
the weighted mean of their values. Sources: Vaswani et al., "Attention Is All You Need" (2017),
section 3.2.1; Ainslie et al., "GQA" (2023), section 2.2; "Mistral 7B" (2023), section 2.

Shapes of the functions: queries (batch, n_heads, n_queries, head_dim); keys and values (batch,
n_kv_heads, n_keys, head_dim). Query head h reads key/value head h // (n_heads / n_kv_heads).
Keys end where queries end, so the last query always sees the last key.
"""

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.linear import Linear
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.rope import rotate_wide
from mixlab.transformer.window import check_window, first_visible, window_mask

Queries = Float[Tensor, "batch n_heads n_queries head_dim"]
Keys = Float[Tensor, "batch n_kv_heads n_keys head_dim"]
Weights = Float[Tensor, "batch n_heads n_queries n_keys"]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # queries, keys, values → one vector a query


def _check(q: Tensor, k: Tensor, v: Tensor, window: int | None) -> None:
    check_window(window)
    if q.dim() != 4 or k.dim() != 4 or not k.shape[1]:
        raise ValueError(
            "queries and keys must have the axes (batch, heads, tokens, head_dim): got queries "
            f"{tuple(q.shape)} and keys {tuple(k.shape)}"
        )
    if k.shape != v.shape:
        raise ValueError(
            "keys and values must have one shape, (batch, n_kv_heads, n_keys, head_dim): "
            f"got keys {tuple(k.shape)} and values {tuple(v.shape)}"
        )
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(
            "queries and keys must agree in batch and head_dim: "
            f"got queries {tuple(q.shape)} and keys {tuple(k.shape)}"
        )
    if q.shape[1] % k.shape[1]:
        raise ValueError(
            "the number of query heads must be a multiple of the key/value heads: "
            f"got {q.shape[1]} and {k.shape[1]}; is the head axis second?"
        )
    if q.shape[2] > k.shape[2]:
        raise ValueError(
            "there must be at least as many keys as queries, because every query sees its own "
            f"key: got {q.shape[2]} queries and {k.shape[2]} keys"
        )


def attention_weights(q: Queries, k: Keys, window: int | None = None) -> Weights:
    """The softmax weights of every query over every key; a hidden key has weight 0.

    Args:
        q, k: queries and keys; shapes as in the module's docstring.
        window: keys a query sees, itself included; None for all earlier ones.

    Returns:
        Weights of shape (batch, n_heads, n_queries, n_keys); rows sum to 1.

    Raises:
        ValueError: for a window below 1 or shapes that don't fit together.

    >>> q = k = torch.zeros(1, 1, 4, 2)
    >>> attention_weights(q, k, window=2)[0, 0]
    tensor([[1.0000, 0.0000, 0.0000, 0.0000],
            [0.5000, 0.5000, 0.0000, 0.0000],
            [0.0000, 0.5000, 0.5000, 0.0000],
            [0.0000, 0.0000, 0.5000, 0.5000]])
    """
    _check(q, k, k, window)
    k = repeat(k, "b h j d -> b (h group) j d", group=q.shape[1] // k.shape[1])
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5  # (batch, n_heads, n_queries, n_keys)
    mask = window_mask(q.shape[2], k.shape[2], window, device=q.device)
    return scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)


def dense_attention(q: Queries, k: Keys, v: Keys, window: int | None = None) -> Queries:
    """Attention as the equation reads: all scores, then the mask. The readable twin.

    The mask hides scores that were already computed, so time and memory grow with the square
    of the sequence whatever the window.

    >>> q = k = torch.zeros(1, 1, 3, 2)
    >>> v = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 1, 3, 1).expand(1, 1, 3, 2)
    >>> dense_attention(q, k, v, window=2)[0, 0, :, 0]  # means of at most two values
    tensor([1.0000, 1.5000, 4.0000])
    """
    _check(q, k, v, window)
    weights = attention_weights(q, k, window)
    v = repeat(v, "b h j d -> b (h group) j d", group=q.shape[1] // v.shape[1])
    return weights @ v


def banded_attention(
    q: Queries, k: Keys, v: Keys, window: int | None = None, block: int = 64
) -> Queries:
    """Attention that computes only the band of scores inside the window: linear in length.

    Queries are cut into blocks. A block of `block` queries sees block + window - 1 keys and no
    others, and the pattern of who sees whom is the same in every block. `unfold` lays these
    overlapping stretches of keys side by side as a view, without copying one of them. Before
    the first full window the band is a triangle, handled by itself, and so is the last, partial
    block.

    Args:
        q, k, v: shapes as in the module's docstring.
        window: keys a query sees, itself included; None for all earlier ones.
        block: queries in one block; changes speed only.

    Raises:
        ValueError: for a window or block below 1 or shapes that don't fit together.

    >>> q, k = torch.randn(1, 4, 50, 8), torch.randn(1, 2, 50, 8)
    >>> same = torch.allclose(banded_attention(q, k, k, 7), dense_attention(q, k, k, 7), atol=1e-5)
    >>> same
    True
    """
    _check(q, k, v, window)
    if block < 1:
        raise ValueError(f"block must be at least 1 query: got {block}")
    n_queries, n_keys = q.shape[2], k.shape[2]
    first = n_keys - n_queries  # position of the first query
    if window is None or window >= n_keys or not n_queries:
        return _masked(q, k, v, None)
    head = min(n_queries, max(0, window - 1 - first))  # queries whose window isn't full yet
    body = (n_queries - head) // block * block
    parts = []
    if head:
        keys = slice(0, first + head)
        parts.append(_masked(q[:, :, :head], k[:, :, keys], v[:, :, keys], None))
    if body:
        keys = slice(first_visible(first + head, window), first + head + body)
        middle = q[:, :, head : head + body]
        parts.append(_band(middle, k[:, :, keys], v[:, :, keys], window, block))
    if tail := n_queries - head - body:
        keys = slice(first_visible(n_keys - tail, window), n_keys)
        parts.append(_masked(q[:, :, n_queries - tail :], k[:, :, keys], v[:, :, keys], window))
    return torch.cat(parts, dim=2)


def _band(q: Tensor, k: Tensor, v: Tensor, window: int, block: int) -> Tensor:
    """Full blocks of queries, each over its block + window - 1 keys."""
    batch, group = q.shape[0], q.shape[1] // k.shape[1]
    # The query heads of a group share keys, so they become rows of one matrix product.
    q = rearrange(q, "b (h group) (n block) d -> (b h) n (group block) d", group=group, block=block)
    span = block + window - 1
    k, v = (
        rearrange(x, "b h j d -> (b h) j d").unfold(1, span, block).transpose(-1, -2)
        for x in (k, v)
    )  # (batch * n_kv_heads, n_blocks, span, head_dim)
    mask = window_mask(block, span, window, device=q.device).repeat(group, 1)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return rearrange(
        out, "(b h) n (group block) d -> b (h group) (n block) d", b=batch, group=group
    )


def _masked(q: Tensor, k: Tensor, v: Tensor, window: int | None) -> Tensor:
    """PyTorch's fused attention over all keys, masked; its causal flag where that is enough."""
    n_queries, n_keys = q.shape[2], k.shape[2]
    grouped = q.shape[1] != k.shape[1]
    if n_queries == 1 and (window is None or window >= n_keys):
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=grouped)
    if n_queries == n_keys and (window is None or window >= n_keys):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    mask = window_mask(n_queries, n_keys, window, device=q.device)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=grouped)


def attention(q: Queries, k: Keys, v: Keys, window: int | None = None) -> Queries:
    """Attention by the fastest path at hand: xformers on CUDA, else the band.

    The same arguments, result and errors as `dense_attention`, to rounding.
    """
    if q.is_cuda and window is not None and window < k.shape[2]:
        from mixlab.kernels import xformers_attention

        if xformers_attention.available():
            _check(q, k, v, window)
            return xformers_attention.window_attention(q, k, v, window)
    return banded_attention(q, k, v, window)


def attend_rows(
    q: Float[Tensor, "batch seq n_heads head_dim"],
    k: Float[Tensor, "batch seq n_kv_heads head_dim"],
    v: Float[Tensor, "batch seq n_kv_heads head_dim"],
    window: int | None = None,
) -> Float[Tensor, "batch seq n_heads head_dim"]:
    """`attention` of whole sequences, one a row, laid out as projections give them.

    >>> q = k = torch.zeros(1, 3, 1, 2)
    >>> v = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1).expand(1, 3, 1, 2)
    >>> attend_rows(q, k, v, window=2)[0, :, 0, 0]
    tensor([1.0000, 1.5000, 4.0000])
    """
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return attention(q, k, v, window).transpose(1, 2)


class Attention(nn.Module):
    """Grouped-query attention with RoPE, as in Mistral: project, rotate, attend, project back.

    Which keys a query meets is not its business: `attend` knows the window and the cache. Tokens
    may lie in rows, (batch, seq, …), or packed, (total, …).
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.n_heads, self.n_kv_heads = config.n_heads, config.n_kv_heads
        self.head_dim = config.head_dim
        self.wq = Linear(config.dim, config.n_heads * config.head_dim)
        self.wk = Linear(config.dim, config.n_kv_heads * config.head_dim)
        self.wv = Linear(config.dim, config.n_kv_heads * config.head_dim)
        self.wo = Linear(config.n_heads * config.head_dim, config.dim)

    def forward(
        self,
        x: Float[Tensor, "*tokens dim"],
        cos: Float[Tensor, "seq 1 head_dim"],
        sin: Float[Tensor, "seq 1 head_dim"],
        attend: Attend,
        asking: Int[Tensor, " asking"] | None = None,
    ) -> Float[Tensor, "*asking dim"]:
        """Mix each token with the ones that it sees.

        Args:
            x: the tokens.
            cos, sin: tables of their positions, from `rope.widen`.
            attend: maps queries, keys and values, as from `project`, to one vector a query.
            asking: numbers of the packed tokens that ask, and get a result; all by default.
        """
        q, k, v = self.project(x, cos, sin, asking)
        return self.wo(attend(q, k, v).flatten(-2))

    def project(
        self,
        x: Float[Tensor, "*tokens dim"],
        cos: Float[Tensor, "seq 1 head_dim"],
        sin: Float[Tensor, "seq 1 head_dim"],
        asking: Int[Tensor, " asking"] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries (*asking, n_heads, head_dim), rotated keys, and values of `x`.

        Keys and values are (*tokens, n_kv_heads, head_dim); arguments as in calling the layer.
        """
        tokens, n_heads, n_kv_heads = x.shape[:-1], self.n_heads, self.n_kv_heads
        v = self.wv(x).view(*tokens, n_kv_heads, self.head_dim)
        if asking is None:  # one rotation for all heads
            qk = torch.cat((self.wq(x), self.wk(x)), dim=-1)
            qk = rotate_wide(qk.view(*tokens, n_heads + n_kv_heads, self.head_dim), cos, sin)
            q, k = qk.split_with_sizes((n_heads, n_kv_heads), dim=-2)
        else:
            q = self.wq(x[asking]).view(-1, n_heads, self.head_dim)
            q = rotate_wide(q, cos[asking], sin[asking])
            k = rotate_wide(self.wk(x).view(*tokens, n_kv_heads, self.head_dim), cos, sin)
        return q, k, v
