"""The block of 2017 and the seven changes that make it Mixtral's: its tensors, and what they cost.

A form is a number: how many of `CHANGES` have been made, in their order. Form 0 is the decoder
block of Vaswani et al., "Attention Is All You Need" (2017), sections 3.1 to 3.3, without the
attention to an encoder and with matrices of attention that have no biases; form 6 is a layer of
Mistral 7B, form 7 one of Mixtral 8x7B, which has no window: the last change takes it back.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Block

CHANGES = ("pre-norm", "RMSNorm", "RoPE", "grouped queries", "SwiGLU", "window", "experts")
_OF_EXPERTS = ("w1", "w2", "w3")


@dataclass(frozen=True)
class Costs:
    """What one block takes.

    Attributes:
        parameters: stored.
        active: of these, the ones that a token passes through.
        cache_bytes: keys and values of the text so far, two bytes a number.
        work: multiplications for one more token: by each active parameter, and twice by each key's
            width, for scores and for the mean of values.
    """

    parameters: int
    active: int
    cache_bytes: int
    work: int


def shapes(form: int, config: TransformerConfig) -> dict[str, tuple[int, ...]]:
    """Name to shape of every tensor of the block; 2017's feed-forward layer is 4 dim wide.

    Raises:
        ValueError: if there is no such form.

    >>> tiny = TransformerConfig.tiny(dim=8, n_heads=2, n_kv_heads=1, head_dim=4, hidden_dim=28)
    >>> shapes(0, tiny)["wk"], shapes(4, tiny)["wk"]
    ((8, 8), (4, 8))
    """
    done = _done(form)
    dim, width = config.dim, config.n_heads * config.head_dim
    shared = config.n_kv_heads * config.head_dim if "grouped queries" in done else width
    norm = (dim,) if "RMSNorm" in done else (2, dim)  # factors, and before also offsets
    block = dict(norm_1=norm, wq=(width, dim), wk=(shared, dim), wv=(shared, dim), wo=(dim, width))
    block["norm_2"] = norm
    if "SwiGLU" not in done:
        inner = 4 * dim
        return block | dict(w1=(inner, dim), b1=(inner,), w2=(dim, inner), b2=(dim,))
    experts, inner = (config.n_experts,) if "experts" in done else (), config.hidden_dim
    block |= dict(w1=(*experts, inner, dim), w2=(*experts, dim, inner), w3=(*experts, inner, dim))
    return block | (dict(router=(config.n_experts, dim)) if experts else {})


def weights(form: int, config: TransformerConfig) -> dict[str, Tensor]:
    """A fresh block: matrices that keep a vector's size, factors of 1, offsets and biases of 0.

    >>> weights(0, TransformerConfig.tiny())["norm_1"][:, :3]
    tensor([[1., 1., 1.],
            [0., 0., 0.]])
    """
    drawn = {}
    for name, shape in shapes(form, config).items():
        if name.startswith("norm"):
            drawn[name] = torch.ones(shape)
            if len(shape) == 2:
                drawn[name][1] = 0
        elif name.startswith("b"):
            drawn[name] = torch.zeros(shape)
        else:
            drawn[name] = torch.randn(shape) / shape[-1] ** 0.5
    return drawn


def n_keys(form: int, config: TransformerConfig, length: int) -> int:
    """How many keys one more token sees, itself included, in a text that is then `length` long."""
    limited = _done(form)[-1:] == ("window",)  # the next change gives it up
    return min(length, config.window) if limited and config.window else length


def costs(form: int, config: TransformerConfig, length: int) -> Costs:
    """What the block takes, counted from its shapes, for a text of `length` tokens.

    >>> costs(6, TransformerConfig.mistral_7b(), 4096).parameters
    218112000
    """
    tensors, idle = shapes(form, config), 0
    parameters = sum(map(prod, tensors.values()))
    if "router" in tensors:
        one = sum(prod(tensors[name]) for name in _OF_EXPERTS) // config.n_experts
        idle = (config.n_experts - config.experts_per_token) * one
    keys = n_keys(form, config, length)
    return Costs(
        parameters=parameters,
        active=parameters - idle,
        cache_bytes=2 * 2 * tensors["wk"][0] * keys,
        work=parameters - idle + 2 * tensors["wq"][0] * keys,
    )


def _done(form: int) -> tuple[str, ...]:
    if not 0 <= form <= len(CHANGES):
        raise ValueError(f"a form is how many of the {len(CHANGES)} changes are made: got {form}")
    return CHANGES[:form]


def parts(config: TransformerConfig) -> dict[str, int]:
    """Parameters of a whole model by kind, all layers together.

    >>> parts(TransformerConfig.mistral_7b())["norms"]
    266240
    """
    q, kv = (heads * config.head_dim for heads in (config.n_heads, config.n_kv_heads))
    one = config.n_layers * 3 * config.dim * config.hidden_dim
    routed = config.n_experts > 1
    return {
        "feed-forward": config.n_experts * one,
        "attention": config.n_layers * 2 * config.dim * (q + kv),
        "tables": (1 if config.tie_embeddings else 2) * config.vocab_size * config.dim,
        "routers": config.n_layers * config.n_experts * config.dim if routed else 0,
        "norms": (2 * config.n_layers + 1) * config.dim,
    }


def of_layer(layer: Block) -> dict[str, Tensor]:
    """The weights of one of the library's dense layers, under the names that `shapes` has."""
    names = dict(norm_1="attention_norm", norm_2="ffn_norm")
    names |= {name: f"attention.{name}" for name in ("wq", "wk", "wv", "wo")}
    names |= {name: f"feed_forward.{name}" for name in ("w1", "w2", "w3")}
    return {name: layer.get_submodule(path).weight for name, path in names.items()}
