"""Inside the sandbox: import what every kernel needs once, then fork one kernel at a time.

Importing torch takes two seconds of CPU, a fork a hundredth of one. The box serves the exercises
of one submission, in turn: a request comes over the listening socket that this process inherits,
one line of JSON with Jupyter's connection facts, the exercise, the kernel's part of the library,
its limits and its room. The connection stands for the kernel: closed from outside,
the kernel is killed; when the kernel ends, it closes. Between two kernels everything that the last
one wrote is removed. A pipe stands for the grader: when that is gone, however it ended, nothing
here stays.

This process is trusted and runs no answer. Its children are kernels: each takes limits, a few
folders and a filter of system calls upon itself before it reads the first cell. A kernel that is
graded has an examiner beside it, another child, which holds the inputs and talks with the kernel's
check over a pair of sockets. Its modules and seeds come from an open file, which this process has
never read and no kernel has.
"""

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from zipimport import zipimporter

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


def serve(listener: socket.socket, facts: dict) -> None:
    """Accept requests for ever, one kernel at a time."""
    from watch import Memory, sweep, wait

    while True:
        connection, _ = listener.accept()
        with connection:
            line = connection.makefile("r", encoding="utf-8").readline()
            if not line:
                continue
            request = json.loads(line)
            ours = [facts["lifeline"], listener.fileno(), connection.fileno()]
            with _examiner(request, facts, ours) as channel:
                child = os.fork()
                if not child:
                    _close(*ours, facts.get("examiner"))
                    become_kernel(request, facts, channel)
                os.close(channel)
                room = request["room"]
                most = inf if room is None else room + Memory(os.getpid()).most()
                wait(child, connection, facts["in_memory"], most)
        for folder in facts["sweep"]:
            sweep(folder, facts["keep"])


@contextmanager
def _examiner(request: dict, facts: dict, ours: list[int]) -> Iterator[int]:
    """Run a kernel's examiner meanwhile; yields the kernel's end of the channel to it."""
    here, there = (end.detach() for end in socket.socketpair())
    child = os.fork() if "examiner" in facts else 0
    if not child and "examiner" in facts:
        _close(*ours, here)
        become_examiner(request, facts, there)
    os.close(there)
    try:
        yield here
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _close(*files: int | None) -> None:
    for file in files:
        if file is not None:
            os.close(file)


def end_with(lifeline: int) -> None:
    """Wait until the other end of a pipe closes, then end this process and its kernels."""
    while os.read(lifeline, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def become_examiner(request: dict, facts: dict, channel: int) -> None:
    """Turn this process into a limited examiner; does not return. It stays closed to kernels.

    It reads what a kernel sends: so it gives up its own files before it listens.
    """
    status = 1
    try:
        limits = request["limits"]
        _become_limited(limits | {"RLIMIT_AS": limits["RLIMIT_AS"] // 2})  # arguments are small
        source = f"/dev/fd/{facts['examiner']}"
        sys.path.insert(0, source)
        from multiprocessing.connection import Connection

        from sealed import seal

        examiner = importlib.import_module("mixlab.examination.examiner")  # the zip's
        exercise = request["exercise"]
        given = json.loads(zipimporter(source).get_data("examined.json"))
        module, seed = given["examined"][exercise]
        sealed = partial(seal, key=bytes.fromhex(given["key"]), mark=request["mark"])
        confine = partial(_confine, facts, facts["read"], [], [])
        examiner.examine(Connection(channel), exercise, module, seed, sealed, confine)
        status = 0
    finally:
        os._exit(status)


def become_kernel(request: dict, facts: dict, channel: int) -> None:
    """Turn this process into a limited kernel; does not return."""
    status = 1
    try:
        _become_limited(request["limits"])
        _prctl(PR_SET_DUMPABLE, 1)
        os.environ["MIXLAB_EXAMINER"] = str(channel)
        os.chdir(facts["work"])
        connection_file = os.path.join(facts["work"], ".kernel.json")
        with open(connection_file, "w", encoding="utf-8") as file:
            json.dump(request["connection"], file)
        sys.path.insert(0, request["library"])
        read = [*facts["read"], request["library"]]
        _confine(facts, read, facts["write"], facts["sockets"])
        from ipykernel.kernelapp import IPKernelApp
        from ipykernel.zmqshell import ZMQInteractiveShell

        ZMQInteractiveShell.system, ZMQInteractiveShell.getoutput = _no_command, _no_output
        sys.argv = ["ipykernel"]
        IPKernelApp.launch_instance(["-f", connection_file, "--HistoryManager.enabled=False"])
        status = 0
    finally:
        os._exit(status)


def _no_command(shell, command: str) -> None:
    """What `!ls` and `%pip install` do here: no program runs, and a leftover line harms nobody."""
    print(f"Not run, as no command is where answers are graded: {command[:200]}")
    shell.user_ns["_exit_code"] = 127


def _no_output(shell, command: str, split: bool = True, depth: int = 0) -> list | str:
    """What `files = !ls` does here."""
    _no_command(shell, command)
    return [] if split else ""


def _become_limited(limits: dict[str, int]) -> None:
    """A child's first steps: nothing said, no life after its parent, and its limits."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for name, limit in limits.items():
        resource.setrlimit(getattr(resource, name), (limit, limit))


def _confine(facts: dict, read: list[str], write: list[str], sockets: list[str]) -> None:
    """Give up all other files and most system calls, for good.

    Raises:
        OSError: where that can't be had.
    """
    import landlock
    import seccomp

    if facts["landlock"] and not landlock.restrict(read, write, sockets):
        raise OSError("the kernel could not be kept to its folders")
    if not seccomp.refuse_calls():
        if sys.platform == "linux":
            raise OSError("this machine has no filter of system calls that we know")
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))  # elsewhere threads don't count


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _without_debugger() -> None:
    """Let ipykernel learn, once, that nothing debugs it: or each kernel would load a debugger,
    half of all its work."""
    sys.modules["debugpy"] = None
    importlib.import_module("ipykernel.debugger")
    del sys.modules["debugpy"]


def main() -> None:
    """`inside.py FACTS`: facts as JSON with the listener's and the lifeline's numbers; the core to
    run on, or None; the folders to work in, to sweep, to keep, in memory, to read, to write and for
    sockets; whether to use Landlock; what to import."""
    facts = json.loads(sys.argv[1])
    if facts["core"] is not None:
        os.sched_setaffinity(0, {facts["core"]})
    threading.Thread(target=end_with, args=[facts["lifeline"]], daemon=True).start()
    _prctl(PR_SET_DUMPABLE, 0)  # a kernel must not look into this process
    for name in (
        "landlock",
        "seccomp",
        "sealed",
        "watch",
    ):  # beside this file, which an answer need not see
        importlib.import_module(name)
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    listener = socket.socket(fileno=facts["listener"])
    for name in facts["imports"]:
        try:
            importlib.import_module(name)
        except ImportError:  # the answer that wants it will say so
            continue
    _without_debugger()
    gc.freeze()  # or every kernel's first collection would copy all of torch's pages
    serve(listener, facts)


if __name__ == "__main__":
    main()
