"""One model over several ranks: cut by layers, or by tensors; `expert_sharding` cuts it by experts.

    LayerShard    a rank holds some layers, and hands the hidden states on to the next rank
    TensorShard   a rank holds some heads and hidden channels of every layer; two sums a layer

Each is made from a whole `Transformer`, holds one rank's part of it, and is called on every rank at
once: with new tokens, packed, and the rank's own cache, as `Transformer.extend` is. A shard's cache
has its own layers or heads only; positions and windows every rank works out for itself from the
lengths. Sources: Mistral's own code, mistral-inference, `transformer.py` (layers); Shoeybi et al.,
"Megatron-LM" (2019), section 3 (tensors). Left out: a split vocabulary, gradients, and several cuts
at once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import ceil

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mixlab.common.linear import working_dtype
from mixlab.common.tokens import embed
from mixlab.parallel.communicator import Communicator
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Block, Transformer
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.rope import rope_table, widen

Hidden = Float[Tensor, "tokens dim"]
Logits = Float[Tensor, "tokens vocab"]


def spans(count: int, n_ranks: int, ceiling: bool = False) -> list[range]:
    """Which of `count` things in a row each rank holds.

    Args:
        count: layers, heads, channels or experts.
        n_ranks: how many ranks share them.
        ceiling: every rank takes ceil(count / n_ranks) while there are any, as Mistral's code cuts
            layers. Past the end a range is empty, and no error says so. By default ranks differ by
            one at most, the larger shares first.

    Raises:
        ValueError: for fewer than one rank.

    >>> spans(6, 4), [len(span) for span in spans(6, 4, ceiling=True)]
    ([range(0, 2), range(2, 4), range(4, 5), range(5, 6)], [2, 2, 2, 0])
    """
    if n_ranks < 1:
        raise ValueError(f"there must be at least 1 rank: got {n_ranks}")
    if ceiling:
        each = ceil(count / n_ranks)
        return [range(rank * each, min(count, (rank + 1) * each)) for rank in range(n_ranks)]
    small, larger = divmod(count, n_ranks)
    ends = [rank * small + min(rank, larger) for rank in range(n_ranks + 1)]
    return [range(start, end) for start, end in pairwise(ends)]


class LayerShard(nn.Module):
    """Some layers in a row; the first rank has the embedding too, the last the output.

    Args:
        model: whole.
        n_ranks, rank: how many shards there are, and which one this is.
        ceiling: as in `spans`.
    """

    def __init__(self, model: Transformer, n_ranks: int, rank: int, ceiling: bool = False):
        super().__init__()
        self.span = spans(model.config.n_layers, n_ranks, ceiling)[rank]
        self.dim, self.config = model.config.dim, part_config(model.config, self.span)
        self.dtype = model.norm.weight.dtype
        self.layers = nn.ModuleDict({str(number): model.layers[number] for number in self.span})
        self.tok_embeddings = model.tok_embeddings if rank == 0 else None
        last = rank == n_ranks - 1
        self.norm, self.output = (model.norm, model.output) if last else (None, None)

    def init_state(self, batch: int) -> RollingCache | None:
        """An empty cache for this rank's layers; None where it has none."""
        return None if self.config is None else RollingCache(self.config, batch, dtype=self.dtype)

    @torch.no_grad()
    def forward(
        self,
        communicator: Communicator,
        tokens: Int[Tensor, " tokens"],
        cache: RollingCache | None,
        lengths: Sequence[int],
    ) -> Logits | None:
        """Take hidden states from the rank before, run the layers, hand them on.

        Returns:
            Logits of the next token after each of `tokens` on the last rank, None elsewhere.
        """
        rank = communicator.rank
        if rank == 0:
            x = embed(self.tok_embeddings, tokens)
        else:
            x = communicator.recv((len(tokens), self.dim), rank - 1, self.dtype)
        if cache is not None:
            x = through(self.layers.values(), cache, self.config, x, lengths)
        if self.output is None:
            communicator.send(x, to=rank + 1)
            return None
        return self.output(self.norm(x))


