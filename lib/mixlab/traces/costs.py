"""What a call of attention costs, counted while it runs: scores, the largest tensor, memory.

A score is made by a product of a query and a key, and then put through a softmax. Counting both
tells a mask, which hides scores that were computed, from a band, which skips them: "Longformer:
The Long-Document Transformer", section 3.1.
"""

import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot", "vdot")
_EXPONENTIALS = ("_softmax", "_safe_softmax", "_log_softmax", "logsumexp", "exp", "exp_", "exp2")


class _Watch(TorchDispatchMode):
    """Notes of all operations the largest tensor that one creates, and counts the numbers that come
    out of products of matrices and those that go into an exponential."""

    elements = products = exponentials = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip torch's compiler is to import it: four seconds, 80 MB

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        several = out if isinstance(out, tuple | list) else (out,)
        made = [tensor for tensor in several if isinstance(tensor, torch.Tensor)]
        for tensor in made:
            # A broadcast view has many elements and no memory of its own.
            size = tensor.untyped_storage().nbytes() // tensor.element_size()
            self.elements = max(self.elements, min(size, tensor.numel()))
        name = function.overloadpacket.__name__
        if name in _PRODUCTS:
            self.products += sum(tensor.numel() for tensor in made)
        elif name in _EXPONENTIALS:
            self.exponentials += args[0].numel()
        elif "scaled_dot_product" in name:  # it holds its scores to itself: what its shapes imply
            self.exponentials += args[0].shape[:-1].numel() * args[1].shape[-2]
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


class Measured(NamedTuple):
    """What a call returned, and what it took. Numbers are counted where torch computes them.

    Attributes:
        out: what it returned.
        elements: numbers in the largest tensor that an operation made.
        held: bytes of NumPy's arrays and Python's lists, at most at one time.
        products: numbers that came out of products of matrices: scores, and weighted sums.
        exponentials: numbers that a softmax took, or an exponential.
    """

    out: object
    elements: int
    held: int
    products: int
    exponentials: int


def measured(function: Callable, *arguments: Any) -> Measured:
    """Call a function twice, watching its tensors first and its arrays and lists then.

    >>> q, k, v = torch.ones(6, 4), torch.ones(10, 4), torch.ones(10, 2)
    >>> took = measured(lambda q, k, v: (q @ k.T).softmax(1) @ v, q, k, v)
    >>> took.exponentials, took.products
    (60, 72)
    """
    again = [one.clone() if isinstance(one, torch.Tensor) else one for one in arguments]
    with _Watch() as seen:
        out = function(*arguments)
    held = _memory_of(function, *again)
    return Measured(out, seen.elements, held, seen.products, seen.exponentials)
