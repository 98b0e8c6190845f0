"""The last layer of a real model, turned into experts and trained by itself.

Nothing above the last layer has to be run, and nothing below it changes: its input is computed
once. The cross-entropy goes over the words that the texts use, and not over all 49,152 tokens.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.traces.router_decisions import mutual_information
from mixlab.transformer.attention import attend_rows
from mixlab.transformer.model import Transformer
from mixlab.transformer.rope import rope_table, widen
from mixlab.transformer.sparse_moe import SparseMoE


@dataclass(frozen=True)
class Task:
    """What the last feed-forward layer has to do for some texts, a row a token.

    Attributes:
        stream: (tokens, dim) what its result is added to.
        x: (tokens, dim) what it reads.
        targets: the next token of each, as a number of `words`.
        kinds: the kind of text that each comes from.
        words: (n_words, dim) output weights of the words in use.
    """

    stream: Tensor
    x: Tensor
    targets: Tensor
    kinds: Tensor
    words: Tensor


@torch.no_grad()
def task(
    model: Transformer,
    tokens: Int[Tensor, "batch seq"],
    before_last: Float[Tensor, "batch seq dim"],
    kinds: Sequence[int],
    used: Int[Tensor, " n_words"],
) -> Task:
    """The last feed-forward layer's inputs and targets.

    Args:
        model: without a window.
        tokens: the texts.
        before_last: the residual stream before the last block.
        kinds: of each text.
        used: sorted ids of the words in use, the texts' own among them.
    """
    block, config = model.layers[-1], model.config
    positions = torch.arange(tokens.shape[1])
    tables = rope_table(positions, config.head_dim, config.rope_theta)
    cos, sin = widen(*tables, dtype=before_last.dtype)
    stream = before_last + block.attention(block.attention_norm(before_last), cos, sin, attend_rows)
    stream = stream[:, :-1].flatten(0, 1)  # the last token has no next one
    return Task(
        stream=stream,
        x=block.ffn_norm(stream),
        targets=torch.searchsorted(used, tokens[:, 1:].contiguous()).flatten(),
        kinds=torch.tensor(kinds).repeat_interleave(tokens.shape[1] - 1),
        words=model.output.weight[used],
    )


def copies(model: Transformer, seed: int, n_experts: int = 4, k: int = 2) -> SparseMoE:
    """Copies of the last feed-forward layer behind a random router, all of them to be trained."""
    dense = model.layers[-1].feed_forward
    mixture = SparseMoE(replace(model.config, n_experts=n_experts, experts_per_token=k))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in ("w1", "w2", "w3"):
            getattr(mixture, name).copy_(getattr(dense, name).weight.expand(n_experts, -1, -1))
        mixture.gate.weight.normal_(std=0.02, generator=generator)
    return mixture.requires_grad_(True)


def dense_copy(model: Transformer) -> nn.Module:
    """The last feed-forward layer by itself, to be trained."""
    return copy.deepcopy(model.layers[-1].feed_forward).requires_grad_(True)


def loss(model: Transformer, layer: nn.Module, given: Task, of=slice(None)) -> Float[Tensor, ""]:
    """Mean cross-entropy of the next token, in nats, with `layer` as the last feed-forward."""
    stream = given.stream[of] + layer(given.x[of])
    return F.cross_entropy(model.norm(stream) @ given.words.T, given.targets[of])


def bits(layer: SparseMoE, given: Task) -> float:
    """How much a token's first choice of expert tells of the kind of its text, in bits."""
    first = layer.route(given.x).chosen[:, 0]
    return mutual_information(first.numpy(), given.kinds.numpy())


def learn(
    model: Transformer,
    layer: nn.Module,
    given: Task,
    held_out: Task,
    *,
    steps: int,
    every: int,
    seed: int,
) -> list[tuple[float, float]]:
    """Train the layer in place: held-out loss, and bits between kind and expert, every few steps.

    Args:
        model: for its last norm.
        layer: experts, or a dense layer, whose bits are 0.
        given, held_out: to learn from, and to measure on.
        steps: updates, of 128 tokens each.
        every: steps between two measurements, of which one comes before the first update.
        seed: of the order of tokens.
    """
    generator = torch.Generator().manual_seed(seed)
    routers = [p for name, p in layer.named_parameters() if name.startswith("gate.")]
    others = [p for name, p in layer.named_parameters() if not name.startswith("gate.")]
    groups = [dict(params=others, lr=1e-4), dict(params=routers, lr=3e-3)]
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.AdamW(groups, weight_decay=0, fused=True)
    history = []
    for step in range(steps + 1):
        if step % every == 0:
            with torch.no_grad():
                measured = loss(model, layer, held_out).item()
            history.append((measured, bits(layer, held_out) if routers else 0.0))
        if step < steps:
            some = torch.randperm(len(given.x), generator=generator)[:128]
            optimizer.zero_grad()
            loss(model, layer, given, some).backward()
            optimizer.step()
    return history
