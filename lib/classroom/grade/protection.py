"""What this machine can hold an answer to, and what it can not."""

import os
import shutil
import subprocess
import sys
from functools import cache

from classroom.grade import landlock


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


@cache
def keeps_to_folders() -> bool:
    """Whether Linux can keep a kernel to a few folders (Landlock)."""
    return landlock.version() > 0 and not os.environ.get("CLASSROOM_NO_LANDLOCK")


def unprotected() -> str:
    """What a run on this machine does not protect; "" where bubblewrap works."""
    if bubblewrap():
        return ""
    missing = "bubblewrap is missing or may not make namespaces here (make doctor says why).\n"
    held = "  Still held: memory, CPU, wall time, file size, open files, output"
    if sys.platform == "linux":
        held += ", no new processes, no sockets"
    if keeps_to_folders():
        return (
            f"{missing}{held};\n"
            "  answers read Python, its packages and their part of the library, and write to a "
            "folder of their own (Landlock).\n"
            "  NOT held: answers can see which files exist, and fill the disk. "
            "Grade only people whom you know."
        )
    return (
        f"{missing}{held}.\n"
        "  NOT held: answers can READ every file that you can, solutions and other submissions "
        "too,\n  and WRITE wherever you can. Grade only people whom you trust."
    )
