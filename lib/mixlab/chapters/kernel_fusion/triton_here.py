"""Triton where it is installed (it is made for Linux), and how its kernels are counted.

Without a GPU, set TRITON_INTERPRET=1 before this module is imported: Triton then runs kernels as
Python, which is slow and works everywhere. Where there is no Triton, `TRITON` is False, kernels can
be defined as usual, and nothing runs them.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

try:
    import triton.language as tl
    from triton import jit
    from triton.knobs import runtime

    TRITON, INTERPRETED = True, runtime.interpret
except ImportError:
    tl, jit = SimpleNamespace(constexpr=int), lambda kernel: kernel
    TRITON = INTERPRETED = False


def library_kernel() -> Callable:
    """The library's own fused scan, which needs Triton as soon as it is imported."""
    from mixlab.kernels.selective_scan import selective_scan_triton

    return selective_scan_triton


@contextmanager
def counted() -> Iterator[Counter]:
    """Bytes that interpreted kernels read and write meanwhile: "read" and "written".

    A number that is masked out isn't touched. Kernels that run on a GPU can't be counted.

    Raises:
        ValueError: if Triton doesn't interpret.
    """
    if not INTERPRETED:
        raise ValueError(
            "only Triton's interpreter can be counted: set TRITON_INTERPRET=1 before Triton is "
            "imported"
        )
    from triton.runtime.interpreter import interpreter_builder as builder

    bytes_moved = Counter()
    load, store = builder.create_masked_load, builder.create_masked_store

    def size(pointers, mask) -> int:
        return int(mask.data.sum()) * pointers.get_element_ty().primitive_bitwidth // 8

    def counting_load(pointers, mask, *rest):
        bytes_moved["read"] += size(pointers, mask)
        return load(pointers, mask, *rest)

    def counting_store(pointers, numbers, mask, *rest):
        bytes_moved["written"] += size(pointers, mask)
        return store(pointers, numbers, mask, *rest)

    builder.create_masked_load, builder.create_masked_store = counting_load, counting_store
    try:
        yield bytes_moved
    finally:  # the class's own methods come to light again
        del builder.create_masked_load, builder.create_masked_store
