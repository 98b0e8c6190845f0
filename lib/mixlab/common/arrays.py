"""Weights as `mixlab.loops` are handed them: arrays of numbers, and the scales of their rows."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float
from numpy import float32
from torch import Tensor, nn

from mixlab.common.linear import Linear
from mixlab.common.quantised import QuantisedLinear

Matrix = tuple[np.ndarray, np.ndarray]  # numbers, row after row, and the scale of each row


def matrix(layer: nn.Module | Float[Tensor, "dim_out dim_in"]) -> Matrix:
    """A layer's weight, or one that stands alone; shared, where its rows lie one after another.

    Raises:
        ValueError: for a layer of another class, which may do more than multiply.
    """
    if type(layer) is QuantisedLinear:
        return layer.numbers.numpy(), layer.scale.numpy()
    if not isinstance(layer, Tensor) and type(layer) not in (nn.Linear, Linear):
        raise ValueError(
            "compiled steps know linear layers and 8-bit ones: got a layer of class "
            f"{type(layer).__name__}. Merge what it adds into the weight first"
        )
    weight = layer if isinstance(layer, Tensor) else layer.weight
    return weight.detach().contiguous().numpy(), np.ones(len(weight), float32)


def by_kind(matrices: Iterable[Matrix]) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """All numbers, all scales."""
    numbers, scales = zip(*matrices, strict=True)
    return numbers, scales
