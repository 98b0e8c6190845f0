"""Sparse mixture of experts: each token runs through k of n feed-forward layers.

A router, one linear map, scores the experts for every token; the k best run, and their outputs
are added with softmax weights over those k scores. Sources: "Mixtral of Experts" (2024), section
2.1; Shazeer et al., "Outrageously Large Neural Networks" (2017), section 2.1. Losses that train
the router: `router_losses`.

Shapes: x (tokens, dim); chosen and gates (tokens, k), best expert first; w1, w3 (n_experts,
hidden_dim, dim); w2 (n_experts, dim, hidden_dim). Left out: capacity limits and dropped tokens,
which Mixtral doesn't have either.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mixlab.common.linear import Linear
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.feed_forward import swiglu, swiglu_fused

Tokens = Float[Tensor, "tokens dim"]
Chosen = Int[Tensor, "tokens k"]
Gates = Float[Tensor, "tokens k"]
Up = Float[Tensor, "n_experts hidden_dim dim"]
Down = Float[Tensor, "n_experts dim hidden_dim"]


class Routing(NamedTuple):
    """What a router decided: the experts of each token, best first, and their weights."""

    chosen: Int[Tensor, "*batch k"]
    gates: Float[Tensor, "*batch k"]


def wide(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Logits in float32 or better: in bfloat16 many would be equal.

    >>> wide(torch.zeros(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def route(logits: Float[Tensor, "*batch n_experts"], k: int) -> Routing:
    """The k experts with the largest logits, and the softmax of those k, in float32 or better.

    Equal logits go to the expert with the lower number, on every device.

    Raises:
        ValueError: if `k` is not between 1 and the number of experts.

    >>> chosen, gates = route(torch.tensor([[0.0, 2.0, 1.0, 2.0]]), k=2)
    >>> chosen, gates
    (tensor([[1, 3]]), tensor([[0.5000, 0.5000]]))
    """
    if not 1 <= k <= logits.shape[-1]:
        raise ValueError(
            "experts per token must lie between 1 and the number of experts: got "
            f"k={k} for {logits.shape[-1]} experts"
        )
    # A stable sort, because topk leaves the order of equal logits open.
    scores, order = wide(logits).sort(dim=-1, descending=True, stable=True)
    return Routing(order[..., :k], scores[..., :k].softmax(dim=-1))


def experts_loop(x: Tokens, chosen: Chosen, gates: Gates, w1: Up, w2: Down, w3: Up) -> Tokens:
    """Every expert runs the tokens that chose it and adds to their sums. The readable twin.

    Args:
        x, chosen, gates, w1, w2, w3: shapes as in the module's docstring.

    Raises:
        ValueError: for other than one choice and gate a token and rank, or experts that aren't.

    >>> x = torch.tensor([[1.0], [2.0]])
    >>> w = torch.tensor([1.0, 3.0]).reshape(2, 1, 1)  # two experts of width 1
    >>> experts_loop(x, torch.tensor([[0], [1]]), torch.ones(2, 1), w, w, w)
    tensor([[  0.7311],
            [107.7330]])
    """
    _check_choices(x, chosen, gates, w1)
    out = torch.zeros_like(x)
    for expert, (a, b, c) in enumerate(zip(w1, w2, w3, strict=True)):
        token, rank = torch.where(chosen == expert)
        gate = gates[token, rank, None].to(x.dtype)
        out = out.index_add(0, token, gate * swiglu(x[token], a, b, c))
    return out


def experts_grouped(x: Tokens, chosen: Chosen, gates: Gates, w1: Up, w2: Down, w3: Up) -> Tokens:
    """The same sum with tokens sorted by expert: one run of rows for each expert that is used.

    On CUDA the runs of all experts are one grouped matrix product. A single token touches only
    its own experts' weights, where they lie. Source of the sorting: Gale et al., "MegaBlocks"
    (2022), section 5.

    Args:
        x, chosen, gates, w1, w2, w3: shapes as in the module's docstring.

    Raises:
        ValueError: as `experts_loop`.

    >>> x, w = torch.ones(3, 1), torch.ones(2, 1, 1)
    >>> experts_grouped(x, torch.tensor([[0], [1], [0]]), torch.ones(3, 1), w, w, w).T
    tensor([[0.7311, 0.7311, 0.7311]])
    """
    _check_choices(x, chosen, gates, w1)
    if x.is_cuda:
        from mixlab.kernels import grouped_experts

        if grouped_experts.available(x, w1):
            return grouped_experts.experts_grouped(x, chosen, gates, w1, w2, w3)
    k = chosen.shape[1]
    if not len(x):
        return torch.zeros_like(x)
    if len(x) == 1:
        parts = [swiglu_fused(x, w1[e], w2[e], w3[e]) for e in chosen[0].tolist()]
        return combine(torch.cat(parts)[None], gates, x.dtype)
    flat = chosen.flatten()
    order = flat.argsort(stable=True)  # (tokens * k): choices, sorted by expert
    counts = torch.bincount(flat, minlength=len(w1)).tolist()
    runs = x[order // k].split(counts)
    # unbind, not w1[e]: its gradient is one stack, where each index would make its own.
    experts = zip(w1.unbind(), w2.unbind(), w3.unbind(), strict=True)
    parts = [
        swiglu_fused(run, *expert) for run, expert in zip(runs, experts, strict=True) if len(run)
    ]
    unsorted = torch.cat(parts)[order.argsort()].unflatten(0, (-1, k))  # (tokens, k, dim)
    return combine(unsorted, gates, x.dtype)


def _check_choices(x: Tensor, chosen: Tensor, gates: Tensor, w1: Tensor) -> None:
    if chosen.shape != gates.shape or len(chosen) != len(x):
        raise ValueError(
            "chosen and gates must have one row a token and one column a rank: got "
            f"{tuple(chosen.shape)} and {tuple(gates.shape)} for {len(x)} tokens"
        )
    if chosen.is_cuda or not chosen.numel():  # a GPU would have to wait
        return
    # One token's list is quicker to look through than a tensor, and that is what decoding brings.
    ends = chosen[0].tolist() if len(chosen) == 1 else [int(end) for end in chosen.aminmax()]
    if min(ends) < 0 or max(ends) >= len(w1):
        raise ValueError(f"experts are numbered 0 to {len(w1) - 1}: got choices {chosen}")


def combine(outputs: Float[Tensor, "tokens k dim"], gates: Gates, dtype: torch.dtype) -> Tokens:
    """Add the outputs of each token's experts, weighted, in float32 or better.

    >>> combine(torch.tensor([[[2.0], [4.0]]]), torch.tensor([[0.75, 0.25]]), torch.float32)
    tensor([[2.5000]])
    """
    return (outputs * gates[..., None]).sum(dim=1).to(dtype)


class SparseMoE(nn.Module):
    """A router and its experts, in the place of a feed-forward layer.

    The experts' weights are stacked, one tensor for all experts, which is what a grouped product
    reads; in state dicts they carry Mistral's names, `experts.0.w1.weight` and so on.

    >>> config = TransformerConfig.tiny(n_experts=4, experts_per_token=2)
    >>> layer = SparseMoE(config)
    >>> layer(torch.zeros(2, 5, 64)).shape, layer.route(torch.zeros(2, 5, 64)).chosen.shape
    (torch.Size([2, 5, 64]), torch.Size([2, 5, 2]))
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        up = (config.n_experts, config.hidden_dim, config.dim)
        down = (config.n_experts, config.dim, config.hidden_dim)
        self.experts_per_token = config.experts_per_token
        self.gate = Linear(config.dim, config.n_experts)
        self.w1 = nn.Parameter(torch.empty(up))
        self.w2 = nn.Parameter(torch.empty(down))
        self.w3 = nn.Parameter(torch.empty(up))
        self.reset_parameters()
        self.register_state_dict_post_hook(_unstack)
        self.register_load_state_dict_pre_hook(_stack)

    def reset_parameters(self, std: float = 0.02) -> None:
        """Draw the experts' weights anew from a normal distribution; experts differ."""
        for weight in (self.w1, self.w2, self.w3):
            if not weight.is_meta:
                nn.init.normal_(weight, std=std)

    def route(self, x: Float[Tensor, "*batch dim"]) -> Routing:
        """Which experts each token of `x` goes to, and with what weights."""
        return route(self.gate(x), self.experts_per_token)

    def forward(self, x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Route each token and add what its experts make of it.

        Raises:
            ValueError: if there are no tokens.
        """
        if not x.numel():
            raise ValueError(f"a router needs at least one token: got x of shape {tuple(x.shape)}")
        chosen, gates = (choice.reshape(-1, self.experts_per_token) for choice in self.route(x))
        tokens = x.reshape(-1, x.shape[-1])
        return experts_grouped(tokens, chosen, gates, self.w1, self.w2, self.w3).view(x.shape)


def _unstack(module: SparseMoE, state: dict, prefix: str, _metadata) -> None:
    for name in ("w1", "w2", "w3"):
        for expert, weight in enumerate(state.pop(prefix + name).unbind()):
            state[f"{prefix}experts.{expert}.{name}.weight"] = weight


def _stack(module: SparseMoE, state: dict, prefix: str, *_) -> None:
    for name in ("w1", "w2", "w3"):
        keys = [f"{prefix}experts.{e}.{name}.weight" for e in range(len(module.w1))]
        # With a key missing, PyTorch's own message names what is left over.
        if all(key in state for key in keys):
            state[prefix + name] = torch.stack([state.pop(key) for key in keys])


@contextmanager
def router_logits(model: nn.Module) -> Iterator[list[Float[Tensor, "batch seq n_experts"]]]:
    """Collect the router logits of every layer, in order, while the block runs.

    They keep their gradients, so that `router_losses` can train on them.

    Raises:
        ValueError: if the model has no experts.

    >>> from mixlab.transformer.model import Transformer
    >>> model = Transformer(TransformerConfig.tiny(n_experts=4, experts_per_token=2))
    >>> with router_logits(model) as logits:
    ...     _ = model(torch.zeros(1, 6, dtype=torch.long))
    >>> [layer.shape for layer in logits]
    [torch.Size([1, 6, 4]), torch.Size([1, 6, 4])]
    """
    gates = [module.gate for module in model.modules() if isinstance(module, SparseMoE)]
    if not gates:
        raise ValueError(
            "this model has no experts, so it has no router: expected a model whose "
            "config.n_experts is above 1. mixlab.transformer.upcycle makes one from a dense model"
        )
    logits: list[Tensor] = []
    hooks = [gate.register_forward_hook(lambda _m, _x, out: logits.append(out)) for gate in gates]
    try:
        yield logits
    finally:
        for hook in hooks:
            hook.remove()
