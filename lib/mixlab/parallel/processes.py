"""Ranks as real processes, started once and given functions to run, also out of a notebook's cell.

    with Ranks(4) as ranks:
        sums = ranks.run(lambda communicator, x: communicator.all_reduce(x * communicator.rank), x)

`run` calls the function on every rank and returns the results, rank by rank. All ranks live on this
machine, one thread each, and are joined by torch.distributed's gloo over the loopback interface.

Whatever happens, it ends: a rank that raises, exits, is killed, or doesn't come back in `timeout`
ends all ranks, and `RankError` tells which one it was, what it raised, and where the others stood.
Ranks end with `close`, with the `with` block, and with the process that made them, however it dies.
What stays until that process ends is multiprocessing's *fork server*: a process that has imported
torch once, and becomes a new rank in milliseconds, where a fresh Python takes seconds. The notebook
itself is never forked, since a copy of a process whose OpenMP threads run may hang.

A script that makes ranks does so under `if __name__ == "__main__":`, as multiprocessing asks.
Left out: several machines, and ranks that come and go.
"""

import pickle
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection, get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

import cloudpickle

from mixlab.parallel.communicator import Sent
from mixlab.parallel.rank import WORDS, Failure, serve

_START_SECONDS = 120.0  # to import torch on a busy machine, the first time
_REAP_SECONDS = 5.0  # until a dead rank's exit code is known
_GRACE_SECONDS = 0.5  # for the others to say what befell them, once a rank has failed

# What may become of a rank, the likeliest cause first: one that failed in the middle of an
# operation was perhaps let down by another.
_DIED, _RAISED, _FAILED, _HUNG, _FINISHED = range(5)


class RankError(RuntimeError):
    """A rank failed or hung, and all were ended.

    Attributes:
        rank: the one that failed first, or the first that hung.
        standing: what became of every rank, or where it stood, in words.
    """

    def __init__(self, message: str, rank: int, standing: dict[int, str]):
        super().__init__(message)
        self.rank, self.standing = rank, standing


