"""One layer of the rolling cache: the ring itself, its slots, and attention over it.

The token at position p is written to slot p % window, over the one that has just left the window.
Keys are cached after RoPE, which fixed their position for good. A single new token may therefore
read the slots in any order: *write, then attend*. A chunk of several may not, because its first
token still sees keys that its last one overwrites: it attends over [what the ring held, unrotated |
the chunk], *then writes*. Source: "Mistral 7B" (2023), section 2, "Rolling Buffer Cache",
"Pre-fill and Chunking" and figures 2 and 3.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.transformer.packing import PackedKeys, PackedQueries, packed_attention
from mixlab.transformer.window import first_visible, visible


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
class Slots:
    """Where a chunk's tokens go in rings of one window, and what a step reads of them.

    Attributes:
        write: the slot of each kept token, counted through the rings of all sequences.
        kept: numbers of the tokens that are written; None for all.
        n_read: how many slots of each ring a step's query reads.
        in_use: which of those hold a key, (batch, 1, 1, n_read); None where all do.
    """

    write: Int[Tensor, " kept"]
    kept: Int[Tensor, " kept"] | None = None
    n_read: int = 0
    in_use: Bool[Tensor, "batch 1 1 n_read"] | None = None


@dataclass(frozen=True)
class Chunk:
    """The tokens that one pass brings: how many to each sequence, and at which positions.

    Attributes:
        starts: tokens that each sequence had before.
        lengths: new tokens of each.
        positions: of the new tokens, packed sequence after sequence.
        is_step: whether every sequence brings exactly one token, as in decoding.
        slots: where they go, for every window among the layers.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    positions: Int[Tensor, " total"]
    is_step: bool
    slots: dict[int | None, Slots] = field(default_factory=dict)

    def ends(self) -> Int[Tensor, " active"]:
        """The number of the last new token of each sequence that brings any."""
        ends = torch.tensor(self.lengths, device=self.positions.device).cumsum(0) - 1
        return ends[[row for row, n in enumerate(self.lengths) if n]]


def chunk_slots(
    positions: Int[Tensor, " total"],
    starts: Sequence[int],
    lengths: Sequence[int],
    n_slots: int,
    window: int | None,
) -> Slots:
    """Slots of any chunk; of one longer than the window, only the end is kept.

    >>> chunk_slots(torch.arange(6), [0], [6], n_slots=4, window=4)
    Slots(write=tensor([2, 3, 0, 1]), kept=tensor([2, 3, 4, 5]), n_read=0, in_use=None)
    """
    brought = torch.tensor(lengths, device=positions.device)
    row = torch.arange(len(lengths), device=positions.device).repeat_interleave(brought)
    slot = positions if window is None else positions % window
    write = row * n_slots + slot
    if window is None or max(lengths) <= window:
        return Slots(write)
    newest = torch.tensor(starts, device=positions.device) + brought - 1
    kept = visible(newest[row], positions, window).nonzero().squeeze(1)
    return Slots(write[kept], kept)


