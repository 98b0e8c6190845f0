"""What every layer of a Mamba does with every token, as plain arrays.

The model steps through the tokens as it does when it writes, and a stand-in between the block and
its scan notes what the block hands over and what comes back. So the trace shows the real code's
numbers; the only ones computed here are Δ after its softplus, silu(z), and products of the two
with others.
"""

from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from mixlab.ssm import mamba_block
from mixlab.ssm.mamba import Mamba
from mixlab.ssm.selective_scan import selective_step, step_lengths


@dataclass(frozen=True)
class LayerTrace:
    """One layer on one sequence, all in float32; axis 0 is time.

    Attributes:
        window: (seq, d_conv, d_inner), what lies under the convolution's taps, oldest first.
        u: (seq, d_inner), what the convolution and its silu give: the scan's input.
        delta: (seq, d_inner), the step lengths Δ, after softplus.
        B, C: (seq, d_state), how the token is written and read.
        kept: (seq, d_inner, d_state), exp(ΔA), the share of each number of state that is kept.
        states: (seq, d_inner, d_state), the state after each token.
        skip: (seq, d_inner), D·u.
        gate: (seq, d_inner), silu(z).
        output: (seq, d_inner), (C·state + skip) · gate, which the block then narrows.
    """

    window: np.ndarray
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

    @property
    def moved(self) -> np.ndarray:
        """(seq,): how far each token moved the state, as a root mean square."""
        before = np.concatenate([np.zeros_like(self.states[:1]), self.states[:-1]])
        return np.sqrt(np.square(self.states - before).mean(axis=(1, 2)))


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
    notes: list[dict] = []  # one a layer and token: all layers of a token, then the next token

    def note(u, delta, A, B, C, D, z, state, *, delta_bias=None, delta_softplus=False):
        y, after = selective_step(
            *(u, delta, A, B, C, D, z, state), delta_bias=delta_bias, delta_softplus=delta_softplus
        )
        delta = step_lengths(delta.to(after.dtype), delta_bias, delta_softplus)
        gate, skip = F.silu(z), D * u
        noted = dict(u=u, delta=delta, B=B, C=C, kept=torch.exp(delta[..., None] * A))
        notes.append(noted | dict(states=after, skip=skip, gate=gate, output=y))
        return y, after

    windows: list[Tensor] = []
    state = model.init_state(1)
    with patch.object(mamba_block, "selective_step", note):
        for token in tokens:
            before = state
            _, state = model.step(token[None], state)
            for old, new in zip(before.layers, state.layers, strict=True):
                windows.append(torch.cat((old.history, new.history[:, -1:]), dim=1))
    n_layers = len(model.layers)
    return tuple(
        LayerTrace(
            window=_stack(windows[layer::n_layers]),
            **{name: _stack([n[name] for n in notes[layer::n_layers]]) for name in notes[0]},
        )
        for layer in range(n_layers)
    )


def _stack(rows: list[Tensor]) -> np.ndarray:
    return torch.cat(rows).float().cpu().numpy()
