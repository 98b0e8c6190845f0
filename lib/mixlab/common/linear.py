"""Linear layers without bias, y = x Wᵀ, by the faster of the two CPU libraries in PyTorch.

`F.linear` multiplies float32 on a CPU with MKL, Intel's library, which holds back on AMD
processors. PyTorch also ships oneDNN, whose kernels are compiled for the processor at hand: on an
AMD EPYC they are 1.2 times as fast or more for a prompt. Both compute in full float32 and differ by
rounding. oneDNN compiles a kernel for every new shape, half a millisecond, so small products
stay with `F.linear`, and so do gradients, for which its operator has no formula.

For a single token MKL keeps to one core, whatever the number of threads; oneDNN reads large weights
with all of them. `mixlab.common.columns` speeds up the small ones.
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
_MIN_ROWS, _MIN_PRODUCTS = 16, 2**22  # below these, a new kernel costs more than it saves
_MIN_WEIGHTS = 2**20  # of a single token: below, threads wait for each other longer than they work


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
    if _beats_mkl(x, weight):
        return _ONEDNN(x, weight, None, "none", [], "")
    return F.linear(x, weight)


def gated_linear(
    x: Float[Tensor, "*batch dim_in"],
    gate: Float[Tensor, "dim_out dim_in"],
    weight: Float[Tensor, "dim_out dim_in"],
) -> Float[Tensor, "*batch dim_out"]:
    """silu(x gateᵀ) * x weightᵀ; oneDNN does silu and the product while numbers are in registers.

    >>> one = torch.ones(1, 1)
    >>> gated_linear(torch.tensor([2.0]), one, one)  # silu(2) * 2
    tensor([3.5232])
    """
    if _beats_mkl(x, gate) and _beats_mkl(x, weight):
        opened = _ONEDNN(x, gate, None, "swish", [], "")
        return _ONEDNN.binary(x, opened, weight, None, "mul")
    return F.silu(F.linear(x, gate)) * F.linear(x, weight)


def _beats_mkl(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN takes these operands, and is worth its start."""
    if x.numel() == x.shape[-1]:
        gains = (
            weight.numel() >= _MIN_WEIGHTS
            and weight.is_contiguous()
            and torch.get_num_threads() > 1
        )
    else:
        gains = (
            x.numel() >= _MIN_ROWS * x.shape[-1]
            and x.numel() * len(weight) >= _MIN_PRODUCTS
            # A slice of a larger matrix would take a thousand times as long.
            and (weight.is_contiguous() or weight.t().is_contiguous())
        )
    return gains and not (
        _ONEDNN is None
        or not x.device.type == weight.device.type == "cpu"
        or not x.dtype == weight.dtype == torch.float32
        or (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
    )


class Linear(nn.Linear):
    """`nn.Linear` without bias, by `linear`; parameters and names are the same."""

    def __init__(self, dim_in: int, dim_out: int):
        super().__init__(dim_in, dim_out, bias=False)

    def forward(self, x: Float[Tensor, "*batch dim_in"]) -> Float[Tensor, "*batch dim_out"]:
        """Multiply each vector of `x` by the weight."""
        return linear(x, self.weight)
