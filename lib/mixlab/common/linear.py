"""Linear layers without bias, y = x Wᵀ, by the faster of the two CPU libraries in PyTorch.

`F.linear` multiplies float32 on a CPU with MKL, Intel's library, which holds back on AMD
processors. PyTorch also ships oneDNN, whose kernels are compiled for the processor at hand: on an
AMD EPYC they are 1.2 times as fast or more for a prompt. Both compute in full float32 and differ by
rounding. oneDNN compiles a kernel for every new shape, half a millisecond, so small products
stay with `F.linear`, and so do gradients, for which its operator has no formula.

For a single token, every weight is read once and used once, so the work is reading. MKL leaves it
to one core, whatever the number of threads. A batch of products, though, it shares among cores: so
the weight is cut into as many equal parts as there are threads, views that copy nothing, and their
products are one batch. On the same processor that is twice as fast. What still costs is calling:
`mixlab.compiled` writes a token without it.
"""

from math import gcd

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
_MIN_WEIGHTS = 2**16  # of a single token: below, threads wait for each other longer than they work


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
    if (parts := _parts(x, weight)) > 1:
        return _in_parts(x, weight, parts)
    return F.linear(x, weight)


def gated_linear(
    x: Float[Tensor, "*batch dim_in"],
    gate: Float[Tensor, "dim_out dim_in"],
    weight: Float[Tensor, "dim_out dim_in"],
) -> Float[Tensor, "*batch dim_out"]:
    """silu(x gateᵀ) * x weightᵀ; oneDNN does silu and the product while numbers are in registers.

    Raises:
        ValueError: if `gate` and `weight` have different shapes.

    >>> one = torch.ones(1, 1)
    >>> gated_linear(torch.tensor([2.0]), one, one)  # silu(2) * 2
    tensor([3.5232])
    """
    if gate.shape != weight.shape:
        raise ValueError(
            "each channel has a gate of its own, so both weights must have one shape: got "
            f"{tuple(gate.shape)} and {tuple(weight.shape)}"
        )
    if _beats_mkl(x, gate) and _beats_mkl(x, weight):
        opened = _ONEDNN(x, gate, None, "swish", [], "")
        return _ONEDNN.binary(x, opened, weight, None, "mul")
    return F.silu(linear(x, gate)) * linear(x, weight)


def working_dtype(x: Float[Tensor, "*shape"]) -> torch.dtype:
    """The dtype of x's products: autocast's, where that is on, else x's own.

    >>> working_dtype(torch.zeros(1, dtype=torch.float64))
    torch.float64
    """
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _beats_mkl(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN takes these operands, and is worth its start."""
    return (
        x.numel() >= _MIN_ROWS * x.shape[-1]
        and x.numel() * len(weight) >= _MIN_PRODUCTS
        and _ONEDNN is not None
        # A slice of a larger matrix would take a thousand times as long.
        and (weight.is_contiguous() or weight.t().is_contiguous())
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _parts(x: Tensor, weight: Tensor) -> int:
    """Into how many parts to cut the weight for a single token; 1 where that gains nothing."""
    if (
        x.numel() != x.shape[-1]
        or weight.numel() < _MIN_WEIGHTS
        or not x.is_cpu
        or x.dtype != torch.float32
        or not weight.is_contiguous()
        or torch.compiler.is_compiling()
    ):
        return 1
    return gcd(torch.get_num_threads(), len(weight))


def _in_parts(x: Tensor, weight: Tensor, parts: int) -> Tensor:
    """One token's product, shared among cores: each takes some rows of the weight."""
    dim_out, dim_in = weight.shape
    rows = weight.view(parts, -1, dim_in)
    out = torch.bmm(x.reshape(1, 1, dim_in).expand(parts, 1, dim_in), rows.mT)
    return out.view(*x.shape[:-1], dim_out)


class Linear(nn.Linear):
    """`nn.Linear` without bias, by `linear`; parameters and names are the same."""

    def __init__(self, dim_in: int, dim_out: int):
        super().__init__(dim_in, dim_out, bias=False)

    def forward(self, x: Float[Tensor, "*batch dim_in"]) -> Float[Tensor, "*batch dim_out"]:
        """Multiply each vector of `x` by the weight."""
        return linear(x, self.weight)
