"""What of the library an answer may see while it is graded."""

from classroom.grade.stage import stage_library
from tests.grade.conftest import ROOT


def _names(folder):
    return {path.name for path in folder.iterdir() if path.suffix in (".py", ".npz")}


def test_only_the_chapters_own_cases_are_there(tmp_path):
    """A stack of windowed layers, handed out by chapter 03, holds the masks that 02 asks for."""
    for teaching in (False, True):
        target = tmp_path / str(teaching)
        stage_library(
            ROOT / "lib", target, "sliding_window", ("mixlab.transformer.rope",), teaching
        )
        checks = target / "mixlab" / "checks"
        assert _names(checks / "cases") == {
            *("__init__.py", "sliding_window.py", "window_masks.py", "window_masks.npz"),
        }
        assert (checks / "oracles").exists() == teaching
        assert not (checks / "seeds.py").exists()
        forbidden = target / "mixlab" / "transformer" / "rope.py"
        assert "Taken away" in forbidden.read_text()


def test_kernels_for_a_gpu_are_not_there(tmp_path):
    """Triton's interpreter would run the selective scan, which chapter 19 asks for, on a CPU."""
    stage_library(ROOT / "lib", tmp_path / "out", "mamba", (), False)
    kernels = _names(tmp_path / "out" / "mixlab" / "kernels")
    assert kernels
    assert not [name for name in kernels if "selective_scan" in name]
