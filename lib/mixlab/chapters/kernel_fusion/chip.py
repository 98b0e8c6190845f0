"""A chip in Python: slow memory whose every read and write is counted, and registers for nothing.

A program is a function that takes a `Memory`. What it reads by `memory["x", t]` and writes by
`memory["y", t] = …` is counted in bytes; what it keeps in Python's own variables lies in registers,
and costs nothing. Time isn't simulated: bytes are what a fused program saves.
"""

from collections import Counter

from torch import Tensor


class Memory:
    """Arrays by name, and how many bytes of each were read and written.

    Attributes:
        arrays: name to array, as they lie in memory; looking here costs nothing.
        read, written: name to bytes.

    Four bytes a number in float32, and two of three numbers are touched:

    >>> import torch
    >>> memory = Memory(x=torch.tensor([3.0, 4.0, 5.0]), y=torch.zeros(3))
    >>> memory["y", 0] = 2 * memory["x", 1]
    >>> memory.arrays["y"], memory.read["x"], memory.written["y"], memory.moved
    (tensor([8., 0., 0.]), 4, 4, 8)
    """

    def __init__(self, **arrays: Tensor) -> None:
        self.arrays = arrays
        self.read: Counter[str] = Counter()
        self.written: Counter[str] = Counter()

    def __getitem__(self, place: str | tuple) -> Tensor:
        """A copy of an array, or of its part at some indices, in registers."""
        name, *index = (place,) if isinstance(place, str) else place
        numbers = self.arrays[name][tuple(index)]
        self.read[name] += numbers.nbytes
        return numbers.clone()

    def __setitem__(self, place: str | tuple, numbers: Tensor) -> None:
        """Write numbers of an array, or of its part at some indices."""
        name, *index = (place,) if isinstance(place, str) else place
        self.arrays[name][tuple(index)] = numbers
        self.written[name] += self.arrays[name][tuple(index)].nbytes

    @property
    def moved(self) -> int:
        """All bytes that were read or written."""
        return self.read.total() + self.written.total()
