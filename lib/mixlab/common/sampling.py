"""Choosing the next token from logits: greedy at temperature 0, else by chance."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def sample(
    logits: Float[Tensor, "batch vocab"],
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " batch"]:
    """One token a row of `logits`.

    Args:
        logits: unnormalised log-probabilities.
        temperature: 0 takes the largest; 1 samples from the model's own distribution; above 1
            flattens it.
        generator: source of randomness; PyTorch's global one if None.

    Raises:
        ValueError: if `temperature` is negative.

    >>> sample(torch.tensor([[0.0, 3.0, 1.0]]))
    tensor([1])
    """
    if temperature < 0:
        raise ValueError(f"temperature must be 0 (greedy) or positive: got {temperature}")
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = (logits.float() / temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)
