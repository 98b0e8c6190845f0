"""Writing without PyTorch's calls: a layer of one token a sequence is two compiled calls.

`Transformer.step` is the readable twin. Both compute the same formulas on the same weights and the
same rolling cache, so one may go on where the other stopped; they differ by rounding.

Source: the formulas of `attention.dense_attention` and `feed_forward.swiglu`, as loops in
`mixlab.loops`.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import float32
from torch import Tensor, nn

from mixlab.common.arrays import Matrix, by_kind, matrix
from mixlab.common.compiled_model import CompiledModel
from mixlab.common.quantised import FEW_TOKENS
from mixlab.common.threads import threads
from mixlab.common.tokens import embed
from mixlab.loops import attend, feed, normalise
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Block, Transformer
from mixlab.transformer.quantised import QuantisedAttention, QuantisedFeedForward, QuantisedMoE
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.rolling_layer import Chunk, RollingLayer
from mixlab.transformer.rope import rope_table
from mixlab.transformer.sparse_moe import SparseMoE

_WHOLE = float32(1)


class _Layer:
    """A layer's weights as the loops take them."""

    def __init__(self, block: Block):
        self._attention = by_kind(_projections(block.attention))
        self._norms = [n.weight.detach().numpy() for n in (block.attention_norm, block.ffn_norm)]
        self._eps = block.attention_norm.eps
        forward = block.feed_forward
        self._moe = forward if isinstance(forward, SparseMoE) else None
        self._experts = [by_kind(expert) for expert in _experts(forward)]

    def attend(self, x, table, ring, slots, rooms) -> None:
        """x += attention(norm(x))."""
        attend(x, self._norms[0], self._eps, *self._attention, table, ring, slots, rooms)

    def feed(self, x, normal) -> None:
        """x += feed_forward(norm(x)), with `normal` for room."""
        normalise(x, self._norms[1], self._eps, normal)
        if self._moe is None:
            feed(normal, _WHOLE, *self._experts[0], x)
            return
        chosen, gates = self._moe.route(torch.from_numpy(normal))
        for token, experts in enumerate(chosen.tolist()):
            row = slice(token, token + 1)
            for expert, share in zip(experts, gates[token].numpy(), strict=True):
                feed(normal[row], share, *self._experts[expert], x[row])


def _projections(attention: nn.Module) -> list[Matrix]:
    """Those of queries, keys, values, and the one back."""
    if isinstance(attention, QuantisedAttention):
        heads = attention.n_heads, attention.n_kv_heads, attention.n_kv_heads
        ends = np.cumsum(heads)[:-1] * attention.head_dim
        stacked = matrix(attention.wqkv)
        parts = zip(*(np.split(one, ends) for one in stacked), strict=True)
    else:
        parts = map(matrix, (attention.wq, attention.wk, attention.wv))
    return [*parts, matrix(attention.wo)]


def _experts(forward: nn.Module) -> Iterable[tuple[Matrix, Matrix, Matrix]]:
    """w1, w2, w3 of each expert; a dense layer is the only one of its kind."""
    if isinstance(forward, QuantisedMoE):
        return [part for expert in forward.experts for part in _experts(expert)]
    if isinstance(forward, QuantisedFeedForward):
        w1, w3 = zip(*(np.split(one, 2) for one in matrix(forward.w13)), strict=True)
        return [(w1, matrix(forward.w2), w3)]
    if isinstance(forward, SparseMoE):
        stacks = forward.w1, forward.w2, forward.w3
        return [tuple(map(matrix, one)) for one in zip(*stacks, strict=True)]
    return [tuple(map(matrix, (forward.w1, forward.w2, forward.w3)))]


class CompiledTransformer(CompiledModel):
    """A transformer whose steps are compiled; see `mixlab.compiled`."""

    def __init__(self, model: Transformer):
        super().__init__(model)
        self._layers = [_Layer(block) for block in model.layers]

    @torch.no_grad()
    def step(
        self, tokens: Int[Tensor, " batch"], cache: RollingCache
    ) -> tuple[Float[Tensor, "batch vocab"], RollingCache]:
        """As `Transformer.step`; by it for large batches and for caches of another kind.

        Raises:
            ValueError: as that does.
        """
        alone = tokens.dim() == 1 and len(tokens) <= FEW_TOKENS
        if not alone or not _is_plain(cache):
            return self.model.step(tokens, cache)
        x = embed(self.model.tok_embeddings, tokens).numpy(force=True)
        chunk = cache.begin((1,) * len(x), self.config)
        with threads(several=self.is_large) as n_threads:
            self._run(x, chunk, cache, n_threads)
            logits = self.read_out(x)
        cache.advance(chunk)
        return logits, cache

    def _run(self, x: np.ndarray, chunk: Chunk, cache: RollingCache, n_threads: int) -> None:
        """Through the layers, in place."""
        config = self.config
        table = rope_table(chunk.positions, config.head_dim, config.rope_theta)
        turns = tuple(part.numpy() for part in table)
        slots = {window: _slots(np.array(chunk.starts), window) for window in chunk.slots}
        n_slots = max(layer.keys.shape[1] for layer in cache.layers)
        normal = np.empty_like(x)
        rooms = normal, *_rooms(config, len(x), n_slots, n_threads)
        for ours, layer in zip(self._layers, cache.layers, strict=True):
            ring = layer.keys.numpy(), layer.values.numpy()
            ours.attend(x, turns, ring, slots[layer.window], rooms)
            ours.feed(x, normal)


def _is_plain(cache: RollingCache) -> bool:
    """Whether it holds what the loops read: float32 rings, of which only the used part counts."""
    layers = cache.layers
    return not cache.static and all(
        type(layer) is RollingLayer and layer.keys.dtype == torch.float32 for layer in layers
    )


def _slots(starts: np.ndarray, window: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Where each sequence's token goes, and how many slots its query then reads."""
    if window is None:
        return starts, starts + 1
    return starts % window, np.minimum(starts + 1, window)


def _rooms(config: TransformerConfig, batch: int, n_slots: int, n_threads: int) -> list[np.ndarray]:
    """Room for scores, and for what comes of each core's part of a ring."""
    parts = batch, n_threads, config.n_heads
    shapes = (batch, config.n_heads, n_slots), (*parts, 2), (*parts, config.head_dim)
    return [np.empty(shape, float32) for shape in shapes]
