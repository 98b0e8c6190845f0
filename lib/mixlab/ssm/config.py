"""The numbers that define a Mamba, checked when they are written down.

Source: Gu and Dao, "Mamba" (2023), sections 3.4–3.6 and table 12; the sizes of the published
checkpoints, whose vocabulary of 50,277 is filled up to a multiple of 8.
"""

import math
from dataclasses import dataclass
from typing import Any

PUBLISHED = {  # name: (n_layers, dim)
    "130m": (24, 768),
    "370m": (48, 1024),
    "790m": (48, 1536),
    "1.4b": (48, 2048),
    "2.8b": (64, 2560),
}


@dataclass(frozen=True, kw_only=True)
class MambaConfig:
    """The shape of a Mamba language model.

    Attributes:
        dim: width of the residual stream.
        n_layers: number of blocks.
        vocab_size: number of tokens.
        d_state: numbers of state a channel, N.
        d_conv: taps of the short convolution.
        expand: d_inner, the channels inside a block, is expand · dim.
        dt_rank: width through which Δ is computed; ⌈dim / 16⌉ if None.
        bias, conv_bias: whether the projections and the convolution have one.
        norm_eps: RMSNorm's epsilon.
        tie_embeddings: whether the output layer shares the embedding's weights.
        dt_min, dt_max: at initialisation Δ is drawn between them, evenly in log Δ.
        residual_in_fp32: whether the residual stream stays float32 when the weights are not.

    Raises:
        ValueError: if a number is out of range; the message says which and how.

    >>> MambaConfig.published("130m").n_parameters
    129135360
    >>> MambaConfig.tiny(d_state=0)
    Traceback (most recent call last):
        ...
    ValueError: d_state must be a whole number, 1 or more: got 0
    """

    dim: int
    n_layers: int
    vocab_size: int
    d_state: int = 16
    d_conv: int = 4
    expand: int = 2
    dt_rank: int | None = None
    bias: bool = False
    conv_bias: bool = True
    norm_eps: float = 1e-5
    tie_embeddings: bool = True
    dt_min: float = 1e-3
    dt_max: float = 1e-1
    residual_in_fp32: bool = True

    def __post_init__(self) -> None:
        if self.dt_rank is None:
            object.__setattr__(self, "dt_rank", math.ceil(self.dim / 16))
        for name in "dim n_layers vocab_size d_state d_conv expand dt_rank".split():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number, 1 or more: got {value!r}")
        for name in "bias conv_bias tie_embeddings residual_in_fp32".split():
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False: got {getattr(self, name)!r}")
        for name in "norm_eps dt_min dt_max".split():
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ValueError(f"{name} must be a number: got {value!r}")
        if not self.norm_eps > 0:
            raise ValueError(
                "norm_eps keeps a zero vector from being divided by 0, so it must be positive: "
                f"got {self.norm_eps!r}"
            )
        if not 0 < self.dt_min <= self.dt_max:
            raise ValueError(
                "Δ is drawn between dt_min and dt_max, so 0 < dt_min <= dt_max: "
                f"got dt_min={self.dt_min}, dt_max={self.dt_max}"
            )

    @property
    def d_inner(self) -> int:
        """Channels inside a block."""
        return self.expand * self.dim

    @property
    def n_parameters(self) -> int:
        """Parameters in all, counted from the shapes."""
        d_inner, both = self.d_inner, 2 * self.d_state
        in_proj = self.dim * 2 * d_inner + (2 * d_inner if self.bias else 0)
        convolution = d_inner * self.d_conv + (d_inner if self.conv_bias else 0)
        selection = d_inner * (self.dt_rank + both) + (self.dt_rank + 1) * d_inner
        scan = d_inner * self.d_state + d_inner  # A_log and D
        out_proj = d_inner * self.dim + (self.dim if self.bias else 0)
        block = self.dim + in_proj + convolution + selection + scan + out_proj
        embeddings = self.vocab_size * self.dim * (1 if self.tie_embeddings else 2)
        return embeddings + self.n_layers * block + self.dim

    @property
    def state_numbers(self) -> int:
        """Numbers of state that one sequence needs, however long it is."""
        return self.n_layers * self.d_inner * (self.d_state + self.d_conv - 1)

    @classmethod
    def tiny(cls, **changes: Any) -> "MambaConfig":
        """A model of two layers that a laptop runs in milliseconds."""
        return cls(**(dict(dim=64, n_layers=2, vocab_size=256, d_state=8) | changes))

    @classmethod
    def published(cls, name: str, **changes: Any) -> "MambaConfig":
        """One of the five sizes of the paper: "130m", "370m", "790m", "1.4b" or "2.8b".

        Raises:
            ValueError: for another name.
        """
        if name not in PUBLISHED:
            raise ValueError(f"published sizes are {', '.join(PUBLISHED)}: got {name!r}")
        n_layers, dim = PUBLISHED[name]
        return cls(**(dict(dim=dim, n_layers=n_layers, vocab_size=50_280) | changes))
