"""How many threads run `mixlab.loops`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from numba import config, get_num_threads, set_num_threads
from torch import nn

_MIN_WEIGHTS = 2**22
_TURN = threading.Lock()


def is_large(model: nn.Module) -> bool:
    """Whether several threads pay: of a small model, others are waited for longer than they work.

    What is counted are numbers kept, rounded ones too.
    """
    return sum(one.numel() for one in (*model.parameters(), *model.buffers())) > _MIN_WEIGHTS


@contextmanager
def threads(several: bool) -> Iterator[int]:
    """Run loops inside on PyTorch's number of threads, or on one; yields how many these are.

    Whoever comes meanwhile from another thread of Python waits: not all that Numba shares work by
    could serve two. Numba and PyTorch may use one OpenMP, and starting Numba's threads there would
    set PyTorch's number too: it is put back.
    """
    with _TURN:
        of_torch = torch.get_num_threads()
        before = get_num_threads()
        wanted = min(of_torch if several else 1, config.NUMBA_NUM_THREADS)
        set_num_threads(wanted)
        _keep(of_torch)
        try:
            yield wanted
        finally:
            set_num_threads(before)
            _keep(of_torch)


def _keep(of_torch: int) -> None:
    if torch.get_num_threads() != of_torch:
        torch.set_num_threads(of_torch)
