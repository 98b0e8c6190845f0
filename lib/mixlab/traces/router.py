"""What the routers of a model decided on a text: every choice of every layer, as plain arrays.

Source of the question: "Mixtral of Experts" (2024), section 5, which asks whether experts follow
subject or syntax.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixlab.transformer.model import Transformer
from mixlab.transformer.sparse_moe import route, router_logits


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
        model(tokens)
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
