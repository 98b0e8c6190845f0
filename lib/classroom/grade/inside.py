"""Inside the sandbox: import what every kernel needs once, then fork one kernel at a time.

Importing torch takes two seconds of CPU, a fork a hundredth of one. The box serves the exercises
of one submission, in turn: a request comes over the listening socket that this process inherits,
one line of JSON with Jupyter's connection facts and the kernel's environment. The connection stands
for the kernel: closed from outside, the kernel is killed; when the kernel ends, it closes. Between
two kernels everything that the last one wrote is removed.

This process is trusted and runs no answer. Its children are kernels: each takes limits and a
filter of system calls upon itself before it reads the first cell.
"""

import ctypes
import importlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys

PR_SET_DUMPABLE = 4


def serve(listener: socket.socket, facts: dict) -> None:
    """Accept requests for ever, one kernel at a time."""
    while True:
        connection, _ = listener.accept()
        with connection:
            request = connection.makefile("r", encoding="utf-8").readline()
            if not request:
                continue
            child = os.fork()
            if not child:
                listener.close()
                connection.close()
                become_kernel(json.loads(request), facts["work"], facts["limits"])
            _wait(child, connection)
        for folder in facts["sweep"]:
            left = [os.path.join(folder, name) for name in os.listdir(folder)]
            if left:  # a box that cannot be swept is not used again
                subprocess.run(["rm", "-rf", "--one-file-system", "--", *left], check=True)


def _wait(child: int, connection: socket.socket) -> None:
    """Until the kernel ends or the connection does; then neither is left."""
    while True:
        closed, _, _ = select.select([connection], [], [], 0.05)
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            return
        if closed:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return


def become_kernel(request: dict, work: str, limits: dict[str, int]) -> None:
    """Turn this process into a limited kernel; does not return."""
    import seccomp

    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        _prctl(PR_SET_DUMPABLE, 1)
        os.environ.update(request["environment"])
        os.chdir(work)
        connection_file = os.path.join(work, ".kernel.json")
        with open(connection_file, "w", encoding="utf-8") as file:
            json.dump(request["connection"], file)
        for name, limit in limits.items():
            resource.setrlimit(getattr(resource, name), (limit, limit))
        if not seccomp.refuse_calls():
            if sys.platform == "linux":
                raise OSError("this machine has no filter of system calls that we know")
            resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))  # elsewhere threads don't count
        from ipykernel.kernelapp import IPKernelApp

        sys.argv = ["ipykernel"]
        IPKernelApp.launch_instance(["-f", connection_file, "--HistoryManager.enabled=False"])
        status = 0
    finally:
        os._exit(status)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main() -> None:
    """`inside.py FACTS`: facts as JSON with the listener's number, work and sweep folders,
    limits and imports."""
    facts = json.loads(sys.argv[1])
    _prctl(PR_SET_DUMPABLE, 0)  # a kernel must not look into this process
    importlib.import_module("seccomp")  # beside this file, which an answer need not see
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    listener = socket.socket(fileno=facts["listener"])
    for name in facts["imports"]:
        importlib.import_module(name)
    serve(listener, facts)


if __name__ == "__main__":
    main()
