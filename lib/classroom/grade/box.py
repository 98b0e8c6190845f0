"""A sandbox for kernels, one at a time: bubblewrap around `inside.py`.

An answer sees the interpreter, the installed packages, its part of the library and a folder of its
own in memory; no network, no other process, no home, nothing writable that lasts. The library's
other parts, staged for other exercises, lie in the same box where Linux can hide them from each
kernel (Landlock); elsewhere each part gets a box of its own. Without bubblewrap the limits, the
filter of system calls and Landlock remain (protection.py).
"""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from classroom.grade.protection import bubblewrap, keeps_to_folders
from classroom.grade.scratch import remove_tree

HERE = Path(__file__).parent
# Not resolved: a virtual environment is known by the link. Without "..": the way may be hidden.
PYTHON = os.path.abspath(sys.executable)
MEGABYTE = 2**20
READY_SECONDS = 10  # to end a kernel and to remove what it wrote, on a busy machine
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SETTINGS = ("ld.so.cache", "ld.so.conf", "localtime", "fonts", "alternatives")
FACTS_OF_LINUX = ("self", "cpuinfo", "meminfo", "stat", "filesystems", "version", "sys/vm")
DEVICES = ("/dev/urandom", "/dev/random", "/dev/zero", "/dev/full")


@dataclass(frozen=True)
class Limits:
    """What one kernel may take. Memory is address space: torch alone maps 0.7 GB of it."""

    memory: int = 3 * 2**30
    cpu_seconds: int = 60
    file_size: int = 64 * MEGABYTE
    open_files: int = 256
    scratch: int = 64 * MEGABYTE

    def as_rlimits(self, cpu_seconds: float = 0) -> dict[str, int]:
        """By the names of Python's resource module; an exercise may be given more CPU time."""
        return {
            "RLIMIT_AS": self.memory,
            "RLIMIT_CPU": max(self.cpu_seconds, round(cpu_seconds)),
            "RLIMIT_FSIZE": self.file_size,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }


