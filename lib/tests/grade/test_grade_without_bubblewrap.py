"""Without bubblewrap: said loudly, the honest graded, forgeries refused, and failing closed."""

import csv
import os
import platform
import shutil
import subprocess
import sys

import pytest

from classroom.grade import landlock, seccomp
from tests.grade.attacks import attacks, code_of
from tests.grade.conftest import NAMES, ROOT, SOLUTION, filled, right_answers, write
from tests.thorough import some

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in seccomp.MACHINES,
    reason="the filter of system calls, which is what is left, is Linux's",
)
# Held by the referee alone, wherever the kernel runs.
FORGED = (
    *(
        "prints_a_tick",
        "prints_the_public_line",
        "patches_what_the_examiner_says",
        "fakes_a_module",
    ),
    *("replaces_showtraceback", "transforms_the_check", "tells_idle_early", "skips_by_comment"),
    *("guesses_the_next_message", "exits_kindly"),
)
# Held by limits and the filter of system calls.
LIMITED = ("fork_bomb", "kills_its_parent", "kills_itself", "asks_the_network", "starts_a_program")
# Held by Landlock, where Linux has it.
KEPT_OUT = (
    *("reads_the_solution", "reads_another_submission", "reads_the_runs_secrets"),
    *("writes_over_another", "asks_for_the_exercise_file_on_disk"),
)


def _grade(folder, out, bin_folder, **more):
    """Grade in a process that finds no bubblewrap; (rows, what was said)."""
    bin_folder.mkdir()
    for name in ("rm", "chmod"):
        (bin_folder / name).symlink_to(shutil.which(name))
    command = [sys.executable, "-m", "classroom", "--root", str(ROOT), "grade", str(folder)]
    finished = subprocess.run(
        [*command, "--out", str(out), "--workers", "2"],
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "lib"), "OMP_NUM_THREADS": "1", "PATH": str(bin_folder)}
        | more,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    with (out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {(row["student"], row["exercise"]): row for row in csv.DictReader(file)}
    return rows, finished.stderr


def _hand_in(folder, out, wanted):
    """The honest, the wrong, and the attacks five to a submission; (student, id) -> attack."""
    victim = write(folder, "honest", filled(right_answers()))
    write(folder, "wrong", filled({"02.3": "def n_scores(seq, window):\n    return seq * window"}))
    names = {"SOLUTION": str(SOLUTION), "VICTIM": str(victim), "PORT": "9", "SOCKET": "/none"}
    names |= {"STATE": str(out / "state" / "run.json"), "LIBRARY": str(ROOT / "lib")}
    chosen = sorted((one for one in attacks() if one[0] in wanted), key=lambda one: one[1] is None)
    assert len(chosen) == len(wanted)
    packs: list[dict] = []
    for name, fixed, code in chosen:
        for pack in packs:
            if free := [ident for ident in NAMES if ident not in pack and fixed in (None, ident)]:
                pack[free[0]] = (name, code)
                break
        else:
            packs.append({fixed or "02.1": (name, code)})
    tried = {}
    for number, pack in enumerate(packs):
        known = names | {"PUBLIC": "02.1 ✓ 0000000000000000"}
        cells = {i: code_of(code, known, i, NAMES[i]) for i, (_, code) in pack.items()}
        write(folder, f"attacker {number}", filled(cells))
        tried |= {(f"attacker {number}", ident): name for ident, (name, _) in pack.items()}
    return tried, victim


@pytest.mark.parametrize("has_landlock", some([True, False], 1))
def test_without_bubblewrap_the_honest_are_graded_and_the_forgers_are_not(tmp_path, has_landlock):
    if has_landlock and not landlock.version():
        pytest.skip("this Linux has no Landlock")
    wanted = (*some(FORGED, 4), *LIMITED, *KEPT_OUT) if has_landlock else FORGED
    folder, out = tmp_path / "in", tmp_path / "out"
    tried, victim = _hand_in(folder, out, wanted)
    before = victim.read_bytes()
    more = {} if has_landlock else {"CLASSROOM_NO_LANDLOCK": "1"}

    rows, said = _grade(folder, out, tmp_path / "bin", **more)

    assert "NO SANDBOX" in said
    assert "NOT held" in said
    promise = "whom you know" if has_landlock else "READ every file"
    assert promise in said
    page = (out / "class.html").read_text()
    assert "Graded without a sandbox" in page
    assert promise in page
    assert {rows["honest", ident]["status"] for ident in NAMES} == {"passed"}
    assert rows["wrong", "02.3"]["status"] == "wrong"
    assert rows["wrong", "02.1"]["status"] == "not answered"
    assert [name for key, name in tried.items() if rows[key]["points"] != "0"] == []
    assert victim.read_bytes() == before
