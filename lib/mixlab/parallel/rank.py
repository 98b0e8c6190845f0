"""The life of one rank, in its own process: join the others, run what comes, and answer.

What `processes.Ranks` starts. An answer is a result with what was sent for it, or a `Failure`.
"""

import os
import pickle
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from threading import Thread
from traceback import FrameSummary, StackSummary, format_exception_only, walk_tb
from typing import Any

import cloudpickle
import torch
from torch import distributed as dist

from mixlab.parallel.communicator import Communicator

WORDS = 200  # bytes in which a rank says where it stands
_COPIED = "<dynamic-code>"  # what cloudpickle calls the file of every function it copies


@dataclass(frozen=True)
class Failure:
    """What a rank sends instead of a result: the error in words, and the way to it."""

    words: str
    frames: StackSummary
    stood: str  # in which operation, if it was in one

    def way(self, function: Callable[..., Any] | None) -> str:
        """The traceback, with the lines of the function that ran; they may stand in a notebook."""
        own = getattr(function, "__code__", None)  # a copy has forgotten its file
        frames = [
            FrameSummary(own.co_filename, frame.lineno, frame.name)
            if own is not None and frame.name == own.co_name and frame.filename == _COPIED
            else frame
            for frame in self.frames
        ]
        return "".join(StackSummary.from_list(frames).format())


def serve(rank: int, world_size: int, store: str, pipe: connection.Connection, stands: Any) -> None:
    """The life of a rank: join the others, then run what comes until nothing comes any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the caller, who ends us
    Thread(target=_follow_parent, daemon=True).start()
    torch.set_num_threads(1)
    torch.seed()  # as a process of its own: the fork server's generator is the same for all

    def say(where: str) -> None:
        stands.value = where.encode()[: WORDS - 1]

    communicator = Communicator(rank, world_size, say)
    answer = _attempt(_join, communicator, store)
    while True:
        pipe.send_bytes(answer)
        try:
            work = pipe.recv_bytes()
        except EOFError:
            return
        if not work:
            return
        communicator.sent.clear()
        answer = _attempt(_call, communicator, work)


def _join(communicator: Communicator, store: str) -> None:
    """Join the group of ranks. They meet in a file, and talk over the loopback interface only."""
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if names:
        os.environ["GLOO_SOCKET_IFNAME"] = names[0]
    size = communicator.world_size
    meeting = dist.FileStore(store, size)
    dist.init_process_group("gloo", store=meeting, rank=communicator.rank, world_size=size)


def _call(communicator: Communicator, work: bytes) -> Any:
    function, arguments = pickle.loads(work)
    return function(communicator, *arguments)


def _attempt(step: Callable[..., Any], communicator: Communicator, given: Any) -> bytes:
    """What to answer: the result and what was sent for it, or the failure."""
    try:
        return cloudpickle.dumps((step(communicator, given), dict(communicator.sent)))
    except BaseException as error:  # sys.exit too: a rank that ends says so
        words = "".join(format_exception_only(error)).strip()
        way = list(walk_tb(error.__traceback__))[2:]  # without this function and `_call`
        frames = StackSummary.extract(way, lookup_lines=False)
        return cloudpickle.dumps(Failure(words, frames, communicator.standing))


def _follow_parent() -> None:
    """Die with the process that made the ranks, though it was killed."""
    connection.wait([parent_process().sentinel])
    os._exit(1)
