"""Read what an answer returned: anything that means the same is the same array."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from mixlab.checks.messages import Unreadable


def kind_of(value: Any) -> str:
    """What a value is, for a message."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    if value is None:
        return "None (does the function return its result?)"
    shown = " ".join(repr(value).split())
    return f"{type(value).__name__} {shown if len(shown) < 60 else shown[:57] + '…'}"


def _array(value) -> np.ndarray:
    """Numbers as an array: of any kind, exact fractions too, and lists of tensors."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
    if isinstance(value, Fraction | Decimal):
        value = int(value) if value == int(value) else float(value)
    if isinstance(value, bytes | bytearray):
        return np.frombuffer(value, np.uint8)
    if isinstance(value, list | tuple):
        value = [_array(part) if isinstance(part, _NESTED) else part for part in value]
    return np.asarray(value)


_NESTED = list | tuple | bytes | bytearray | torch.Tensor | Fraction | Decimal


def _numbers(value, kinds: str, n_dims: int | None, wanted: str) -> np.ndarray:
    """Numbers of these kinds with so many axes, or in any case one number alone."""
    with suppress(TypeError, ValueError, OverflowError):
        array = _array(value)
        as_wanted = array.size == 1 if n_dims is None else array.ndim == n_dims
        if array.dtype.kind in kinds and as_wanted:
            return array
    raise Unreadable(f"expected {wanted}: got {kind_of(value)}")


def read_mask(n_dims: int = 2) -> Callable:
    """A reader of masks: truth values, or numbers that are all 0 or 1."""
    axes = "axis" if n_dims == 1 else "axes"

    def read(value) -> np.ndarray:
        array = _numbers(value, "biuf", n_dims, f"a mask with {n_dims} {axes}")
        if not np.isin(array, (0, 1)).all():
            asked = ""
            if array.min() < -1e3:
                asked = " Is it the mask to add to the scores?"
            elif array.min() >= 0 and (array == array.round()).all():
                asked = " Are they counts? `> 0` makes truth values of them."
            raise Unreadable(
                "expected a mask of True and False (or 1 and 0): got other numbers, "
                f"from {array.min()} to {array.max()}.{asked}"
            )
        return array.astype(bool)

    return read


def read_count(value: Any) -> np.ndarray:
    """A reader of one whole number; 12.0 is taken for 12."""
    array = _numbers(value, "iufO", None, "one whole number")
    number = array.item()
    if array.dtype.kind == "O" and isinstance(number, int):
        digits = round(number.bit_length() * np.log10(2))
        raise Unreadable(f"expected a smaller number: got one of about {digits} digits")
    if array.dtype.kind == "O":
        raise Unreadable(f"expected one whole number: got {kind_of(value)}")
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        raise Unreadable(f"expected a whole number: got {number}")
    return np.array(int(number))


def read_reals(n_dims: int) -> Callable:
    """A reader of real arrays with `n_dims` axes, of any precision."""
    wanted = f"real numbers in {n_dims} {'axis' if n_dims == 1 else 'axes'}"
    return lambda value: _numbers(value, "iuf", n_dims, wanted).astype(np.float64)


def read_real(value: Any) -> np.ndarray:
    """A reader of one real number; a fraction or a decimal is one."""
    return _numbers(value, "iuf", None, "one number").astype(np.float64).reshape(())


def read_verdict(value: Any) -> np.ndarray:
    """A reader of one True or False; 1 and 0 are taken for these."""
    if isinstance(value, bool | int | np.generic | np.ndarray | torch.Tensor):
        array = _array(value)
        if array.size == 1 and array.dtype.kind in "biu" and array.item() in (0, 1):
            return np.array(bool(array.item()))
    raise Unreadable(f"expected True or False: got {kind_of(value)}")
