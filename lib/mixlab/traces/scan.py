"""What a scan does, step by step: run it on intervals instead of numbers.

An element is the interval [t, t] of tokens that it stands for, and the operator joins two
neighbouring intervals. The scan under study runs unchanged, so the trace can't disagree with it;
and an operator that refuses intervals which don't touch, or come in the wrong order, proves that
the scan is right for every associative operator.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mixlab.ssm.scan import Elements, scan


@dataclass(frozen=True)
class ScanStep:
    """One round of a scan: all its combinations could happen at once.

    Attributes:
        earlier: token at which each earlier operand ends: where it is read.
        later: token at which each later operand ends: where it is read and the result written.
        start: first token that each result covers; 0 means that it is final.
    """

    earlier: tuple[int, ...]
    later: tuple[int, ...]
    start: tuple[int, ...]


@dataclass(frozen=True)
class ScanTrace:
    """All rounds of one scan.

    Attributes:
        method, length, chunk_size: what was scanned, and how.
        steps: the rounds, in order.
    """

    method: str
    length: int
    chunk_size: int | None
    steps: tuple[ScanStep, ...]

    @property
    def work(self) -> int:
        """How often the operator was applied."""
        return sum(len(step.later) for step in self.steps)

    @property
    def depth(self) -> int:
        """How many rounds had to wait for one another."""
        return len(self.steps)

    @property
    def coverage(self) -> np.ndarray:
        """(depth + 1, length): the first token that the value at each place covers, by round."""
        rows = [np.arange(self.length)]
        for step in self.steps:
            row = rows[-1].copy()
            row[list(step.later)] = step.start
            rows.append(row)
        return np.stack(rows)


def trace_scan(method: str, length: int, chunk_size: int | None = None) -> ScanTrace:
    """The steps that `mixlab.ssm.scan.scan` takes on a sequence of `length` elements.

    Args:
        method, chunk_size: as in `scan`.
        length: how many elements.

    Raises:
        ValueError: as `scan` does.

    >>> trace = trace_scan("hillis_steele", 4)
    >>> trace.steps[0]
    ScanStep(earlier=(0, 1, 2), later=(1, 2, 3), start=(0, 1, 2))
    >>> trace.work, trace.depth
    (5, 2)
    >>> trace.coverage
    array([[0, 1, 2, 3],
           [0, 0, 1, 2],
           [0, 0, 0, 0]])
    """
    steps = []

    def join(earlier: Elements, later: Elements) -> Elements:
        (start, middle), (after, end) = earlier, later
        assert torch.equal(middle + 1, after), "a scan combined intervals that don't touch"
        steps.append(ScanStep(*(tuple(part.tolist()) for part in (middle, end, start))))
        return start, end

    tokens = torch.arange(length)
    starts, ends = scan(join, (tokens, tokens), method, chunk_size)
    assert not starts.any(), "a scan left an entry without its beginning"
    assert torch.equal(ends, tokens), "a scan put a prefix in the wrong place"
    return ScanTrace(method, length, chunk_size, tuple(steps))
