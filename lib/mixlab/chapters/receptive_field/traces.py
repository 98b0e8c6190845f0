"""How far a token can see through a stack of layers, how far it does see, and how to tell.

The first is a matter of counting: `reach` multiplies masks, `cone` and `relay` read
off what one token depends on and who handed it on. The others ask a model:
`jacobian_norms` by derivatives of every state with respect to every token, `prediction_gradient`
and `influence` by those of one prediction, `ripple` by exchanging a token.
Sources: "Mistral 7B" (2023), section 2, for the reach; Luo et al., "Understanding the Effective
Receptive Field in Deep Convolutional Neural Networks" (2016), section 2, for derivatives as its
measure.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mixlab.transformer.model import Transformer
from mixlab.transformer.window import window_mask


def reach(windows: Sequence[int | None], seq: int) -> Bool[np.ndarray, "layers_and_input seq seq"]:
    """Which input tokens each token depends on, after each layer: boolean products of the masks.

    A token knows after a layer what it and the tokens in its window knew before. The residual
    connection adds nothing to that, because every window holds the token itself.

    Args:
        windows: of each layer, the first one first; None for no window.
        seq: number of tokens.

    Returns:
        One (seq, seq) matrix more than there are layers; `[k, i, j]` is True if token i depends
        on input token j after k layers.

    Raises:
        ValueError: for a window below 1.

    >>> reach([3, 3], seq=6).sum(axis=2)[:, -1]  # how many tokens the last one knows
    array([1, 3, 5])
    """
    known = [np.eye(seq, dtype=bool)]
    for window in windows:
        mask = window_mask(seq, window=window).numpy()
        known.append((mask.astype(np.int64) @ known[-1].astype(np.int64)) > 0)
    return np.stack(known)


def cone(window: int, n_layers: int, query: int) -> Bool[np.ndarray, "layers_and_input seq"]:
    """Which states the state of one token depends on, from the input up to its own layer.

    Args:
        window: of every layer.
        n_layers: layers that have worked.
        query: position of the token.

    Returns:
        (n_layers + 1, query + 1); `[m, j]` is True if the query's state after all layers depends on
        the state of token j after m of them.

    >>> cone(3, n_layers=2, query=5).sum(axis=1)  # five inputs, three states, and its own
    array([5, 3, 1])
    """
    return reach([window] * n_layers, query + 1)[::-1, query]


def relay(window: int, n_layers: int, key: int, query: int) -> list[int]:
    """Who hands a token's content on to a later one: after each layer the nearest that knows it.

    Args:
        window: of every layer.
        n_layers: layers that have worked.
        key: position of the token whose content travels.
        query: position of the token that it travels to, not before `key`.

    Returns:
        A position for each layer, from before the first one on: `key` itself, and `query` from the
        layer in which it arrives.

    >>> relay(3, n_layers=4, key=0, query=5)
    [0, 2, 4, 5, 5]
    """
    known = reach([window] * n_layers, query + 1)[:, :, key]
    return [int(np.flatnonzero(row).max()) for row in known]


@contextmanager
def _noted(model: Transformer) -> Iterator[list[Tensor]]:
    """Cut the graph at the embeddings, and note them and the state after each layer."""
    states: list[Tensor] = []

    def cut(module, args, embedded):
        states.append(embedded.detach().requires_grad_())
        return states[0]

    def note(module, args, state):
        states.append(state)

    handles = [model.tok_embeddings.register_forward_hook(cut)]
    handles += [layer.register_forward_hook(note) for layer in model.layers]
    try:
        with torch.enable_grad():
            yield states
    finally:
        for handle in handles:
            handle.remove()


def jacobian_norms(
    model: Transformer, tokens: Int[Tensor, " seq"], generator: torch.Generator
) -> Float[np.ndarray, "layers_and_input seq seq"]:
    """How strongly each token's state answers to a nudge of each input embedding, layer by layer.

    The derivative of a state with respect to an embedding is a (dim, dim) matrix. Instead of all
    its numbers this takes one random combination of its rows, the gradient of the state read in
    one random direction: it vanishes where the whole matrix does, and, except by a chance of
    probability 0, nowhere else. One batch of `seq` copies of the text, from each of which another
    token is read, gives all pairs at once.

    Args:
        model: any transformer of this library.
        tokens: one sequence of token ids.
        generator: draws the directions.

    Returns:
        Norms of the gradients; `[k, i, j]` is that of token i after k layers with respect to
        input embedding j.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = Transformer(TransformerConfig.tiny(window=2))
    >>> norms = jacobian_norms(model, torch.arange(4), torch.Generator().manual_seed(0))
    >>> (norms[-1] > 0).astype(int)
    array([[1, 0, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 1, 0],
           [0, 1, 1, 1]])
    """
    row = torch.arange(len(tokens), device=tokens.device)
    with _noted(model) as states:
        model.hidden(tokens.expand(len(tokens), -1))
        norms = []
        for state in states:
            direction = torch.randn(state[0].shape, generator=generator, dtype=state.dtype)
            read = (state[row, row] * direction.to(state.device)).sum()
            (gradient,) = torch.autograd.grad(read, states[0], retain_graph=True)
            norms.append(_length(gradient))  # (copy = token read, token nudged)
    return torch.stack(norms).cpu().numpy()


def _length(vectors: Tensor) -> Tensor:
    """Euclidean norms, in double: in single precision the square of 1e-23 is 0."""
    return vectors.double().norm(dim=-1)


def prediction_gradient(
    model: Transformer, tokens: Int[Tensor, "batch seq"]
) -> Float[Tensor, "batch seq dim"]:
    """What would change the prediction after the last token: its gradient at every embedding.

    Args:
        model: any transformer of this library.
        tokens: texts of one length.

    Returns:
        The gradient of the likeliest next token's log-probability with respect to each embedding,
        the nearest token first: `[:, d]` belongs to the token d steps before the last.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = Transformer(TransformerConfig.tiny(window=3))
    >>> gradient = prediction_gradient(model, torch.arange(8)[None])
    >>> (gradient[0] != 0).any(dim=-1).sum()  # of 8 tokens, 2 (3 - 1) + 1 count
    tensor(5)
    """
    with _noted(model) as states:
        last = model.hidden(tokens)[:, -1]
        chances = model.output(model.norm(last)).log_softmax(dim=-1)
        (gradient,) = torch.autograd.grad(chances.amax(dim=-1).sum(), states[0])
    return gradient.flip(dims=(1,))


def influence(
    model: Transformer, tokens: Int[Tensor, "batch seq"]
) -> Float[np.ndarray, "batch seq"]:
    """Each token's share in what bears on the prediction after the last one, nearest token first.

    Args:
        model: any transformer of this library.
        tokens: texts of one length.

    Returns:
        The lengths of `prediction_gradient`, as parts of their sum: each row adds up to 1.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = Transformer(TransformerConfig.tiny(window=3))
    >>> (influence(model, torch.arange(8)[None]) > 0).astype(int)
    array([[1, 1, 1, 1, 1, 0, 0, 0]])
    """
    length = _length(prediction_gradient(model, tokens))
    return (length / length.sum(dim=1, keepdim=True)).cpu().numpy()


@torch.no_grad()
def ripple(
    model: Transformer, tokens: Int[Tensor, " seq"], position: int, replacement: int
) -> Float[np.ndarray, " seq"]:
    """How much one exchanged token changes the prediction after every position, in bits.

    Args:
        model: any transformer of this library.
        tokens: one sequence of token ids.
        position: of the token to exchange, counted from 0.
        replacement: the token id to put there.

    Returns:
        The Kullback-Leibler divergence of the changed prediction from the original one: exactly 0
        where nothing changed, 1 where what was a sure bet became an even one. In a model with
        experts a changed route regroups other tokens too, and may move their last bits.

    Raises:
        ValueError: if there is no such position, or the token stays the same.

    >>> from mixlab.transformer.config import TransformerConfig
    >>> model = Transformer(TransformerConfig.tiny(window=3))
    >>> ripple(model, torch.arange(9), position=2, replacement=50) > 0
    array([False, False,  True,  True,  True,  True,  True, False, False])
    """
    if not 0 <= position < len(tokens):
        raise ValueError(f"position must lie between 0 and {len(tokens) - 1}: got {position}")
    if int(tokens[position]) == replacement:
        raise ValueError(f"the replacement must be another token than the one there, {replacement}")
    changed = tokens.clone()
    changed[position] = replacement
    # Two passes of one shape round alike, so what a change doesn't reach is equal to the last bit.
    before, after = (
        model(text[None])[0].double().log_softmax(dim=-1) for text in (tokens, changed)
    )
    bits = (before.exp() * (before - after)).sum(dim=-1) / np.log(2)
    return bits.clamp(min=0).cpu().numpy()
