"""What a run of the grader keeps from one submission to the next: boxes and referees.

A box has imported torch and a referee nbval, and both took longer than most answers take. They
hand each notebook to a child, which ends with it, and a box sweeps away what that child wrote. So
they may serve one submission after another; one in which anything ended early is not used again.
Without bubblewrap, where submissions share the machine's folders, each gets a box of its own.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from classroom.environment import kernel_environment, own_folders
from classroom.grade.box import HERE, Box, Limits
from classroom.grade.protection import bubblewrap


class Referee:
    """nbval outside of the boxes, for one folder of notebooks after another (boxed_referee.py)."""

    def __init__(self, scratch: Path):
        environment = kernel_environment(scratch) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "classroom.grade.boxed_referee"],
            env=environment | {"PYTHONPATH": str(HERE.parents[1])},
            stdin=subprocess.PIPE,  # closes when this process ends, and the referee with it
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, folder: Path, place: Path, limit: float) -> None:
        """Run the folder's notebooks, with Jupyter's own files under `place`.

        What nbval says is in the folder's verdicts.jsonl. After `limit` seconds it is over.
        """
        environment = own_folders(place) | {"TMPDIR": str(place)}
        request = {"folder": str(folder), "environment": environment}
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # it has died
            self.close()
            return
        done, _, _ = select.select([self.process.stdout], [], [], limit)
        if not (done and self.process.stdout.readline()):
            self.close()

    def ready(self) -> bool:
        """Whether it waits for the next folder."""
        return self.process.poll() is None

    def close(self) -> None:
        """End it, and the kernels that it asked for."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _cores() -> list[int | None]:
    """Those that this process may run on; [None] where a process can't be kept to one."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else [None]


@dataclass
class Workshop:
    """A context: the boxes and referees of a run's graded notebooks, or of those that teach.

    `imports` is what most kernels will want imported, and `examiner` what their examiners are made
    from; without it kernels have none, and see what is right: they teach.
    """

    hidden: tuple[Path, ...]
    scratch: Path
    limits: Limits
    imports: tuple[str, ...]
    examiner: Path | None
    _idle: dict[Hashable, list] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _cores: Iterator[int | None] = field(default_factory=lambda: cycle(_cores()))

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, *_: object) -> None:
        for tools in self._idle.values():
            for tool in tools:
                tool.close()

    @property
    def teaches(self) -> bool:
        """Whether kernels see what is right, and their results count for nothing."""
        return self.examiner is None

    @contextmanager
    def box(self, libraries: tuple[Path, ...]) -> Iterator[Box]:
        """A box with these libraries."""

        def make() -> Box:
            facts = (self.scratch, self.hidden, self.limits, self.imports, self.examiner)
            return Box(libraries, *facts, next(self._cores)).open()

        with self._lend(libraries, make, again=bool(bubblewrap())) as box:
            yield box

    @contextmanager
    def referee(self) -> Iterator[Referee]:
        """A referee."""
        with self._lend(Referee, lambda: Referee(self.scratch), again=True) as referee:
            yield referee

    @contextmanager
    def _lend(self, kind: Hashable, make: Callable, again: bool) -> Iterator:
        with self._lock:
            idle = self._idle[kind]
            tool = idle.pop() if idle else None
        tool = tool or make()
        try:
            yield tool
        except BaseException:
            tool.close()
            raise
        if again and tool.ready():
            with self._lock:
                self._idle[kind].append(tool)
        else:
            tool.close()
