"""The attack suite: nothing is credited that wasn't earned, nothing outside is read or changed."""

import hashlib
import http.server
import json
import re
import socket
import sys
import sysconfig
import tempfile
import threading
import uuid
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from classroom.cells import read_notebook
from classroom.grade.box import bubblewrap
from tests.grade.attacks import RIGHT, attacks, code_of
from tests.grade.conftest import NAMES, ROOT, filled, grade, right_answers, write
from tests.thorough import THOROUGH

pytestmark = pytest.mark.skipif(
    bubblewrap() is None, reason="bubblewrap is missing or may not make namespaces here"
)
CELL_SECONDS = 4
# A right answer that fails if it finds a trace of its examiner: its files, its memory, its seed.
PROBES = """
import glob, os, zipfile
assert not [name for name, value in os.environ.items() if "SEED" in name]
for path in glob.glob("/proc/*/fd/*") + glob.glob("/dev/fd/*"):
    try:
        names = zipfile.ZipFile(path).namelist()
    except (OSError, zipfile.BadZipFile):
        continue
    raise ValueError(f"{path} holds {names}")
for process in range(1, 200):
    for name in ("mem", "environ", "maps", "fd/3"):
        if str(process) not in os.listdir("/proc/self/task"):  # a thread of its own
            try:
                open(f"/proc/{process}/{name}", "rb").read(1)
            except OSError:
                continue
            raise ValueError(f"{process}/{name} can be read")
"""
# Two chapters, so that one box and one referee, dear to start, try many attacks.
STEMS = ("02_sliding_window", "08_router_decisions")


def _asked() -> dict[str, tuple[str, str, str]]:
    """Exercise -> the chapter's stem, the function asked for, the line on the public seed."""
    return {
        cell.metadata["classroom"]["exercise"]: (
            stem,
            re.search(r"check\(.*, (\w+)\)", cell.source)[1],
            "".join(cell.outputs[0].text).strip(),
        )
        for stem in STEMS
        for cell in read_notebook(ROOT / "solutions" / f"{stem}.ipynb").cells
        if cell.metadata.get("classroom", {}).get("role") == "check"
    }


# Of these the test says more than that they fail.
NAMED = {
    *("skips_by_comment", "imports_the_library", "imports_by_alias", "imports_by_importlib"),
    *("endless_loop", "endless_loop_that_resists", "sleeps"),
    *("floods_stdout", "floods_stderr", "floods_displays"),
}


def _tried() -> list[tuple[str, str | None, str]]:
    """All attacks, or, as neighbours are of one kind, every sixth and those that have a name."""
    every = attacks()
    if THOROUGH:
        return every
    return [one for number, one in enumerate(every) if number % 6 == 0 or one[0] in NAMED]


