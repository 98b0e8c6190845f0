"""What chapter 07 watches: a router in training, and the time that a sparse layer takes."""

import time
from collections.abc import Sequence
from functools import cache
from pydoc_data.topics import topics

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mixlab.common.training import TrainingConfig, batches, train
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer, next_token_loss
from mixlab.transformer.router_losses import load_balancing_loss
from mixlab.transformer.sparse_moe import experts_grouped, route, router_logits

# A language model of one block with eight experts, two a token, that reads bytes.
SHAPE = dict(dim=32, n_layers=1, n_heads=2, n_kv_heads=2, head_dim=16, hidden_dim=64)
CONFIG = TransformerConfig(**SHAPE, vocab_size=256, n_experts=8, experts_per_token=2)


@cache
def manual() -> Int[Tensor, " bytes"]:
    """Python's own manual, byte by byte."""
    text = "".join(topics.values()).encode()
    return torch.from_numpy(np.frombuffer(text, dtype=np.uint8).astype(np.int64))


def train_router(
    coefficient: float, steps: int = 800, seed: int = 3
) -> tuple[Float[np.ndarray, "steps n_experts"], Float[np.ndarray, " steps"]]:
    """Train the model of `CONFIG` on the manual, and keep what its router does.

    Args:
        coefficient: of the load-balancing loss, which is added to the language loss.
        steps: each of eight stretches of 64 bytes.
        seed: of the weights and the stretches.

    Returns:
        Of each step the share of all choices that each expert gets, and the language loss alone,
        in nats a byte.
    """
    torch.manual_seed(seed)
    model, k = Transformer(CONFIG), CONFIG.experts_per_token
    shares, language = [], []

    def loss(model: Transformer, tokens: Tensor) -> Tensor:
        with router_logits(model) as layers:  # (batch, seq, experts) of each layer
            words = next_token_loss(model(tokens), tokens)
        scores = torch.stack(layers).flatten(1, 2)
        chosen = route(scores.detach(), k).chosen
        shares.append(chosen.flatten().bincount(minlength=CONFIG.n_experts) / chosen.numel())
        language.append(words.item())
        return words + coefficient * load_balancing_loss(scores, k)

    generator = torch.Generator().manual_seed(seed)
    stretches = batches(manual(), batch=8, seq=64, generator=generator)
    recipe = TrainingConfig(steps=steps, learning_rate=2e-3, warmup=10)
    train(model, loss, stretches, recipe, progress=False)
    return torch.stack(shares).numpy(), np.array(language)


def layer_milliseconds(
    routings: Sequence[Int[Tensor, "tokens k"]], dim: int = 768, hidden_dim: int = 2688
) -> list[float]:
    """Processor time of one sparse layer of eight experts, 25 MB each by default.

    Args:
        routings: the experts that each token of a batch runs through, a batch after the other.
        dim, hidden_dim: the experts' sizes.

    Returns:
        For each batch the least of several times, in milliseconds.
    """
    shapes = (8, hidden_dim, dim), (8, dim, hidden_dim), (8, hidden_dim, dim)
    weights = [torch.empty(shape).uniform_(-0.02, 0.02) for shape in shapes]
    least = []
    for chosen in routings:
        x, gates, times = torch.randn(len(chosen), dim), torch.ones(chosen.shape), []
        for _ in range(3 + 24 // len(chosen)):
            start = time.process_time()
            experts_grouped(x, chosen, gates, *weights)
            times.append(time.process_time() - start)
        least.append(1000 * min(times))
    return least
