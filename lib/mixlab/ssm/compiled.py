"""Writing with Mamba without PyTorch's calls: a block of one token a sequence is one compiled call.

`Mamba.step` is the readable twin. Both compute the same formulas on the same weights and the same
state, so one may go on where the other stopped; they differ by rounding.

Source: the formulas of `mamba_block.MambaMixer`, as loops in `mixlab.loops`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import float32
from torch import Tensor, nn

from mixlab.common.arrays import LARGEST_BATCH, by_kind, matrix
from mixlab.common.threads import is_large, threads
from mixlab.loops import add_products, mix, normalise
from mixlab.ssm.config import MambaConfig
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


class CompiledMamba:
    """A Mamba whose steps are compiled; see `mixlab.compiled`.

    Attributes:
        model: what it was made from, with which it shares the weights.
    """

    def __init__(self, model: Mamba):
        self.model, self._is_large = model, is_large(model)
        self._layers = [_Layer(block) for block in model.layers]
        self._norm, self._output = model.norm.weight.detach().numpy(), matrix(model.output)

    def __reduce__(self):
        return type(self), (self.model,)  # a copy goes with the model's copy

    @property
    def config(self) -> MambaConfig:
        """The model's."""
        return self.model.config

    def init_state(self, batch: int) -> MambaState:
        """As `Mamba.init_state`."""
        return self.model.init_state(batch)

    def prefill(
        self,
        prompts: Sequence[Sequence[int]] | Int[Tensor, "batch seq"],
        state: MambaState | None = None,
        mask: Bool[Tensor, "batch seq"] | None = None,
        chunk_size: int | None = None,
    ) -> tuple[Float[Tensor, "batch vocab"], MambaState]:
        """As `Mamba.prefill`, and by it."""
        return self.model.prefill(prompts, state, mask, chunk_size)

    @torch.no_grad()
    def step(
        self, tokens: Int[Tensor, " batch"], state: MambaState
    ) -> tuple[Float[Tensor, "batch vocab"], MambaState]:
        """As `Mamba.step`, and by it for large batches.

        Raises:
            ValueError: as that does.
        """
        if tokens.dim() == 1 and len(tokens) > LARGEST_BATCH:
            return self.model.step(tokens, state)
        x = self.model.begin_step(tokens, state).numpy(force=True)
        normal, logits = np.empty_like(x), np.zeros((len(x), self.config.vocab_size), float32)
        with threads(several=self._is_large):
            pairs = zip(self._layers, state.layers, strict=True)
            layers = tuple(layer.step(x, before) for layer, before in pairs)
            normalise(x, self._norm, self.model.norm.eps, normal)
            add_products(normal, *self._output, logits)
        return torch.from_numpy(logits), MambaState(layers)
