"""The short causal convolution in front of a selective scan: a few taps, one filter a channel.

y_t = b + Σ_k w_k x_{t−k}, k = 0 … d_conv − 1: each channel sees its last d_conv inputs (4 in every
published Mamba). What the next call needs is the *history*: the last d_conv − 1 inputs.

Sources: Gu and Dao, "Mamba" (2023), section 3.4 and figure 3, after Fu et al., "H3" (2023).

Symbols: `weight` (channels, d_conv), its last column is the newest token's tap.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mixlab.ssm.packing import lookback, real_ends


def short_convolution_reference(
    x: Float[Tensor, "batch seq channels"],
    weight: Float[Tensor, "channels d_conv"],
    bias: Float[Tensor, " channels"] | None = None,
    history: Float[Tensor, "batch past channels"] | None = None,
    starts: Bool[Tensor, "batch seq"] | None = None,
) -> Float[Tensor, "batch seq channels"]:
    """`short_convolution` token by token and tap by tap, for comparison."""
    batch, seq, _ = x.shape
    d_conv = weight.shape[1]
    y = torch.zeros_like(x) if bias is None else bias.expand_as(x).clone()
    for row in range(batch):
        for t in range(seq):
            for k in range(d_conv):
                tap = weight[:, d_conv - 1 - k]
                if t - k >= 0:
                    y[row, t] += tap * x[row, t - k]
                    if starts is not None and starts[row, t - k]:
                        break  # the sequence's first token: what lies before isn't its own
                elif history is not None:
                    y[row, t] += tap * history[row, t - k]  # −1 is the newest
    return y


def short_convolution(
    x: Float[Tensor, "batch seq channels"],
    weight: Float[Tensor, "channels d_conv"],
    bias: Float[Tensor, " channels"] | None = None,
    history: Float[Tensor, "batch past channels"] | None = None,
    starts: Bool[Tensor, "batch seq"] | None = None,
) -> Float[Tensor, "batch seq channels"]:
    """d_conv shifted copies of the input, each scaled and added: no transposes, no im2col.

    Args:
        x: input.
        weight: taps, the newest token's last.
        bias: a constant a channel.
        history: the d_conv − 1 inputs before x, oldest first; zeros by default.
        starts: marks first tokens of packed sequences, as in `mixlab.ssm.packing`.

    Raises:
        ValueError: for taps, bias, history or starts of another shape.

    Each output is its own input plus ten times the one before; the packed second sequence starts
    anew:

    >>> x, taps = torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[10.0, 1.0]])
    >>> short_convolution(x, taps).flatten()
    tensor([ 1., 12., 23.])
    >>> short_convolution(x, taps, starts=torch.tensor([[True, False, True]])).flatten()
    tensor([ 1., 12.,  3.])
    """
    batch, seq, channels = x.shape
    past = weight.shape[1] - 1
    if history is None:
        history = x.new_zeros(batch, past, channels)
    for name, tensor, shape in [
        ("weight", weight, (channels, past + 1)),
        ("bias", bias, (channels,)),
        ("history", history, (batch, past, channels)),
        ("starts", starts, (batch, seq)),
    ]:
        if tensor is not None and tensor.shape != shape:
            raise ValueError(
                f"{name} must have shape {shape} to go with x of {tuple(x.shape)} and "
                f"{past + 1} taps: got {tuple(tensor.shape)}"
            )
    before = torch.cat((history, x), dim=1)  # (batch, past + seq, channels)
    own = None if starts is None else lookback(starts)
    taps = weight.T.contiguous()  # (d_conv, channels): a tap's channels next to each other
    y = x * taps[past] if bias is None else torch.addcmul(bias, x, taps[past])
    for k in range(1, past + 1):
        shifted = before[:, past - k : past - k + seq]
        if own is not None:
            shifted = shifted * (own >= k).unsqueeze(-1)
        y.addcmul_(shifted, taps[past - k])
    return y


def next_history(
    x: Float[Tensor, "batch seq channels"],
    history: Float[Tensor, "batch past channels"],
    mask: Bool[Tensor, "batch seq"] | None = None,
) -> Float[Tensor, "batch past channels"]:
    """The last d_conv − 1 real inputs after x, for the call that goes on from here.

    Args:
        x: inputs, of any length.
        history: the inputs before them.
        mask: the real tokens of padded rows, as in `mixlab.ssm.packing`.

    >>> x, history = torch.tensor([[[4.0], [5.0], [0.0]]]), torch.tensor([[[2.0], [3.0]]])
    >>> next_history(x, history, torch.tensor([[True, True, False]])).flatten()
    tensor([4., 5.])
    """
    past, seq = history.shape[1], x.shape[1]
    if mask is None:
        return torch.cat((history[:, seq:], x[:, max(0, seq - past) :]), dim=1)
    before = torch.cat((history, x), dim=1)
    index = real_ends(mask)[:, None] + torch.arange(past, device=x.device)
    return before.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
