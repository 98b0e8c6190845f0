"""nbval over a built course: everything passes, and whatever should fail does.

The options are the Makefile's, less xdist's.
"""

import re
import subprocess
import sys

import pytest

OPTIONS = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", "-p", "no:cacheprovider"]

# notebook, what it says, what it is made to say, what nbval must find
LIES = [
    ("course", '"window 3\\n"', '"window 7\\n"', "Cell outputs differ"),
    ("course", "division by zero", "division by one", "Cell outputs differ"),
    ("course", "window / 0", "window / 1", "Cell outputs differ"),
    ("solutions", "02.2 passed 3f9a", "02.2 passed 0000", "Cell outputs differ"),
    ("solutions", "1 + length", "2 + length", "CheckFailed"),
]


@pytest.mark.slow
def test_a_built_course_passes_and_what_is_no_longer_true_fails(built_course, tmp_path):
    for kind in ("course", "solutions"):
        text = (built_course / kind / "02_windows.ipynb").read_text()
        (tmp_path / f"true_{kind}.ipynb").write_text(text)
    for number, (kind, old, new, _) in enumerate(LIES):
        text = (built_course / kind / "02_windows.ipynb").read_text()
        assert old in text
        (tmp_path / f"lie_{number}.ipynb").write_text(text.replace(old, new, 1))
    printed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *OPTIONS, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    ).stdout
    failed = re.findall(r"^FAILED (\w+)\.ipynb", printed, re.MULTILINE)
    assert failed == [f"lie_{number}" for number in range(len(LIES))], printed
    for _, _, _, said in LIES:
        assert said in printed
    lesson, solution = 5, 6  # code cells
    cells = (1 + 3) * lesson + (1 + 2) * solution
    assert f"{len(LIES)} failed, {cells - len(LIES)} passed" in printed
