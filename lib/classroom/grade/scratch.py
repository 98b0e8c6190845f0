"""A folder for one run of the grader, removed at its end, or by the next run if it was killed.

The name is short: a socket's path has room for 107 bytes.
"""

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "grading-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, ours alone; whoever holds the lock in it is still at work."""
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        remove_tree(folder)


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            with (folder / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(folder)
        except OSError:  # at work, or being made or removed just now
            continue


def remove_tree(folder: Path) -> None:
    """Remove what answers may have left: trees too deep for Python, folders without permission."""
    quiet = {"check": False, "stderr": subprocess.DEVNULL}
    subprocess.run(["rm", "-rf", "--", str(folder)], **quiet)
    if folder.exists():
        subprocess.run(["chmod", "-R", "u+rwx", "--", str(folder)], **quiet)
        subprocess.run(["rm", "-rf", "--", str(folder)], **quiet)
