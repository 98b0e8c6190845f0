"""Inside the sandbox: what a kernel holds and writes while it runs, and what is left of that."""

import os
import select
import signal
import socket
import subprocess

MAX_THREADS, MAX_FILES = 512, 20_000


def wait(child: int, connection: socket.socket, folders: list[str], most: float) -> None:
    """Until the kernel ends, the connection does, or it holds too much; then neither is left."""
    memory = Memory(child)
    while True:
        closed, _, _ = select.select([connection], [], [], 0.05)
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            return
        too_many = _threads(child) > MAX_THREADS or sum(map(_files, folders)) > MAX_FILES
        if closed or too_many or memory.most() + sum(map(_written, folders)) > most:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return


def _threads(pid: int) -> int:
    """No limit of Linux counts a process's threads without counting its user's."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[17])
    except (OSError, IndexError):
        return 0


class Memory:
    """What a process holds, now or at its worst, without the files that it has mapped.

    Linux keeps the highest number of bytes for both together; so the most that was ever seen of
    mapped files is taken off.
    """

    def __init__(self, pid: int):
        self.pid, self.files = pid, 0

    def most(self) -> int:
        """Bytes; 0 where Linux doesn't say."""
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as file:
                facts = dict(line.split(":", 1) for line in file)
            names = ("RssAnon", "RssShmem", "RssFile", "VmHWM")
            anonymous, shared, files, highest = (int(facts[n].split()[0]) * 1024 for n in names)
        except (OSError, KeyError):
            return 0
        self.files = max(self.files, files)
        return max(anonymous + shared, highest - self.files)


def _files(folder: str) -> int:
    """Files on a filesystem in memory: it has a size, and files without content have none."""
    found = os.statvfs(folder)
    return found.f_files - found.f_ffree


def _written(folder: str) -> int:
    """Bytes on a filesystem in memory, which count as held."""
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def sweep(folder: str, keep: list[str]) -> None:
    """Empty a folder; of what leads to `keep`, where something is mounted, only the way stays.

    Raises an error if more is left: a box that cannot be swept is not used again.
    """
    try:
        names = os.listdir(folder)
    except PermissionError:
        os.chmod(folder, 0o700)
        names = os.listdir(folder)
    doomed = []
    for path in (os.path.join(folder, name) for name in names):
        if path in keep:
            continue
        if any(kept.startswith(path + "/") for kept in keep):
            sweep(path, keep)
        else:
            doomed.append(path)
    if doomed:
        remove = ["rm", "-rf", "--one-file-system", "--", *doomed]
        if subprocess.run(remove, stderr=subprocess.DEVNULL).returncode:
            subprocess.run(["chmod", "-R", "u+rwx", "--", *doomed], stderr=subprocess.DEVNULL)
            subprocess.run(remove, check=True)
    os.utime(folder, (0, 0))  # when something was last written here is nobody's to know