def part_config(config: TransformerConfig, span: range) -> TransformerConfig | None:
    """The configuration of some layers in a row, with their own windows; None of no layers.

    >>> windows = (8, None, 8, None)
    >>> part_config(TransformerConfig.tiny(n_layers=4, window=windows), range(1, 3)).window
    (None, 8)
    """
    if not span:
        return None
    return replace(config, n_layers=len(span), window=config.layer_windows[span.start : span.stop])


class TensorShard(nn.Module):
    """A slice of every layer: a model with fewer heads and a narrower feed-forward layer.

    Matrices whose outputs are split (`wq`, `wk`, `wv`, `w1`, `w3`: column-parallel, since papers
    write y = x A) give each rank some channels, and those whose inputs are split (`wo`, `w2`:
    row-parallel) give each rank a summand of the result. Embedding, output, norms and router stand
    whole on every rank.

    Raises:
        ValueError: for more ranks than key/value heads.
    """

    def __init__(self, model: Transformer, n_ranks: int, rank: int):
        super().__init__()
        config = model.config
        if n_ranks > config.n_kv_heads:
            raise ValueError(
                "every rank needs a key/value head of its own: got "
                f"{n_ranks} ranks for n_kv_heads={config.n_kv_heads}"
            )
        heads, hidden = (spans(n, n_ranks)[rank] for n in (config.n_kv_heads, config.hidden_dim))
        group, size = config.n_heads // config.n_kv_heads, config.head_dim
        keys = slice(heads.start * size, heads.stop * size)
        queries = slice(group * keys.start, group * keys.stop)
        channels = slice(hidden.start, hidden.stop)
        outputs = dict(wq=queries, wk=keys, wv=keys, w1=channels, w3=channels)
        inputs = dict(wo=queries, w2=channels)
        self.part = Transformer(
            replace(
                config,
                n_heads=group * len(heads),
                n_kv_heads=len(heads),
                hidden_dim=len(hidden),
            )
        )

        def own(name: str, weight: Tensor) -> Tensor:
            matrix = name.split(".")[-2]
            if matrix in outputs:
                return weight[outputs[matrix]]
            return weight[:, inputs[matrix]] if matrix in inputs else weight

        state = {name: own(name, weight) for name, weight in model.state_dict().items()}
        self.part.load_state_dict(state)

    def init_state(self, batch: int) -> RollingCache:
        """An empty cache for this rank's heads, in every layer."""
        return self.part.init_state(batch)

    @torch.no_grad()
    def forward(
        self,
        communicator: Communicator,
        tokens: Int[Tensor, " tokens"],
        cache: RollingCache,
        lengths: Sequence[int],
    ) -> Logits:
        """Logits of the next token after each of `tokens`, the same bits on every rank."""

        def block(layer: Block, x: Hidden, *how) -> Hidden:
            x = x + communicator.all_reduce(layer.attention(layer.attention_norm(x), *how))
            return x + communicator.all_reduce(layer.feed_forward(layer.ffn_norm(x)))

        return read(self.part, cache, tokens, lengths, block)


def read(
    model: Transformer,
    cache: RollingCache,
    tokens: Int[Tensor, " tokens"],
    lengths: Sequence[int],
    block: Callable[..., Hidden],
) -> Logits:
    """Logits after each new token of a model that runs its layers by `block`."""
    x = embed(model.tok_embeddings, tokens)
    x = through(model.layers, cache, model.config, x, lengths, block)
    return model.output(model.norm(x))


def through(
    layers: Iterable[Block],
    cache: RollingCache,
    config: TransformerConfig,
    x: Hidden,
    lengths: Sequence[int],
    block: Callable[..., Hidden] = Block.__call__,
) -> Hidden:
    """New tokens through some layers over their cache; positions follow from the lengths alone."""
    chunk = cache.begin(lengths, config)
    table = rope_table(chunk.positions, config.head_dim, config.rope_theta)
    cos, sin = widen(*table, dtype=working_dtype(x))
    for layer, held in zip(layers, cache.layers, strict=True):
        x = block(layer, x, cos, sin, partial(held.attend, chunk=chunk))
    cache.advance(chunk)
    return x
