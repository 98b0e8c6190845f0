"""A stage of a pipeline: a run of a Transformer's layers, with a cache of its own.

The first stage embeds tokens as well, the last reads out logits. Source: Huang et al., "GPipe"
(2019), section 2.1. Left out: tied embeddings, whose gradients would lie on two ranks.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from mixlab.common.linear import working_dtype
from mixlab.common.tokens import embed
from mixlab.transformer.attention import Attend, attend_rows
from mixlab.transformer.model import Transformer
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.rope import rope_table, widen


class Stage(nn.Module):
    """The layers of a model that one rank holds, in equal runs as far as that comes out even.

    Args:
        model: whole; its modules are shared, not copied.
        index, n_stages: this stage's number, and how many there are.

    Raises:
        ValueError: for more stages than layers, or an index that isn't theirs.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = Transformer(TransformerConfig.tiny(n_layers=5))
    >>> [len(Stage(model, index, 3).layers) for index in range(3)]
    [2, 2, 1]
    """

    def __init__(self, model: Transformer, index: int, n_stages: int):
        super().__init__()
        if not 0 <= index < n_stages <= len(model.layers):
            raise ValueError(
                "each stage needs a layer of its own: got stage "
                f"{index} of {n_stages} for {len(model.layers)} layers"
            )
        own = torch.arange(len(model.layers)).tensor_split(n_stages)[index].tolist()
        windows = tuple(model.config.layer_windows[layer] for layer in own)
        self.config = replace(model.config, n_layers=len(own), window=windows)
        self.first, self.last = index == 0, index == n_stages - 1
        if self.first:
            self.tok_embeddings = model.tok_embeddings
        self.layers = nn.ModuleList(model.layers[layer] for layer in own)
        if self.last:
            self.norm, self.output = model.norm, model.output

    def forward(self, x: Num[Tensor, "batch seq *dim"]) -> Float[Tensor, "batch seq wide"]:
        """Whole rows: tokens (batch, seq) or hidden states in, hidden states or logits out."""
        windows = self.config.layer_windows
        attends = [partial(attend_rows, window=window) for window in windows]
        return self._through(x, torch.arange(x.shape[1]), attends)

    @torch.no_grad()
    def extend(self, x: Num[Tensor, "new *dim"], cache: RollingCache) -> Float[Tensor, "new wide"]:
        """The next tokens (new,) of one sequence, or their hidden states; adds to the cache."""
        chunk = cache.begin([len(x)], self.config)
        attends = [partial(layer.attend, chunk=chunk) for layer in cache.layers]
        out = self._through(x, chunk.positions, attends)
        cache.advance(chunk)
        return out

    def init_state(self) -> RollingCache:
        """An empty cache of this stage's layers, for one sequence."""
        weight = next(self.parameters())
        return RollingCache(self.config, 1, dtype=weight.dtype, device=weight.device)

    def _through(self, x: Tensor, positions: Tensor, attends: Sequence[Attend]) -> Tensor:
        if self.first:
            x = embed(self.tok_embeddings, x)
        cos, sin = rope_table(positions, self.config.head_dim, self.config.rope_theta)
        cos, sin = widen(cos, sin, dtype=working_dtype(x))
        for layer, attend in zip(self.layers, attends, strict=True):
            x = layer(x, cos, sin, attend)
        return self.output(self.norm(x)) if self.last else x
