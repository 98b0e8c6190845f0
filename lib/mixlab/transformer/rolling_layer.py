"""One layer of the rolling cache: the ring itself, its slots, and attention over it.

The token at position p is written to slot p % window, over the one that has just left the window.
Keys are cached after RoPE, which fixed their position for good. A single new token may therefore
read the slots in any order: *write, then attend*. A chunk of several may not, because its first
token still sees keys that its last one overwrites: it attends over [what the ring held, unrotated |
the chunk], *then writes*. Source: "Mistral 7B" (2023), section 2, "Rolling Buffer Cache",
"Pre-fill and Chunking" and figures 2 and 3.
"""

from copy import copy
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.transformer.packing import PackedKeys, PackedQueries, packed_attention


def unrotate(ring: Float[Tensor, "slots *rest"], length: int) -> Float[Tensor, "held *rest"]:
    """What a ring holds, oldest first.

    Args:
        ring: one row a slot; the token at position p was written to slot p % slots.
        length: tokens written so far.

    Raises:
        ValueError: for a negative length, or one without a slot.

    >>> unrotate(torch.tensor([4.0, 5.0, 2.0, 3.0]), length=6)  # positions 2 to 5
    tensor([2., 3., 4., 5.])
    """
    slots = len(ring)
    if length < 0 or length > slots == 0:
        raise ValueError(f"a ring of {slots} slots can't hold a sequence of {length} tokens")
    if length <= slots:
        return ring[:length]
    oldest = length % slots
    return torch.cat((ring[oldest:], ring[:oldest]))


