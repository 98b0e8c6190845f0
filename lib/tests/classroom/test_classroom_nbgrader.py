"""A school that runs nbgrader can take the solution notebooks as they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

nbgrader = pytest.importorskip("nbgrader", reason="nbgrader comes with the test extra")

STEM = "02_windows"


def run_nbgrader(folder: Path, *arguments: str) -> str:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
    }
    finished = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


@pytest.mark.slow
def test_nbgrader_releases_and_grades_our_notebooks(built_course, tmp_path):
    for kind, folder in (("solutions", "source"), ("exercises", "submitted/ada")):
        target = tmp_path / folder / "windows"
        target.mkdir(parents=True)
        shutil.copy(built_course / kind / f"{STEM}.ipynb", target)
    run_nbgrader(tmp_path, "generate_assignment", "windows")
    released = nbformat.read(tmp_path / "release" / "windows" / f"{STEM}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in released.cells)
    assert "fence_posts" not in text
    assert "1 + length" not in text
    assert text.count("# YOUR CODE HERE") == 2
    submission = tmp_path / "submitted" / "ada" / "windows" / f"{STEM}.ipynb"
    book = nbformat.read(submission, as_version=4)
    for cell in book.cells:
        if cell.id == "ex-02-1-answer":
            cell.source = "def count_pairs(length):\n    return length + 1"
        if cell.id == "ex-02-2-check":
            cell.source = "pass"  # nbgrader restores it
    nbformat.write(book, submission)
    run_nbgrader(tmp_path, "autograde", "windows")
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as gradebook:
        graded = gradebook.find_submission("windows", "ada")
        assert (graded.score, graded.max_score) == (2, 3)


def test_nbgraders_own_validator_accepts_every_notebook(built_course):
    from nbgrader.nbgraderformat.v3 import MetadataValidatorV3

    for kind in ("exercises", "solutions"):
        book = nbformat.read(built_course / kind / f"{STEM}.ipynb", as_version=4)
        MetadataValidatorV3().validate_nb(book)
        graded = [cell for cell in book.cells if cell.metadata.get("nbgrader", {}).get("grade")]
        assert [cell.metadata.nbgrader.points for cell in graded] == [2, 1]
