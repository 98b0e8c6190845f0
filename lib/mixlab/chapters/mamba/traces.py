"""What every layer of a Mamba does with every token, as plain arrays.

The model steps through the tokens as it does when it writes. Hooks on each block's three
projections note what goes in and what comes out, and the states are those it returns: the real
code's numbers. What lies between, Δ, B and C, is read off the same inputs once more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.ssm.mamba import Mamba
from mixlab.ssm.mamba_block import MambaMixer
from mixlab.ssm.selective_scan_shared import step_lengths


@dataclass(frozen=True)
class LayerTrace:
    """One layer on one sequence, all in float32; axis 0 is time.

    Attributes:
        u: (seq, d_inner), what the convolution and its silu give: the scan's input.
        delta: (seq, d_inner), the step lengths Δ, after softplus.
        B, C: (seq, d_state), how the token is written and read.
        kept: (seq, d_inner, d_state), exp(ΔA), the share of each number of state that is kept.
        states: (seq, d_inner, d_state), the state after each token.
        skip: (seq, d_inner), D·u.
        gate: (seq, d_inner), silu(z).
        output: (seq, d_inner), (C·state + skip) · gate, which the block then narrows.
    """

    u: np.ndarray
    delta: np.ndarray
    B: np.ndarray
    C: np.ndarray
    kept: np.ndarray
    states: np.ndarray
    skip: np.ndarray
    gate: np.ndarray
    output: np.ndarray

    @property
    def read(self) -> np.ndarray:
        """(seq, d_inner): what C reads from the state, before skip and gate."""
        return np.einsum("tdn,tn->td", self.states, self.C)


@torch.no_grad()
def trace_layers(model: Mamba, tokens: Int[Tensor, " seq"]) -> tuple[LayerTrace, ...]:
    """Step through one sequence and note what happens in every layer.

    Args:
        model: any Mamba of this library.
        tokens: one sequence of token ids.

    Raises:
        ValueError: for anything but one sequence of at least one token.

    >>> from mixlab.ssm.config import MambaConfig
    >>> layers = trace_layers(Mamba(MambaConfig.tiny()), torch.tensor([3, 1, 4]))
    >>> len(layers), layers[0].delta.shape, layers[0].states.shape
    (2, (3, 128), (3, 128, 8))
    """
    if tokens.dim() != 1 or len(tokens) == 0:
        raise ValueError(
            "a trace follows one sequence (seq,) of at least one token: got tokens of shape "
            f"{tuple(tokens.shape)}. Take one row of a batch: tokens[0]"
        )
    states: list[list[Tensor]] = [[] for _ in model.layers]
    state = model.init_state(1)
    with _noted([layer.mixer for layer in model.layers]) as notes:
        for token in tokens:
            _, state = model.step(token[None], state)
            for k, layer in enumerate(state.layers):
                states[k].append(layer.scan)
    return tuple(
        _layer_trace(layer.mixer, torch.cat(states[k]), *map(torch.cat, noted))
        for k, (layer, noted) in enumerate(zip(model.layers, notes, strict=True))
    )


Notes = tuple[list[Tensor], list[Tensor], list[Tensor]]  # u, z and the output, a row a token


@contextmanager
def _noted(mixers: list[MambaMixer]) -> Iterator[list[Notes]]:
    """Note each mixer's u, z and output while it runs."""
    notes: list[Notes] = [([], [], []) for _ in mixers]
    handles = []
    for mixer, (u, z, output) in zip(mixers, notes, strict=True):
        handles += [
            mixer.x_proj.register_forward_pre_hook(lambda _, args, u=u: u.append(args[0])),
            mixer.in_proj.register_forward_hook(
                lambda _, args, widened, z=z: z.append(widened.chunk(2, dim=-1)[1])
            ),
            mixer.out_proj.register_forward_pre_hook(
                lambda _, args, output=output: output.append(args[0])
            ),
        ]
    try:
        yield notes
    finally:
        for handle in handles:
            handle.remove()


def _layer_trace(
    mixer: MambaMixer, states: Tensor, u: Tensor, z: Tensor, output: Tensor
) -> LayerTrace:
    """What was noted, with all that it decides; axis 0 is time."""
    delta, B, C = mixer.select(u)
    delta = step_lengths(delta.to(states.dtype), mixer.dt_proj.bias, delta_softplus=True)
    kept = torch.exp(delta[..., None] * mixer.rates())
    arrays = dict(u=u, delta=delta, B=B, C=C, kept=kept, states=states)
    arrays |= dict(skip=mixer.D * u, gate=F.silu(z), output=output)
    return LayerTrace(**{name: x.float().cpu().numpy() for name, x in arrays.items()})
