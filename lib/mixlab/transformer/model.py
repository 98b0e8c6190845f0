"""A Mistral-style transformer, whole: embed, blocks of attention and MLP, read out.

Sources: "Mistral 7B" (2023), section 2; "Llama" (Touvron et al., 2023), section 2.2, whose block
it keeps: RMSNorm before each part, and a residual around it. Parameters carry the names of
Mistral's own checkpoints.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.norm import RMSNorm
from mixlab.transformer.attention import Attention
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.feed_forward import FeedForward
from mixlab.transformer.rope import rope_table
from mixlab.transformer.sparse_moe import SparseMoE


class Block(nn.Module):
    """Attention, then feed-forward, each normalised before and added back after."""

    def __init__(self, config: TransformerConfig, window: int | None):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config, window)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = SparseMoE(config) if config.n_experts > 1 else FeedForward(config)

    def forward(
        self,
        x: Float[Tensor, "batch seq dim"],
        cos: Float[Tensor, "seq half"],
        sin: Float[Tensor, "seq half"],
    ) -> Float[Tensor, "batch seq dim"]:
        """One layer of the model."""
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.feed_forward(self.ffn_norm(x))


class Transformer(nn.Module):
    """The model: tokens (batch, seq) in, logits (batch, seq, vocab) out.

    >>> model = Transformer(TransformerConfig.tiny(window=8))
    >>> model(torch.zeros(1, 20, dtype=torch.long)).shape
    torch.Size([1, 20, 256])
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        # Handing over an empty weight spares nn.Embedding's own draw, which we would overwrite.
        empty = torch.empty(config.vocab_size, config.dim)
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.dim, _weight=empty)
        self.layers = nn.ModuleList(Block(config, window) for window in config.layer_windows)
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.output = nn.Linear(config.dim, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.output.weight = self.tok_embeddings.weight
        self.apply(_initialise)

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        """Logits of the next token after every position.

        Args:
            tokens: token ids below `config.vocab_size`.

        Raises:
            ValueError: if there are no tokens.
        """
        return self.output(self.norm(self.hidden(tokens)))

    def hidden(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq dim"]:
        """The residual stream after the last block, before the final norm."""
        if tokens.shape[1] == 0:
            raise ValueError("a sequence needs at least one token: got tokens of shape (…, 0)")
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        cos, sin = rope_table(positions, self.config.head_dim, self.config.rope_theta)
        x = self.tok_embeddings(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return x

    def set_window(self, window: int | tuple[int | None, ...] | None) -> None:
        """Impose another window on the same weights: no parameter depends on it.

        Raises:
            ValueError: as `TransformerConfig` does.
        """
        self.config = replace(self.config, window=window)
        for layer, layer_window in zip(self.layers, self.config.layer_windows, strict=True):
            layer.attention.window = layer_window


def _initialise(module: nn.Module) -> None:
    """Normal weights of standard deviation 0.02, as GPT-2 and Llama start from."""
    if isinstance(module, nn.Linear | nn.Embedding) and not module.weight.is_meta:
        nn.init.normal_(module.weight, std=0.02)


def next_token_loss(
    logits: Float[Tensor, "batch seq vocab"], tokens: Int[Tensor, "batch seq"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy, in nats a token, of each token under the logits before it."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
