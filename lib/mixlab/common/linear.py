"""A linear layer without bias: y = x Wᵀ, by the faster of the two CPU libraries in PyTorch.

`F.linear` multiplies float32 on a CPU with MKL, Intel's library, which holds back on AMD
processors. PyTorch also ships oneDNN, whose kernels are compiled for the processor at hand: on an
AMD EPYC they are 1.3 to 2 times as fast for a prompt. Both compute in full float32 and differ by
rounding. oneDNN compiles a kernel for every new shape, half a millisecond, so small products
stay with `F.linear`, and so do gradients, for which its operator has no formula.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

# The operator is what PyTorch's own compiler emits on a CPU; it is absent from builds without MKL.
_ONEDNN = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()
    else None
)
_MIN_ROWS, _MIN_WEIGHTS = 16, 2**18  # below these, a new kernel costs more than it saves


def linear(
    x: Float[Tensor, "*batch dim_in"], weight: Float[Tensor, "dim_out dim_in"]
) -> Float[Tensor, "*batch dim_out"]:
    """Multiply each vector of `x` by `weight`; the readable twin is `F.linear`.

    Args:
        x: vectors along the last axis.
        weight: one row an output channel.

    Returns:
        The products, in x's dtype, equal to `F.linear(x, weight)` to rounding.

    >>> linear(torch.tensor([1.0, 2.0]), torch.tensor([[3.0, 4.0]]))
    tensor([11.])
    """
    if (
        x.numel() < _MIN_ROWS * x.shape[-1]
        or weight.numel() < _MIN_WEIGHTS
        or _ONEDNN is None
        or not x.device.type == weight.device.type == "cpu"
        or not x.dtype == weight.dtype == torch.float32
        or (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
    ):
        return F.linear(x, weight)
    return _ONEDNN(x, weight, None, "none", [], "")


class Linear(nn.Linear):
    """`nn.Linear` without bias, by `linear`; parameters and names are the same."""

    def __init__(self, dim_in: int, dim_out: int):
        super().__init__(dim_in, dim_out, bias=False)

    def forward(self, x: Float[Tensor, "*batch dim_in"]) -> Float[Tensor, "*batch dim_out"]:
        """Multiply each vector of `x` by the weight."""
        return linear(x, self.weight)
