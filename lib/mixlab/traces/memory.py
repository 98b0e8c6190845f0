"""How many bytes of tensors a call holds at once, at most.

Counted where tensors are made: the storage of each result of an operation, from then until Python
lets go of the last tensor that lies in it. What a fused kernel holds to itself isn't seen.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Held(TorchDispatchMode):
    """Bytes of the storages that operations have made and that are still in use."""

    def __init__(self):
        super().__init__()
        self.users: dict[int, int] = {}  # storage → tensors that lie in it
        self.now = self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        given = {_storage(x) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        for tensor in tree_leaves(out):
            # A view of what was there before the call, such as a weight, is no new memory.
            if isinstance(tensor, torch.Tensor) and _storage(tensor) not in given - {*self.users}:
                self.hold(tensor)
        return out

    def hold(self, tensor: torch.Tensor) -> None:
        storage, size = _storage(tensor), tensor.untyped_storage().nbytes()
        if storage not in self.users:
            self.now += size
            self.peak = max(self.peak, self.now)
        self.users[storage] = self.users.get(storage, 0) + 1
        weakref.finalize(tensor, self.let_go, storage, size).atexit = False

    def let_go(self, storage: int, size: int) -> None:
        self.users[storage] -= 1
        if not self.users[storage]:
            del self.users[storage]
            self.now -= size


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def peak_bytes(run: Callable, *arguments: Any) -> int:
    """The most bytes that tensors made during `run(*arguments)` took at one time.

    >>> x = torch.zeros(1000)
    >>> peak_bytes(lambda: (x + 1).sum())  # 1,000 numbers of four bytes, and their sum
    4004
    >>> peak_bytes(lambda: x.view(10, 100).t().shape)
    0
    """
    with _Held() as held:
        run(*arguments)
    return held.peak
