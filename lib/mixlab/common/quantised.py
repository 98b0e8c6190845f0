"""Linear layers whose weights stay in memory as 8-bit integers.

A row of W is kept as whole numbers from -127 to 127 and one scale, a quarter of float32's bytes.
Writing a token reads every weight once, so fewer bytes are less time. Only weights are rounded:
x keeps its numbers, of which language models have some that are fifty times as large as the others.

Sources: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (2018), section 2.1; Dettmers et al., "LLM.int8()" (2022),
section 3.1, for one scale a row, and section 4 for the large numbers.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.linear import linear

_LARGEST = 127
_SMALLEST = torch.finfo(torch.float32).tiny  # of a scale: a row of zeros has none
_ROWS = 4096
FEW_TOKENS = 8  # beyond, a product of matrices makes more of each number that it reads
_SHARED = 2**16  # numbers of a weight that one core alone reads
_IN_CACHE = 2**17  # numbers of a weight that are floats at one time


def round_rows(
    weight: Float[Tensor, "rows dim"],
) -> tuple[Int[Tensor, "rows dim"], Float[Tensor, " rows"]]:
    """Whole numbers from -127 to 127, and the scale of each row that gives its weights back.

    >>> numbers, scale = round_rows(torch.tensor([[0.5, -2.0, 1.0], [0.0, 0.0, 0.0]]))
    >>> numbers
    tensor([[  32, -127,   64],
            [   0,    0,    0]], dtype=torch.int8)
    >>> (numbers * scale[:, None])[0]
    tensor([ 0.5039, -2.0000,  1.0079])
    """
    numbers = torch.empty(weight.shape, dtype=torch.int8)
    # Some rows at a time: a large matrix shouldn't stand in memory twice over in float32.
    for some, rounded in zip(weight.split(_ROWS), numbers.split(_ROWS), strict=True):
        rounded.copy_((some / _row_scale(some)[:, None]).round_())
    return numbers, torch.cat([_row_scale(some) for some in weight.split(_ROWS)])


def _row_scale(weight: Float[Tensor, "rows dim"]) -> Float[Tensor, " rows"]:
    low, high = torch.aminmax(weight, dim=1)
    return torch.maximum(high, -low).div_(_LARGEST).clamp_min_(_SMALLEST)


class QuantisedLinear(nn.Module):
    """x Wᵀ with W in 8 bits; several weights that read one x may be stacked into one.

    >>> layer = QuantisedLinear(torch.tensor([[1.0, 0.5], [0.0, -2.0]]))
    >>> layer(torch.tensor([1.0, 1.0]))
    tensor([ 1.5039, -2.0000])
    """

    def __init__(self, weight: Float[Tensor, "dim_out dim_in"]):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        numbers, scale = round_rows(weight)
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, x: Float[Tensor, "*batch dim_in"]) -> Float[Tensor, "*batch dim_out"]:
        """Multiply each vector of `x` by the weight."""
        rows = x.reshape(-1, self.in_features)
        few = len(rows) <= FEW_TOKENS and rows.dtype == torch.float32 and rows.is_cpu
        followed = torch.is_grad_enabled() and x.requires_grad
        multiply = products_of_few if few and not followed else products
        return multiply(rows, self.numbers, self.scale).view(*x.shape[:-1], -1)


def products(
    x: Float[Tensor, "tokens dim_in"],
    numbers: Int[Tensor, "dim_out dim_in"],
    scale: Float[Tensor, " dim_out"],
) -> Float[Tensor, "tokens dim_out"]:
    """x Wᵀ, some rows of W made float at a time. The readable twin of `products_of_few`.

    >>> numbers = torch.tensor([[2, -1]], dtype=torch.int8)
    >>> products(torch.tensor([[3.0, 5.0]]), numbers, torch.tensor([0.5]))
    tensor([[0.5000]])
    """
    pieces = numbers.split(max(1, _IN_CACHE // max(1, x.shape[1])))
    return torch.cat([linear(x, piece.to(x.dtype)) for piece in pieces], dim=1) * scale


def products_of_few(
    x: Float[Tensor, "tokens dim_in"],
    numbers: Int[Tensor, "dim_out dim_in"],
    scale: Float[Tensor, " dim_out"],
) -> Float[Tensor, "tokens dim_out"]:
    """The same by a compiled loop, which reads the weight once and makes no floats of it.

    Raises:
        ValueError: for vectors of another size than the weight's rows.
    """
    from mixlab.common.threads import threads  # Numba takes half a second to import
    from mixlab.loops import add_products

    if x.shape[1] != numbers.shape[1]:
        raise ValueError(
            f"a weight of {tuple(numbers.shape)} multiplies vectors of {numbers.shape[1]} numbers: "
            f"got {x.shape[1]}"
        )
    out = x.new_zeros(len(x), len(numbers))
    with threads(several=numbers.numel() > _SHARED):
        add_products(*(part.numpy(force=True) for part in (x.contiguous(), numbers, scale, out)))
    return out


class QuantisedEmbedding(nn.Module):
    """`nn.Embedding` whose rows are whole numbers with a scale each.

    >>> table = QuantisedEmbedding(torch.tensor([[1.0, 0.5], [0.0, -2.0]]))
    >>> table(torch.tensor([1, 0]))
    tensor([[ 0.0000, -2.0000],
            [ 1.0000,  0.5039]])
    """

    def __init__(self, weight: Float[Tensor, "rows dim"]):
        super().__init__()
        self.num_embeddings, self.embedding_dim = weight.shape
        numbers, scale = round_rows(weight)
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, tokens: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch dim"]:
        """The row that belongs to each token."""
        tokens = tokens.long()
        return F.embedding(tokens, self.numbers).float() * self.scale[tokens][..., None]
