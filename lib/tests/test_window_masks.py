"""The masks of exercise 02.5 are what their makers say, and tell it by their results alone."""

import inspect

import numpy as np
import pytest
import torch

from mixlab.checks.cases.window_masks import FILE, LONGEST, hand_out
from mixlab.checks.oracles.window_masks import MASKS, described, tables


def test_the_file_holds_what_the_masks_show():
    with np.load(FILE) as file:
        assert (file["tables"] == tables()).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 2), (9, 4), (12, 100), (LONGEST, LONGEST + 1)])
def test_every_mask_is_handed_out_once_and_right_at_every_size(size):
    handed = {described(mask): mask for mask in hand_out()}
    assert set(handed) == {mask.__doc__ for mask in MASKS}
    for mask in MASKS:
        shown = handed[mask.__doc__](*size)
        assert torch.equal(shown, mask(*size))
        assert shown.dtype == torch.bool


def test_nothing_but_the_tables_tells_one_mask_from_another():
    handed = [inspect.unwrap(mask) for mask in hand_out()]
    assert len({mask.__code__ for mask in handed}) == 1
    told = {(mask.__name__, mask.__qualname__, mask.__doc__, mask.__module__) for mask in handed}
    assert len(told) == 1
    inside = [cell.cell_contents for mask in handed for cell in mask.__closure__]
    assert all(isinstance(value, torch.Tensor) for value in inside)


def test_a_size_without_a_table_is_named():
    with pytest.raises(ValueError, match=r"0 to 64 tokens .*: got seq 65, window 3"):
        hand_out()[0](65, 3)
