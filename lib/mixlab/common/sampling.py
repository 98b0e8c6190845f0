"""Choosing the next token from logits: greedy at temperature 0, else by chance.

Source: Holtzman et al., "The Curious Case of Neural Text Degeneration" (2020), section 3.1 for
nucleus (top-p) sampling and section 3.3 for temperature.
"""

from numbers import Real

import torch
from jaxtyping import Float, Int
from torch import Tensor

_FLOAT32 = torch.finfo(torch.float32)


def check_sampling(temperature: float, top_p: float) -> None:
    """Raise ValueError unless `temperature` is 0 or more and `top_p` in (0, 1]."""
    for name, number in (("temperature", temperature), ("top_p", top_p)):
        if not isinstance(number, Real):
            raise ValueError(f"{name} must be a number: got {number!r}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (greedy) or positive: got {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(
            "top_p must be above 0 and at most 1, the share of probability to draw from: got "
            f"{top_p}. For greedy choice use temperature=0"
        )


def nucleus(
    probabilities: Float[Tensor, "batch vocab"], top_p: float
) -> Float[Tensor, "batch vocab"]:
    """Keep the most likely tokens until they hold `top_p` of the probability; rescale to sum 1.

    The token that reaches `top_p` is kept, so there is always at least one. Of equally likely
    tokens at the edge only as many stay as are needed.

    Args:
        probabilities: rows that sum to 1.
        top_p: the share to keep, above 0 and at most 1.

    Raises:
        ValueError: for another share.

    >>> nucleus(torch.tensor([[0.125, 0.5, 0.25, 0.125]]), top_p=0.7)
    tensor([[0.0000, 0.6667, 0.3333, 0.0000]])
    """
    check_sampling(1.0, top_p)
    ordered, token = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered  # probability of all likelier tokens
    surplus = before >= top_p
    surplus[:, 0] = False  # float32 has no share as small as 1e-60, and one token must stay
    ordered = ordered.masked_fill(surplus, 0.0)
    kept = torch.zeros_like(probabilities).scatter(-1, token, ordered)
    return kept / kept.sum(dim=-1, keepdim=True)


def sample(
    logits: Float[Tensor, "batch vocab"],
    temperature: float = 0.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " batch"]:
    """One token a row of `logits`.

    Args:
        logits: unnormalised log-probabilities.
        temperature: 0 takes the largest; 1 samples from the model's own distribution; above 1
            flattens it.
        top_p: sample from the likeliest tokens that together hold this share of the
            probability, after the temperature; 1 samples from all.
        generator: source of randomness, on the logits' device; PyTorch's global one if None.

    Raises:
        ValueError: if `temperature` or `top_p` is out of range, `logits` aren't rows, or a row's
            largest logit is NaN or infinite: taking it would return a token as if nothing were
            wrong.

    >>> sample(torch.tensor([[0.0, 3.0, 1.0]]))
    tensor([1])
    """
    check_sampling(temperature, top_p)
    if logits.dim() != 2 or not logits.shape[1]:
        raise ValueError(
            f"logits must be rows (batch, vocab): got shape {tuple(logits.shape)}. One row alone "
            "is logits[None]"
        )
    largest, token = logits.max(dim=-1)  # a NaN anywhere in a row is its largest
    if not bool(largest.isfinite().all()):
        raise ValueError(
            "the logits hold NaN or have no finite maximum, so there is no next token to choose: "
            "does some query see no key, or did the weights or float16 overflow?"
        )
    if temperature == 0:
        return token
    # A float64 temperature may round to 0 or infinity in float32, and 0 / 0 is NaN.
    temperature = min(max(temperature, _FLOAT32.tiny), _FLOAT32.max)
    # The largest logit is subtracted before the division, which could overflow otherwise.
    probabilities = ((logits.float() - largest.float()[:, None]) / temperature).softmax(dim=-1)
    if top_p < 1:
        probabilities = nucleus(probabilities, top_p)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)