def step_slots(
    positions: Int[Tensor, " batch"],
    starts: Sequence[int],
    n_slots: int,
    window: int | None,
    static: bool = False,
) -> Slots:
    """Slots of one token a sequence, without waiting for a device; and what its query reads.

    Args:
        positions, starts: where each sequence's token stands, on the device and here.
        n_slots: of each ring.
        window: of the layer.
        static: read every slot, so that shapes don't depend on how full the rings are.

    >>> step_slots(torch.tensor([5, 1]), [5, 1], n_slots=4, window=4).in_use[:, 0, 0].int()
    tensor([[1, 1, 1, 1],
            [1, 1, 0, 0]], dtype=torch.int32)
    """
    batch, device = len(starts), positions.device
    slot = positions if window is None else positions % window
    write = slot if batch == 1 else slot + torch.arange(batch, device=device) * n_slots
    n_read = n_slots if static else min(max(starts) + 1, n_slots)
    if min(starts) + 1 >= n_read and not static:
        return Slots(write, n_read=n_read)
    # A wrapped sequence is longer than its ring, and every slot is in use.
    in_use = torch.arange(n_read, device=device) <= positions[:, None]
    return Slots(write, n_read=n_read, in_use=in_use[:, None, None])


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

    def place(self, chunk: Chunk, static: bool) -> Slots:
        """Where a chunk's tokens go: the same for all layers of this window."""
        n_slots = self.keys.shape[1]
        if chunk.is_step:
            return step_slots(chunk.positions, chunk.starts, n_slots, self.window, static)
        return chunk_slots(chunk.positions, chunk.starts, chunk.lengths, n_slots, self.window)

    def held(self, row: int, length: int) -> tuple[PackedKeys, PackedKeys]:
        """Keys and values that a sequence's next token can see, oldest first.

        That is window - 1 of them at most: the next token's own key is the last of its window.
        Where nothing had to be unrotated they are views, which the next write changes.
        """
        keys, values = unrotate(self.keys[row], length), unrotate(self.values[row], length)
        # The ring reaches back as far as the last token sees.
        hidden = first_visible(length, self.window) - first_visible(length - 1, self.window)
        return keys[hidden:], values[hidden:]

    def attend(self, q: PackedQueries, k: PackedKeys, v: PackedKeys, chunk: Chunk) -> PackedQueries:
        """Attention of a chunk's queries over the cache and the chunk, and the cache's update.

        Args:
            q: rotated queries of all the chunk's tokens, or of the last one of each sequence that
                brings any.
            k, v: rotated keys, and values, of all the chunk's tokens, packed.
            chunk: where the tokens belong.

        Returns:
            One vector a query, like `q`.

        Raises:
            ValueError: for keys of another dtype than the cache's.
        """
        if k.dtype != self.keys.dtype:
            raise ValueError(
                f"this cache holds {self.keys.dtype}, and the model computed keys in {k.dtype}: "
                "make it with the model's init_state, and leave autocast out of cached passes"
            )
        attend = self.attend_step if chunk.is_step else self.attend_chunk
        return attend(q, k, v, chunk)

    def attend_chunk(
        self, q: PackedQueries, k: PackedKeys, v: PackedKeys, chunk: Chunk
    ) -> PackedQueries:
        """Attend over [held | new], then write: right for any chunk. The readable twin."""
        keys, values, k_lengths = self._with_held(k, v, chunk)
        active = [n for n in chunk.lengths if n]
        q_lengths = active if len(q) == len(k) else [1] * len(active)
        mixed = packed_attention(q, keys, values, q_lengths, k_lengths, self.window)
        self._write(k, v, chunk)
        return mixed

    def attend_step(
        self, q: PackedQueries, k: PackedKeys, v: PackedKeys, chunk: Chunk
    ) -> PackedQueries:
        """The same for one token a sequence: write, then attend over the slots in any order."""
        self._write(k, v, chunk)
        slots = chunk.slots[self.window]
        batch, n_heads, head_dim = q.shape
        keys, values = self.keys.transpose(1, 2), self.values.transpose(1, 2)
        if slots.n_read < keys.shape[2]:  # (batch, n_kv_heads, n_read, head_dim)
            keys, values = keys[:, :, : slots.n_read], values[:, :, : slots.n_read]
        # The heads of a group read the same keys: they become rows of one product, no copies.
        q = q.reshape(batch, keys.shape[1], -1, head_dim)
        mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=slots.in_use)
        return mixed.reshape(batch, n_heads, head_dim)

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
        """Put each token into its slot."""
        slots = chunk.slots[self.window]
        if slots.kept is not None:
            k, v = k[slots.kept], v[slots.kept]
        self.keys.flatten(0, 1).index_copy_(0, slots.write, k)
        self.values.flatten(0, 1).index_copy_(0, slots.write, v)

    def rows(self, index: Int[Tensor, " chosen"] | Bool[Tensor, " batch"]) -> "RollingLayer":
        """A copy that holds some of the sequences."""
        chosen = copy(self)
        chosen.keys, chosen.values = self.keys[index], self.values[index]
        return chosen
