"""Packing: many prompts end to end as one sequence, instead of a padded rectangle.

Every layer but attention treats tokens one by one, so prompts of any lengths can share a pass
without a single padding token; attention alone must keep them apart. Packed tensors have one
axis of tokens: queries (total, n_heads, head_dim), with the number of tokens of each prompt
beside them. Sources: "Mistral 7B" (2023), section 2, for chunks; Krell et al., "Efficient
Sequence Packing without Cross-contamination" (2021), section 3.

A pass over packed tokens may carry a part of each prompt only: that is chunked pre-fill.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import index

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mixlab.common.tokens import check_chunk_size
from mixlab.transformer.attention import attention
from mixlab.transformer.packed_masks import causal_block_mask, check_blocks

PackedQueries = Float[Tensor, "n_queries n_heads head_dim"]
PackedKeys = Float[Tensor, "n_keys n_kv_heads head_dim"]


@dataclass(frozen=True)
class Packed:
    """Prompts end to end.

    Attributes:
        tokens: all token ids, prompt after prompt.
        lengths: how many of them each prompt has; a chunk may bring a prompt no token at all.

    Raises:
        ValueError: if the lengths don't add up to the tokens.
    """

    tokens: Int[Tensor, " total"]
    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        if sum(self.lengths) != len(self.tokens) or any(length < 0 for length in self.lengths):
            raise ValueError(
                f"lengths must be 0 or more and add up to the {len(self.tokens)} packed tokens: "
                f"got {self.lengths}"
            )

    def chunks(self, chunk_size: int | None = None) -> Iterator["Packed"]:
        """Cut every prompt into chunks of `chunk_size` tokens, and pack them chunk by chunk.

        Prompts end in different chunks: one that has ended brings no token to the later ones.

        Raises:
            ValueError: if `chunk_size` is below 1.

        >>> for chunk in pack([[1, 2, 3], [4, 5, 6, 7, 8]]).chunks(2):
        ...     print(chunk.tokens.tolist(), chunk.lengths)
        [1, 2, 4, 5] (2, 2)
        [3, 6, 7] (1, 2)
        [8] (0, 1)
        """
        check_chunk_size(chunk_size)
        longest = max(self.lengths, default=0)
        if chunk_size is None or chunk_size >= longest:
            yield self
            return
        prompts = self.tokens.split(list(self.lengths))
        for start in range(0, longest, chunk_size):
            parts = [prompt[start : start + chunk_size] for prompt in prompts]
            yield Packed(torch.cat(parts), tuple(len(part) for part in parts))


def pack(prompts: Sequence[Sequence[int]], device: torch.device | str | None = None) -> Packed:
    """Lay prompts end to end.

    Raises:
        ValueError: for what is no token id.

    >>> pack([[1, 2, 3], [4]])
    Packed(tokens=tensor([1, 2, 3, 4]), lengths=(3, 1))
    """
    tokens = [_token_id(token) for prompt in prompts for token in prompt]
    lengths = tuple(len(prompt) for prompt in prompts)
    return Packed(torch.tensor(tokens, dtype=torch.long, device=device), lengths)


def _token_id(token) -> int:
    try:
        return index(token)
    except TypeError as error:
        raise ValueError(
            f"prompts must be lists of token ids, whole numbers: got {token!r}. Text goes through "
            "mixlab.tokenizer(path).encode(text).ids first"
        ) from error


def pack_rows(
    tokens: Int[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"] | None = None
) -> Packed:
    """Lay the rows of a rectangle end to end, without their padding.

    Args:
        tokens: one prompt a row.
        mask: True at real tokens; all of them by default.

    Raises:
        ValueError: if `tokens` are no rows, or `mask` has another shape or isn't boolean.

    >>> pack_rows(torch.tensor([[1, 2], [3, 0]]), torch.tensor([[True, True], [True, False]]))
    Packed(tokens=tensor([1, 2, 3]), lengths=(2, 1))
    """
    if tokens.dim() != 2:
        raise ValueError(
            f"tokens must be rows (batch, seq): got shape {tuple(tokens.shape)}. A single prompt "
            "is a batch of one: tokens[None]"
        )
    if mask is None:
        return Packed(tokens.flatten(), (tokens.shape[1],) * tokens.shape[0])
    if mask.shape != tokens.shape:
        raise ValueError(
            f"mask must have the shape of the tokens, {tuple(tokens.shape)}: got "
            f"{tuple(mask.shape)}"
        )
    if mask.dtype != torch.bool:
        raise ValueError(
            f"mask must be True at real tokens: got {mask.dtype}, which would pick tokens by "
            "number. An attention_mask of ones and zeros becomes one by .bool()"
        )
    return Packed(tokens[mask], tuple(mask.sum(dim=1).tolist()))


def masked_attention(
    q: PackedQueries, k: PackedKeys, v: PackedKeys, mask: Bool[Tensor, "n_queries n_keys"]
) -> PackedQueries:
    """Attention under any mask over packed tokens, as the equation reads.

    A softmax over nothing is 0/0. A query that sees no key gets zeros here, where the plain
    formula would give NaN and every later layer would spread it.

    Args:
        q, k, v: shapes as in the module's docstring.
        mask: True where the row's query sees the column's key.

    Raises:
        ValueError: for a mask of other queries or keys.

    >>> q = k = torch.zeros(2, 1, 2)
    >>> v = torch.tensor([4.0, 8.0]).reshape(2, 1, 1).expand(2, 1, 2)
    >>> masked_attention(q, k, v, torch.tensor([[True, True], [False, False]]))[:, 0, 0]
    tensor([6., 0.])
    """
    if mask.shape != (len(q), len(k)):
        raise ValueError(
            f"the mask must have a row for each of {len(q)} queries and a column for each of "
            f"{len(k)} keys: got {tuple(mask.shape)}"
        )
    group = q.shape[1] // k.shape[1]
    k, v = (x.repeat_interleave(group, dim=1) for x in (k, v))
    scores = torch.einsum("ihd, jhd -> hij", q, k) * q.shape[-1] ** -0.5
    weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
    weights = weights.masked_fill(~mask, 0.0)  # a row of NaN becomes a row of zeros
    return torch.einsum("hij, jhd -> ihd", weights, v)


def packed_attention_dense(
    q: PackedQueries,
    k: PackedKeys,
    v: PackedKeys,
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    window: int | None = None,
) -> PackedQueries:
    """Packed attention with one mask over everything: the readable twin of `packed_attention`.

    It computes every score between different prompts only to hide it, so its cost grows with
    the square of all tokens together.
    """
    _check(q, k, v, q_lengths, k_lengths)
    mask = causal_block_mask(q_lengths, k_lengths, window, device=q.device)
    return masked_attention(q, k, v, mask)


def packed_attention(
    q: PackedQueries,
    k: PackedKeys,
    v: PackedKeys,
    q_lengths: Sequence[int],
    k_lengths: Sequence[int],
    window: int | None = None,
) -> PackedQueries:
    """Attention of packed prompts, each over its own keys only, under the window's rule.

    Keys of a prompt end where its queries end. On a CPU the prompts take turns, each through
    the banded kernel, so no score between two prompts is ever computed; prompts of one shape go
    as a batch. On CUDA one call of xformers or FlexAttention serves all.

    Args:
        q, k, v: shapes as in the module's docstring.
        q_lengths, k_lengths: queries and keys of each prompt, in tokens.
        window: keys a query sees, itself included; None for all earlier ones.

    Returns:
        One vector a query, like `q`.

    Raises:
        ValueError: if lengths and tensors don't fit, a prompt has fewer keys than queries, or
            the window is below 1.

    >>> q, k = torch.randn(5, 4, 8), torch.randn(7, 2, 8)
    >>> fast = packed_attention(q, k, k, [2, 3], [4, 3], window=2)
    >>> torch.allclose(fast, packed_attention_dense(q, k, k, [2, 3], [4, 3], window=2), atol=1e-6)
    True
    """
    _check(q, k, v, q_lengths, k_lengths)
    if q.is_cuda and 0 not in q_lengths and (kernel := _cuda_kernel()) is not None:
        return kernel(q, k, v, q_lengths, k_lengths, window)
    if len(set(q_lengths)) == 1 == len(set(k_lengths)) and q_lengths[0]:
        batch = len(q_lengths)
        q, k, v = (x.unflatten(0, (batch, -1)).transpose(1, 2) for x in (q, k, v))
        return attention(q, k, v, window).transpose(1, 2).flatten(0, 1)
    parts = []
    for prompt in zip(
        q.split(list(q_lengths)), k.split(list(k_lengths)), v.split(list(k_lengths)), strict=True
    ):
        q_part, k_part, v_part = (x.transpose(0, 1)[None] for x in prompt)
        if q_part.shape[2]:
            parts.append(attention(q_part, k_part, v_part, window)[0].transpose(0, 1))
    return torch.cat(parts) if parts else torch.empty_like(q)


def _cuda_kernel():
    """The first of the two GPU kernels that runs here, or None."""
    from mixlab.kernels import flex_attention, xformers_attention

    for kernels in (xformers_attention, flex_attention):
        if kernels.available():
            return kernels.packed_attention
    return None


def _check(
    q: Tensor, k: Tensor, v: Tensor, q_lengths: Sequence[int], k_lengths: Sequence[int]
) -> None:
    check_blocks(q_lengths, k_lengths)
    if sum(q_lengths) != len(q) or sum(k_lengths) != len(k):
        raise ValueError(
            f"lengths must add up to the packed tokens: q_lengths {list(q_lengths)} and k_lengths "
            f"{list(k_lengths)} for {len(q)} queries and {len(k)} keys"
        )
    if k.shape != v.shape:
        raise ValueError(
            "keys and values must have one shape, (n_keys, n_kv_heads, head_dim): got keys "
            f"{tuple(k.shape)} and values {tuple(v.shape)}"
        )
    if q.shape[1] % k.shape[1] or q.shape[2] != k.shape[2]:
        raise ValueError(
            "queries need a multiple of the keys' heads and the same head_dim: got queries "
            f"{tuple(q.shape)} and keys {tuple(k.shape)}"
        )
