"""The gated feed-forward layer: w2(silu(w1 x) * w3 x), applied to each token alone.

Source: Shazeer, "GLU Variants Improve Transformer" (2020), section 2 (SwiGLU); names as in
Mistral's code. In Mixtral each expert is one such layer.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.linear import Linear, gated_linear, linear
from mixlab.transformer.config import TransformerConfig


def swiglu(
    x: Float[Tensor, "*batch dim"],
    w1: Float[Tensor, "hidden_dim dim"],
    w2: Float[Tensor, "dim hidden_dim"],
    w3: Float[Tensor, "hidden_dim dim"],
) -> Float[Tensor, "*batch dim"]:
    """Gate w3 x by silu(w1 x), channel by channel, and project back with w2. The readable twin.

    >>> import torch
    >>> one = torch.ones(1, 1)
    >>> swiglu(torch.tensor([2.0]), w1=one, w2=one, w3=one)  # silu(2) * 2
    tensor([3.5232])
    """
    return linear(F.silu(linear(x, w1)) * linear(x, w3), w2)


def swiglu_fused(
    x: Float[Tensor, "*batch dim"],
    w1: Float[Tensor, "hidden_dim dim"],
    w2: Float[Tensor, "dim hidden_dim"],
    w3: Float[Tensor, "hidden_dim dim"],
) -> Float[Tensor, "*batch dim"]:
    """`swiglu` with silu and the gate inside the matrix product that they follow.

    >>> import torch
    >>> x, w1, w2, w3 = torch.randn(4, 2), torch.randn(3, 2), torch.randn(2, 3), torch.randn(3, 2)
    >>> torch.allclose(swiglu_fused(x, w1, w2, w3), swiglu(x, w1, w2, w3), atol=1e-6)
    True
    """
    return linear(gated_linear(x, w1, w3), w2)


class FeedForward(nn.Module):
    """SwiGLU with the widths of `config`."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.w1 = Linear(config.dim, config.hidden_dim)
        self.w2 = Linear(config.hidden_dim, config.dim)
        self.w3 = Linear(config.dim, config.hidden_dim)

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """w2(silu(w1 x) * w3 x) of every token."""
        return swiglu_fused(x, self.w1.weight, self.w2.weight, self.w3.weight)
