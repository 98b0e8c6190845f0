"""One executable block that is 2017's, Mistral's, Mixtral's, or any form between them.

What changes is a field of `Form`: where the norm stands and which it is, how queries and keys
learn their position, the feed-forward layer, the window. Whether queries share keys is told by the
weights' shapes. Written to be read, for one text: (tokens, dim). The library's own model is
`mixlab.transformer.model`; a lesson and a test hold this one to it. Sources: Vaswani et al.,
"Attention Is All You Need" (2017), sections 3.1 to 3.3; "Mistral 7B" (2023), section 2; "Mixtral of
Experts" (2024), section 2.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import silu

Stream = Float[Tensor, "tokens dim"]
Weights = Mapping[str, Tensor]


def layer_norm(x: Stream, weight: Float[Tensor, "2 dim"]) -> Stream:
    """2017's norm: take off the mean, divide by the spread; learned factors and offsets."""
    factors, offsets = weight
    return rms_norm(x - x.mean(-1, keepdim=True), factors) + offsets


def rms_norm(x: Stream, weight: Float[Tensor, " dim"]) -> Stream:
    """Mistral's norm: divide by the root mean square; learned factors.

    >>> rms_norm(torch.tensor([[3.0, 4.0]]), torch.ones(2))
    tensor([[0.8485, 1.1314]])
    """
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight


def relu_layer(x: Stream, w: Weights) -> Stream:
    """2017's feed-forward layer."""
    return (x @ w["w1"].T + w["b1"]).relu() @ w["w2"].T + w["b2"]


def swiglu_layer(x: Stream, w: Weights) -> Stream:
    """Mistral's feed-forward layer: the product of two views of a token."""
    return (silu(x @ w["w1"].T) * (x @ w["w3"].T)) @ w["w2"].T


def experts_layer(x: Stream, w: Weights, k: int = 2) -> Stream:
    """Mixtral's: a router picks k experts for each token, and weighs them; token by token."""
    out = torch.zeros_like(x)
    for i, scores in enumerate(x @ w["router"].T):
        best, chosen = scores.topk(k)
        for share, e in zip(best.softmax(0), chosen, strict=True):
            expert = {name: w[name][e] for name in ("w1", "w2", "w3")}
            out[i] += share * swiglu_layer(x[i], expert)
    return out


def angles(
    positions: Float[Tensor, " tokens"], dim: int, theta: float = 10_000.0
) -> Float[Tensor, "tokens half"]:
    """The angle of every pair at every position, in radians: pair 0 turns by 1 a token."""
    speed = theta ** -(torch.arange(dim // 2, dtype=torch.float64) / (dim // 2))
    return positions[:, None] * speed


def sinusoids(
    positions: Float[Tensor, " tokens"], dim: int, theta: float = 10_000.0
) -> Float[Tensor, "tokens dim"]:
    """2017's pattern of positions, which is added to the embedding: cosines, then sines.

    (Its paper has them in turns, sine first; that is a numbering of the same columns.)
    """
    angle = angles(positions, dim, theta)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def rope(
    x: Float[Tensor, "*heads tokens dim"], first: int = 0, theta: float = 10_000.0
) -> Float[Tensor, "*heads tokens dim"]:
    """Turn each pair (c, c + dim / 2) by its angle; the first token is at position `first`."""
    angle = angles(first + torch.arange(x.shape[-2]), x.shape[-1], theta)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def unturned(x: Tensor) -> Tensor:
    """Queries and keys before RoPE: as they are."""
    return x


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a block is made of; 2017's by default.

    Attributes:
        head_dim: numbers of a head.
        norm_first: whether a part's input is normalised, instead of the sum after it.
        norm: of a vector and its weight.
        turn: what is done to queries and keys, (heads, tokens, head_dim).
        feed_forward: the second part.
        window: how many tokens one sees, itself included; None for all earlier ones.
    """

    head_dim: int
    norm_first: bool = False
    norm: Callable[[Tensor, Tensor], Tensor] = layer_norm
    turn: Callable[[Tensor], Tensor] = unturned
    feed_forward: Callable[[Tensor, Weights], Tensor] = relu_layer
    window: int | None = None


def seen(n_tokens: int, window: int | None = None) -> Bool[Tensor, "query key"]:
    """Who sees whom.

    >>> seen(4, window=2).int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [0, 1, 1, 0],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    distance = torch.arange(n_tokens)[:, None] - torch.arange(n_tokens)
    return (distance >= 0) & (distance < (window or n_tokens))


def attention(x: Stream, w: Weights, form: Form) -> Stream:
    """What each token receives from those that it sees, over all heads."""

    def heads(matrix):  # (tokens, dim) → (heads, tokens, head_dim)
        return (x @ matrix.T).view(len(x), -1, form.head_dim).transpose(0, 1)

    q, k, v = form.turn(heads(w["wq"])), form.turn(heads(w["wk"])), heads(w["wv"])
    k, v = (t.repeat_interleave(len(q) // len(t), dim=0) for t in (k, v))  # shared heads
    scores = q @ k.transpose(1, 2) / form.head_dim**0.5
    shares = scores.masked_fill(~seen(len(x), form.window), -torch.inf).softmax(-1)
    return (shares @ v).transpose(0, 1).flatten(1) @ w["wo"].T


def block(x: Stream, w: Weights, form: Form) -> Stream:
    """The stream after attention and feed-forward layer, each with its norm and a way past it."""
    attend = partial(attention, form=form)
    for part, name in ((attend, "norm_1"), (form.feed_forward, "norm_2")):
        norm = partial(form.norm, weight=w[name])
        x = x + part(norm(x), w) if form.norm_first else norm(x + part(x, w))
    return x
