"""RMSNorm: divide each vector by its root mean square, then scale each channel.

Source: Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019), section 4, "RMSNorm";
Mistral, Mixtral and Mamba all use it. Compared with LayerNorm it leaves out the mean and the bias.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def rms_norm(
    x: Float[Tensor, "*batch dim"], weight: Float[Tensor, " dim"], eps: float = 1e-5
) -> Float[Tensor, "*batch dim"]:
    """Normalise the last axis to root mean square 1, in float32 or better; scale it by `weight`.

    The readable twin of `RMSNorm.forward`: the same formula, written out.

    Args:
        x: vectors along the last axis.
        weight: one factor a channel.
        eps: added to the mean square, so that a zero vector stays zero.

    Returns:
        A tensor like `x`, in x's dtype.

    >>> rms_norm(torch.tensor([3.0, 4.0]), torch.ones(2), eps=0.0)
    tensor([0.8485, 1.1314])
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    scale = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)
    return (wide * scale).to(x.dtype) * weight


class RMSNorm(nn.Module):
    """RMSNorm over the last axis of size `dim`, with a learned scale that starts at 1."""

    def __init__(self, dim: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Normalise `x` along its last axis; PyTorch's fused kernel does it in one pass."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
