"""What chapter 01 measures on blocks: returns arrays, draws nothing."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from mixlab.chapters.transformer_to_mistral.block import (
    Form,
    Weights,
    angles,
    attention,
    layer_norm,
    relu_layer,
    rms_norm,
)
from mixlab.chapters.transformer_to_mistral.forms import weights
from mixlab.transformer.config import TransformerConfig


def own_share(config: TransformerConfig, form: Form, seed: int, n_blocks: int = 12) -> np.ndarray:
    """After 0, 1, 2, … fresh blocks, how long the embedding's part of a token's vector is.

    The stream is a sum: what the token began with, and what the parts added. A norm after the sum
    divides both by the same number, and the first part can be followed through all of them.

    Args:
        config: sizes of the blocks.
        form: with LayerNorm.
        seed: of weights and of six random tokens.

    Returns:
        Shares of the whole vector's length, (n_blocks + 1).
    """
    torch.manual_seed(seed)
    x = own = layer_norm(torch.randn(6, config.dim), torch.tensor([[1.0], [0.0]]))
    shares = [1.0]
    for _ in range(n_blocks):
        w = weights(0, config)
        for norm, part in (("norm_1", partial(attention, form=form)), ("norm_2", relu_layer)):
            if form.norm_first:
                x = x + part(layer_norm(x, w[norm]), w)
            else:
                total = x + part(x, w)
                x = layer_norm(total, w[norm])
                own = own / total.std(-1, correction=0, keepdim=True)
        shares.append(float(own.norm() / x.norm()))
    return np.array(shares)


def best_distances(n_pairs: int, head_dim: int, longest: int, seed: int) -> np.ndarray:
    """At which distance, up to `longest`, RoPE lets a random query and key score highest; each."""
    generator = torch.Generator().manual_seed(seed)
    turning = angles(torch.arange(longest + 1), head_dim)  # (distances, pairs of numbers)
    turning = torch.cat([turning.cos(), turning.sin()], dim=1)
    q, k = torch.randn(2, n_pairs, head_dim // 2, dtype=torch.complex128, generator=generator)
    meets = torch.view_as_real(q * k.conj())
    scores = turning @ torch.cat([meets[..., 0], -meets[..., 1]], dim=1).T
    return scores.argmax(0).numpy()


def five_relus(x: Tensor) -> Tensor:
    """x² at −2, −1, 0, 1 and 2, and straight lines between and beyond: three bends and a slope."""
    slope = (x + 2).relu() - (-x - 2).relu()
    return 4 - 3 * slope + 2 * sum((x - bend).relu() for bend in (-1, 0, 1))


def centred(x: Tensor, weight: Tensor) -> Tensor:
    """LayerNorm with the factors of a model that was trained with RMSNorm."""
    return rms_norm(x - x.mean(-1, keepdim=True), weight)


def relu_gated(x: Tensor, w: Weights) -> Tensor:
    """SwiGLU's layer with ReLU in silu's place."""
    return ((x @ w["w1"].T).relu() * (x @ w["w3"].T)) @ w["w2"].T


def own_keys(w: Weights, n_kv_heads: int, group: int) -> Weights:
    """The weights with a copy of its key and value head for each query head of a group."""

    def grown(matrix):
        each = matrix.view(n_kv_heads, -1, matrix.shape[1])
        return each.repeat_interleave(group, dim=0).flatten(0, 1)

    return dict(w) | {name: grown(w[name]) for name in ("wk", "wv")}


def evens_first(x: Tensor) -> Tensor:
    """Numbers 0, 2, 4, … then 1, 3, 5, …: so RoPE by halves turns neighbours."""
    return torch.cat([x[..., 0::2], x[..., 1::2]], dim=-1)
