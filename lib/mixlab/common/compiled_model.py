"""What compiled models have in common: all but the step is the model's own."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import float32
from torch import Tensor, nn

from mixlab.common.arrays import matrix
from mixlab.common.threads import is_large
from mixlab.loops import add_products, normalise


class CompiledModel:
    """A model whose `step` is compiled; see `mixlab.compiled`.

    Attributes:
        model: what it was made from.
        is_large: whether its loops run on several threads.
    """

    def __init__(self, model: nn.Module):
        self.model, self.is_large = model, is_large(model)
        self._norm, self._output = model.norm.weight.detach().numpy(), matrix(model.output)

    def __reduce__(self) -> tuple[type, tuple[nn.Module]]:
        return type(self), (self.model,)  # a copy goes with the model's copy

    @property
    def config(self) -> Any:
        """The model's."""
        return self.model.config

    @property
    def init_state(self) -> Callable:
        """The model's."""
        return self.model.init_state

    @property
    def prefill(self) -> Callable:
        """The model's: long products are PyTorch's strength."""
        return self.model.prefill

    def read_out(self, x: np.ndarray) -> Float[Tensor, "batch vocab"]:
        """Logits of what the last layer left, x (batch, dim)."""
        normal, logits = np.empty_like(x), np.zeros((len(x), self.config.vocab_size), float32)
        normalise(x, self._norm, self.model.norm.eps, normal)
        add_products(normal, *self._output, logits)
        return torch.from_numpy(logits)
