"""What attention looks at, as plain arrays: maps of real weights, and which scores get computed."""

from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.transformer.attention import attention_weights, banded_attention
from mixlab.transformer.model import Transformer
from mixlab.transformer.rope import rope_table, widen
from mixlab.transformer.window import window_mask


@dataclass(frozen=True)
class AttentionMaps:
    """The attention weights of one sequence in every layer and head.

    Attributes:
        weights: (n_layers, n_heads, seq, seq) in float32; each row sums to 1.
        windows: the window of each layer.
    """

    weights: np.ndarray
    windows: tuple[int | None, ...]

    def mean_over_heads(self) -> np.ndarray:
        """(n_layers, seq, seq)."""
        return self.weights.mean(axis=1)

    def share_within(self, window: int) -> np.ndarray:
        """How much of each query's attention falls on keys nearer than `window`.

        Returns:
            (n_layers, n_heads, seq), between 0 and 1.
        """
        near = window_mask(self.weights.shape[-1], window=window).numpy()
        return np.where(near, self.weights, 0).sum(axis=-1)


@torch.inference_mode()
def attention_maps(model: Transformer, tokens: Int[Tensor, " seq"]) -> AttentionMaps:
    """Run the model on one sequence and keep every attention weight.

    The model computes attention by its fast path, which never holds the weights, so each layer's
    input is caught on its way in and the weights are computed again by the readable path.

    Args:
        model: any transformer of this library.
        tokens: one sequence of token ids.
    """
    inputs = {}

    def catch(module, args, kwargs):
        inputs[module] = args[0]

    attentions = [layer.attention for layer in model.layers]
    handles = [a.register_forward_pre_hook(catch, with_kwargs=True) for a in attentions]
    try:
        model(tokens[None])
    finally:
        for handle in handles:
            handle.remove()
    config = model.config
    positions = torch.arange(len(tokens), device=tokens.device)
    cos, sin = rope_table(positions, config.head_dim, config.rope_theta)
    maps = []
    for attention, window in zip(attentions, config.layer_windows, strict=True):
        x = inputs[attention]
        q, k, _ = attention.project(x, *widen(cos, sin, x.dtype))
        weights = attention_weights(q.transpose(1, 2), k.transpose(1, 2), window)
        maps.append(weights[0].float().cpu().numpy())
    return AttentionMaps(np.stack(maps), config.layer_windows)


def computed_scores(seq: int, window: int, block: int) -> np.ndarray:
    """Which scores `banded_attention` computes: True where query (row) meets key (column).

    Queries and keys carry their own positions through the real code, and a stand-in for the
    fused kernel notes which ones it is handed together.

    Args:
        seq, window, block: as in `banded_attention`.

    Returns:
        A boolean array (seq, seq); True also where a computed score is then masked.

    >>> int(computed_scores(seq=12, window=3, block=4).sum())
    60
    """
    met = np.zeros((seq, seq), dtype=bool)

    def note(q, k, v, **options):
        rows = q[..., 0].flatten(0, -2).int().tolist()
        columns = k[..., 0].flatten(0, -2).int().tolist()
        for queries, keys in zip(rows, columns, strict=True):
            met[np.ix_(queries, keys)] = True
        return torch.zeros_like(q)

    positions = torch.arange(seq, dtype=torch.float32).reshape(1, 1, seq, 1).expand(1, 1, seq, 2)
    with patch.object(F, "scaled_dot_product_attention", note):
        banded_attention(positions, positions, positions, window, block)
    return met
