"""The model with its weights in 8 bits, for models that would fill a laptop's memory.

Matrices become `QuantisedLinear`, those that read the same vector become one; norms, routers and
what is computed between stay float32.

Source: Dettmers et al., "LLM.int8()" (2022), section 1, for the choice of these layers.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.quantised import QuantisedEmbedding, QuantisedLinear
from mixlab.transformer.attention import Attention
from mixlab.transformer.feed_forward import FeedForward
from mixlab.transformer.model import Block, Transformer
from mixlab.transformer.rope import rotate_wide
from mixlab.transformer.sparse_moe import SparseMoE, combine


class QuantisedAttention(Attention):
    """`Attention`: queries, keys and values are one product."""

    def __init__(self, attention: Attention):
        nn.Module.__init__(self)  # not Attention's, which would allocate its matrices
        self.n_heads, self.n_kv_heads = attention.n_heads, attention.n_kv_heads
        self.head_dim = attention.head_dim
        parts = (attention.wq.weight, attention.wk.weight, attention.wv.weight)
        self.wqkv = QuantisedLinear(torch.cat(parts))
        self.wo = QuantisedLinear(attention.wo.weight)

    def project(
        self,
        x: Float[Tensor, "*tokens dim"],
        cos: Float[Tensor, "seq 1 head_dim"],
        sin: Float[Tensor, "seq 1 head_dim"],
        asking: Int[Tensor, " asking"] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `Attention`: (*asking, n_heads, head_dim), twice (*tokens, n_kv_heads, head_dim)."""
        heads = self.wqkv(x).unflatten(-1, (-1, self.head_dim))
        qk, v = heads.split_with_sizes((self.n_heads + self.n_kv_heads, self.n_kv_heads), dim=-2)
        q, k = rotate_wide(qk, cos, sin).split_with_sizes((self.n_heads, self.n_kv_heads), dim=-2)
        return q if asking is None else q[asking], k, v


class QuantisedFeedForward(nn.Module):
    """w2(silu(w1 x) * w3 x): w1 and w3 are one product."""

    def __init__(
        self,
        w1: Float[Tensor, "hidden_dim dim"],
        w2: Float[Tensor, "dim hidden_dim"],
        w3: Float[Tensor, "hidden_dim dim"],
    ):
        super().__init__()
        self.w13 = QuantisedLinear(torch.cat((w1, w3)))
        self.w2 = QuantisedLinear(w2)

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """As in `FeedForward`."""
        gate, up = self.w13(x).chunk(2, dim=-1)
        return self.w2(F.silu(gate) * up)


class QuantisedMoE(SparseMoE):
    """`SparseMoE`: the router stays float32, so that roundings change no choice of its own."""

    def __init__(self, moe: SparseMoE):
        nn.Module.__init__(self)  # not SparseMoE's, which would allocate all experts
        self.experts_per_token, self.gate = moe.experts_per_token, moe.gate
        stacks = zip(moe.w1, moe.w2, moe.w3, strict=True)
        self.experts = nn.ModuleList(QuantisedFeedForward(*expert) for expert in stacks)

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """As in `SparseMoE`."""
        chosen, gates = (choice.reshape(-1, self.experts_per_token) for choice in self.route(x))
        tokens = x.reshape(-1, x.shape[-1])
        outputs = tokens.new_zeros(*chosen.shape, x.shape[-1])  # (tokens, k, dim)
        for expert in chosen.unique().tolist():
            token, rank = (chosen == expert).nonzero(as_tuple=True)
            outputs[token, rank] = self.experts[expert](tokens[token])
        return combine(outputs, gates, x.dtype).view(x.shape)


@torch.no_grad()
def quantise_block(block: Block) -> None:
    """Put a layer's matrices into 8 bits, in place; the float ones go."""
    block.attention = QuantisedAttention(block.attention)
    forward = block.feed_forward
    if isinstance(forward, FeedForward):
        weights = (forward.w1.weight, forward.w2.weight, forward.w3.weight)
        block.feed_forward = QuantisedFeedForward(*weights)
    else:
        block.feed_forward = QuantisedMoE(forward)


@torch.no_grad()
def quantise(model: Transformer) -> Transformer:
    """Put all of a model's matrices into 8 bits, in place.

    A product with them differs from float32's by about a hundredth of its size. The model can be
    called, cached and generated with as before, and neither trained nor saved.

    Args:
        model: in float32 on a CPU. Layers that are quantised already stay.

    Returns:
        The same model.

    Raises:
        ValueError: if it is elsewhere, or of another type.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = quantise(Transformer(TransformerConfig.tiny()))
    >>> model(torch.zeros(1, 5, dtype=torch.long)).shape
    torch.Size([1, 5, 256])
    """
    like = model.norm.weight
    if like.dtype != torch.float32 or like.device.type != "cpu":
        raise ValueError(
            "8-bit weights are multiplied on a CPU, between float32 numbers: got a model in "
            f"{like.dtype} on {like.device}. model.float().cpu() is such a one"
        )
    for block in model.layers:
        if not isinstance(block.attention, QuantisedAttention):
            quantise_block(block)
    if isinstance(model.tok_embeddings, nn.Embedding):
        model.output = QuantisedLinear(model.output.weight)
        model.tok_embeddings = QuantisedEmbedding(model.tok_embeddings.weight)
    return model.eval()
