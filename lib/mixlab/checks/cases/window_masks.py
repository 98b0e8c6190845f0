"""The masks that exercise 02.5 hands to an answer, one right and the others wrong, as tables.

Every mask is the same code and looks its rows up, so nothing but what it returns tells a right one
from a wrong one. The tables answer exercise 02.1 too: a grader leaves them out where they would
help. They come from oracles/window_masks.py.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mixlab.checks.cases import open_data

LONGEST = 64  # tokens; from a window of one more on, nothing changes
FILE = Path(__file__).with_suffix(".npz")


def made_from(table: np.ndarray) -> Callable:
    """A function from (seq, window) to the mask, a tensor of truth values (seq, seq).

    Args:
        table: (2, seq, query, window - 1), the first key that a query sees and one past the last.
    """
    first, end = torch.from_numpy(table)

    def make_mask(seq, window):
        seq, window = int(seq), int(window)
        if not 0 <= seq <= LONGEST or window < 1:
            raise ValueError(
                f"these masks are made for 0 to {LONGEST} tokens and a window of 1 or more: got "
                f"seq {seq}, window {window}"
            )
        key, column = torch.arange(seq), min(window, LONGEST + 1) - 1
        rows = seq, slice(seq), column, None
        return (key >= first[rows]) & (key < end[rows])

    return make_mask


def hand_out() -> list[Callable]:
    """The masks, in an order that says nothing."""
    with open_data(FILE) as data, np.load(data) as file:
        return [made_from(table) for table in file["tables"]]
