"""What of the library an answer may see while it is graded."""

import json
import zipfile
from pathlib import Path

from classroom.grade.stage import stage_examiner, stage_library
from tests.grade.conftest import ROOT

CASES = ROOT / "lib" / "mixlab" / "checks" / "cases"


def _names(folder):
    return {path.name for path in folder.iterdir() if path.suffix in (".py", ".npz")}


TALK = {"gradients.py", "joins.py", "manners.py", "messages.py", "remote.py", "wire.py"}


def _staged(target, teaching):
    forbids = ("mixlab.transformer.rope", "mixlab.checks.cases.window_masks")
    stage_library(ROOT / "lib", target, "sliding_window", forbids, teaching)
    forbidden = target / "mixlab" / "transformer" / "rope.py"
    assert "Taken away" in forbidden.read_text()
    return target / "mixlab" / "checks"


def test_an_answer_sees_no_checks(tmp_path):
    """Only how to talk with an examiner; what cases hand out answers other exercises."""
    checks = _staged(tmp_path, teaching=False)
    assert _names(checks) == {"__init__.py", "candidate.py", *TALK}
    assert [path for path in checks.iterdir() if path.is_dir()] == []


def test_only_the_chapters_own_cases_are_there_to_teach(tmp_path):
    """A stack of windowed layers, handed out by chapter 03, holds the masks that 02 asks for."""
    checks = _staged(tmp_path, teaching=True)
    assert _names(checks / "cases") == {
        *("__init__.py", "sliding_window.py", "window_masks.py", "window_masks.npz"),
    }
    assert (checks / "oracles").exists()
    assert not {"seeds.py", "candidate.py", "examiner.py"} & _names(checks)


def test_an_examiner_has_all_cases_and_nothing_that_is_right(tmp_path):
    stage_examiner(ROOT / "lib", tmp_path / "examiner.zip", {"02.1": ("sliding_window", 7)})
    with zipfile.ZipFile(tmp_path / "examiner.zip") as file:
        names = {Path(name) for name in file.namelist()}
        assert json.loads(file.read("examined.json")) == {"02.1": ["sliding_window", 7]}
    checks = {path.stem for path in names if path.parent == Path("mixlab/checks")}
    assert checks == {"__init__", "digest", "examiner", *(name[:-3] for name in TALK)}
    stems = {path.stem for path in names if path.parent == Path("mixlab/checks/cases")}
    assert stems == {path.stem for path in CASES.iterdir() if path.suffix in (".py", ".npz")}
    assert not [path for path in names if "oracles" in path.parts]


def test_kernels_for_a_gpu_are_not_there(tmp_path):
    """Triton's interpreter would run the selective scan, which chapter 19 asks for, on a CPU."""
    stage_library(ROOT / "lib", tmp_path / "out", "mamba", (), False)
    kernels = _names(tmp_path / "out" / "mixlab" / "kernels")
    assert kernels
    assert not [name for name in kernels if "selective_scan" in name]