class Ranks:
    """`world_size` processes that wait for functions to run.

    Args:
        world_size: how many.
        timeout: seconds after which a run is given up; may be set anew between runs.

    Attributes:
        sent: what each rank sent in the last run, by kind; see `communicator`.
        processes: the ranks; empty when they have ended.

    Raises:
        ValueError: for fewer than one rank, or a timeout that isn't positive.
        RankError: if they can't be started.
    """

    def __init__(self, world_size: int, timeout: float = 30.0):
        if world_size < 1 or not timeout > 0:
            raise ValueError(
                "ranks need a world_size of at least 1 and a timeout above 0 seconds: got "
                f"world_size={world_size}, timeout={timeout}"
            )
        self.world_size, self.timeout = world_size, timeout
        self.sent: list[dict[str, Sent]] = []
        context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
        if context.get_start_method() == "forkserver":
            context.set_forkserver_preload(
                ["mixlab.parallel.rank", "mixlab.parallel.expert_sharding"]
            )
        self._stands = [RawArray("c", WORDS) for _ in range(world_size)]
        self.processes: list[BaseProcess] = []
        self._pipes = []
        try:
            with tempfile.TemporaryDirectory() as meeting:
                for rank in range(world_size):
                    self._start(context, rank, str(Path(meeting) / "store"))
                self._collect(_START_SECONDS)
        except BaseException:
            self._kill()
            raise

    def _start(self, context: BaseContext, rank: int, store: str) -> None:
        ours, theirs = context.Pipe()
        self._pipes.append(ours)
        given = (rank, self.world_size, store, theirs, self._stands[rank])
        process = context.Process(target=serve, args=given, daemon=True)
        process.start()
        self.processes.append(process)
        theirs.close()

    def __enter__(self) -> "Ranks":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call `function(communicator, *arguments)` on every rank; the results, rank by rank.

        Function, arguments and results travel as copies (cloudpickle).

        Raises:
            RankError: if a rank fails, or the run takes longer than `timeout`.
            ValueError: if the ranks have ended.
        """
        if not self.processes:
            raise ValueError("these ranks have ended, by close or by an error: make new ones")
        work = cloudpickle.dumps((function, arguments))
        try:
            for pipe in self._pipes:
                _tell(pipe, work)
            answers = self._collect(self.timeout, function)
        except BaseException:  # an interrupt too
            self._kill()
            raise
        self.sent = [sent for _, sent in answers]
        return [result for result, _ in answers]

    def close(self) -> None:
        """End the ranks; again, or after an error, does nothing."""
        for pipe in self._pipes:
            _tell(pipe, b"")
        until = time.monotonic() + 1.0
        for process in self.processes:
            process.join(max(0.0, until - time.monotonic()))
        self._kill()

    def _collect(self, timeout: float, function: Callable[..., Any] | None = None) -> list[Any]:
        """One answer from every rank, or the error that tells why there is none."""
        answers: dict[int, Any] = {}
        until, failed = time.monotonic() + timeout, False
        while len(answers) < self.world_size and (left := until - time.monotonic()) > 0:
            waiting = [rank for rank in range(self.world_size) if rank not in answers]
            ends = [self._pipes[rank] for rank in waiting]
            ends += [self.processes[rank].sentinel for rank in waiting]
            ready = connection.wait(ends, left)
            for rank in waiting:
                if self._pipes[rank] in ready:
                    answers[rank] = _heard(self._pipes[rank])
                elif self.processes[rank].sentinel in ready:
                    answers[rank] = None  # it died
            if not failed and any(not isinstance(answer, tuple) for answer in answers.values()):
                failed, until = True, min(until, time.monotonic() + _GRACE_SECONDS)
        if failed or len(answers) < self.world_size:
            raise self._error(answers, timeout, function)
        return [answers[rank] for rank in range(self.world_size)]

    def _error(
        self, answers: dict[int, Any], timeout: float, function: Callable[..., Any] | None
    ) -> RankError:
        """Which rank was the first cause, and what of the others."""
        standing, guilt = {}, {}
        for rank in range(self.world_size):
            standing[rank], guilt[rank] = self._stood(rank, answers)
        rank = min(guilt, key=guilt.__getitem__)
        message = f"rank {rank} {standing[rank]}"
        if guilt[rank] == _HUNG:
            message = f"after {timeout:g} s not every rank had finished: {message}"
        if others := [f"rank {r} {stood}" for r, stood in standing.items() if r != rank]:
            message += ". The others: " + "; ".join(others)
        if isinstance(failure := answers.get(rank), Failure):
            message += f"\n\nThe way to it on rank {rank}:\n{failure.way(function)}{failure.words}"
        return RankError(message, rank, standing)

    def _stood(self, rank: int, answers: dict[int, Any]) -> tuple[str, int]:
        """What became of a rank, in words, and how likely it is the cause: the lower, the more."""
        if rank not in answers:
            where = self._stands[rank].value.decode(errors="ignore")
            return f"waited in {where}" if where else "was computing", _HUNG
        answer = answers[rank]
        if answer is None:
            self.processes[rank].join(_REAP_SECONDS)
            code = self.processes[rank].exitcode
            killed = code is not None and code < 0
            how = f"was killed by {signal.Signals(-code).name}" if killed else f"exited with {code}"
            return how, _DIED
        if not isinstance(answer, Failure):
            return "had finished", _FINISHED
        if answer.stood:
            return f"failed in {answer.stood}", _FAILED
        return f"raised {answer.words}", _RAISED

    def _kill(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()
            process.close()
        for pipe in self._pipes:
            pipe.close()
        self.processes, self._pipes = [], []


def _tell(pipe: connection.Connection, message: bytes) -> None:
    """Send to a rank; that it is dead is seen when its answer is waited for."""
    with suppress(OSError):
        pipe.send_bytes(message)


def _heard(pipe: connection.Connection) -> Any:
    """A rank's answer: (result, sent), a `Failure`, or None if it died while answering."""
    try:
        return pickle.loads(pipe.recv_bytes())
    except (EOFError, OSError):
        return None
