"""One model of experts over several ranks: a rank holds some experts of every layer.

All the rest stands whole on every rank, and each rank reads texts of its own. Where an expert
lives elsewhere, its token travels there and back: an all-to-all out, an all-to-all home. Sources:
Lepikhin et al., "GShard" (2020), section 3; "Mixtral of Experts" (2024), section 2.1. Left out:
capacity limits, and attention that is cut as well.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from mixlab.parallel.communicator import Communicator
from mixlab.parallel.sharding import Hidden, Logits, read, spans
from mixlab.transformer.model import Block, Transformer
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.sparse_moe import SparseMoE, combine, experts_grouped, route


class ExpertsOfRank(nn.Module):
    """A router, and those of its experts that live on this rank."""

    def __init__(self, layer: SparseMoE, n_ranks: int, rank: int):
        super().__init__()
        held = spans(len(layer.w1), n_ranks)
        self.span, self.gate, self.k = held[rank], layer.gate, layer.experts_per_token
        mine = slice(self.span.start, self.span.stop)
        self.w1, self.w2, self.w3 = (
            nn.Parameter(weight[mine].clone()) for weight in (layer.w1, layer.w2, layer.w3)
        )
        self.rank_of = torch.tensor([rank for rank, span in enumerate(held) for _ in span])

    def forward(self, x: Hidden, communicator: Communicator) -> Hidden:
        """Send each token to the ranks of its experts, run what arrives, and send it back."""
        chosen, gates = route(self.gate(x), self.k)
        flat = chosen.flatten()
        order = flat.argsort(stable=True)  # choices, sorted by expert and so by rank
        counts = self.rank_of[flat].bincount(minlength=communicator.world_size).tolist()
        rows = communicator.all_to_all(x[order // self.k].split(counts))
        asked = communicator.all_to_all(flat[order].split(counts))
        own = torch.cat(asked)[:, None] - self.span.start
        ones = x.new_ones(len(own), 1)  # gates are applied where the token lives
        out = experts_grouped(torch.cat(rows), own, ones, self.w1, self.w2, self.w3)
        back = communicator.all_to_all(out.split([len(part) for part in rows]))
        unsorted = torch.cat(back)[order.argsort()].view(len(x), self.k, -1)
        return combine(unsorted, gates, x.dtype)


class ExpertShard(nn.Module):
    """All of a mixture model but its experts, and some of these: ranks read texts of their own.

    It takes the model over, whose feed-forward layers are emptied.

    Raises:
        ValueError: for a model without experts, or more ranks than experts.
    """

    def __init__(self, model: Transformer, n_ranks: int, rank: int):
        super().__init__()
        if not 1 < model.config.n_experts >= n_ranks:
            raise ValueError(
                "every rank needs an expert of its own, in a model that has several: got "
                f"{n_ranks} ranks for n_experts={model.config.n_experts}"
            )
        self.whole = model
        self.experts = nn.ModuleList(
            ExpertsOfRank(layer.feed_forward, n_ranks, rank) for layer in model.layers
        )
        for layer in model.layers:
            layer.feed_forward = nn.Identity()  # the other ranks' experts go

    def init_state(self, batch: int) -> RollingCache:
        """An empty cache for this rank's own texts."""
        return self.whole.init_state(batch)

    @torch.no_grad()
    def forward(
        self,
        communicator: Communicator,
        tokens: Int[Tensor, " tokens"],
        cache: RollingCache,
        lengths: Sequence[int],
    ) -> Logits:
        """Logits after each of this rank's `tokens`; every rank brings some."""
        experts = iter(self.experts)

        def block(layer: Block, x: Hidden, *how) -> Hidden:
            x = x + layer.attention(layer.attention_norm(x), *how)
            return x + next(experts)(layer.ffn_norm(x), communicator)

        return read(self.whole, cache, tokens, lengths, block)
