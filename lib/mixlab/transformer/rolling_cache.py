"""The rolling cache: keys and values of the last `window` tokens, in a ring of fixed size.

A query sees `window` keys, so the token at position p may overwrite the one at p - window: its
slot is p % window. Memory stops growing with the context. Layers without a window keep every key,
and one model may mix both. Source: "Mistral 7B" (2023), section 2, "Rolling Buffer Cache" and
figure 2.

Keys are cached after RoPE, which fixed their position for good. A single new token may therefore
read the slots in any order: *write, then attend*. A chunk of several may not, because its first
token still sees keys that its last one overwrites: it attends over [what the ring held, unrotated |
the chunk], *then writes*. `GrowingCache`, in growing_cache, is the readable twin.

Symbols: a sequence has `length` tokens behind it; a pass brings it n more, at positions
length … length + n - 1. Left out: paging, sharing of prefixes, and quantised keys.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.packing import PackedKeys, PackedQueries, packed_attention


def unrotate(ring: Float[Tensor, "slots *rest"], length: int) -> Float[Tensor, "held *rest"]:
    """What a ring holds, oldest first.

    Args:
        ring: one row a slot; the token at position p was written to slot p % slots.
        length: tokens written so far.

    >>> unrotate(torch.tensor([4.0, 5.0, 2.0, 3.0]), length=6)  # positions 2 to 5
    tensor([2., 3., 4., 5.])
    """
    slots = len(ring)
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

    def attend(self, q: PackedQueries, k: PackedKeys, v: PackedKeys, chunk: Chunk) -> PackedQueries:
        """Attention of a chunk's queries over the cache and the chunk, and the cache's update.

        Args:
            q, k, v: of the chunk's tokens, packed; queries and keys rotated.
            chunk: where the tokens belong.

        Returns:
            One vector a query, like `q`.
        """
        if chunk.is_step:
            self._write(k, v, chunk)
            return self._read(q, chunk)
        keys, values, k_lengths = self._with_held(k, v, chunk)
        active = [n for n in chunk.lengths if n]
        mixed = packed_attention(q, keys, values, active, k_lengths, self.window)
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
        k, v = (
            (x if n_slots == x.shape[1] else x[:, :n_slots]).transpose(1, 2)
            for x in (self.keys, self.values)
        )  # (batch, n_kv_heads, n_slots, head_dim)
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

    def rows(self, index: Tensor) -> "RollingLayer":
        """A copy that holds some of the sequences."""
        chosen = copy(self)
        chosen.keys, chosen.values = self.keys[index], self.values[index]
        return chosen


class RollingCache:
    """The state of a batch of sequences: every layer's cache, and how long each sequence is.

    The cache is changed in place by each pass of the model it was made for.

    Args:
        config: of the model.
        batch: number of sequences; each has a length of its own.
        capacity: tokens a sequence that layers may hold; a layer with a shorter window needs
            no more than that. None lets layers without a window grow, by doubling.
        static: read every slot at every step, behind a mask, so that shapes never change and a
            step can be captured in a CUDA graph. Allocates everything now.
        dtype, device: of keys and values: those of the model.

    Attributes:
        lengths: tokens seen so far, a sequence.

    Raises:
        ValueError: for a batch or capacity below 1, or a static cache that could grow.

    >>> cache = RollingCache(TransformerConfig.tiny(window=4), batch=2)
    >>> cache.lengths
    [0, 0]
    """

    layer_type = RollingLayer

    def __init__(
        self,
        config: TransformerConfig,
        batch: int,
        capacity: int | None = None,
        static: bool = False,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ):
        if batch < 1 or (capacity is not None and capacity < 1):
            raise ValueError(
                f"batch and capacity must be at least 1: got batch={batch}, capacity={capacity}"
            )
        if static and capacity is None and None in config.layer_windows:
            raise ValueError(
                "a static cache needs a capacity, because layers without a window would grow: "
                f"got capacity=None and windows {config.layer_windows}"
            )
        self.config, self.static = config, static
        self.lengths = [0] * batch
        self.positions = torch.zeros(batch, dtype=torch.long, device=device)  # where each goes on
        shape = (batch, config.n_kv_heads, config.head_dim)
        self.layers = [
            self.layer_type(window, shape, capacity, dtype, device)
            for window in config.layer_windows
        ]
        if static or capacity is not None:
            for layer in self.layers:
                layer.reserve(min(filter(None, (layer.window, capacity))))
        self._open = False

    @property
    def n_bytes(self) -> int:
        """Bytes allocated for keys and values."""
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.layers)

    def begin(self, lengths: Sequence[int], config: TransformerConfig | None = None) -> Chunk:
        """Announce a pass that brings `lengths` new tokens to the sequences, and make room.

        Args:
            lengths: new tokens a sequence; 0 leaves it as it is.
            config: of the model that is about to run, to see whether the cache is its own.

        Raises:
            ValueError: for another number of sequences, another model's cache, tokens over the
                capacity, or a cache that an earlier pass left half written.
        """
        lengths = tuple(lengths)
        self._check(lengths, config)
        starts = tuple(self.lengths)
        for layer in self.layers:
            layer.reserve(max(start + n for start, n in zip(starts, lengths, strict=True)))
        self._open = True
        if set(lengths) == {1}:
            return Chunk(starts, lengths, self.positions, is_step=True, static=self.static)
        positions = [torch.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)]
        return Chunk(starts, lengths, torch.cat(positions).to(self.positions.device))

    def advance(self, chunk: Chunk) -> None:
        """Close a pass: all layers have written its tokens."""
        if chunk.is_step:
            self.positions += 1
        else:
            self.positions += torch.tensor(chunk.lengths, device=self.positions.device)
        self.lengths = [start + n for start, n in zip(chunk.starts, chunk.lengths, strict=True)]
        self._open = False

    def sync(self) -> None:
        """Read `lengths` back from the device, after steps that a CUDA graph replayed."""
        self.lengths = self.positions.tolist()

    def rows(self, index: Int[Tensor, " chosen"] | Bool[Tensor, " batch"]) -> "RollingCache":
        """A cache of some of the sequences; this one stays as it is.

        >>> cache = RollingCache(TransformerConfig.tiny(), batch=3)
        >>> cache.rows(torch.tensor([True, False, True])).lengths
        [0, 0]
        """
        chosen = copy(self)
        chosen.lengths = torch.tensor(self.lengths)[index.cpu()].tolist()
        chosen.positions = self.positions[index]
        chosen.layers = [layer.rows(index) for layer in self.layers]
        return chosen

    def truncate(self, lengths: Sequence[int]) -> None:
        """Forget each sequence's tokens from its new length on, to go on from there.

        Raises:
            ValueError: if a layer's ring has overwritten keys that the shorter sequence sees.
                A prefix of a ring that has wrapped is not the ring of the prefix.
        """
        self._check_batch(lengths)
        for row, (new, old) in enumerate(zip(lengths, self.lengths, strict=True)):
            if not 0 <= new <= old:
                raise ValueError(f"sequence {row} has {old} tokens: can't truncate to {new}")
            for window in self.config.layer_windows:
                # The next token sees back to new - window + 1; the ring to old - window.
                if window is not None and old > window > 1 and 0 < new < old - 1:
                    raise ValueError(
                        f"can't truncate sequence {row} from {old} to {new} tokens: a ring of "
                        f"{window} slots no longer holds position {max(0, new - window + 1)}. "
                        "Pre-fill the shorter sequence into a new cache"
                    )
        self.lengths = list(lengths)
        self.positions.copy_(torch.tensor(self.lengths))

    def _check(self, lengths: tuple[int, ...], config: TransformerConfig | None) -> None:
        self._check_batch(lengths)
        if any(n < 0 for n in lengths) or not any(lengths):
            raise ValueError(f"a pass needs at least one new token in all: got lengths {lengths}")
        if self._open:
            raise ValueError(
                "an earlier pass over this cache was interrupted, and some layers hold its "
                "tokens: start anew with model.init_state"
            )
        if config is None or config is self.config:
            return
        for name in ("n_layers", "n_kv_heads", "head_dim", "layer_windows"):
            ours, theirs = getattr(self.config, name), getattr(config, name)
            if ours != theirs:
                raise ValueError(
                    f"this cache was made for a model with {name} {ours}, and this model has "
                    f"{theirs}: make one with this model's init_state, after set_window"
                )

    def _check_batch(self, lengths: Sequence[int]) -> None:
        if len(lengths) != len(self.lengths):
            raise ValueError(
                f"this cache holds {len(self.lengths)} sequences, and {len(lengths)} came: did "
                "it come from an earlier prompt? Start anew with model.init_state(batch)"
            )
