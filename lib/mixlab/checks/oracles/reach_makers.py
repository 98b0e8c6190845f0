"""The stacks of exercise 03.5, right ones and wrong ones, as they were made.

An answer never meets these functions: their names and their code would tell it what it is to find
out. It meets tables of who reads whom (cases/reach_stacks.py). `python -m
mixlab.checks.oracles.reach_makers` writes those anew.
"""

from collections.abc import Callable
from hashlib import sha256
from inspect import getclosurevars, unwrap

import numpy as np
import torch
from torch import Tensor

from mixlab.checks.cases.reach_stacks import FILE, LONGEST, band, tables_of

_POSITION = torch.arange(LONGEST)
_DISTANCE = _POSITION[:, None] - _POSITION[None, :]


def _all_but_last(n_layers: int, window: int, last: Tensor) -> Tensor:
    return tables_of([band(window)] * (n_layers - 1) + [last])


def right(n_layers, window):
    """no mistake"""
    return tables_of([band(window)] * n_layers)


def one_key_more(n_layers, window):
    """a last layer with one key too many"""
    return _all_but_last(n_layers, window, band(window + 1))


def one_key_less(n_layers, window):
    """a last layer with one key too few"""
    return _all_but_last(n_layers, window, band(max(1, window - 1)))


def one_layer_less(n_layers, window):
    """a layer too few"""
    return right(n_layers - 1, window) if n_layers > 1 else tables_of([band(1)])


def one_layer_more(n_layers, window):
    """a layer too many"""
    return right(n_layers + 1, window)


def full_layer(n_layers, window):
    """a last layer without a window"""
    return _all_but_last(n_layers, window, band(LONGEST))


def looks_ahead(n_layers, window):
    """a last layer that also sees the next token"""
    return _all_but_last(n_layers, window, band(window) | (_DISTANCE == -1))


def blocks(n_layers, window):
    """windows cut at every multiple of W"""
    block = _POSITION // max(2, window)
    return tables_of([band(window) & (block[:, None] == block[None, :])] * n_layers)


def holes(n_layers, window):
    """every second token on the way left out"""
    return tables_of([band(window // 2 + 1, step=2)] * n_layers)


def skips_the_neighbour(n_layers, window):
    """the token before it skipped, and one more at the far end"""
    return tables_of([band(window + 1) & (_DISTANCE != 1)] * n_layers)


def wraps_around(n_layers, window):
    """a first layer whose first tokens read from the end"""
    tables = right(n_layers, window)
    # Token i reads keys i - W + 1 to i; what is negative counts from the end, -1 being the last.
    tables[0, 1] = _POSITION[:, None] + _POSITION[None, :] < window - 1
    for seq in range(1, LONGEST + 1):  # in a short text the last token may read from the end too
        from_end = tables[0, 1, seq - 1, :seq].flip(0)
        tables[0, 2, seq - 1, :seq] |= from_end
    return tables


def sink(n_layers, window):
    """the first token kept in everyone's sight"""
    return tables_of([band(window) | (_POSITION == 0)] * n_layers)


def only_the_last(n_layers, window):
    """the right window for the last token, and no window for the others"""
    tables = right(n_layers, window)
    tables[-1, 0] = band(LONGEST)
    return tables


def hides_one_token(n_layers, window):
    """a first layer that hides one token from all others"""
    tables = right(n_layers, window)
    hidden = window - 1
    here = (_POSITION - hidden == 0) & (_DISTANCE > 0)
    tables[0, 0] &= ~here
    tables[0, 2] &= ~here
    return tables


def one_sees_the_next(n_layers, window):
    """a last layer in which one token sees the next"""
    ahead = (_DISTANCE == -1) & (_POSITION - window == 1)
    return _all_but_last(n_layers, window, band(window) | ahead)


WRONG = (
    one_key_more,
    one_key_less,
    one_layer_less,
    one_layer_more,
    full_layer,
    looks_ahead,
    blocks,
    holes,
    skips_the_neighbour,
    wraps_around,
    sink,
    only_the_last,
    hides_one_token,
    one_sees_the_next,
)
# The number of layers and the window, and what is made with them. At W = 1 no number of layers adds
# anything; one size reaches further than a short text of one length.
SIZES = {
    (2, 4): (right, *WRONG),
    (1, 5): (right, *WRONG),
    (3, 3): (right, *WRONG),
    (3, 1): (right, one_key_more),
    (2, 9): (right, one_key_less, one_key_more, hides_one_token, one_sees_the_next),
}


def padded(tables: Tensor, n_layers: int) -> Tensor:
    """One layer more than it should have, by layers that see themselves: their number says nothing.

    >>> padded(right(2, 4), 2).shape[0], padded(one_layer_more(2, 4), 2).shape[0]
    (3, 3)
    """
    alone = tables_of([band(1)] * (n_layers + 1 - len(tables))) if len(tables) <= n_layers else None
    return tables if alone is None else torch.cat((alone, tables))


def packed() -> dict[str, np.ndarray]:
    """All tables as bits, by size, in an order that says nothing."""
    found = {}
    for (n_layers, window), makers in SIZES.items():
        tables = [padded(maker(n_layers, window), n_layers).numpy() for maker in makers]
        tables.sort(key=lambda table: sha256(table.tobytes()).digest())
        found[f"{n_layers}x{window}"] = np.packbits(np.stack(tables), axis=-1)
    return found


def inside(stack: Callable) -> dict:
    """What a stack holds: its tables, how it mixes, and its seed."""
    return dict(getclosurevars(unwrap(stack)).nonlocals)


def described(stack: Callable, n_layers: int, window: int) -> str:
    """What a stack of 03.5 is, in words; for messages."""
    held = inside(stack)
    for maker in SIZES[n_layers, window]:
        if torch.equal(held["tables"], padded(maker(n_layers, window), n_layers)):
            return f"{held['mix'].__name__} with {maker.__doc__}"
    raise ValueError("this stack is none of those that exercise 03.5 hands out")


if __name__ == "__main__":
    np.savez_compressed(FILE, **packed())
