"""What ranks say to each other: messages, collectives made of messages, and a count of both.

A *rank* is a process with a number; `world_size` of them work together. All that one can do to
another is to send it a tensor. Collectives, in which every rank takes part, are made of such
messages here, so what the ledger counts is what was sent, by the kind of operation that sent it:

    send, isend           n bytes, one message
    broadcast             the root sends its n bytes to each of the others
    all_gather            around a circle of ranks: each passes on world_size - 1 times n bytes
    all_reduce            twice around it, in pieces: 2 (world_size - 1) / world_size · n bytes
    all_to_all            to each of the others what is meant for it, and before, 8 bytes: how much

PyTorch's own collectives over gloo give the same results by ways of their own; these are here to be
read and counted. No operation changes the tensor it is given. Sources: Patarasuk and Yuan,
"Bandwidth optimal all-reduce algorithms for clusters of workstations" (2009), section 3 (the *ring
all-reduce*, a ring of ranks and not the cache's ring of slots); `torch.distributed`, which carries
the messages. Left out: groups of some of the ranks, and reductions other than the sum.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Num
from torch import Tensor
from torch import distributed as dist

Anything = Num[Tensor, "*shape"]


@dataclass
class Sent:
    """What a rank has sent by operations of one kind."""

    messages: int = 0
    bytes: int = 0


class Communicator:
    """One rank's end of the line. `processes.Ranks` makes it; functions that run on ranks get it.

    Args:
        rank, world_size: this rank's number, and how many there are.
        stands: told in words where this rank waits, and "" when it goes on.

    Attributes:
        sent: what this rank has sent in this run, by kind of operation.
        kept: what this rank's functions keep here from one run to the next.
    """

    def __init__(self, rank: int, world_size: int, stands: Callable[[str], object]):
        self.rank, self.world_size = rank, world_size
        self.sent: dict[str, Sent] = defaultdict(Sent)
        self.kept: dict[str, Any] = {}
        self._stands = stands
        self._within: list[str] = []

    def send(self, x: Anything, to: int) -> None:
        """Send a tensor (*shape); returns when rank `to` has taken it, and waits until then."""
        with self._in("send", f"to rank {to}"):
            dist.send(self._counted(x), to)

    def isend(self, x: Anything, to: int) -> Callable[[], None]:
        """Begin to send a tensor (*shape) and go on. The result waits: call it before x changes."""
        with self._in("isend", f"to rank {to}"):
            work = dist.isend(self._counted(x), to)

        def wait() -> None:
            with self._in("isend", f"to rank {to}"):
                work.wait()

        return wait

    def recv(
        self, shape: Sequence[int], source: int, dtype: torch.dtype = torch.float32
    ) -> Anything:
        """Wait for a tensor from rank `source`; both sides know its shape and dtype."""
        with self._in("recv", f"from rank {source}"):
            received = torch.empty(tuple(shape), dtype=dtype)
            dist.recv(received, source)
            return received

    def exchange(self, x: Anything, to: int, shape: Sequence[int], source: int) -> Anything:
        """Send x (*shape) to one rank while taking a tensor of its dtype from another, or the same.

        Nobody waits for anybody to begin, so all ranks may call it at once. A tensor of no numbers
        is no message.
        """
        with self._in("exchange", f"to rank {to}, from rank {source}"):
            work = dist.isend(self._counted(x), to) if x.numel() else None
            received = torch.empty(tuple(shape), dtype=x.dtype)
            if received.numel():
                dist.recv(received, source)
            if work is not None:
                work.wait()
            return received

    def barrier(self) -> None:
        """Wait until every rank is here. Moves nothing that is counted."""
        with self._in("barrier", ""):
            dist.barrier()

    def broadcast(self, x: Anything, root: int = 0) -> Anything:
        """The root's x (*shape) on every rank; the others' says only which shape and dtype."""
        with self._in("broadcast", f"from rank {root}"):
            if self.rank != root:
                received = torch.empty(x.shape, dtype=x.dtype)
                dist.recv(received, root)
                return received
            works = [dist.isend(self._counted(x), to) for to in self._others()]
            for work in works:
                work.wait()
            return x.clone()

    def all_gather(self, x: Anything) -> list[Anything]:
        """Every rank's x (*shape), in the order of ranks, on every rank; shapes are equal."""
        with self._in("all_gather", ""):
            gathered = [x.clone() for _ in range(self.world_size)]
            for step in range(self.world_size - 1):
                passed, new = self.rank - step, self.rank - step - 1
                gathered[new % self.world_size] = self._around(
                    gathered[passed % self.world_size], gathered[new % self.world_size].shape
                )
            return gathered

    def all_reduce(self, x: Anything) -> Anything:
        """The sum of every rank's x (*shape), the same to the last bit on every rank.

        x is cut into world_size pieces. In the first round a piece travels once around the circle
        and every rank adds its own numbers; in the second the finished pieces go around.
        """
        with self._in("all_reduce", ""):
            total = x.flatten().clone()
            pieces = total.tensor_split(self.world_size)  # views: what changes them changes total
            for step in range(2 * (self.world_size - 1)):
                adding = step < self.world_size - 1
                piece = pieces[(self.rank - step - 1) % self.world_size]
                received = self._around(pieces[(self.rank - step) % self.world_size], piece.shape)
                piece.copy_(piece + received if adding else received)
            return total.view(x.shape)

    def all_to_all(self, parts: Sequence[Anything]) -> list[Anything]:
        """Part number r goes to rank r; what comes back is what the ranks had for this one.

        Parts are (rows, *rest), and may differ in their number of rows, which is told before.
        """
        with self._in("all_to_all", ""):
            received = [parts[self.rank].clone()] * self.world_size
            for step in range(1, self.world_size):
                to, source = (self.rank + step) % self.world_size, self.rank - step
                source %= self.world_size
                rows = self.exchange(torch.tensor([len(parts[to])]), to, (1,), source)
                shape = (int(rows), *parts[to].shape[1:])
                received[source] = self.exchange(parts[to], to, shape, source)
            return received

    def _around(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Send x (*shape) to the next rank of the circle, and take one from the rank before."""
        after, before = (self.rank + 1) % self.world_size, (self.rank - 1) % self.world_size
        return self.exchange(x, after, shape, before)

    def _others(self) -> list[int]:
        return [rank for rank in range(self.world_size) if rank != self.rank]

    def _counted(self, x: Tensor) -> Tensor:
        """x (*shape) as it is sent, entered under the operation that a function called."""
        sent = self.sent[self._within[0].partition(" ")[0]]
        sent.messages += 1
        sent.bytes += x.nbytes
        return x.contiguous()

    @contextmanager
    def _in(self, kind: str, whom: str) -> Iterator[None]:
        """Say where this rank stands while it takes part in an operation.

        After an error it keeps standing there, which tells a rank that failed from one that was
        let down by another.
        """
        self._within.append(f"{kind} {whom}".strip())
        self._stands(self.standing)
        yield
        self._within.pop()
        self._stands(self.standing)

    @property
    def standing(self) -> str:
        """The operation this rank is in, outermost first; "" in none."""
        return ": ".join(self._within)
