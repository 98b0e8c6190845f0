"""The growing cache: append every key and let the window's mask hide the old ones.

The readable twin of `RollingCache`, with the same interface: nothing is ever overwritten, so
there are no slots, no wrap and no unrotating, and memory grows with the context. The tests hold
the two together. Source: "Mistral 7B" (2023), section 2, where it is what the ring replaces.
"""

from copy import copy

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mixlab.transformer.attention import dense_attention
from mixlab.transformer.packing import PackedKeys, PackedQueries
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.rolling_layer import Chunk


class GrowingLayer:
    """One layer's keys and values: a list of sequences, (length, n_kv_heads, head_dim) each."""

    def __init__(
        self,
        window: int | None,
        shape: tuple[int, int, int],
        limit: int | None,
        dtype: torch.dtype,
        device: torch.device | str | None,
    ):
        self.window, self.limit = window, limit
        batch, n_kv_heads, head_dim = shape
        empty = torch.zeros(0, n_kv_heads, head_dim, dtype=dtype, device=device)
        self.held = [(empty, empty) for _ in range(batch)]

    def reserve(self, length: int) -> None:
        """Nothing to do: the next `attend` allocates what it needs."""

    def place(self, chunk: Chunk, static: bool) -> None:
        """Nothing to do: keys are appended, and have no slots."""

    def attend(self, q: PackedQueries, k: PackedKeys, v: PackedKeys, chunk: Chunk) -> PackedQueries:
        """Append the chunk, then attend over everything, masked: as in `RollingLayer`."""
        mixed = []
        asked = chunk.lengths if len(q) == len(k) else [min(n, 1) for n in chunk.lengths]
        new = zip(q.split(asked), k.split(chunk.lengths), v.split(chunk.lengths), strict=True)
        for row, (new_q, new_k, new_v) in enumerate(new):
            start = chunk.starts[row]  # an earlier truncation leaves keys behind it
            keys = torch.cat((self.held[row][0][:start], new_k))
            values = torch.cat((self.held[row][1][:start], new_v))
            self.held[row] = (keys, values)
            if len(new_q):
                one = dense_attention(
                    q=new_q.transpose(0, 1)[None],
                    k=keys.transpose(0, 1)[None],
                    v=values.transpose(0, 1)[None],
                    window=self.window,
                )
                mixed.append(one[0].transpose(0, 1))
        return torch.cat(mixed)

    def rows(self, index: Int[Tensor, " chosen"] | Bool[Tensor, " batch"]) -> "GrowingLayer":
        """A copy that holds some of the sequences."""
        chosen = copy(self)
        chosen.held = [self.held[row] for row in torch.arange(len(self.held))[index.cpu()]]
        return chosen


class GrowingCache(RollingCache):
    """As `RollingCache`, without forgetting; pass it to `prefill` and `step` in its place.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> GrowingCache(TransformerConfig.tiny(window=4), batch=2).lengths
    [0, 0]
    """

    layer_type = GrowingLayer

    @property
    def n_bytes(self) -> int:
        """Bytes of all keys and values so far."""
        return sum(x.nbytes for layer in self.layers for row in layer.held for x in row)
