"""Measuring a row: check that everyone computes the same, then time them in turns.

Other programs on the machine slow everything down for a while. Contestants therefore take turns,
ours, peer, ours, peer, and what is reported is the median over rounds of peer / ours within one
round, with the lowest and highest.
"""

import ctypes
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from bench.machine import Rates
from bench.row import Contest, Peer, Row, Size, Unavailable

Clock = Literal["wall", "cpu", "thread"]
CLOCKS: dict[Clock, Callable[[], float]] = {
    "wall": time.perf_counter,
    "cpu": time.process_time,
    "thread": time.thread_time,
}
SHORTEST = 0.05  # seconds; a shorter call is repeated within one sample


@dataclass(frozen=True)
class Spread:
    """The median of some figures and how far they reach.

    >>> Spread.of([3.0, 1.0, 2.0])
    Spread(median=2.0, least=1.0, most=3.0, runs=3)
    """

    median: float
    least: float
    most: float
    runs: int

    @classmethod
    def of(cls, figures: list[float]) -> "Spread":
        return cls(statistics.median(figures), min(figures), max(figures), len(figures))


@dataclass(frozen=True)
class Against:
    """Ours against one setting of one peer.

    Attributes:
        figure: the peer's seconds or bytes, already scaled to our work.
        ratio: peer / ours, round by round.
        counts: whether this is the peer's best setting, the one the target is for.
        peak: bytes that one call of the peer adds to the process, where that can be measured.
    """

    name: str
    setting: str
    figure: Spread
    ratio: Spread
    target: float | None = None
    counts: bool = False
    peak: int | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is none."""
        return None if self.target is None else self.ratio.median >= self.target


@dataclass(frozen=True)
class Outcome:
    """What became of a row: figures, or the `problem` that kept it from having any.

    `least` is the time that the machine's own rates leave to anyone, where that is known.
    """

    name: str
    work: str
    unit: str = "s"
    note: str = ""
    problem: str = ""
    difference: float | None = None
    tolerance: float | None = None
    ours: Spread | None = None
    least: float | None = None
    peak: int | None = None
    against: list[Against] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Whether the row ran and every target of it is reached."""
        return not self.problem and all(peer.met for peer in self.against if peer.counts)


def run_row(
    row: Row,
    size: Size = "full",
    runs: int = 5,
    clock: Clock = "wall",
    rates: Rates | None = None,
) -> Outcome:
    """Set a row up, check and measure it; what goes wrong becomes the outcome's `problem`."""
    try:
        contest = row.setup(size)
        difference = contest.check()
    except Unavailable as missing:
        return Outcome(row.name, row.work, row.unit, problem=f"not run: {missing}")
    except Exception as error:
        return Outcome(row.name, row.work, row.unit, problem=f"{type(error).__name__}: {error}")
    known = dict(
        name=row.name,
        work=row.work,
        unit=row.unit,
        note=contest.note,
        difference=difference,
        tolerance=contest.tolerance,
    )
    if rates is not None and (contest.operations or contest.bytes_read):
        known["least"] = rates.least_seconds(contest.operations, contest.bytes_read)
    if not difference <= contest.tolerance:  # also catches nan
        return Outcome(
            **known,
            problem=f"results differ by {difference:.1e}, more than {contest.tolerance:.0e}: "
            "not timed, because they don't compute the same",
        )
    try:
        return Outcome(**known, **_measure(row, contest, runs, clock))
    except Exception as error:
        return Outcome(**known, problem=f"{type(error).__name__}: {error}")


def _measure(row: Row, contest: Contest, runs: int, clock: Clock) -> dict[str, Any]:
    everyone = [Peer("ours", contest.ours), *contest.peers]
    if row.unit == "bytes":
        rounds = [[peer.scale * peer.run() for peer in everyone]]
        peaks = [None] * len(everyone)
    else:
        peaks, repeats = [], []
        for peer in everyone:  # this is also their warm-up
            start = time.perf_counter()
            peaks.append(peak_bytes(peer.run, row.device))
            slow = time.perf_counter() - start > 1
            repeats.append(1 if slow else _repeats(peer.run, row.device))
        rounds = [
            [
                peer.scale * seconds(peer.run, row.device, clock, n)
                for peer, n in zip(everyone, repeats, strict=True)
            ]
            for _ in range(runs)
        ]
    figures = [list(column) for column in zip(*rounds, strict=True)]
    ours = figures[0]
    medians = {peer: statistics.median(f) for peer, f in zip(everyone, figures, strict=True)}
    against = []
    for peer, figure, peak in zip(everyone[1:], figures[1:], peaks[1:], strict=True):
        best = min((p for p in everyone[1:] if p.name == peer.name), key=medians.get)
        against.append(
            Against(
                name=peer.name,
                setting=peer.setting,
                figure=Spread.of(figure),
                ratio=Spread.of([theirs / our for theirs, our in zip(figure, ours, strict=True)]),
                target=row.targets.get(peer.name),
                counts=peer is best,
                peak=peak,
            )
        )
    return dict(ours=Spread.of(ours), peak=peaks[0], against=against)


def seconds(run: Callable[[], Any], device: str, clock: Clock = "wall", repeats: int = 1) -> float:
    """Seconds of one call, averaged over `repeats`; on a GPU until its last kernel has ended.

    "wall" is the time on the wall. On a machine that other work keeps busy two clocks are steadier:
    "cpu", the seconds that processors spent on this process, for one thread; and "thread", those
    that they spent on the calling thread. With OMP_WAIT_POLICY=passive it doesn't spin while it
    waits for the other threads, whose share is as large as its own.
    """
    now = CLOCKS[clock]
    _synchronise(device)
    start = now()
    for _ in range(repeats):
        run()
    _synchronise(device)
    return (now() - start) / repeats


def _repeats(run: Callable[[], Any], device: str) -> int:
    """How many calls make one sample long enough to time."""
    return max(1, math.ceil(SHORTEST / max(seconds(run, device), 1e-7)))


def _synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def peak_bytes(run: Callable[[], Any], device: str) -> int | None:
    """The most bytes that one call holds at a time beyond what was held before it.

    On a GPU PyTorch's allocator keeps count. On Linux the kernel does: its high-water mark of this
    process's memory is reset first, after memory that was freed but kept has gone back. None
    elsewhere.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
    except (OSError, ValueError, AttributeError, TypeError):
        run()
        return None
    run()
    return max(0, _status("VmHWM") - before)


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no line {key}")