@dataclass
class Box:
    """A context: while it lasts, kernels may be asked for at `control`.

    `parent` is where its folder is made; short of name, as a socket's path has room for 107 bytes.
    `examiner` is the zip from which a kernel's examiner is made; without it there is none. `core`
    is the only one that anything inside runs on: kernel and examiner talk in turn, and between two
    cores each would sleep and be woken for every word.
    """

    libraries: tuple[Path, ...]
    parent: Path
    hidden: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    imports: tuple[str, ...] = ()
    examiner: Path | None = None
    core: int | None = None

    def __enter__(self) -> "Box":
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> "Box":
        """Start what is inside; kernels may be asked for at once, and will wait for it."""
        self.folder = Path(tempfile.mkdtemp(prefix="b", dir=self.parent))
        self.sockets, self.control = self.folder / "s", self.folder / "control"
        self.sockets.mkdir()
        self.work = Path("/box/work") if bubblewrap() else self.folder / "work"
        self.sockets_inside = Path("/box/sockets") if bubblewrap() else self.sockets
        if not bubblewrap():
            self.work.mkdir()
        ends_with, self._lifeline = os.pipe()  # however this process ends, the pipe closes
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            stack.enter_context(os.fdopen(ends_with))
            listener.bind(str(self.control))
            listener.listen(8)
            files = {"listener": listener.fileno(), "lifeline": ends_with}
            if self.examiner:
                files["examiner"] = stack.enter_context(self.examiner.open("rb")).fileno()
            facts = self._facts() | files
            self.process = subprocess.Popen(
                [*self._wrapping(), PYTHON, self._inside(), json.dumps(facts)],
                pass_fds=list(files.values()),
                env=self._environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._watch_disk, daemon=True)
        self._watch.start()
        return self

    def ready(self) -> bool:
        """Whether what the last kernel wrote is swept away, and the box waits for the next."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(READY_SECONDS)
                connection.connect(str(self.control))
                connection.shutdown(socket.SHUT_WR)  # asks for nothing, and is answered so
                return connection.recv(1) == b""
        except OSError:
            return False

    def close(self) -> None:
        """End everything inside and remove its folder; again, it does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        os.close(self._lifeline)
        self._kill()
        self._watch.join()
        self.process.wait()
        remove_tree(self.folder)

    def _kill(self) -> None:
        """End everything inside. Nothing has waited for the process yet, so its number is ours."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def library_inside(self, library: Path) -> str:
        """Where a kernel finds one of the box's libraries."""
        return f"/box/stages/{library.name}" if bubblewrap() else str(library)

    def _facts(self) -> dict:
        """What `inside.py` must know."""
        temporary = ["/tmp"] if bubblewrap() else []
        work, sockets = str(self.work), str(self.sockets_inside)
        return {
            "core": self.core,
            "work": work,
            "sweep": [work, sockets, *temporary],
            "in_memory": [work, *temporary] if bubblewrap() else [],
            "keep": [str(path) for path in _pythons()],
            "landlock": keeps_to_folders(),
            "read": [
                *SYSTEM,
                *(f"/etc/{name}" for name in SETTINGS),
                *(f"/proc/{name}" for name in FACTS_OF_LINUX),
                *DEVICES,
                *(str(path) for path in _pythons()),
            ],
            "write": [work, *temporary, "/dev/null"],
            "sockets": [sockets],
            "imports": [
                *("torch", "ipykernel.kernelapp", "ipykernel.zmqshell"),
                *("IPython.core.completerlib", "IPython.core.debugger", "psutil"),
                *("IPython.extensions.storemagic", "tornado.platform.asyncio"),
                *(
                    "multiprocessing.connection",
                    "torch.utils._pytree",
                    "importlib.resources",
                    "msgpack",
                ),
                *self.imports,
            ],
        }

    def _watch_disk(self) -> None:
        """What an answer can fill on disk, it may not: its sockets' folder, or its own."""
        folders = [self.sockets] if bubblewrap() else [self.sockets, self.work]
        while not self._closing.wait(0.25):
            size = number = 0
            for folder in folders:
                for here, names, files in os.walk(folder):
                    number += len(names) + len(files)
                    for name in files:
                        try:
                            size += os.lstat(os.path.join(here, name)).st_blocks * 512
                        except OSError:
                            continue
                    if number > 1000:
                        break
            if number > 1000 or size > self.limits.file_size + self.limits.scratch:
                self._kill()
                return

    def _inside(self) -> str:
        return "/box/inside.py" if bubblewrap() else str(HERE / "inside.py")

    def _environment(self) -> dict[str, str]:
        home = str(self.work)
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": home,
            "TMPDIR": "/tmp" if bubblewrap() else home,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "IPYTHONDIR": f"{home}/.ipython",
            "MPLCONFIGDIR": f"{home}/.matplotlib",
            "PLOTLY_RENDERER": "plotly_mimetype",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }

    def _wrapping(self) -> list[str]:
        """The bubblewrap command up to the program; [] without bubblewrap."""
        if not bubblewrap():
            return []
        command = [bubblewrap(), "--unshare-all", "--die-with-parent", "--new-session"]
        command += ["--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--hostname", "box"]
        for name in SYSTEM:
            path = Path(name)
            if path.is_symlink():
                command += ["--symlink", os.readlink(path), name]
            elif path.exists():
                command += ["--ro-bind", name, name]
        for name in SETTINGS:
            command += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
        for name in (str(self.work), "/tmp"):
            command += ["--size", str(self.limits.scratch), "--tmpfs", name]
        command += self._python_binds()  # after /tmp, where a test's environment may stand
        for name in ("inside.py", "landlock.py", "seccomp.py", "sealed.py", "watch.py"):
            command += ["--ro-bind", str(HERE / name), f"/box/{name}"]
        for library in self.libraries:
            command += ["--ro-bind", str(library), self.library_inside(library)]
        command += ["--bind", str(self.sockets), str(self.sockets_inside)]
        return [*command, "--remount-ro", "/", "--chdir", "/", "--"]

    def _python_binds(self) -> list[str]:
        """The interpreter and its packages, and nothing else of the folders they stand in."""
        command: list[str] = []
        outer = [path for path in _pythons() if not path.is_relative_to("/usr")]
        for path in outer:
            command += ["--ro-bind", str(path), str(path)]
        hidden = {path.resolve() for path in (*self.hidden, *_installed_course())}
        for folder in sorted(hidden, key=lambda path: len(path.parts)):
            if folder.is_dir() and any(folder.is_relative_to(p) for p in (*outer, Path("/usr"))):
                command += ["--tmpfs", str(folder)]
                # An environment inside the course's own folder, hidden just now, comes back.
                for path in outer:
                    if path.is_relative_to(folder):
                        command += ["--ro-bind", str(path), str(path)]
        return command


@cache
def _pythons() -> tuple[Path, ...]:
    """Where the interpreter and its packages lie, by their real names and as they are called."""
    named = {Path(os.path.abspath(path)) for path in (sys.prefix, sys.base_prefix)}
    return tuple(sorted(named | {path.resolve() for path in named}))


@cache
def _installed_course() -> tuple[Path, ...]:
    """The course's packages where they were installed as copies, with all that is right in them."""
    return installed("mixlab", "classroom")


def installed(*names: str) -> tuple[Path, ...]:
    """The folders of packages that are installed as copies."""
    places = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return tuple(path for place in places for name in names if (path := place / name).is_dir())
