"""How surprised a model is at a text, token by token, and on the whole.

The surprise at a token is -log p, p being what the model gave it before reading it; perplexity is
exp of the mean surprise: a model that hesitates between n equally likely tokens has perplexity n.
The mean goes over tokens, so texts of different lengths aren't averaged text by text.
"""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def surprise(
    logits: Float[Tensor, "batch seq vocab"], tokens: Int[Tensor, "batch seq"]
) -> Float[Tensor, "batch seq-1"]:
    """The surprise in nats at each token but the first, under the logits before it.

    Raises:
        ValueError: if there is no second token to predict, or logits and tokens differ in shape.

    >>> import torch
    >>> surprise(torch.zeros(1, 4, 8), torch.arange(4)[None])  # ln 8: eight equally likely tokens
    tensor([[2.0794, 2.0794, 2.0794]])
    """
    if logits.shape[:2] != tokens.shape or tokens.shape[1] < 2:
        raise ValueError(
            "logits must have the batch and seq of the tokens they were computed from, and these "
            f"a second one to predict: got logits {tuple(logits.shape)} and tokens "
            f"{tuple(tokens.shape)}"
        )
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:].long(), reduction="none")


def perplexity(surprises: Float[Tensor, "*shape"]) -> float:
    """exp of the mean over all tokens.

    Raises:
        ValueError: if there are no tokens.

    >>> import torch
    >>> round(perplexity(torch.tensor([2.0, 8.0]).log()), 4)  # the geometric mean of 2 and 8
    4.0
    """
    if not surprises.numel():
        raise ValueError("a mean needs at least one token: got no surprises")
    return surprises.double().mean().exp().item()
