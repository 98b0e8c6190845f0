"""Sparse upcycling: start a mixture of experts from a dense model by copying its feed-forward.

Every expert is the same layer, so whichever k the router picks, their weights sum to 1 and the
model computes what the dense one does; training then drives the experts apart. Source: Komatsuzaki
et al., "Sparse Upcycling" (2022), section 3. The paper's router normalises as ours does, after
the top k, which is what makes the copy exact.
"""

from dataclasses import replace

import torch

from mixlab.transformer.model import Transformer
from mixlab.transformer.sparse_moe import SparseMoE


@torch.no_grad()
def upcycle(
    model: Transformer,
    n_experts: int,
    experts_per_token: int,
    generator: torch.Generator | None = None,
    std: float = 0.02,
) -> Transformer:
    """A model with `n_experts` copies of each feed-forward layer, and new routers.

    Every other tensor is shared with `model`: train one of the two, not both.

    Args:
        model: a dense model.
        n_experts: experts a layer, at least 2.
        experts_per_token: how many of them run for each token.
        generator: source of the routers' weights, on the CPU; PyTorch's global one if None.
        std: standard deviation of the routers' weights.

    Raises:
        ValueError: if `model` has experts already, or the numbers don't fit together.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> dense = Transformer(TransformerConfig.tiny())
    >>> sparse, tokens = upcycle(dense, 4, 2), torch.arange(9)[None]
    >>> torch.allclose(sparse(tokens), dense(tokens), atol=1e-5)
    True
    """
    if model.config.n_experts > 1:
        raise ValueError(
            f"upcycling starts from a dense model: this one has {model.config.n_experts} experts"
        )
    if n_experts < 2:
        raise ValueError(f"a mixture needs at least 2 experts: got n_experts={n_experts}")
    config = replace(model.config, n_experts=n_experts, experts_per_token=experts_per_token)
    with torch.device("meta"):
        sparse = Transformer(config)
    state = {}
    for name, tensor in model.state_dict().items():
        before, dense, after = name.partition("feed_forward.")
        copies = [f"{before}{dense}experts.{e}.{after}" for e in range(n_experts)]
        state |= dict.fromkeys(copies if dense else [name], tensor)
    like = model.tok_embeddings.weight
    for name, module in sparse.named_modules():
        if isinstance(module, SparseMoE):
            router = torch.randn(module.gate.weight.shape, generator=generator) * std
            state[f"{name}.gate.weight"] = router.to(like)
    sparse.load_state_dict(state, assign=True)
    if config.tie_embeddings:
        sparse.output.weight = sparse.tok_embeddings.weight
    return sparse.requires_grad_(like.requires_grad).train(model.training)
