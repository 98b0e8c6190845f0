"""Writing with Mamba without PyTorch's calls: a block of one token a sequence is one compiled call.

`Mamba.step` is the readable twin. Both compute the same formulas on the same weights and the same
state, so one may go on where the other stopped; they differ by rounding.

Source: the formulas of `mamba_block.MambaMixer`, as loops in `mixlab.loops`.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import float32
from torch import Tensor, nn

from mixlab.common.arrays import by_kind, matrix
from mixlab.common.compiled_model import CompiledModel
from mixlab.common.quantised import FEW_TOKENS
from mixlab.common.threads import threads
from mixlab.loops import mix
from mixlab.ssm.mamba import Mamba, MambaState
from mixlab.ssm.mamba_block import Block, LayerState


class _Layer:
    """A block's weights as the loops take them."""

    def __init__(self, block: Block):
        mixer = block.mixer
        layers = mixer.in_proj, mixer.x_proj, mixer.dt_proj, mixer.out_proj
        biases = [_bias(layer) for layer in (mixer.in_proj, mixer.dt_proj, mixer.out_proj)]
        taps = mixer.conv1d.weight[:, 0].T.contiguous()
        self._weights = (
            block.norm.weight.detach().numpy(),
            block.norm.eps,
            *by_kind(map(matrix, layers)),
            tuple(biases),
            (taps.detach().numpy(), _bias(mixer.conv1d)),
            (mixer.rates().detach().numpy(), mixer.D.detach().numpy()),
        )

    def step(self, x: np.ndarray, state: LayerState) -> LayerState:
        """x += mixer(norm(x)); the state after it."""
        past = state.history.contiguous().numpy(), state.scan.contiguous().numpy()
        history, scan = mix(x, *self._weights, *past)
        return LayerState(torch.from_numpy(history), torch.from_numpy(scan))


def _bias(layer: nn.Linear | nn.Conv1d) -> np.ndarray:
    """Its bias; zeros where it has none."""
    if layer.bias is None:
        return np.zeros(layer.weight.shape[0], float32)
    return layer.bias.detach().numpy()


class CompiledMamba(CompiledModel):
    """A Mamba whose steps are compiled; see `mixlab.compiled`."""

    def __init__(self, model: Mamba):
        super().__init__(model)
        self._layers = [_Layer(block) for block in model.layers]

    @torch.no_grad()
    def step(
        self, tokens: Int[Tensor, " batch"], state: MambaState
    ) -> tuple[Float[Tensor, "batch vocab"], MambaState]:
        """As `Mamba.step`, and by it for large batches.

        Raises:
            ValueError: as that does.
        """
        if tokens.dim() == 1 and len(tokens) > FEW_TOKENS:
            return self.model.step(tokens, state)
        x = self.model.begin_step(tokens, state).numpy(force=True)
        with threads(several=self.is_large):
            pairs = zip(self._layers, state.layers, strict=True)
            layers = tuple(layer.step(x, before) for layer, before in pairs)
            logits = self.read_out(x)
        return logits, MambaState(layers)
