"""The filter of system calls refuses what it names, and leaves threads and files alone."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from classroom.grade import seccomp

HERE = Path(seccomp.__file__).parent
PROBE = """
import ctypes, errno, json, os, socket, sys, threading
sys.path.insert(0, sys.argv[1])
import seccomp
assert seccomp.refuse_calls()
found = {}
def attempt(name, call):
    try:
        call()
        found[name] = "allowed"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
    except RuntimeError:
        found[name] = "refused"
attempt("fork", os.fork)
attempt("exec", lambda: os.execv("/bin/true", ["true"]))
attempt("spawn", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("inet", socket.socket)
attempt("unix", lambda: socket.socketpair())
attempt("memfd", lambda: os.memfd_create("x"))
attempt("signal others", lambda: os.kill(os.getppid(), 0))
attempt("signal all", lambda: os.kill(-1, 0))
attempt("signal itself", lambda: os.kill(os.getpid(), 0))
attempt("pidfd", lambda: os.pidfd_open(os.getppid()))
def thread():
    t = threading.Thread(target=lambda: None); t.start(); t.join()
attempt("thread", thread)
import fcntl, signal
attempt("datagram", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
listener = socket.socket(socket.AF_UNIX)
attempt("wait to be called", lambda: listener.bind(sys.argv[2] + ".socket"))
attempt("call", lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[2] + ".socket"))
attempt("call without a name", lambda: socket.socket(socket.AF_UNIX).connect("\\0name"))
attempt("signal by a file", lambda: fcntl.fcntl(listener, fcntl.F_SETOWN, os.getppid()))
libc = ctypes.CDLL(None, use_errno=True)
def refused_if(code):
    if code:
        raise OSError(ctypes.get_errno(), "")
attempt("outlive its box", lambda: refused_if(libc.prctl(1, 0, 0, 0, 0)))
attempt("other prctl", lambda: refused_if(libc.prctl(15, b"a name", 0, 0, 0)))
attempt("put others to sleep", lambda: os.sched_setscheduler(
    os.getppid(), os.SCHED_IDLE, os.sched_param(0)))
attempt("take turns", lambda: os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0)))
attempt("move others", lambda: os.sched_setaffinity(os.getppid(), {0}))
attempt("move itself", lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)))
attempt("leave its session", os.setsid)
attempt("leave its group", lambda: os.setpgid(0, 0))
attempt("other fcntl", lambda: fcntl.fcntl(listener, fcntl.F_GETFD))
attempt("file", lambda: open(sys.argv[2], "w").close())
before = os.stat(sys.argv[2])
os.chmod(sys.argv[2], 0o400)
os.utime(sys.argv[2], (1, 1))
os.chown(sys.argv[2], 1, 1)
os.setxattr(sys.argv[2], "user.x", b"a message")
after = os.stat(sys.argv[2])
assert [*before] == [*after] and os.listxattr(sys.argv[2]) == []
print(json.dumps(found))
"""


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in seccomp.MACHINES,
    reason="the filter is Linux's",
)
def test_the_filter_refuses_what_it_names(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-c", PROBE, str(HERE), str(tmp_path / "file")],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    allowed = {"unix", "signal itself", "thread", "file", "wait to be called", "other fcntl"}
    allowed |= {"other prctl", "move itself", "take turns"}
    assert {name for name, how in found.items() if how == "allowed"} == allowed
    assert found["outlive its box"] == found["leave its session"] == "EPERM"
    assert found["fork"] == found["exec"] == "EPERM"


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_every_jump_of_the_filter_lands_inside_it(machine):
    lines = seccomp.program(machine, 7)
    for position, (operation, true, false, _) in enumerate(lines):
        if operation in (seccomp.EQUAL, seccomp.GREATER_EQUAL):
            assert position + 1 + max(true, false) < len(lines)
    assert lines[-1] == (seccomp.RETURN, 0, 0, seccomp.ALLOW)
