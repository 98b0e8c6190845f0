"""Linear layers whose weights stay in memory as 8-bit integers, multiplied as integers.

A row of W is kept as whole numbers from -127 to 127 and one scale, a quarter of float32's bytes.
Decoding reads every weight once a token, so fewer bytes are less time. The numbers of x must be
integers too, and 7 bits of them are few where one is fifty times as large as the others, as in
language models. So each vector goes in twice: rounded to 7 bits of its own largest number, and what
that rounding left, at 126 times the resolution. The weights are read once for both, and x counts as
if it had 13 bits. Every vector has a scale of its own: what comes of it doesn't depend on the
others in the pass, so chunks and batches are what they were.

Sources: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (2018), section 2.1; Dettmers et al., "LLM.int8()" (2022),
section 3.1, for one scale a row and a vector, and section 4 for the large numbers.
"""

import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

_LARGEST_WEIGHT = 127
# Meta's FBGEMM adds two 8-bit products in 16 bits: 2 * 63 * 127 stays below 2**15, twice 127 * 127
# wouldn't, so x gets 7 bits.
_LARGEST_INPUT = 63
_FINER = 2 * _LARGEST_INPUT  # a rounding leaves at most a half
_SMALLEST = torch.finfo(torch.float32).tiny  # of a unit: a vector of zeros has none
_ROWS = 4096
_HAS_FBGEMM = "fbgemm" in torch.backends.quantized.supported_engines


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
    return torch.maximum(high, -low).div_(_LARGEST_WEIGHT).clamp_min_(_SMALLEST)


def split(
    x: Float[Tensor, "rows dim"],
) -> tuple[Float[Tensor, "twice dim"], Float[Tensor, "rows 1"]]:
    """Each vector as whole numbers, then 126 times what that rounding left; and its unit.

    >>> numbers, unit = split(torch.tensor([[63.0, 10.25]]))
    >>> numbers
    tensor([[63.0000, 10.0000],
            [ 0.0000, 31.5000]])
    >>> unit * (numbers[0] + numbers[1] / 126)
    tensor([[63.0000, 10.2500]])
    """
    unit = x.abs().amax(dim=1, keepdim=True).mul_(1 / _LARGEST_INPUT).clamp_min_(_SMALLEST)
    inner = x / unit
    coarse = inner.round()
    return torch.cat((coarse, inner.sub_(coarse).mul_(_FINER))), unit


class QuantisedLinear(nn.Module):
    """x Wᵀ with W in 8 bits; several weights that read one x may be stacked into one.

    On processors of the x86 kind the product is FBGEMM's, in integers. Elsewhere it is the same
    sum in float32, which is slower than an ordinary layer.

    >>> layer = QuantisedLinear(torch.tensor([[1.0, 0.5], [0.0, -2.0]]))
    >>> layer(torch.tensor([1.0, 1.0]))
    tensor([ 1.5039, -2.0000])
    """

    def __init__(self, weight: Float[Tensor, "dim_out dim_in"]):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        numbers, scale = round_rows(weight)
        self.packed = None
        if _HAS_FBGEMM:
            self.packed, numbers, scale = _pack(numbers, scale), None, None
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, x: Float[Tensor, "*batch dim_in"]) -> Float[Tensor, "*batch dim_out"]:
        """Multiply each vector of `x` by the weight."""
        rows = x.reshape(-1, self.in_features)
        numbers, unit = split(rows)
        if self.packed is not None:
            # Scale 1 and a zero at 64: FBGEMM takes its inputs from 0 to 127.
            products = _FBGEMM(numbers, 1.0, _LARGEST_INPUT + 1, self.packed)
        else:
            products = integer_product(numbers, self.numbers, self.scale)
        both = products.view(2, len(rows), self.out_features)  # split() would take 10 µs more
        return both[0].add(both[1], alpha=1 / _FINER).mul_(unit).view(*x.shape[:-1], -1)


def integer_product(
    numbers: Float[Tensor, "rows dim"],
    weight: Int[Tensor, "dim_out dim"],
    scale: Float[Tensor, " dim_out"],
) -> Float[Tensor, "rows dim_out"]:
    """The product of rounded numbers, times each output's scale. FBGEMM's readable twin.

    >>> weight = torch.tensor([[2, -1]], dtype=torch.int8)
    >>> integer_product(torch.tensor([[3.2, 5.0]]), weight, torch.tensor([0.5]))
    tensor([[0.5000]])
    """
    return F.linear(numbers.round(), weight.to(numbers.dtype)) * scale


_FBGEMM = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32


def _pack(numbers: Tensor, scale: Tensor):
    """The weight in the order in which FBGEMM reads it."""
    with warnings.catch_warnings():
        # PyTorch means to drop its quantised dtypes in some later release; this one has them, and
        # FBGEMM takes a scale a row in no other form.
        warnings.simplefilter("ignore")
        weight = torch._make_per_channel_quantized_tensor(
            numbers, scale.double(), torch.zeros(len(scale), dtype=torch.long), 0
        )
        return torch.ops.quantized.linear_prepack(weight, None)


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
