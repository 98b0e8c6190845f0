"""Losses that train a router: one against favourite experts, one against large logits.

Without them the router of a young model sends every token to the few experts that happened to
learn first, and the others never learn. Sources: Fedus et al., "Switch Transformers" (2021),
section 2.2, equations 4 to 6; Zoph et al., "ST-MoE" (2022), section 3.3, equation 5.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mixlab.transformer.sparse_moe import route, wide


def load_balancing_loss(
    logits: Float[Tensor, "layers tokens n_experts"], k: int, pooled: bool = False
) -> Float[Tensor, ""]:
    """n_experts · Σ f P: how unevenly tokens spread over the experts; k when perfectly even.

    For each expert, f is the number of its tokens over the number of all tokens (so the f of a
    layer add up to k) and P the mean probability that the router gives it. f counts and has no
    gradient: P carries it. Switch has k = 1; for Mixtral's two experts the even value is 2.

    Args:
        logits: of the router, for every layer and token; leave padding out.
        k: experts per token.
        pooled: take f and P over all layers at once, as transformers does for Mixtral. That
            hides a collapsed layer behind another that collapsed onto other experts; by default
            each layer has its own loss and the result is their mean.

    Raises:
        ValueError: if `k` is not between 1 and the number of experts, there are no tokens, or
            other axes than these three.

    >>> collapsed = torch.tensor([[9.0, 0.0], [0.0, 9.0]])[:, None].expand(2, 5, 2)
    >>> load_balancing_loss(collapsed, k=1), load_balancing_loss(collapsed, k=1, pooled=True)
    (tensor(1.9998), tensor(1.))
    """
    if not logits.numel():
        raise ValueError(
            f"balance needs at least one token: got router logits of shape {tuple(logits.shape)}"
        )
    if logits.dim() != 3:
        raise ValueError(
            "router logits must have the axes (layers, tokens, n_experts): got shape "
            f"{tuple(logits.shape)}. Join batch and seq by logits.flatten(1, 2); one layer alone "
            "is logits[None]"
        )
    n_experts = logits.shape[-1]
    chosen, _ = route(logits.detach(), k)
    every = torch.arange(n_experts, device=logits.device)
    probability = wide(logits).softmax(dim=-1)
    picked = (chosen[..., None] == every).sum(dim=-2).to(probability)  # (layers, tokens, n_experts)
    axes = (0, 1) if pooled else (1,)
    f, P = picked.mean(dim=axes), probability.mean(dim=axes)
    return n_experts * (f * P).sum(dim=-1).mean()


def router_z_loss(logits: Float[Tensor, "*batch n_experts"]) -> Float[Tensor, ""]:
    """The mean square of log Σ exp(logits), which keeps logits small enough for low precision.

    Adding a constant to a token's logits changes none of its choices but, in bfloat16, loses the
    digits that choose; this loss is the pull back towards zero.

    Raises:
        ValueError: if there are no tokens.

    >>> router_z_loss(torch.zeros(3, 8)).sqrt()  # ln 8
    tensor(2.0794)
    """
    if not logits.numel():
        raise ValueError(
            f"the z-loss needs at least one token: got router logits of shape {tuple(logits.shape)}"
        )
    return wide(logits).logsumexp(dim=-1).square().mean()
