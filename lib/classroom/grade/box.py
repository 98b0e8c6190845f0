"""A sandbox for the kernels of one submission: bubblewrap around `inside.py`.

An answer sees the interpreter, the installed packages, the staged part of the library, a folder of
its own in memory, and the folder of its kernel's sockets; no network, no other process, no home,
nothing writable that lasts. Without bubblewrap the limits and the filter of system calls remain,
and `unprotected` says what does not.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
# Not resolved: a virtual environment is known by the link. Without "..": the way may be hidden.
PYTHON = os.path.abspath(sys.executable)
MEGABYTE = 2**20
UNPROTECTED = (
    "bubblewrap is missing or may not make namespaces on this machine (make doctor says why).\n"
    "  Still held: memory, CPU, wall time, file size, open files, output, no new processes,\n"
    "  no network sockets (where Linux filters system calls).\n"
    "  NOT held: answers can READ every file that you can, solutions and other submissions too,\n"
    "  and WRITE wherever you can. Grade only people whom you trust."
)


@dataclass(frozen=True)
class Limits:
    """What one kernel may take. Memory is address space: torch alone maps 0.7 GB of it."""

    memory: int = 3 * 2**30
    cpu_seconds: int = 60
    file_size: int = 64 * MEGABYTE
    open_files: int = 256
    scratch: int = 64 * MEGABYTE

    def as_rlimits(self) -> dict[str, int]:
        """By the names of Python's resource module."""
        return {
            "RLIMIT_AS": self.memory,
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_FSIZE": self.file_size,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }


@cache
def bubblewrap() -> str | None:
    """The path of a bubblewrap that works here, or None."""
    path = shutil.which("bwrap")
    if path is None or os.environ.get("CLASSROOM_NO_BUBBLEWRAP"):
        return None
    command = [path, "--ro-bind", "/", "/", "--dev", "/dev", "--unshare-all", "true"]
    try:
        finished = subprocess.run(command, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if finished.returncode == 0 else None


@dataclass
class Box:
    """A context: while it lasts, kernels may be asked for at `control`.

    `folder` is short-lived and short of name: a socket's path has room for 107 bytes.
    """

    library: Path
    hidden: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    imports: tuple[str, ...] = ("torch", "mixlab.checks", "ipykernel.kernelapp")

    def __enter__(self) -> "Box":
        self.folder = Path(tempfile.mkdtemp(prefix="box-"))
        self.sockets, self.control = self.folder / "s", self.folder / "control"
        self.sockets.mkdir()
        self.work = Path("/box/work") if bubblewrap() else self.folder / "work"
        self.sockets_inside = Path("/box/sockets") if bubblewrap() else self.sockets
        if not bubblewrap():
            self.work.mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.control))
            listener.listen(8)
            facts = {
                "listener": listener.fileno(),
                "work": str(self.work),
                "sweep": [str(self.work), "/tmp"] if bubblewrap() else [str(self.work)],
                "limits": self.limits.as_rlimits(),
                "imports": self.imports,
            }
            self.process = subprocess.Popen(
                [*self._wrapping(), PYTHON, self._inside(), json.dumps(facts)],
                pass_fds=[listener.fileno()],
                env=self._environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._closing = threading.Event()
        self._watch = threading.Thread(target=self._watch_sockets, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.process.kill()
        self.process.wait()
        self._watch.join()
        # An answer may have left a tree too deep for Python to walk.
        subprocess.run(["rm", "-rf", "--", str(self.folder)], check=False)

    def _watch_sockets(self) -> None:
        """The sockets' folder is the one place on disk that an answer can fill: it may not."""
        while not self._closing.wait(0.25):
            try:
                entries = list(os.scandir(self.sockets))
                size = sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in entries)
            except OSError:
                continue
            directories = any(entry.is_dir(follow_symlinks=False) for entry in entries)
            if len(entries) > 200 or size > 2 * self.limits.file_size or directories:
                self.process.kill()
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
            "PYTHONPATH": "/box/course" if bubblewrap() else str(self.library),
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
        for name in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"):
            path = Path(name)
            if path.is_symlink():
                command += ["--symlink", os.readlink(path), name]
            elif path.exists():
                command += ["--ro-bind", name, name]
        for name in ("ld.so.cache", "ld.so.conf", "localtime", "fonts", "alternatives"):
            command += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
        for name in (str(self.work), "/tmp"):
            command += ["--size", str(self.limits.scratch), "--tmpfs", name]
        command += self._python_binds()  # after /tmp, where a test's environment may stand
        for source, target in (
            (self.library, "/box/course"),
            (HERE / "inside.py", "/box/inside.py"),
            (HERE / "seccomp.py", "/box/seccomp.py"),
        ):
            command += ["--ro-bind", str(source), target]
        command += ["--bind", str(self.sockets), str(self.sockets_inside)]
        return [*command, "--remount-ro", "/", "--chdir", "/", "--"]

    def _python_binds(self) -> list[str]:
        """The interpreter and its packages, and nothing else of the folders they stand in."""
        command: list[str] = []
        seen = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve()}
        outer = [path for path in sorted(seen) if not path.is_relative_to("/usr")]
        for path in outer:
            command += ["--ro-bind", str(path), str(path)]
        for path in map(Path.resolve, self.hidden):
            if any(path.is_relative_to(shown) for shown in (*outer, Path("/usr"))):
                command += ["--tmpfs", str(path)] if path.is_dir() else []
        # An environment that lies inside the course's own folder, hidden just now, comes back.
        for path in outer:
            if any(path.is_relative_to(hidden.resolve()) for hidden in self.hidden):
                command += ["--ro-bind", str(path), str(path)]
        if Path(sys.prefix) not in seen:
            prefix = os.path.abspath(sys.prefix)
            command += ["--ro-bind", prefix, prefix]
        return command
