"""A Mistral-style transformer, whole: embed, blocks of attention and MLP, read out.

There is one way through the layers, `Transformer._run`. Reading whole sequences, pre-filling a
cache chunk by chunk and writing token by token differ in what a layer's attention looks at, which
is handed to it, and in nothing else: a plain pass is the extension of an empty cache.

Sources: "Mistral 7B" (2023), section 2; "Llama" (Touvron et al., 2023), section 2.2, whose block
it keeps: RMSNorm before each part, and a residual around it. Parameters carry the names of
Mistral's own checkpoints.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.linear import Linear, working_dtype
from mixlab.common.norm import RMSNorm
from mixlab.common.tokens import embed
from mixlab.transformer.attention import Attend, Attention, attend_rows
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.feed_forward import FeedForward
from mixlab.transformer.packing import Packed, pack, pack_rows
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.rope import rope_table, widen
from mixlab.transformer.sparse_moe import SparseMoE


class Block(nn.Module):
    """Attention, then feed-forward, each normalised before and added back after."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = SparseMoE(config) if config.n_experts > 1 else FeedForward(config)

    def forward(
        self,
        x: Float[Tensor, "*tokens dim"],
        cos: Float[Tensor, "seq 1 head_dim"],
        sin: Float[Tensor, "seq 1 head_dim"],
        attend: Attend,
        asking: Int[Tensor, " asking"] | None = None,
    ) -> Float[Tensor, "*asking dim"]:
        """One layer of the model; arguments as in `Attention`."""
        mixed = self.attention(self.attention_norm(x), cos, sin, attend, asking)
        x = (x if asking is None else x[asking]) + mixed
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
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.output = Linear(config.dim, config.vocab_size)
        if config.tie_embeddings:
            self.output.weight = self.tok_embeddings.weight
        self.apply(_initialise)

    def forward(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab"]:
        """Logits of the next token after every position.

        Args:
            tokens: token ids below `config.vocab_size`.

        Raises:
            ValueError: if there are no tokens, tokens of another shape or dtype, or, on a CPU, ids
                that the model doesn't know.
        """
        return self.output(self.norm(self.hidden(tokens)))

    def hidden(self, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "batch seq dim"]:
        """The residual stream after the last block, before the final norm.

        Raises:
            ValueError: as in calling the model.
        """
        if tokens.dim() != 2 or tokens.shape[1] == 0:
            raise ValueError(
                "tokens must be rows (batch, seq) of at least one token each: got shape "
                f"{tuple(tokens.shape)}. A single sequence is a batch of one: tokens[None]"
            )
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        attends = [partial(attend_rows, window=window) for window in self.config.layer_windows]
        return self._run(embed(self.tok_embeddings, tokens), positions, attends)

    def _run(
        self,
        x: Float[Tensor, "*tokens dim"],
        positions: Int[Tensor, " seq"],
        attends: Sequence[Attend],
        asking: Int[Tensor, " asking"] | None = None,
    ) -> Float[Tensor, "*asking dim"]:
        """The one way through the layers, of whole rows, of chunks and of single tokens.

        Args:
            x: embedded tokens, in rows (batch, seq, dim) or packed (total, dim).
            positions: of a row's tokens, or of all packed ones.
            attends: a layer's attention, over the tokens themselves or over a cache too.
            asking: numbers of the packed tokens whose result is wanted; all by default. The last
                layer then makes keys and values of all tokens, and the rest of these alone.
        """
        config, last = self.config, self.layers[-1]
        cos, sin = rope_table(positions, config.head_dim, config.rope_theta)
        cos, sin = widen(cos, sin, dtype=working_dtype(x))
        for layer, attend in zip(self.layers, attends, strict=True):
            x = layer(x, cos, sin, attend, asking if layer is last else None)
        return x

    def init_state(
        self, batch: int, capacity: int | None = None, static: bool = False
    ) -> RollingCache:
        """An empty cache for `batch` sequences of this model; arguments as in `RollingCache`."""
        like = self.norm.weight
        return RollingCache(self.config, batch, capacity, static, like.dtype, like.device)

    @torch.no_grad()
    def extend(
        self,
        tokens: Int[Tensor, " total"],
        cache: RollingCache,
        lengths: Sequence[int],
        last_only: bool = False,
    ) -> Float[Tensor, "wanted dim"]:
        """Run new tokens, packed, after those that the cache has seen, and add them to it.

        Args:
            tokens: new tokens of all sequences, end to end.
            cache: from `init_state`; changed in place.
            lengths: how many each sequence brings; 0 leaves it as it is.
            last_only: whether only the last token of each sequence that brings any is wanted.

        Returns:
            The residual stream after the last block, before the final norm, of every new token,
            or of those wanted.

        Raises:
            ValueError: if tokens, lengths and cache don't belong together; see `RollingCache`.
        """
        if tokens.dim() != 1:
            raise ValueError(
                "new tokens are packed along one axis of tokens, one each in a step: got shape "
                f"{tuple(tokens.shape)}"
            )
        if sum(lengths) != len(tokens):
            raise ValueError(f"lengths {list(lengths)} must add up to {len(tokens)} tokens")
        x = embed(self.tok_embeddings, tokens)
        chunk = cache.begin(lengths, self.config)
        attends = [partial(layer.attend, chunk=chunk) for layer in cache.layers]
        asking = chunk.ends() if last_only and not chunk.is_step else None
        x = self._run(x, chunk.positions, attends, asking)
        cache.advance(chunk)
        return x

    @torch.no_grad()
    def prefill(
        self,
        prompts: Sequence[Sequence[int]] | Int[Tensor, "batch seq"] | Packed,
        cache: RollingCache | None = None,
        chunk_size: int | None = None,
    ) -> tuple[Float[Tensor, "batch vocab"], RollingCache]:
        """Read prompts, or parts of them: the logits after each one's last token, and the cache.

        Args:
            prompts: token ids of any lengths as lists, of one length as rows, or packed. Padded
                rows become packed by `packing.pack_rows`; padding is never computed.
            cache: changed in place and returned; its sequences go on where they stand. A new
                one from `init_state` by default.
            chunk_size: tokens of a prompt in one pass; smaller takes less memory. The result
                is the same for every size.

        A sequence that goes on without a new token stays as it is, and its logits mean nothing.

        Raises:
            ValueError: for an empty prompt, what is no token id, a chunk size below 1, or as in
                `extend`.

        >>> model = Transformer(TransformerConfig.tiny(window=4))
        >>> logits, cache = model.prefill([[1, 2, 3, 4, 5, 6], [7, 8]], chunk_size=3)
        >>> cache.lengths
        [6, 2]
        >>> logits, cache = model.step(logits.argmax(-1), cache)
        >>> logits.shape
        torch.Size([2, 256])
        """
        like = self.norm.weight
        if isinstance(prompts, Tensor):
            prompts = pack_rows(prompts)
        elif not isinstance(prompts, Packed):
            prompts = pack(prompts, like.device)
        batch = len(prompts.lengths)
        cache = self.init_state(batch) if cache is None else cache
        for row, (new, old) in enumerate(zip(prompts.lengths, cache.lengths, strict=False)):
            if new == old == 0:
                raise ValueError(f"prompt {row} is empty: each needs at least one token")
        last = like.new_zeros(batch, self.config.dim)
        for chunk in prompts.chunks(chunk_size):
            read = [row for row, n in enumerate(chunk.lengths) if n]
            last[read] = self.extend(chunk.tokens, cache, chunk.lengths, last_only=True)
        return self.output(self.norm(last)), cache

    @torch.no_grad()
    def step(
        self, tokens: Int[Tensor, " batch"], cache: RollingCache
    ) -> tuple[Float[Tensor, "batch vocab"], RollingCache]:
        """One more token a sequence: the logits after it, and the cache, which is changed."""
        x = self.extend(tokens, cache, (1,) * len(tokens))
        return self.output(self.norm(x)), cache

    def set_window(self, window: int | tuple[int | None, ...] | None) -> None:
        """Impose another window on the same weights: no parameter depends on it.

        Raises:
            ValueError: as `TransformerConfig` does.
        """
        self.config = replace(self.config, window=window)


def _initialise(module: nn.Module) -> None:
    """Normal weights of standard deviation 0.02, as GPT-2 and Llama start from."""
    if isinstance(module, nn.Linear | nn.Embedding) and not module.weight.is_meta:
        nn.init.normal_(module.weight, std=0.02)


def next_token_loss(
    logits: Float[Tensor, "batch seq vocab"], tokens: Int[Tensor, "batch seq"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy, in nats a token, of each token under the logits before it.

    Raises:
        ValueError: if the sequences have no second token to predict, or logits and tokens are of
            different batches.

    >>> round(next_token_loss(torch.zeros(1, 5, 8), torch.arange(5)[None]).exp().item(), 4)
    8.0
    """
    if tokens.shape[1] < 2:
        raise ValueError(
            "the first token is given and the others are predicted, so a loss needs sequences of "
            f"at least 2 tokens: got shape {tuple(tokens.shape)}"
        )
    if logits.shape[:2] != tokens.shape:
        raise ValueError(
            "logits must have the batch and seq of the tokens they were computed from: got logits "
            f"{tuple(logits.shape)} and tokens {tuple(tokens.shape)}"
        )
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten().long())
