"""What a scan does, step by step: run it on intervals instead of numbers.

An element is the interval [t, t] of tokens that it stands for, and the operator joins two
neighbouring intervals. The scan under study runs unchanged, so the trace can't disagree with it;
and an operator that refuses intervals which don't touch, or come in the wrong order, proves that
the scan is right for every associative operator.

A trace is a program: `replay` carries it out on items of any kind, and `schedule` hands its
combinations to a number of processors.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mixlab.ssm.scan import Elements, affine, scan


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

    def replay(self, operator: Callable, items: Sequence) -> list[list]:
        """Carry out the rounds on items of any kind.

        Args:
            operator: is given an earlier item and a later one, and returns both together.
            items: as many as the trace is long.

        Returns:
            depth + 1 rows of items: the given ones, then all places after each round.

        Raises:
            ValueError: for another number of items.

        >>> rows = trace_scan("hillis_steele", 4).replay(lambda x, y: x + y, "scan")
        >>> rows[1], rows[-1]
        (['s', 'sc', 'ca', 'an'], ['s', 'sc', 'sca', 'scan'])
        """
        if len(items) != self.length:
            raise ValueError(f"this trace is of {self.length} items: got {len(items)}")
        rows = [list(items)]
        for step in self.steps:
            before, row = rows[-1], list(rows[-1])
            for earlier, later in zip(step.earlier, step.later, strict=True):
                row[later] = operator(before[earlier], before[later])
            rows.append(row)
        return rows


def made_of(trace: ScanTrace, place: int, step: int) -> list[list[int]]:
    """Which combinations the value at a place is made of, after `step` rounds.

    Returns:
        For each of these rounds, the places where one of them was written.

    >>> made_of(trace_scan("blelloch", 8), place=5, step=4)  # up 1, up 2, up 4, down 2
    [[1, 3, 5], [3], [], [5]]
    """
    needed, written = {place}, []
    for one in reversed(trace.steps[:step]):
        pairs = zip(one.earlier, one.later, strict=True)
        used = [(earlier, later) for earlier, later in pairs if later in needed]
        written.append([later for _, later in used])
        needed |= {earlier for earlier, _ in used}
    return written[::-1]


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


def schedule(trace: ScanTrace, processors: int) -> tuple[int, ...]:
    """Let a number of processors carry out a scan, each one combination a round.

    A combination may start as soon as the two values that it reads are there: nothing waits for the
    end of a round of the trace. Of those that may start, the ones with the longest chain of others
    behind them go first (list scheduling; Graham, "Bounds on Multiprocessing Timing Anomalies",
    1969).

    Args:
        trace: what to carry out.
        processors: how many there are.

    Returns:
        How many are busy in each round: as many numbers as rounds, the trace's work in sum.

    Raises:
        ValueError: for less than one processor.

    >>> schedule(trace_scan("blelloch", 8), processors=2)
    (2, 2, 2, 2, 2, 1)
    """
    if processors < 1:
        raise ValueError(f"a schedule needs at least one processor: got {processors}")
    needs = _needs(trace)
    readers: list[list[int]] = [[] for _ in needs]
    chain = [1] * len(needs)  # combinations in the longest chain that begins here
    for number in reversed(range(len(needs))):
        for needed in needs[number]:
            readers[needed].append(number)
            chain[needed] = max(chain[needed], chain[number] + 1)
    missing = [len(needed) for needed in needs]
    ready = [(-chain[number], number) for number, count in enumerate(missing) if count == 0]
    heapq.heapify(ready)
    busy = []
    while ready:
        running = [heapq.heappop(ready)[1] for _ in range(min(processors, len(ready)))]
        busy.append(len(running))
        for reader in (reader for number in running for reader in readers[number]):
            missing[reader] -= 1
            if missing[reader] == 0:
                heapq.heappush(ready, (-chain[reader], reader))
    return tuple(busy)


def _needs(trace: ScanTrace) -> list[list[int]]:
    """For each combination, in order, the earlier ones whose results it reads."""
    needs: list[list[int]] = []
    writer: dict[int, int] = {}  # token → the combination that wrote there last
    for step in trace.steps:
        pairs = list(zip(step.earlier, step.later, strict=True))
        first = len(needs)
        needs += [[writer[place] for place in pair if place in writer] for pair in pairs]
        writer |= {later: first + number for number, (_, later) in enumerate(pairs)}
    return needs


def racers(tokens: int, chunk_size: int) -> dict[str, ScanTrace]:
    """The four ways to scan a sequence, in chunks of `chunk_size` where there are chunks."""
    ways = {"sequential": None, "blelloch": None, "chunked": chunk_size, "hillis_steele": None}
    return {method: trace_scan(method, tokens, size) for method, size in ways.items()}


def winner(all_traces: Mapping[str, ScanTrace], processors: int) -> str:
    """The way with the fewest rounds; of several such, the one with the least work."""

    def cost(name: str) -> tuple[int, int]:
        return len(schedule(all_traces[name], processors)), all_traces[name].work

    return min(all_traces, key=cost)


def borders(all_traces: Mapping[str, ScanTrace], most: int) -> list[tuple[int, str]]:
    """Who wins from which number of processors on, up to `most`.

    Looked for at the powers of two, and between two of them that have different winners: a way that
    wins only between two numbers with one winner isn't found.

    >>> borders(racers(16, chunk_size=4), most=16)
    [(1, 'sequential'), (2, 'blelloch'), (6, 'chunked'), (15, 'hillis_steele')]
    """
    won = cache(partial(winner, all_traces))
    found = [(1, won(1))]

    def between(low: int, high: int) -> None:
        first, last = won(low), won(high)
        if first == last:
            return
        if high - low == 1:
            found.append((high, last))
            return
        middle = (low + high) // 2
        between(low, middle)
        between(middle, high)

    low = 1
    while low < most:
        between(low, min(2 * low, most))
        low *= 2
    return found


def rounding_errors(
    a: Float[Tensor, " seq"],
    b: Float[Tensor, " seq"],
    methods: Mapping[str, tuple[str, int | None]],
    at: Sequence[int],
) -> dict[str, list[float]]:
    """How far each way of scanning h_t = a_t h_{t−1} + b_t is from the same in float64.

    Args:
        a, b: factors and inputs in the precision under study.
        methods: name to (method, chunk_size), as in `scan`.
        at: lengths: each gets the greatest relative error in its second half.

    >>> halves = torch.full((8,), 0.5)  # sums of a few halves are exact
    >>> rounding_errors(torch.ones(8), halves, {"loop": ("sequential", None)}, [4, 8])
    {'loop': [0.0, 0.0]}
    """
    exact = scan(affine, (a.double(), b.double()))[1]
    errors = {}
    for name, how in methods.items():
        error = (scan(affine, (a, b), *how)[1].double() / exact - 1).abs()
        errors[name] = [error[n // 2 : n].max().item() for n in at]
    return errors
