"""Reads what an answer returned where that is several arrays."""

import numpy as np
import torch

from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_reals


def parts(value, names, shapes):
    """The arrays of a tuple that was returned, each of its shape; a column counts as a row.

    Raises:
        Unreadable: if there aren't as many, or one has another shape.
    """
    wanted = f"({', '.join(names)})"
    if isinstance(value, torch.Tensor | np.ndarray) or not hasattr(value, "__len__"):
        raise Unreadable(f"expected {wanted}: got {kind_of(value)}")
    if len(value) != len(names):
        raise Unreadable(f"expected {wanted}: got {len(value)} things")
    found = []
    for name, shape, part in zip(names, shapes, value, strict=True):
        array = as_array(part)
        if array is None or array.squeeze().shape != np.empty(shape).squeeze().shape:
            raise Unreadable(f"expected {name} of shape {shape}: got {kind_of(part)}")
        found.append(array.reshape(shape))
    return found


def as_array(part):
    """Real numbers with up to two axes, or None."""
    for n_dims in range(3):
        try:
            return read_reals(n_dims)(part)
        except Unreadable:
            continue
    return None
