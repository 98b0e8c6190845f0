"""A folder for one run of the grader, removed at its end, or by the next run if it was killed.

The name is short: a socket's path has room for 107 bytes.
"""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "grading-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, ours alone; whoever holds the lock on it is still at work."""
    _remove_abandoned()
    folder, lock = _locked_folder()
    try:
        yield folder
    finally:
        remove_tree(folder)
        os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    """A folder and the lock on it, which ends with this process, however it ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        with suppress(FileNotFoundError):  # another run took it for abandoned, just now
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder, os.O_RDONLY)
        except OSError:  # removed just now
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(folder)
        except OSError:  # at work
            continue
        finally:
            os.close(lock)


def remove_tree(folder: Path) -> None:
    """Remove what answers may have left: trees too deep for Python, folders without permission."""
    quiet = {"check": False, "stderr": subprocess.DEVNULL}
    subprocess.run(["rm", "-rf", "--", str(folder)], **quiet)
    if folder.exists():
        subprocess.run(["chmod", "-R", "u+rwx", "--", str(folder)], **quiet)
        subprocess.run(["rm", "-rf", "--", str(folder)], **quiet)
