"""The numbers that define a Mistral-style transformer, checked when they are written down.

Names are Mistral's own. Sources: "Mistral 7B" (2023), table 1; "Mixtral of Experts" (2024),
table 1.
"""

import math
from dataclasses import dataclass
from typing import Any

from mixlab.transformer.window import check_window


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The shape of a decoder-only transformer with grouped queries, RoPE and a gated MLP.

    Attributes:
        dim: width of the residual stream.
        n_layers: number of blocks.
        n_heads, n_kv_heads: query heads, and the key/value heads that groups of them share.
        head_dim: width of one head; even, because RoPE turns pairs of channels.
        hidden_dim: width inside the feed-forward layer (of each expert, if there are experts).
        vocab_size: number of tokens.
        window: how many keys a query sees, itself included; None for all earlier keys; a tuple
            gives every layer its own.
        n_experts: feed-forward experts a layer; 1 is a dense model.
        experts_per_token: how many of them the router picks for each token.
        rope_theta: RoPE's base; higher turns slower.
        norm_eps: RMSNorm's epsilon.
        tie_embeddings: whether the output layer shares the embedding's weights.
        max_seq: the context length the model was trained for, in tokens; informative only.

    Raises:
        ValueError: if the numbers contradict each other; the message says which and how.

    >>> TransformerConfig.tiny(window=4).layer_windows
    (4, 4)
    >>> TransformerConfig.tiny(n_heads=5, n_kv_heads=2)
    Traceback (most recent call last):
        ...
    ValueError: n_heads must be a multiple of n_kv_heads, because each key/value head serves \
an equal group of query heads: got n_heads=5, n_kv_heads=2
    """

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    hidden_dim: int
    vocab_size: int
    window: int | tuple[int | None, ...] | None = None
    n_experts: int = 1
    experts_per_token: int = 1
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    tie_embeddings: bool = False
    max_seq: int = 32_768

    def __post_init__(self) -> None:
        sizes = "dim n_layers n_heads n_kv_heads head_dim hidden_dim vocab_size n_experts max_seq"
        for name in [*sizes.split(), "experts_per_token"]:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive whole number: got {value!r}")
        for name in ("rope_theta", "norm_eps"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a positive number: got {value!r}")
        if not isinstance(self.tie_embeddings, bool):
            raise ValueError(f"tie_embeddings must be True or False: got {self.tie_embeddings!r}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                "n_heads must be a multiple of n_kv_heads, because each key/value head serves "
                f"an equal group of query heads: got n_heads={self.n_heads}, "
                f"n_kv_heads={self.n_kv_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(
                "head_dim must be even, because RoPE rotates pairs of channels: "
                f"got {self.head_dim}"
            )
        if not 1 <= self.experts_per_token <= self.n_experts:
            raise ValueError(
                "experts_per_token must lie between 1 and n_experts: got "
                f"experts_per_token={self.experts_per_token}, n_experts={self.n_experts}"
            )
        if isinstance(self.window, tuple) and len(self.window) != self.n_layers:
            raise ValueError(
                f"a tuple of windows needs one for each of the {self.n_layers} layers: "
                f"got {len(self.window)}"
            )
        for window in self.layer_windows:
            check_window(window)

    @property
    def layer_windows(self) -> tuple[int | None, ...]:
        """The window of each layer, in order."""
        if isinstance(self.window, tuple):
            return self.window
        return (self.window,) * self.n_layers

    @property
    def n_parameters(self) -> int:
        """Parameters in all, counted from the shapes.

        >>> TransformerConfig.mistral_7b().n_parameters
        7241732096
        """
        return self._count(experts=self.n_experts)

    @property
    def n_active_parameters(self) -> int:
        """Parameters that one token passes through.

        >>> TransformerConfig.mixtral_8x7b().n_active_parameters
        12879925248
        """
        return self._count(experts=self.experts_per_token)

    def _count(self, experts: int) -> int:
        attention = 2 * self.dim * self.head_dim * (self.n_heads + self.n_kv_heads)
        feed_forward = 3 * self.dim * self.hidden_dim * experts
        router = self.dim * self.n_experts if self.n_experts > 1 else 0
        norms = 2 * self.dim
        embeddings = self.vocab_size * self.dim * (1 if self.tie_embeddings else 2)
        block = attention + feed_forward + router + norms
        return embeddings + self.n_layers * block + self.dim

    @classmethod
    def tiny(cls, **changes: Any) -> "TransformerConfig":
        """A model of two layers that a laptop runs in milliseconds."""
        tiny = dict(
            dim=64, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=16, hidden_dim=128, vocab_size=256
        )
        return cls(**(tiny | changes))

    @classmethod
    def smollm2(cls, **changes: Any) -> "TransformerConfig":
        """SmolLM2-135M, whose weights the course packs: its model's `config.json`.

        >>> TransformerConfig.smollm2().n_parameters
        134515008
        """
        small = dict(
            dim=576,
            n_layers=30,
            n_heads=9,
            n_kv_heads=3,
            head_dim=64,
            hidden_dim=1536,
            vocab_size=49_152,
            rope_theta=100_000.0,
            tie_embeddings=True,
            max_seq=8192,
        )
        return cls(**(small | changes))

    @classmethod
    def mistral_7b(cls, **changes: Any) -> "TransformerConfig":
        """Mistral 7B v0.1: "Mistral 7B", table 1."""
        mistral = dict(
            dim=4096,
            n_layers=32,
            n_heads=32,
            n_kv_heads=8,
            head_dim=128,
            hidden_dim=14_336,
            vocab_size=32_000,
            window=4096,
        )
        return cls(**(mistral | changes))

    @classmethod
    def mixtral_8x7b(cls, **changes: Any) -> "TransformerConfig":
        """Mixtral 8x7B v0.1: "Mixtral of Experts", table 1. It has no sliding window."""
        mixtral = dict(
            window=None, n_experts=8, experts_per_token=2, rope_theta=1_000_000.0, max_seq=32_768
        )
        return cls.mistral_7b(**(mixtral | changes))
