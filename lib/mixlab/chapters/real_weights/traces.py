"""What happens inside a real model while it reads under a window: states, attention, recomputing.

Each pass takes rows of tokens of one length, (batch, seq), and hands over what it saw. The window
is the model's own, imposed by `set_window`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.common.perplexity import surprise
from mixlab.transformer.attention import attention_weights
from mixlab.transformer.growing_cache import GrowingCache, GrowingLayer
from mixlab.transformer.model import Transformer
from mixlab.transformer.rope import rope_table, rotate
from mixlab.transformer.sink_cache import SinkCache
from mixlab.transformer.window import window_mask

Tokens = Int[Tensor, "batch seq"]


@torch.no_grad()
def states(
    model: Transformer, tokens: Tokens, sinks: int = 0, cache=None
) -> Float[Tensor, "batch seq dim"]:
    """The residual stream after the last block, under the model's window with pinned tokens."""
    if cache is None and not sinks:
        return model.hidden(tokens)
    batch, seq = tokens.shape
    cache = SinkCache(model.config, batch, sinks) if cache is None else cache
    return model.extend(tokens.flatten(), cache, [seq] * batch).view(batch, seq, -1)


@torch.no_grad()
def surprises(
    model: Transformer, tokens: Tokens, start: int, sinks: int = 0, cache=None
) -> Float[Tensor, "batch predicted"]:
    """The surprise in nats at the tokens from position `start` on."""
    stream = states(model, tokens, sinks, cache)[:, start - 1 :]
    return surprise(model.output(model.norm(stream)), tokens[:, start - 1 :])


@dataclass(frozen=True)
class Watched:
    """What a pass without a window looked at.

    Attributes:
        stream: (batch, seq, dim) after the last block.
        before_last: (batch, seq, dim) before it.
        attention: (layers, batch, seq, seq), the mean over heads of every query's weights.
        lengths: (layers, batch, seq), of each token's vector after every block.
        values: (layers, batch, seq), the mean over heads of each value's length.
    """

    stream: Tensor
    before_last: Tensor
    attention: Tensor
    lengths: Tensor
    values: Tensor


class _WatchedLayer(GrowingLayer):
    def attend(self, q, k, v, chunk):
        rows = len(chunk.lengths)
        queries, keys = (x.unflatten(0, (rows, -1)).transpose(1, 2) for x in (q, k))
        self.weights = attention_weights(queries, keys).mean(1)
        self.values = v.norm(dim=-1).mean(1).unflatten(0, (rows, -1))
        return super().attend(q, k, v, chunk)


class _WatchedCache(GrowingCache):
    layer_type = _WatchedLayer


def watch(model: Transformer, tokens: Tokens) -> Watched:
    """Read texts without a window, and keep what each layer looked at.

    Raises:
        ValueError: for a model with a window.
    """
    if set(model.config.layer_windows) != {None}:
        raise ValueError(f"watching wants no window: got {model.config.window}")
    streams = []
    hooks = [
        layer.register_forward_hook(lambda _m, _x, out: streams.append(out.view(*tokens.shape, -1)))
        for layer in model.layers
    ]
    cache = _WatchedCache(model.config, len(tokens))
    try:
        states(model, tokens, cache=cache)
    finally:
        for hook in hooks:
            hook.remove()
    return Watched(
        stream=streams[-1],
        before_last=streams[-2],
        attention=torch.stack([layer.weights for layer in cache.layers]),
        lengths=torch.stack([stream.norm(dim=-1) for stream in streams]),
        values=torch.stack([layer.values for layer in cache.layers]),
    )


@torch.no_grad()
def recomputed(
    model: Transformer, tokens: Tokens, positions: Int[Tensor, " asked"], window: int
) -> Float[Tensor, "batch asked"]:
    """The surprise at some positions when only the `window` tokens before each are read, afresh."""
    before = positions[:, None] - torch.arange(window, 0, -1)  # (asked, window)
    pieces = tokens[:, before].flatten(0, 1)  # every piece begins at position 0
    logits, _ = model.prefill(pieces)
    return F.cross_entropy(logits, tokens[:, positions].flatten(), reduction="none").view(
        len(tokens), -1
    )


class _RuleLayer(GrowingLayer):
    seen: Tensor  # set by the cache

    def attend(self, q, k, v, chunk):
        mixed, n = [], chunk.lengths[0]
        for one in zip(q.split(n), k.split(n), v.split(n), strict=True):
            queries, keys, values = (x.transpose(0, 1) for x in one)  # (heads, n, head_dim)
            group = len(queries) // len(keys)
            keys, values = (x.repeat_interleave(group, dim=0) for x in (keys, values))
            scores = self.scores(queries, keys) * q.shape[-1] ** -0.5
            weights = scores.masked_fill(~self.seen, -torch.inf).softmax(-1)
            mixed.append((weights @ values).transpose(0, 1))
        return torch.cat(mixed)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        return queries @ keys.transpose(1, 2)


class RuleCache(GrowingCache):
    """One pass over texts of one length, under any mask (seq, seq): slow, for comparing."""

    layer_type = _RuleLayer

    def __init__(self, config, batch: int, seen: Tensor):
        super().__init__(config, batch)
        for layer in self.layers:
            layer.seen = seen


class _PlacedLayer(_RuleLayer):
    window: int
    sinks: int
    theta: float

    def scores(self, queries, keys):
        """As the paper's: to a sink, the query's position is its place in the cache."""
        at = torch.arange(keys.shape[1])
        back = torch.clamp(at, max=self.window - 1) - at  # never positive: the query turns back
        turned = rotate(queries, *rope_table(back, queries.shape[-1], self.theta))
        first = turned @ keys[:, : self.sinks].transpose(1, 2)
        return torch.cat((first, super().scores(queries, keys)[:, :, self.sinks :]), dim=2)


class PlacedCache(RuleCache):
    """Sinks that keep their distance while a text grows: StreamingLLM's positions.

    See `SinkCache` for what Mistral's positions make of sinks.
    """

    layer_type = _PlacedLayer

    def __init__(self, config, batch: int, seq: int, sinks: int):
        mask = window_mask(seq, window=config.window, sinks=sinks)
        super().__init__(config, batch, mask)
        for layer in self.layers:
            layer.sinks, layer.theta = sinks, config.rope_theta
