"""Choosing the next token from logits: greedy at temperature 0, else by chance.

What is left out of the draw is decided in the order of transformers' `generate`: a penalty on what
was said, the temperature, then top-k, top-p and min-p, each on what the one before has left.
Source: Holtzman et al., "The Curious Case of Neural Text Degeneration" (2020), section 3.1 for
nucleus (top-p) sampling, 3.2 for top-k and 3.3 for temperature; Nguyen et al., "Turning Up the
Heat: Min-p Sampling for Creative and Coherent LLM Outputs" (2024), section 3; Keskar et al., "CTRL"
(2019), section 4.1, for the penalty.
"""

from collections.abc import Sequence
from numbers import Integral, Real

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_FLOAT32 = torch.finfo(torch.float32)
Generators = torch.Generator | Sequence[torch.Generator] | None


def check_sampling(
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
) -> None:
    """Raise ValueError, with what is expected, for a number that is none or out of its range."""
    numbers = dict(temperature=temperature, top_p=top_p, min_p=min_p)
    for name, number in (numbers | dict(repetition_penalty=repetition_penalty)).items():
        if not isinstance(number, Real):
            raise ValueError(f"{name} must be a number: got {number!r}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (greedy) or positive: got {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(
            "top_p must be above 0 and at most 1, the share of probability to draw from: got "
            f"{top_p}. For greedy choice use temperature=0"
        )
    if top_k is not None and (not isinstance(top_k, Integral) or top_k < 1):
        raise ValueError(f"top_k must be at least 1 token, or None for all of them: got {top_k!r}")
    if not 0 <= min_p <= 1:
        raise ValueError(
            "min_p must be from 0 to 1, a share of the likeliest token's probability: got "
            f"{min_p}. 0 keeps all tokens"
        )
    if not 0 < repetition_penalty < float("inf"):
        raise ValueError(
            "repetition_penalty must be positive: above 1 against repetition, 1 for none: got "
            f"{repetition_penalty}"
        )


def penalise(
    logits: Float[Tensor, "batch vocab"], said: Bool[Tensor, "batch vocab"], penalty: float
) -> Float[Tensor, "batch vocab"]:
    """Make the tokens that `said` marks less likely: divide their logits, multiply negative ones.

    Raises:
        ValueError: for a penalty that isn't positive.

    >>> penalise(torch.tensor([[2.0, 2.0, -1.0]]), torch.tensor([[False, True, True]]), 2.0)
    tensor([[ 2.,  1., -2.]])
    """
    check_sampling(repetition_penalty=penalty)
    changed = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(said, changed, logits)


def likeliest(
    probabilities: Float[Tensor, "batch vocab"], top_k: int
) -> Float[Tensor, "batch vocab"]:
    """Keep the `top_k` most likely tokens, and those exactly as likely; rescale to sum 1.

    Raises:
        ValueError: for fewer than one token.

    >>> likeliest(torch.tensor([[0.125, 0.5, 0.25, 0.125]]), top_k=2)
    tensor([[0.0000, 0.6667, 0.3333, 0.0000]])
    """
    check_sampling(top_k=top_k)
    least = probabilities.topk(min(top_k, probabilities.shape[-1])).values[:, -1:]
    return _rescaled(probabilities.masked_fill(probabilities < least, 0.0))


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
    check_sampling(top_p=top_p)
    ordered, token = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered  # probability of all likelier tokens
    surplus = before >= top_p
    surplus[:, 0] = False  # float32 has no share as small as 1e-60, and one token must stay
    ordered = ordered.masked_fill(surplus, 0.0)
    return _rescaled(torch.zeros_like(probabilities).scatter(-1, token, ordered))


def near_best(
    probabilities: Float[Tensor, "batch vocab"], min_p: float
) -> Float[Tensor, "batch vocab"]:
    """Keep the tokens at least `min_p` times as likely as the likeliest; rescale to sum 1.

    Raises:
        ValueError: for a share below 0 or above 1.

    >>> near_best(torch.tensor([[0.125, 0.5, 0.25, 0.125]]), min_p=0.4)
    tensor([[0.0000, 0.6667, 0.3333, 0.0000]])
    """
    check_sampling(min_p=min_p)
    best = probabilities.amax(dim=-1, keepdim=True)
    return _rescaled(probabilities.masked_fill(probabilities < min_p * best, 0.0))


def _rescaled(kept: Tensor) -> Tensor:
    return kept / kept.sum(dim=-1, keepdim=True)


def distribution(
    logits: Float[Tensor, "batch vocab"],
    temperature: float,
    top_p: float = 1.0,
    top_k: int | None = None,
    min_p: float = 0.0,
) -> Float[Tensor, "batch vocab"]:
    """What `sample` draws from at a temperature above 0: float32, rows that sum to 1."""
    # A float64 temperature may round to 0 or infinity in float32, and 0 / 0 is NaN.
    temperature = min(max(temperature, _FLOAT32.tiny), _FLOAT32.max)
    # The largest logit is subtracted before the division, which could overflow otherwise.
    below = logits.float() - logits.float().amax(dim=-1, keepdim=True)
    probabilities = (below / temperature).softmax(dim=-1)
    if top_k is not None:
        probabilities = likeliest(probabilities, top_k)
    if top_p < 1:
        probabilities = nucleus(probabilities, top_p)
    if min_p > 0:
        probabilities = near_best(probabilities, min_p)
    return probabilities


def sample(
    logits: Float[Tensor, "batch vocab"],
    temperature: float = 0.0,
    top_p: float = 1.0,
    generator: Generators = None,
    top_k: int | None = None,
    min_p: float = 0.0,
) -> Int[Tensor, " batch"]:
    """One token a row of `logits`.

    Args:
        logits: unnormalised log-probabilities.
        temperature: 0 takes the largest; 1 samples from the model's own distribution; above 1
            flattens it.
        top_p: sample from the likeliest tokens that together hold this share of the
            probability, after the temperature; 1 samples from all.
        generator: source of randomness, on the logits' device: one for all rows, or one a row, so
            that a row's draw doesn't depend on the others; PyTorch's global one if None.
        top_k: sample from this many likeliest tokens only.
        min_p: sample from tokens at least this many times as likely as the likeliest.

    Raises:
        ValueError: if a number is out of range, `logits` aren't rows, or a row's largest logit
            is NaN or infinite: taking it would return a token as if nothing were wrong.

    >>> sample(torch.tensor([[0.0, 3.0, 1.0]]))
    tensor([1])
    """
    check_sampling(temperature, top_p, top_k, min_p)
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
    probabilities = distribution(logits, temperature, top_p, top_k, min_p)
    if not isinstance(generator, Sequence):
        return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)
    if len(generator) != len(logits):
        raise ValueError(
            f"generator must be one for all rows, or one a row: got {len(generator)} for "
            f"{len(logits)} rows"
        )
    draws = [
        torch.multinomial(row, 1, generator=own)
        for row, own in zip(probabilities, generator, strict=True)
    ]
    return torch.cat(draws)
