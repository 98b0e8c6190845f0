"""nbval outside of the box: compares what boxed kernels print with what only it can see.

`python -m classroom.grade.boxed_referee` reads a line of JSON from its standard input, which names
a folder, and lets a child of its own, which forgets everything, run every notebook there, in the
order of their names, each within the seconds that its metadata gives a cell. The child writes a
line of JSON to verdicts.jsonl in the folder as soon as a cell is decided, so that a run which ends
early keeps what it had. Then a line is answered, and the next folder may come.

nbval itself is bent in four places, each because a submission would otherwise decide, and Jupyter
no longer waits a fixed time where it can be told (`hurry`):

- kernels are reached over local sockets in the box's own folder, never over the network;
- a kernel that is dead is noticed within a second, not after the cell's whole time;
- messages are counted, and a kernel that floods or talks past its notebook's time is cut off;
- of a check's output only the lines of checks are compared (check_lines.py), and results that came
  sealed are opened first, and held against the expected ones number by number (sealed.py).
"""

import gc
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from classroom.check_lines import compare_check_lines
from classroom.environment import SLOW_IMPORT
from classroom.flood import MAX_TEXT, cut_off_floods
from classroom.grade.sealed import agree, unseal

MAX_WAIT = 60  # seconds for a message, where nbval names none
MEMORY = 2**31


def hurry() -> None:
    """Take a kernel for ready when it says so, and for ended when it has.

    Jupyter listens for another fifth of a second whether more comes, which nbval then asks for
    itself, and looks every tenth of a second whether a kernel has ended.
    """
    import nbval.kernel
    from jupyter_client import BlockingKernelClient

    def wait_for_ready(self, timeout):
        until = time.monotonic() + timeout
        while self.is_alive() and time.monotonic() < until:
            self.kernel_info()
            with suppress(nbval.kernel.Empty):
                self.get_shell_msg(timeout=1)
                self.get_iopub_msg(timeout=0.2)
                return
        raise RuntimeError("the kernel did not answer")

    def stop(self):
        process = self.km.provisioner.process
        process.kill()
        process.wait()
        original(self)

    BlockingKernelClient.wait_for_ready = wait_for_ready
    original = nbval.kernel.RunningKernel.stop
    nbval.kernel.RunningKernel.stop = stop
    nbval.kernel.pformat = str  # of every message, for a log that nobody keeps


def warm_up() -> None:
    """Load what every child needs, and keep collections of garbage from copying it there."""
    import pytest

    with tempfile.TemporaryDirectory() as nothing:
        pytest.main(["--collect-only", "-p", "no:cacheprovider", "--rootdir", nothing, nothing])
    gc.freeze()


def bend_nbval() -> None:
    """Put the four changes in place."""
    import nbval.kernel
    import nbval.plugin
    import zmq
    from jupyter_client.manager import KernelManager

    @cache  # for all kernels: each context has threads, and the memory of some sixty fills MEMORY
    def context():
        made = zmq.Context()
        made.setsockopt(zmq.MAXMSGSIZE, MAX_TEXT)
        made.setsockopt(zmq.RECONNECT_IVL, 10)  # ms, until the kernel opens its sockets
        return made

    def manager(kernel_name, kernel_spec_manager):
        spec = kernel_spec_manager.get_kernel_spec(kernel_name)
        return KernelManager(
            kernel_name=kernel_name,
            kernel_spec_manager=kernel_spec_manager,
            context=context(),
            transport="ipc",
            ip=str(Path(spec.metadata["sockets"]) / kernel_name),
        )

    def get_message(self, stream, timeout=None):
        until = time.monotonic() + (MAX_WAIT if timeout is None else timeout)
        while True:
            now = time.monotonic()
            if now > getattr(self, "deadline", now):
                self.cut_off("Timeout: the notebook took too long")
            try:
                return original(self, stream, timeout=max(0.0, min(1.0, until - now)))
            except nbval.kernel.Empty:
                if not self.is_alive():
                    interrupted = getattr(self, "interrupted", False)  # which ends a boxed kernel
                    self.cut_off("Timeout: " if interrupted else "Died: the kernel ended")
                if time.monotonic() >= until:
                    raise

    def interrupt(self):
        self.interrupted = True
        self.km.interrupt_kernel()

    def start(self):
        seconds = float(self.nb.metadata["seconds"])
        self.config.option.nbval_cell_timeout = seconds
        start_kernel(self)
        self.kernel.deadline = time.monotonic() + 2 * seconds + 5

    cut_off_floods()
    nbval.kernel.KernelManager = manager
    original = nbval.kernel.RunningKernel.get_message
    nbval.kernel.RunningKernel.get_message = get_message
    nbval.kernel.RunningKernel.interrupt = interrupt
    start_kernel = nbval.plugin.IPyNbFile.setup
    nbval.plugin.IPyNbFile.setup = start
    compare_check_lines(opened)


def opened(cell, found: list[str], expected: list[str]) -> list[str]:
    """The expected line, if the one that a kernel printed holds the same results under its seal."""
    facts = cell.parent.nb.metadata.get("sealed")
    if facts is None:
        return found
    ident, _, wanted = expected[0].partition(" ✓ ")
    if len(found) != 1 or not found[0].startswith(f"{ident} ✓ "):
        return found
    try:
        results = unseal(found[0].partition(" ✓ ")[2], bytes.fromhex(facts["key"]), facts["mark"])
    except ValueError:
        return found
    return expected if agree(results, wanted, facts["atol"]) else [f"{ident} ✗"]


class Scribe:
    """Writes down what pytest reports of each cell, at once."""

    def __init__(self, path: Path):
        self.file = path.open("a", encoding="utf-8")

    def pytest_runtest_logreport(self, report) -> None:
        """A cell's call, or whatever went wrong around it."""
        if report.when != "call" and report.passed:
            return
        expected_to_fail = hasattr(report, "wasxfail")
        verdict = {
            "notebook": Path(report.nodeid.split("::")[0]).name,
            "passed": report.when == "call" and report.passed and not expected_to_fail,
            "outcome": "xfailed" if expected_to_fail else report.outcome,
            "report": str(report.longrepr or "")[-20_000:],
            "seconds": round(report.duration, 2),
        }
        self.file.write(json.dumps(verdict) + "\n")
        self.file.flush()


def run(folder: Path) -> int:
    """Run a folder's notebooks; their verdicts are in it."""
    import pytest

    os.chdir(folder)
    names = sorted(path.name for path in folder.glob("*.ipynb"))
    return pytest.main(
        [
            *("-p", "nbval.plugin", "-p", "no:cacheprovider", "-q", "-c", "pytest.ini"),
            *("--rootdir", ".", "--confcutdir", ".", "--nbval-lax", "--color=no"),
            *names,
        ],
        plugins=[Scribe(folder / "verdicts.jsonl")],
    )


def _wait(child: int) -> None:
    """Until the child ends, or, with everything, until the grader does.

    Nothing is asked before the answer: what can be read meanwhile is that the input has ended.
    """
    while not os.waitpid(child, os.WNOHANG)[0]:
        if select.select([0], [], [], 0.02)[0]:
            os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Serve folders until standard input ends: with the process that started this one."""
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.modules[SLOW_IMPORT] = None
    bend_nbval()
    hurry()
    warm_up()
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if not child:
            os.close(answers)
            os.environ.update(request["environment"])
            tempfile.tempdir = None
            os._exit(run(Path(request["folder"])))
        _wait(child)
        os.write(answers, b"done\n")


if __name__ == "__main__":
    main()
