"""Ways of calling an answer that must be had in the answer's own process."""

import tracemalloc

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mixlab.checks.remote import RemoteFunction


class _LargestTensor(TorchDispatchMode):
    """Notes the largest tensor that any operation creates, in elements."""

    elements = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip torch's compiler is to import it: four seconds, 80 MB

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                # A broadcast view has many elements and no memory of its own.
                size = tensor.untyped_storage().nbytes() // tensor.element_size()
                self.elements = max(self.elements, min(size, tensor.numel()))
        return out


def _memory_of(function, *arguments) -> int:
    """The most bytes that a call held in NumPy's arrays and Python's lists; torch's not."""
    traced = tracemalloc.is_tracing()
    tracemalloc.start()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not traced:
            tracemalloc.stop()


def measured(answer, *arguments) -> tuple:
    """(result, numbers in the largest tensor, bytes of arrays and lists) of a call.

    Measured where the answer lives, which an answer that takes its process apart can prevent: what
    must not be prevented is measured from outside (`Cases.room`).
    """
    if isinstance(answer, RemoteFunction):
        out, elements, held = answer.under("measured", *arguments)
        return out, int(elements), int(held)
    again = [one.clone() if isinstance(one, torch.Tensor) else one for one in arguments]
    with _LargestTensor() as watched:
        out = answer(*arguments)
    return out, watched.elements, _memory_of(answer, *again)


MANNERS = {"measured": measured}