@dataclass(frozen=True)
class Chunk:
    """The tokens that one pass brings: how many to each sequence, and at which positions.

    Attributes:
        starts: tokens that each sequence had before.
        lengths: new tokens of each.
        positions: of the new tokens, packed sequence after sequence.
        is_step: whether every sequence brings exactly one token, as in decoding.
        static: whether shapes must not depend on how full the cache is.
        shared: slots and masks that layers of one window have in common, computed once.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    positions: Int[Tensor, " total"]
    is_step: bool = False
    static: bool = False
    shared: dict = field(default_factory=dict)


class RollingLayer:
    """One layer's keys and values: (batch, slots, n_kv_heads, head_dim) each.

    `limit` is the most slots that may ever be allocated, `window` the most that are of use.
    """

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
        # Zeros, never empty memory: a hidden slot has weight 0, and 0 times NaN is NaN.
        self.keys = torch.zeros(batch, 0, n_kv_heads, head_dim, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)

    def reserve(self, length: int) -> None:
        """Make room for sequences of `length` tokens; grows by doubling, never past the window.

        Raises:
            ValueError: if that takes more than the declared capacity.
        """
        slots = self.keys.shape[1]
        needed = length if self.window is None else min(length, self.window)
        if needed <= slots:
            return
        if self.limit is not None and needed > self.limit:
            raise ValueError(
                f"a layer with window {self.window} must hold {needed} tokens, and this cache "
                f"was declared with a capacity of {self.limit}. Declare a larger one, or start "
                "anew with model.init_state: did the cache come from an earlier prompt?"
            )
        grown = max(needed, 2 * slots)
        for bound in (self.window, self.limit):
            grown = grown if bound is None else min(grown, bound)
        # A ring that is still growing hasn't wrapped: slot and position are the same.
        self.keys, self.values = (
            F.pad(x, (0, 0, 0, 0, 0, grown - slots)) for x in (self.keys, self.values)
        )

    def held(self, row: int, length: int) -> tuple[PackedKeys, PackedKeys]:
        """Keys and values that a sequence's next token can see, oldest first.

        That is window - 1 of them at most: the next token's own key is the last of its window.
        Where nothing had to be unrotated they are views, which the next write changes.
        """
        keys, values = unrotate(self.keys[row], length), unrotate(self.values[row], length)
        hidden = 1 if self.window is not None and length >= self.window else 0
        return keys[hidden:], values[hidden:]

    def attend(
        self,
        q: PackedQueries,
        k: PackedKeys,
        v: PackedKeys,
        chunk: Chunk,
        last_only: bool = False,
    ) -> PackedQueries:
        """Attention of a chunk's queries over the cache and the chunk, and the cache's update.

        Args:
            q, k, v: of the chunk's tokens, packed; queries and keys rotated.
            chunk: where the tokens belong.
            last_only: whether only the last token of each sequence that brings any has a query.

        Returns:
            One vector a query, like `q`.
        """
        if chunk.is_step:
            self._write(k, v, chunk)
            return self._read(q, chunk)
        keys, values, k_lengths = self._with_held(k, v, chunk)
        q_lengths = [1 if last_only else n for n in chunk.lengths if n]
        mixed = packed_attention(q, keys, values, q_lengths, k_lengths, self.window)
        self._write(k, v, chunk)
        return mixed

    def _with_held(self, k: Tensor, v: Tensor, chunk: Chunk) -> tuple[Tensor, Tensor, list[int]]:
        """[held | new] of every sequence that brings tokens, packed, and how many keys each has."""
        if not any(start for start, n in zip(chunk.starts, chunk.lengths, strict=True) if n):
            return k, v, [n for n in chunk.lengths if n]
        keys, values, k_lengths = [], [], []
        new = zip(k.split(chunk.lengths), v.split(chunk.lengths), strict=True)
        for row, (new_k, new_v) in enumerate(new):
            if len(new_k):
                held_k, held_v = self.held(row, chunk.starts[row])
                keys += [held_k, new_k]
                values += [held_v, new_v]
                k_lengths.append(len(held_k) + len(new_k))
        return torch.cat(keys), torch.cat(values), k_lengths

    def _write(self, k: Tensor, v: Tensor, chunk: Chunk) -> None:
        """Put each token into its slot; of a chunk longer than the window only the end stays."""
        if k.dtype != self.keys.dtype:
            raise ValueError(
                f"this cache holds {self.keys.dtype}, and the model computed keys in {k.dtype}: "
                "make it with the model's init_state, and leave autocast out of cached passes"
            )
        kept, target = self._shared("write", chunk, self._targets)
        if kept is not None:
            k, v = k[kept], v[kept]
        self.keys.flatten(0, 1).index_copy_(0, target, k)
        self.values.flatten(0, 1).index_copy_(0, target, v)

    def _targets(self, chunk: Chunk) -> tuple[Tensor | None, Tensor]:
        """Which new tokens are kept (None for all), and their slots in the flattened cache."""
        device, slots = self.keys.device, self.keys.shape[1]
        batch = len(chunk.lengths)
        position = chunk.positions
        slot = position if self.window is None else position % self.window
        if chunk.is_step:
            return None, slot if batch == 1 else slot + torch.arange(batch, device=device) * slots
        lengths = torch.tensor(chunk.lengths, device=device)
        row = torch.arange(batch, device=device).repeat_interleave(lengths)
        target = row * slots + slot
        if self.window is None or max(chunk.lengths) <= self.window:
            return None, target
        ends = torch.tensor(chunk.starts, device=device) + lengths
        kept = (position >= ends[row] - self.window).nonzero().squeeze(1)
        return kept, target[kept]

    def _read(self, q: Tensor, chunk: Chunk) -> Tensor:
        """Attention of one new query a sequence over the slots in use, in whatever order."""
        batch, n_heads, head_dim = q.shape
        n_slots, mask = self._shared("read", chunk, self._in_use)
        k, v = self.keys.transpose(1, 2), self.values.transpose(1, 2)
        if n_slots < k.shape[2]:
            k, v = k[:, :, :n_slots], v[:, :, :n_slots]  # (batch, n_kv_heads, n_slots, head_dim)
        # The heads of a group read the same keys: they become rows of one product, no copies.
        q = q.reshape(batch, k.shape[1], -1, head_dim)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return mixed.reshape(batch, n_heads, head_dim)

    def _in_use(self, chunk: Chunk) -> tuple[int, Tensor | None]:
        """How many slots to read, and which of them hold a key, if not all."""
        slots = self.keys.shape[1]
        longest, shortest = max(chunk.starts) + 1, min(chunk.starts) + 1
        n_slots = slots if chunk.static else min(longest, slots)
        if shortest >= n_slots and not chunk.static:
            return n_slots, None
        slot = torch.arange(n_slots, device=self.keys.device)
        # A wrapped sequence is longer than its ring, and every slot is in use.
        return n_slots, (slot <= chunk.positions[:, None])[:, None, None]

    def _shared(self, what: str, chunk: Chunk, compute):
        """`compute(chunk)`, once for all layers of this window."""
        key = (what, self.window)
        if key not in chunk.shared:
            chunk.shared[key] = compute(chunk)
        return chunk.shared[key]

    def rows(self, index: Int[Tensor, " chosen"] | Bool[Tensor, " batch"]) -> "RollingLayer":
        """A copy that holds some of the sequences."""
        chosen = copy(self)
        chosen.keys, chosen.values = self.keys[index], self.values[index]
        return chosen
