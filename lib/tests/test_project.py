"""What the README and the set-up promise, held against the tree."""

import contextlib
import io
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from classroom.environment import CELL_SECONDS
from classroom.layout import STEM
from classroom.source import read_chapter

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def _pins() -> set[str]:
    project = tomllib.loads((ROOT / "lib/pyproject.toml").read_text())["project"]
    return {re.sub(r"\s+", "", line) for line in project["dependencies"]}


def test_environment_yml_has_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip[0] == "-e ./lib"
    assert {re.sub(r"\s+", "", line) for line in pip[1:]} == _pins()
    python = next(e for e in environment["dependencies"] if str(e).startswith("python"))
    requires = tomllib.loads((ROOT / "lib/pyproject.toml").read_text())["project"]
    assert python.removeprefix("python") == requires["requires-python"]


def test_every_dependency_is_pinned_and_says_why():
    text = (ROOT / "lib/pyproject.toml").read_text()
    for line in re.findall(r'^    "[A-Za-z].*$', text, flags=re.MULTILINE):
        if line.strip().startswith(('"error', '"ignore', '"gpu', '"browser', '"slow')):
            continue
        if "==" in line or "triton" in line:
            assert "#" in line, f"say in a comment why: {line.strip()}"
    for pin in _pins():
        assert "==" in pin or pin.startswith("triton"), pin


def test_the_readme_names_every_verb():
    verbs = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE)
    assert len(verbs) >= 8
    for verb in verbs:
        assert f"make {verb}" in README, f"the README doesn't explain `make {verb}`"


def test_the_readme_tells_a_cells_time():
    assert f"cell has {CELL_SECONDS} seconds" in " ".join(README.split())


def test_make_help_explains_every_phony_target():
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)[1].split()
    explained = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, flags=re.MULTILINE)
    assert sorted(phony) == sorted(explained)


def test_the_readmes_map_matches_the_tree():
    paths = re.findall(r"`((?:lib|course|exercises|solutions)/[^`]*)`", README)
    assert len(paths) >= 10
    for path in paths:
        assert (ROOT / path).exists(), f"the README names {path}, which does not exist"


def test_the_readme_lists_every_chapter():
    for source in sorted((ROOT / "course/source").glob("*.py")):
        if read_chapter(source).draft:
            continue
        assert f"course/{source.stem}.ipynb" in README


def test_chapters_stand_in_three_places():
    stems = {p.stem for p in (ROOT / "course/source").glob("*.py")}
    for folder in ("course", "exercises", "solutions"):
        found = {p.stem for p in (ROOT / folder).glob("*.ipynb")}
        assert {stem for stem in found if STEM.fullmatch(stem)} == stems


def _tracked() -> list[Path]:
    found = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in found.stdout.split("\0") if name]


def test_the_top_level_holds_what_the_design_names():
    top = {path.relative_to(ROOT).parts[0] for path in _tracked()}
    named = {"README.md", "Makefile", "environment.yml", "LICENSE"}
    folders = {"course", "exercises", "solutions", "lib"}
    assert {name for name in top if not name.startswith(".")} == named | folders


# The trained model that the course ships.
WEIGHTS = ROOT / "lib/mixlab/small_mixtral/model.safetensors"


def test_no_large_or_generated_file_is_tracked():
    for path in _tracked():
        if path.exists():
            limit = 6_000_000 if path == WEIGHTS else 1_000_000
            assert path.stat().st_size < limit, f"{path} is over {limit / 1e6:g} MB"
        assert path.suffix not in (".pyc", ".log"), path
        assert "__pycache__" not in path.parts, path


def test_the_readme_s_example_prints_what_it_says():
    code = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)[1]
    told = re.search(r"^print\(.*#\s+(.*)$", code, flags=re.MULTILINE)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue().strip() == told