def _packs(exercises: list[str]) -> list[dict[str, tuple[str, str]]]:
    """Attacks by the submission, one an exercise: exercise -> (name, code).

    Neighbours in the tables are of one kind, and go to different submissions.
    """
    fixed = sorted(_tried(), key=lambda attack: attack[1] is None)  # the particular ones first
    most = max(Counter(ident for _, ident, _ in fixed if ident).values())
    packs = [{} for _ in range(max(most, -(-len(fixed) // len(exercises))))]
    for name, ident, code in fixed:
        free = [pack for pack in packs if (ident or exercises[-1]) not in pack]
        pack = min(free or packs, key=len)
        place = ident or next(i for i in reversed(exercises) if i not in pack)
        pack[place] = (name, code)
    return packs


def _loot() -> bytes:
    """The solutions of these chapters in one notebook."""
    notebooks = [read_notebook(ROOT / "solutions" / f"{stem}.ipynb") for stem in STEMS]
    cells = [{"source": cell.source} for notebook in notebooks for cell in notebook.cells]
    return json.dumps({"cells": cells}).encode()


def _tree(*folders: Path) -> dict[str, str]:
    """Every file's content and place."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


class _Tempter(http.server.BaseHTTPRequestHandler):
    """Hands out the solution to whoever reaches it."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(_loot())

    def log_message(self, *_):
        pass


@contextmanager
def _tempters(folder: Path):
    """Listeners that hand out the solution: on a port, at a path, under a name; who asked them."""
    asked = []
    with ExitStack() as stack:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Tempter)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        path, name = tempfile.mktemp(dir=folder), uuid.uuid4().hex
        for address in (path, f"\0{name}") if sys.platform == "linux" else (path,):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()

            def wait(listener=listener, address=address):
                while True:
                    try:
                        caller, _ = listener.accept()
                    except OSError:
                        return
                    asked.append(address)
                    caller.sendall(_loot())
                    caller.close()

            threading.Thread(target=wait, daemon=True).start()
        yield {"PORT": str(server.server_port), "SOCKET": path, "NAMELESS": name}, asked


def _left_behind() -> list[Path]:
    """Files that an attack managed to leave among the installed packages."""
    places = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
    places |= {Path(sys.prefix), Path(sys.base_prefix)}
    return [found for place in places for found in place.rglob("left_by_a_submission*")]


def test_no_attack_is_credited_or_leaves_a_trace(tmp_path):
    handed, out = tmp_path / "handed in", tmp_path / "out"
    right = right_answers()
    victim = write(handed, "victim", filled({"02.2": right["02.2"], "02.3": right["02.3"]}))
    names = {
        "VICTIM": str(victim),
        "STATE": str(out / "state" / "run.json"),
        "LIBRARY": str(ROOT / "lib"),
        "REPOSITORY": str(ROOT),
    }
    # A thief who is handed the solution is credited: the thefts below fail for want of it alone.
    loot = f"import json\nstolen = {_loot().decode()!r}\n{RIGHT}"
    lucky = {ident: code_of(loot, {}, ident, NAMES[ident]) for ident in ("02.1", "02.5")}
    write(handed, "lucky", filled(lucky))
    # Who spoils what all kernels of a submission share spoils nothing of it.
    spoiled = {ident: right[ident] for ident in ("02.2", "02.5")}
    for ident, name in {"02.1": "plants_files_for_later", "02.3": "locks_its_folders"}.items():
        code = next(code for known, _, code in attacks() if known == name)
        spoiled[ident] = code_of(code, names | {"PUBLIC": "x"}, ident, NAMES[ident])
    write(handed, "saboteur", filled(spoiled))
    write(handed, "prober", filled({"02.2": f"{right['02.2']}\n{PROBES}"}))
    asked_for, tried = _asked(), {}
    with _tempters(Path(tempfile.gettempdir())) as (tempting, asked):
        for number, pack in enumerate(_packs(list(asked_for))):
            student = f"attacker {number:02d}"
            cells = {}
            for ident, (name, code) in pack.items():
                stem, function, line = asked_for[ident]
                known = names | tempting | {"PUBLIC": line, "STEM": stem, "TOPIC": stem[3:]}
                known["SOLUTION"] = str(ROOT / "solutions" / f"{stem}.ipynb")
                cells[ident] = code_of(code, known, ident, function)
                tried[student, ident] = name
            for stem in STEMS:
                own = {ident: code for ident, code in cells.items() if ident[:2] == stem[:2]}
                if own:
                    exercises = ROOT / "exercises" / f"{stem}.ipynb"
                    write(handed / student, stem, filled(own, exercises=exercises))
        watched = (handed, ROOT / "solutions", ROOT / "lib" / "mixlab" / "checks")
        before = _tree(*watched)

        rows = grade(handed, out, cell_seconds=CELL_SECONDS)

    credited = [name for key, name in tried.items() if rows[key]["points"] != "0"]
    assert credited == []
    assert set(tried.values()) == {name for name, _, _ in _tried()}
    assert {rows["victim", ident]["status"] for ident in ("02.2", "02.3")} == {"passed"}
    assert {rows["lucky", ident]["status"] for ident in lucky} == {"passed"}
    assert rows["prober", "02.2"]["status"] == "passed", rows["prober", "02.2"]["reason"]
    assert _tree(*watched) == before
    assert (_Tempter.asked, asked) == (0, [])
    assert _left_behind() == []
    assert {rows["saboteur", ident]["status"] for ident in ("02.2", "02.5")} == {"passed"}
    told = {name: rows[key] for key, name in tried.items()}
    assert [name for name, row in told.items() if "not valid Python" in row["reason"]] == []
    unreported = [name for name, row in told.items() if row["status"] == "unreported"]
    assert unreported == ["skips_by_comment"]  # every other attack was run to its end
    for name in ("imports_the_library", "imports_by_alias", "imports_by_importlib"):
        assert told[name]["status"] == "library"
        assert "mixlab.transformer.window" in told[name]["reason"]
    for name in ("endless_loop", "endless_loop_that_resists", "sleeps"):
        assert told[name]["status"] == "timeout", told[name]
    for name in ("floods_stdout", "floods_stderr", "floods_displays"):
        assert told[name]["status"] in ("flood", "timeout", "died"), told[name]
    assert not [name for name, row in told.items() if "before the answer" in row["reason"]]
    secrets = json.loads((out / "state" / "run.json").read_text())
    pages = "".join(page.read_text() for page in (out / "feedback").glob("*.html"))
    for chapter in secrets["chapters"].values():
        for exercise in chapter["exercises"].values():
            assert exercise["expected"] not in pages
