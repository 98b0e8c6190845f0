"""Nothing of a grader that is killed goes on running or stays on the disk."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from classroom.grade import scratch
from classroom.grade.scratch import remove_tree, scratch_folder
from tests.grade.conftest import ROOT, filled, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
GRACE = 10  # seconds for Linux to end a process with a gigabyte, on a busy machine

# A box alone, which may not lean on bubblewrap's watching its parent: that begins too late for a
# grader killed while the box starts, and ends with the thread that started it.
ALONE = """
import sys, time
from pathlib import Path
from classroom.grade.box import Box
wrapping = Box._wrapping
Box._wrapping = lambda self: [one for one in wrapping(self) if one != "--die-with-parent"]
with Box((Path(sys.argv[1]),), Path(sys.argv[1])):
    print("began", flush=True)
    time.sleep(999)
"""


def _processes() -> dict[int, tuple[int, str]]:
    """Process -> (parent, when it began); the dead who wait to be counted are left out."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            found[int(stat.parent.name)] = (int(fields[1]), fields[19])
    return found


def _descendants(pid: int) -> set[tuple[int, str]]:
    processes = _processes()
    found, wanted = set(), {pid}
    while wanted:
        children = {child for child, (parent, _) in processes.items() if parent in wanted}
        found |= {(child, processes[child][1]) for child in children}
        wanted = children
    return found


def _survivors(known: set[tuple[int, str]]) -> list[str]:
    """Those of `known` that still run after the grace."""
    deadline = time.monotonic() + GRACE
    while True:
        left = known & {(pid, began) for pid, (_, began) in _processes().items()}
        if not left or time.monotonic() > deadline:
            return [Path(f"/proc/{pid}/cmdline").read_text()[:200] for pid, _ in left]
        time.sleep(0.1)


@pytest.fixture
def short():
    """A folder of a short name: a socket's path has room for 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="g"))
    yield folder
    remove_tree(folder)


def _environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "lib"), "OMP_NUM_THREADS": "1"} | more


@pytest.mark.parametrize("hidden", ["", "CLASSROOM_NO_BUBBLEWRAP"])
def test_a_box_ends_with_its_grader_whatever_it_was_doing(short, hidden):
    for wait in (0.0, 0.5, 4.0):  # while it starts, while it imports, while it serves
        process = subprocess.Popen(
            [sys.executable, "-c", ALONE, str(short)],
            env=_environment(**({hidden: "1"} if hidden else {})),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "began\n"
        time.sleep(wait)
        inside = _descendants(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert inside
        assert _survivors(inside) == []


def test_a_killed_grader_leaves_no_process_and_the_next_removes_its_folder(short, monkeypatch):
    sleeps = "import time, signal, threading\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    write(short / "in", "sleeper", filled({"02.3": sleeps + "time.sleep(10**6)"}))
    command = [sys.executable, "-m", "classroom", "--root", str(ROOT), "grade", str(short / "in")]
    process = subprocess.Popen(
        [*command, "--out", str(short / "out"), "--workers", "1"],
        env=_environment(TMPDIR=str(short)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    plan = short / "out" / "state" / "run.json"
    while not (plan.exists() and json.loads(plan.read_text())["seconds"]):  # has rehearsed
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(6)
    known = _descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(known) >= 3  # the box, the referee, the kernel
    assert _survivors(known) == []
    assert list(short.glob(f"{scratch.PREFIX}*"))  # nobody was left to remove it

    monkeypatch.setattr(tempfile, "tempdir", str(short))
    with scratch_folder() as folder:
        assert list(short.glob(f"{scratch.PREFIX}*")) == [folder]
    assert list(short.glob(f"{scratch.PREFIX}*")) == []


def test_a_folder_half_removed_or_never_locked_is_removed_and_one_at_work_is_not(
    short, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    (short / f"{scratch.PREFIX}half" / "deep").mkdir(parents=True)
    with scratch_folder() as first, scratch_folder() as second:
        assert sorted(short.glob(f"{scratch.PREFIX}*")) == sorted([first, second])
