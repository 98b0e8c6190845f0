"""What one row of the speed table is, and how to write one.

Every file `bench/bench_*.py` has a list `ROWS`. A row says what work is measured, against whom and
how many times faster ours must be; its `setup` builds the contest and is called only when the row
is run. The runner (`bench.measure`) then
1. calls `check`, which computes the same thing with everyone and returns the largest absolute
   difference: a row whose results differ is never timed;
2. runs ours, peer, ours, peer, … and takes medians;
3. divides: ratio = peer / ours. Above 1 ours is better, and `target` is the least it should be.

A row with one peer:

    def setup(size: str) -> Contest:
        tokens = torch.randint(100, (1, {"full": 1024, "quick": 256, "tiny": 8}[size]))
        ours, theirs = …                      # the same weights in both
        return Contest(
            ours=lambda: ours(tokens),
            peers=[Peer("transformers", lambda: theirs(tokens).logits, setting="sdpa")],
            check=lambda: largest_difference(ours(tokens), theirs(tokens).logits),
        )

    ROWS = [Row("mamba_prefill", "Mamba pre-fill, 1,024 tokens", {"transformers": 3.0}, setup)]

`tiny` must take seconds, because the tests run every check at that size.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Size = Literal["full", "quick", "tiny"]


@dataclass(frozen=True)
class Peer:
    """Someone else doing the same work.

    Attributes:
        name: whose it is; the key of its target. Several peers of one name are several settings
            of it, and the fastest counts.
        run: does the work once. In a row of bytes it returns the number of bytes.
        setting: which of its settings this is, for the table.
        scale: the measured figure is multiplied by this, for a peer that does a known fraction of
            the work (one matrix product, half the length).
    """

    name: str
    run: Callable[[], Any]
    setting: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class Contest:
    """A row set up: callables that share weights and inputs.

    Attributes:
        ours: does the work once.
        peers: who else does it.
        check: the largest absolute difference between ours and each peer's result.
        tolerance: what `check` may return at most.
        note: the sizes that were chosen, for the table's footnotes.
        operations: multiplications and additions in matrix products that anyone must do for this.
        bytes_read: bytes from memory that anyone must read for this. By the machine's own rates
            the two give the least time in which it can be done, whoever does it.
    """

    ours: Callable[[], Any]
    peers: Sequence[Peer]
    check: Callable[[], float]
    tolerance: float = 1e-4
    note: str = ""
    operations: float = 0.0
    bytes_read: float = 0.0


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: short, without spaces; what `--rows` matches.
        work: what is measured, in words.
        targets: by peer's name, the least ratio peer / ours.
        setup: builds the contest at a size. It raises `Unavailable` if a peer is not installed.
        device: "cpu", or "cuda" for a row that `--gpu` runs.
        unit: "s" (the runner times the calls) or "bytes" (the calls return it).
    """

    name: str
    work: str
    targets: dict[str, float]
    setup: Callable[[Size], Contest]
    device: Literal["cpu", "cuda"] = "cpu"
    unit: Literal["s", "bytes"] = "s"


class Unavailable(Exception):
    """This row can't be run here; the message says what is missing."""


def require(*packages: str) -> None:
    """Raise `Unavailable` unless every package is installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise Unavailable(f"{package} is not installed; `make bench` installs it")


def largest_difference(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference of two tensors of one shape, in float32.

    >>> import torch
    >>> largest_difference(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
    0.5
    """
    if a.shape != b.shape:
        raise ValueError(f"results must have one shape: got {tuple(a.shape)} and {tuple(b.shape)}")
    return (a.float() - b.float()).abs().max().item()
