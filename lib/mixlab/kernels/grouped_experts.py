"""All experts in three matrix products: PyTorch's grouped product, one kernel for every run.

Readable twin of the same signature: `mixlab.transformer.sparse_moe.experts_loop`. Tokens are
sorted by expert, and `offsets` says where each expert's run ends; the kernel reads it on the
device, so nothing waits for the CPU and decoding can be captured in a CUDA graph. The function
runs on a CPU too, where tests hold it to its twin.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.common.linear import working_dtype


def available(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernel takes these operands: Ampere or later, rows of whole 16-byte pieces.

    Args:
        x: (tokens, dim), on a CUDA device.
        weight: (n_experts, hidden_dim, dim), that of all experts.
    """
    if not hasattr(F, "grouped_mm") or torch.cuda.get_device_capability(x.device) < (8, 0):
        return False
    dtype = working_dtype(x)
    return dtype == torch.bfloat16 and not any(size % 8 for size in weight.shape[1:])


def experts_grouped(
    x: Float[Tensor, "tokens dim"],
    chosen: Int[Tensor, "tokens k"],
    gates: Float[Tensor, "tokens k"],
    w1: Float[Tensor, "n_experts hidden_dim dim"],
    w2: Float[Tensor, "n_experts dim hidden_dim"],
    w3: Float[Tensor, "n_experts hidden_dim dim"],
) -> Float[Tensor, "tokens dim"]:
    """Each token's weighted sum of its experts' outputs, in x's dtype."""
    k = chosen.shape[1]
    flat = chosen.flatten()
    order = flat.argsort(stable=True)  # (tokens * k): choices, sorted by expert
    every = torch.arange(len(w1), device=x.device)
    counts = (flat[:, None] == every).sum(dim=0)  # bincount would wait for the CPU
    offsets = counts.cumsum(dim=0, dtype=torch.int32)
    # The grouped product doesn't know autocast; this is what it would do.
    dtype = working_dtype(x)
    rows = x[order // k].to(dtype)
    up1, up3, down = (weight.to(dtype).transpose(1, 2) for weight in (w1, w3, w2))
    hidden = F.silu(F.grouped_mm(rows, up1, offs=offsets)) * F.grouped_mm(rows, up3, offs=offsets)
    outputs = F.grouped_mm(hidden, down, offs=offsets)
    unsorted = outputs[order.argsort()].unflatten(0, (-1, k))  # (tokens, k, dim)
    return (unsorted * gates[..., None]).sum(dim=1).to(x.dtype)
