"""A rolling cache that pins the text's first tokens beside the newest ones: attention sinks.

A model trained without a window leans on its first token, whatever that is, and loses its footing
when a window drops it. So of a ring's `window` slots the first `sinks` are written once, and the
rest roll: position p has the slot sinks + (p - sinks) % (window - sinks). The rule of who sees whom
is `window.visible`'s. Source: Xiao et al., "Efficient Streaming Language Models with Attention
Sinks" (2023), section 3.2.

Keys keep the rotation of their position in the text, as Mistral caches them, so the sinks move
away as the text grows. The paper caches keys before the rotation and turns each by its place in the
cache: a sink's distance stops growing there, and neither cache can be read as the other.

A step attends over the slots as the ring's does; a chunk goes through a mask, which is slower than
the band. Left out: fixed shapes for CUDA graphs, and going back.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.packing import PackedKeys, PackedQueries
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.rolling_layer import Chunk, RollingLayer, Slots, unrotate
from mixlab.transformer.window import check_sinks, visible


def sink_slot(positions: Int[Tensor, "*shape"], window: int, sinks: int) -> Int[Tensor, "*shape"]:
    """The slot of each position, in a ring of `window` slots whose first `sinks` are pinned.

    Raises:
        ValueError: if the sinks leave no slot to roll.

    >>> sink_slot(torch.arange(10), window=4, sinks=1)
    tensor([0, 1, 2, 3, 1, 2, 3, 1, 2, 3])
    """
    check_sinks(window, sinks)
    rolling = sinks + (positions - sinks) % (window - sinks)
    return torch.where(positions < sinks, positions, rolling)


class SinkLayer(RollingLayer):
    """As `RollingLayer`, with the first `sinks` slots written once and the others rolling."""

    sinks = 0  # set by the cache, which knows them

    def place(self, chunk: Chunk, static: bool) -> Slots:
        """Where a chunk's tokens go; of a long chunk, its end, and what it brings of the sinks."""
        device, n_slots = chunk.positions.device, self.keys.shape[1]
        brought = torch.tensor(chunk.lengths, device=device)
        row = torch.arange(len(brought), device=device).repeat_interleave(brought)
        newest = (torch.tensor(chunk.starts, device=device) + brought - 1)[row]
        kept = visible(newest, chunk.positions, self.window, self.sinks).nonzero().squeeze(1)
        slot = sink_slot(chunk.positions[kept], self.window, self.sinks)
        slots = super().place(chunk, static)  # a step reads the same slots as without sinks
        return replace(slots, write=row[kept] * n_slots + slot, kept=kept)

    def held(self, row: int, length: int) -> tuple[PackedKeys, PackedKeys]:
        """What a sequence's next token can see: the sinks, then the others, oldest first."""
        pinned = min(self.sinks, length)
        rolling = self.window - self.sinks
        hidden = int(length - pinned >= rolling)  # the next token's own key is one of the window's
        parts = []
        for ring in (self.keys[row], self.values[row]):
            newest = unrotate(ring[self.sinks :], length - pinned)[hidden:]
            parts.append(torch.cat((ring[:pinned], newest)))
        return parts[0], parts[1]

    def attend_chunk(
        self, q: PackedQueries, k: PackedKeys, v: PackedKeys, chunk: Chunk
    ) -> PackedQueries:
        """Attend over [sinks | held | new] under a mask, sequence by sequence; then write."""
        mixed = []
        asked = chunk.lengths if len(q) == len(k) else [min(n, 1) for n in chunk.lengths]
        new = zip(q.split(asked), k.split(chunk.lengths), v.split(chunk.lengths), strict=True)
        for row, (new_q, new_k, new_v) in enumerate(new):
            if not len(new_q):
                continue
            start, n = chunk.starts[row], chunk.lengths[row]
            held_k, held_v = self.held(row, start)
            pinned = min(self.sinks, start)
            of_held = [*range(pinned), *range(start - len(held_k) + pinned, start)]
            keys = torch.tensor([*of_held, *range(start, start + n)], device=q.device)
            mask = visible(keys[-len(new_q) :, None], keys, self.window, self.sinks)
            one = F.scaled_dot_product_attention(
                new_q.transpose(0, 1)[None],
                torch.cat((held_k, new_k)).transpose(0, 1)[None],
                torch.cat((held_v, new_v)).transpose(0, 1)[None],
                attn_mask=mask,
                enable_gqa=q.shape[1] != k.shape[1],
            )
            mixed.append(one[0].transpose(0, 1))
        self._write(k, v, chunk)
        return torch.cat(mixed)


class SinkCache(RollingCache):
    """As `RollingCache`, keeping each sequence's first tokens; pass it to `extend` in its place.

    Args:
        config: of the model, with a window in every layer: the budget, sinks included.
        batch: number of sequences.
        sinks: how many first tokens are kept; 0 is the plain ring.
        dtype, device: of keys and values: those of the model.

    Raises:
        ValueError: for a layer without a window, or sinks that fill one.

    >>> from mixlab.transformer.model import Transformer
    >>> model = Transformer(TransformerConfig.tiny(window=4))
    >>> _, cache = model.prefill([[1, 2, 3, 4, 5, 6]], SinkCache(model.config, batch=1, sinks=1))
    >>> logits, cache = model.step(torch.tensor([7]), cache)
    >>> cache.lengths, cache.layers[0].keys.shape[1]
    ([7], 4)
    """

    layer_type = SinkLayer

    def __init__(
        self,
        config: TransformerConfig,
        batch: int,
        sinks: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ):
        super().__init__(config, batch, dtype=dtype, device=device)
        for layer in self.layers:
            check_sinks(layer.window, sinks)
            layer.sinks = sinks

    def truncate(self, lengths: Sequence[int]) -> None:
        """Not offered: what the rolling slots have overwritten is gone.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"a cache with sinks can't go back to {list(lengths)} tokens: pre-fill the shorter "
            "sequences into a new cache"
        )
