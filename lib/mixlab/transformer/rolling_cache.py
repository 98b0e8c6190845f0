"""The rolling cache: keys and values of the last `window` tokens, in rings of fixed size.

A query sees `window` keys, so the token at position p may overwrite the one at p - window: its
slot is p % window. Memory stops growing with the context. Layers without a window keep every key,
and one model may mix both. Source: "Mistral 7B" (2023), section 2, "Rolling Buffer Cache" and
figure 2.

Here is the state of the whole model: how long each sequence is, and a ring a layer; rolling_layer
holds the ring. `GrowingCache`, in growing_cache, is the readable twin. Left out: paging, sharing
of prefixes between sequences, and quantised keys.
"""

from collections.abc import Sequence
from copy import copy
from numbers import Integral

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.rolling_layer import Chunk, RollingLayer
from mixlab.transformer.window import first_visible


def cache_bytes(
    config: TransformerConfig, seq: int, dtype: torch.dtype = torch.float16, batch: int = 1
) -> int:
    """Bytes of the keys and values of `batch` sequences of `seq` tokens, in rings where windowed.

    >>> mistral = TransformerConfig.mistral_7b()
    >>> [cache_bytes(mistral, seq) // 2**20 for seq in (1024, 4096, 32_768)]  # MiB
    [128, 512, 512]
    >>> cache_bytes(TransformerConfig.mistral_7b(window=None), 32_768) // 2**20
    4096
    """
    slots = sum(seq if window is None else min(seq, window) for window in config.layer_windows)
    return 2 * batch * slots * config.n_kv_heads * config.head_dim * dtype.itemsize


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
        for number in (batch, 1 if capacity is None else capacity):
            if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
                raise ValueError(
                    "batch and capacity must be at least 1, whole numbers: got "
                    f"batch={batch}, capacity={capacity}"
                )
        if static and capacity is None and None in config.layer_windows:
            raise ValueError(
                "a static cache needs a capacity, because layers without a window would grow: "
                f"got capacity=None and windows {config.layer_windows}"
            )
        self.config, self.static = config, static
        self.lengths = [0] * batch
        self._furthest = [0] * batch  # the longest each has been since it was empty
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
        positions, is_step = self.positions, set(lengths) == {1}
        if not is_step:
            pieces = [torch.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)]
            positions = torch.cat(pieces).to(positions.device)
        chunk = Chunk(starts, lengths, positions, is_step)
        for layer in self.layers:
            if layer.window not in chunk.slots:
                chunk.slots[layer.window] = layer.place(chunk, self.static)
        self._open = True
        return chunk

    def advance(self, chunk: Chunk) -> None:
        """Close a pass: all layers have written its tokens."""
        if chunk.is_step:
            self.positions += 1
        else:
            self.positions += torch.tensor(chunk.lengths, device=self.positions.device)
        self._go_on([start + n for start, n in zip(chunk.starts, chunk.lengths, strict=True)])
        self._open = False

    def sync(self) -> None:
        """Read `lengths` back from the device, after steps that a CUDA graph replayed."""
        self._go_on(self.positions.tolist())

    def _go_on(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self._furthest = [max(pair) for pair in zip(self._furthest, lengths, strict=True)]

    def rows(self, index: Int[Tensor, " chosen"] | Bool[Tensor, " batch"]) -> "RollingCache":
        """A cache of some of the sequences; this one stays as it is.

        >>> cache = RollingCache(TransformerConfig.tiny(), batch=3)
        >>> cache.rows(torch.tensor([True, False, True])).lengths
        [0, 0]
        """
        chosen = copy(self)
        for name in ("lengths", "_furthest"):
            setattr(chosen, name, torch.tensor(getattr(self, name))[index.cpu()].tolist())
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
            if not 0 <= new <= old or new != int(new):
                raise ValueError(f"sequence {row} has {old} tokens: can't truncate to {new}")
            furthest = self._furthest[row]  # an earlier truncation brought nothing back
            for window in self.config.layer_windows:
                oldest = first_visible(new, window)
                if oldest < min(new, first_visible(furthest - 1, window)):
                    raise ValueError(
                        f"can't truncate sequence {row} from {old} to {new} tokens: it has had "
                        f"{furthest}, and a ring of {window} slots no longer holds position "
                        f"{oldest}. Pre-fill the shorter sequence into a new cache"
                    )
        self.lengths = list(lengths)
        self._furthest = [
            far if new else 0 for new, far in zip(lengths, self._furthest, strict=True)
        ]
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
