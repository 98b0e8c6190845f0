"""A stage of a pipeline: a run of a Transformer's layers, with a cache of its own.

The first stage embeds tokens as well, the last reads out logits. Source: Huang et al., "GPipe"
(2019), section 2.1. Left out: tied embeddings, whose gradients would lie on two ranks.
"""

from functools import partial

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from mixlab.common.linear import working_dtype
from mixlab.common.tokens import embed
from mixlab.parallel.sharding import part_config, spans, through
from mixlab.transformer.attention import attend_rows
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
        own = spans(len(model.layers), n_stages)[index]
        self.config = part_config(model.config, own)
        self.first, self.last = index == 0, index == n_stages - 1
        if self.first:
            self.tok_embeddings = model.tok_embeddings
        self.layers = nn.ModuleList(model.layers[layer] for layer in own)
        if self.last:
            self.norm, self.output = model.norm, model.output

    def forward(self, x: Num[Tensor, "batch seq *dim"]) -> Float[Tensor, "batch seq wide"]:
        """Whole rows: tokens (batch, seq) or hidden states in, hidden states or logits out."""
        x = self._embedded(x)
        positions = torch.arange(x.shape[1])
        table = rope_table(positions, self.config.head_dim, self.config.rope_theta)
        cos, sin = widen(*table, dtype=working_dtype(x))
        for layer, window in zip(self.layers, self.config.layer_windows, strict=True):
            x = layer(x, cos, sin, partial(attend_rows, window=window))
        return self._read_out(x)

    @torch.no_grad()
    def extend(self, x: Num[Tensor, "new *dim"], cache: RollingCache) -> Float[Tensor, "new wide"]:
        """The next tokens (new,) of one sequence, or their hidden states; adds to the cache."""
        x = through(self.layers, cache, self.config, self._embedded(x), [len(x)])
        return self._read_out(x)

    def init_state(self) -> RollingCache:
        """An empty cache of this stage's layers, for one sequence."""
        weight = next(self.parameters())
        return RollingCache(self.config, 1, dtype=weight.dtype, device=weight.device)

    def _embedded(self, x: Tensor) -> Tensor:
        return embed(self.tok_embeddings, x) if self.first else x

    def _read_out(self, x: Tensor) -> Tensor:
        return self.output(self.norm(x)) if self.last else x
