"""Rotary position embedding: turn each pair of channels by an angle that grows with position.

A query at position i and a key at position j then meet in a dot product that depends on i - j
alone. Source: Su et al., "RoFormer" (2021), section 3.2.2 and equation 34.

Which two channels make a pair is a convention, and files differ: the *half* layout pairs channel
c with channel c + head_dim / 2 (Hugging Face), the *interleaved* layout pairs 2c with 2c + 1
(Mistral's own code, GGUF). This library computes in the half layout; `interleaved_to_half` moves
weights over. Mixing the two gives no error, only wrong logits.
"""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor


def rope_table(
    positions: Int[Tensor, " seq"], head_dim: int, theta: float = 10_000.0
) -> tuple[Float[Tensor, "seq half"], Float[Tensor, "seq half"]]:
    """Cosines and sines of the angle of every pair at every position, in float32.

    Pair c turns by `theta ** (-2c / head_dim)` radians a token: pair 0 by one radian, the last
    pair by nearly `1 / theta`.

    Args:
        positions: absolute positions, in tokens.
        head_dim: channels of one head; even.
        theta: the base.

    Returns:
        (cos, sin), each with head_dim / 2 columns.

    Raises:
        ValueError: if `head_dim` is odd or `theta` not positive.

    >>> cos, sin = rope_table(torch.arange(3), head_dim=4)
    >>> sin[:, 0]  # the first pair turns one radian a token
    tensor([0.0000, 0.8415, 0.9093])
    """
    if head_dim % 2:
        raise ValueError(
            f"head_dim must be even, because RoPE rotates pairs of channels: got {head_dim}"
        )
    if not 0 < theta < float("inf"):
        raise ValueError(f"theta must be a positive number: got {theta}")
    # float64 until the end: at position 100,000 a float32 angle is off by a thousandth radian.
    pair = torch.arange(0, head_dim, 2, dtype=torch.float64, device=positions.device)
    frequency = theta ** (-pair / head_dim)
    angle = positions.double()[:, None] * frequency[None, :]
    return angle.cos().float(), angle.sin().float()


def rotate(
    x: Float[Tensor, "*batch seq head_dim"],
    cos: Float[Tensor, "seq half"],
    sin: Float[Tensor, "seq half"],
) -> Float[Tensor, "*batch seq head_dim"]:
    """Rotate queries or keys in the half layout: channel c is paired with c + head_dim / 2.

    Raises:
        ValueError: for tables of other positions or another head_dim.

    >>> x = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    >>> rotate(x, *rope_table(torch.tensor([1]), head_dim=4))
    tensor([[0.5403, 0.0000, 0.8415, 0.0000]])
    """
    _check_table(x, cos)
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def rotate_interleaved(
    x: Float[Tensor, "*batch seq head_dim"],
    cos: Float[Tensor, "seq half"],
    sin: Float[Tensor, "seq half"],
) -> Float[Tensor, "*batch seq head_dim"]:
    """Rotate in the interleaved layout: channel 2c is paired with 2c + 1.

    The textbook form: each pair is a complex number times e^(i angle).

    Raises:
        ValueError: for tables of other positions or another head_dim.

    >>> x = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    >>> rotate_interleaved(x, *rope_table(torch.tensor([1]), head_dim=4))
    tensor([[0.5403, 0.8415, 0.0000, 0.0000]])
    """
    _check_table(x, cos)
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    turned = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return turned.flatten(-2)


def _check_table(x: Tensor, cos: Tensor) -> None:
    seq, head_dim = x.shape[-2:]
    if cos.shape != (seq, head_dim / 2):
        raise ValueError(
            "the tables need a row for each position of x (…, seq, head_dim), and a column for "
            f"each pair of channels: got x of {tuple(x.shape)} and tables of {tuple(cos.shape)}"
        )


def widen(
    cos: Float[Tensor, "seq half"], sin: Float[Tensor, "seq half"], dtype: torch.dtype
) -> tuple[Float[Tensor, "seq 1 head_dim"], Float[Tensor, "seq 1 head_dim"]]:
    """The tables that `rotate_wide` takes: (cos, cos) and (-sin, sin), with an axis of heads.

    >>> cos, sin = widen(*rope_table(torch.tensor([1]), head_dim=2), torch.float32)
    >>> sin
    tensor([[[-0.8415,  0.8415]]])
    """
    wide = torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)
    return wide[0].to(dtype)[:, None], wide[1].to(dtype)[:, None]


def rotate_wide(
    x: Float[Tensor, "*batch seq heads head_dim"],
    cos: Float[Tensor, "seq 1 head_dim"],
    sin: Float[Tensor, "seq 1 head_dim"],
) -> Float[Tensor, "*batch seq heads head_dim"]:
    """`rotate` in half the operations: what the model computes, for all heads of a token.

    The first half of a vector is paired with the second: shifted by half its width, every
    channel lies upon its partner. The readable twin is `rotate`.

    >>> x = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    >>> rotate_wide(x, *widen(*rope_table(torch.tensor([1]), head_dim=4), torch.float32))
    tensor([[[0.5403, 0.0000, 0.8415, 0.0000]]])
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def interleaved_to_half(
    weight: Float[Tensor, "rows dim"], n_heads: int
) -> Float[Tensor, "rows dim"]:
    """Reorder the rows of a query or key projection from the interleaved to the half layout.

    Args:
        weight: projection of shape (n_heads * head_dim, dim), as a file stores it.
        n_heads: heads in this projection: key/value heads for a key projection.

    Raises:
        ValueError: if the rows don't divide into heads of even width.

    >>> interleaved_to_half(torch.arange(4.0)[:, None], n_heads=1).flatten()
    tensor([0., 2., 1., 3.])
    """
    if weight.shape[0] % (2 * n_heads):
        raise ValueError(
            "rows must divide into n_heads heads of even width: got "
            f"{weight.shape[0]} rows and n_heads={n_heads}"
        )
    return rearrange(weight, "(h c pair) dim -> (h pair c) dim", h=n_heads, pair=2)


def half_to_interleaved(
    weight: Float[Tensor, "rows dim"], n_heads: int
) -> Float[Tensor, "rows dim"]:
    """The inverse of `interleaved_to_half`; arguments and errors as there.

    >>> half_to_interleaved(torch.tensor([[0.0], [2.0], [1.0], [3.0]]), n_heads=1).flatten()
    tensor([0., 1., 2., 3.])
    """
    if weight.shape[0] % (2 * n_heads):
        raise ValueError(
            "rows must divide into n_heads heads of even width: got "
            f"{weight.shape[0]} rows and n_heads={n_heads}"
        )
    return rearrange(weight, "(h pair c) dim -> (h c pair) dim", h=n_heads, pair=2)
