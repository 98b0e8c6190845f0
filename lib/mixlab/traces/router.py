"""What the routers of a model decided on a text: every choice of every layer, as plain arrays.

Source of the question: "Mixtral of Experts" (2024), section 5, which asks whether experts follow
subject or syntax.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixlab.transformer.model import Transformer
from mixlab.transformer.sparse_moe import SparseMoE, route, router_logits


@dataclass(frozen=True)
class RouterTrace:
    """The choices of a model with `layers` layers, `experts` experts and `k` a token.

    Attributes:
        tokens: the text, (batch, seq).
        logits: the router's scores, (layers, batch, seq, experts).
        probabilities: their softmax over all experts, the same shape; rows sum to 1.
        chosen: the numbers of the experts that ran, best first, (layers, batch, seq, k).
        gates: the weights of their outputs, (layers, batch, seq, k); rows sum to 1.
    """

    tokens: Int[np.ndarray, "batch seq"]
    logits: Float[np.ndarray, "layers batch seq experts"]
    probabilities: Float[np.ndarray, "layers batch seq experts"]
    chosen: Int[np.ndarray, "layers batch seq k"]
    gates: Float[np.ndarray, "layers batch seq k"]

    @property
    def load(self) -> Float[np.ndarray, "layers experts"]:
        """The part of a layer's choices that went to each expert; rows sum to 1."""
        n_experts = self.logits.shape[-1]
        picked = self.chosen[..., None] == np.arange(n_experts)
        return picked.mean(axis=(1, 2, 3))


@torch.inference_mode()
def trace_router(model: Transformer, tokens: Int[Tensor, "batch seq"]) -> RouterTrace:
    """Run `model` on `tokens` and keep every router's decision.

    Args:
        model: a Transformer with experts.
        tokens: token ids, on the model's device.

    Raises:
        ValueError: if the model has no experts, or there are no tokens.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = Transformer(TransformerConfig.tiny(n_experts=4, experts_per_token=2))
    >>> trace = trace_router(model, torch.zeros(1, 6, dtype=torch.long))
    >>> trace.chosen.shape, trace.load.sum(axis=1)
    ((2, 1, 6, 2), array([1., 1.]))
    """
    with router_logits(model) as layers:
        model.hidden(tokens)  # without reading out logits, which no router looks at
    logits = torch.stack(layers).float()  # (layers, batch, seq, experts)
    chosen, gates = route(logits, model.config.experts_per_token)
    arrays = (tokens, logits, logits.softmax(dim=-1), chosen, gates)
    return RouterTrace(*(array.cpu().numpy() for array in arrays))


def repetition(chosen: Int[np.ndarray, "batch seq k"], first_only: bool = True) -> float:
    """How often a token keeps an expert of the token before it: a number between 0 and 1.

    Source: "Mixtral of Experts" (2024), table 5. With 8 experts, 2 a token, chance gives 1/8 for
    the first choice alone, and 13/28 for any of the two.

    Args:
        chosen: one layer's choices, best first.
        first_only: compare first choices; otherwise ask whether any expert is in both tokens'
            choices.

    Raises:
        ValueError: if the sequences have fewer than two tokens.

    >>> chosen = np.array([[[0, 1], [0, 2], [2, 3], [1, 2]]])
    >>> round(repetition(chosen), 3), repetition(chosen, first_only=False)
    (0.333, 1.0)
    """
    if chosen.shape[1] < 2:
        raise ValueError(f"repetition needs two tokens or more: got seq={chosen.shape[1]}")
    before, after = chosen[:, :-1], chosen[:, 1:]
    if first_only:
        return float((before[..., 0] == after[..., 0]).mean())
    shared = before[..., :, None] == after[..., None, :]  # (batch, seq - 1, k, k)
    return float(shared.any(axis=(-1, -2)).mean())


def twins(chosen: Int[np.ndarray, "seq k"], token: int) -> list[int]:
    """The tokens that have the same experts as this one in a layer; itself among them.

    Args:
        chosen: one layer's choices on one text; the order of a token's experts doesn't matter.
        token: its position.

    >>> twins(np.array([[7, 5], [0, 2], [5, 7]]), 0)
    [0, 2]
    """
    experts = np.sort(chosen, axis=1)
    return np.flatnonzero((experts == experts[token]).all(axis=1)).tolist()


@contextmanager
def without_experts(model: Transformer, removed: Mapping[int, Collection[int]]) -> Iterator[None]:
    """Take experts away while the block runs: their scores become -inf before the router chooses.

    A token that would have gone there takes its next best expert, and its gates add up to 1 again.

    Args:
        model: a Transformer with experts.
        removed: layer to the experts that are missing there; other layers are untouched.

    Raises:
        ValueError: if a layer has no experts or no such expert, or too few would be left.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = Transformer(TransformerConfig.tiny(n_experts=4, experts_per_token=2))
    >>> with without_experts(model, {1: [0, 3]}):
    ...     chosen = trace_router(model, torch.arange(6)[None]).chosen
    >>> sorted(set(chosen[1].flatten().tolist()))
    [1, 2]
    """
    hooks = []
    try:
        for number, experts in removed.items():
            hooks.append(_block(model, number, experts))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _block(model: Transformer, number: int, experts: Collection[int]):
    n_layers, n_experts = model.config.n_layers, model.config.n_experts
    if not 0 <= number < n_layers:
        raise ValueError(f"this model has layers 0 to {n_layers - 1}: got {number}")
    layer = model.layers[number].feed_forward
    if not isinstance(layer, SparseMoE):
        raise ValueError(f"layer {number} has no experts to remove: expected a SparseMoE")
    gone = sorted(set(experts))
    if not all(0 <= expert < n_experts for expert in gone):
        raise ValueError(f"experts are numbered 0 to {n_experts - 1}: got {gone}")
    if n_experts - len(gone) < layer.experts_per_token:
        raise ValueError(
            f"each token needs {layer.experts_per_token} experts, and without {gone} layer "
            f"{number} has {n_experts - len(gone)}"
        )
    dead = torch.zeros(n_experts, dtype=torch.bool)
    dead[gone] = True
    return layer.gate.register_forward_hook(
        lambda _m, _x, logits: logits.masked_fill(dead.to(logits.device), -torch.inf)
    )
