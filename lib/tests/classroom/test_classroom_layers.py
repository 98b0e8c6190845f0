"""The classroom's tools know nothing of what is taught, and say what they do."""

import argparse
import ast
import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import classroom
from classroom.__main__ import main, parser

HERE = Path(classroom.__file__).parent
MODULES = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("__"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_imports_what_is_taught(path):
    assert not imported(path) & {"torch", "mixlab", "xformers", "triton"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name):
    assert doctest.testmod(importlib.import_module(f"classroom.{name}")).failed == 0


def test_every_command_is_explained():
    readme = (HERE / "README.md").read_text()
    (commands,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    for name, command in commands.choices.items():
        assert f"| `{name}" in readme, f"README.md says nothing of {name}"
        assert command.description
        for action in command._actions:
            assert action.help, f"{name}: {action.dest} has no help"


def test_every_file_has_its_place_in_the_readme():
    readme = (HERE / "README.md").read_text()
    helpers = {"layout", "problems", "environment"}
    left_out = [name for name in MODULES if f"`{name}.py`" not in readme]
    assert set(left_out) - helpers - {"weights", "lab"} == set()


@pytest.mark.parametrize("arguments", [["notebooks", "--chek"], ["oops"], []])
def test_a_wrong_command_line_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m classroom" in capsys.readouterr().err


def test_nothing_of_the_folder_where_it_is_run_is_executed(tmp_path):
    for name in ("argparse", "tqdm"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is a student')")
    finished = subprocess.run(
        [sys.executable, "-m", "classroom", "grade", "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
    )
    assert "--roster" in finished.stdout, finished.stderr
