"""What of the library an answer may see, and what its examiner needs.

An answer's part holds no checks: neither oracles nor cases, which hand out what other exercises ask
for. A forbidden module becomes a stub that any use of raises, so that calling the library's own
implementation is found however it is reached: by alias, by importlib, by reading its source. So
does a forbidden package of somebody else's, in whose place another one is found first. The
examiner's part is a zip, which a box gets as an open file and no answer can name.
"""

import ast
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

STUB = '''"""Taken away while this exercise is graded."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AssertionError("library: the answer uses {module}." + name)
'''
TAKEN_AWAY = '''"""Taken away while an answer is graded."""

raise AssertionError("library: the answer uses {module}")
'''
PACKAGE = '"""The course\'s library, as far as an answer may see it."""\n'
CHECKS = '''"""Checks while an answer is graded: the examiner is another process."""

from mixlab.checks.candidate import CheckFailed, check, final_check, hint  # noqa: F401
'''
BOTH = ("gradients.py", "joins.py", "manners.py", "messages.py", "remote.py", "wire.py")
CANDIDATE = ("candidate.py", *BOTH)
EXAMINER = ("digest.py", "examiner.py", *BOTH)
TRUSTED_ONLY = ("candidate.py", "examiner.py", "seeds.py")
CASES = "mixlab.checks.cases"
SEEDS = "examined.json"  # in the examiner's zip


def stage_library(
    library: Path, target: Path, topic: str, forbids: tuple[str, ...], teaching: bool
) -> None:
    """Copy `library` (the folder that holds the package mixlab) to `target`, reduced.

    With `teaching`, for the run that only words the feedback, the checks stay as they are, oracles
    too: the chapter's of this `topic`. Its exercises' inputs are then not hidden either.
    """
    checks = library / "mixlab" / "checks"
    cases = _cases_of(checks, topic)

    def left_out(folder: str, names: list[str]) -> set[str]:
        out = {name for name in names if name == "__pycache__" or name.endswith(".pyc")}
        if Path(folder) == checks:
            out |= set(TRUSTED_ONLY) if teaching else set(names) - set(CANDIDATE)
        elif Path(folder) == checks / "cases":
            out |= {name for name in names if name.partition(".")[0] not in cases}
        elif Path(folder) == library / "mixlab" / "kernels":
            # Triton's interpreter would run them, and nothing in a box has a GPU.
            out |= {name for name in names if name.startswith("selective_scan")}
        return out

    package = target / "mixlab"
    shutil.copytree(library / "mixlab", package, ignore=left_out, copy_function=_copy)
    (package / "__init__.py").write_text(PACKAGE)
    if not teaching:
        (package / "checks" / "__init__.py").write_text(CHECKS)
    for module in forbids:
        if module.startswith("mixlab.checks."):
            continue  # the oracles may stand on it, and an answer's part holds none of them
        if not module.startswith("mixlab."):
            (target / module).mkdir()
            (target / module / "__init__.py").write_text(TAKEN_AWAY.replace("{module}", module))
            continue
        path = target / Path(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.exists():
            raise ValueError(f"an exercise forbids {module}, which is not in {library}/mixlab")
        path.write_text(STUB.replace("{module}", module))
        for data in path.parent.glob(f"{path.stem}.*"):  # what only this module reads
            if data != path and path.name != "__init__.py":
                data.unlink()


def stage_examiner(library: Path, target: Path, seeds: dict[str, tuple[str, int]]) -> None:
    """Write to `target` a zip of all that an examiner imports, compiled, and its exercises.

    Args:
        seeds: exercise id -> (topic of its chapter, seed of its inputs).
    """
    source = library / "mixlab" / "checks"
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        package = Path(folder) / "mixlab"
        checks = package / "checks"
        shutil.copytree(source / "cases", checks / "cases", copy_function=_copy)
        for name in EXAMINER:
            shutil.copyfile(source / name, checks / name)
        for part in (package, checks):
            (part / "__init__.py").write_text(PACKAGE)
        with zipfile.PyZipFile(target, "w") as file:
            file.writepy(str(package))
            for data in checks.rglob("*.npz"):
                file.write(data, data.relative_to(folder))
            file.writestr(SEEDS, json.dumps(seeds))


def _cases_of(checks: Path, topic: str) -> set[str]:
    """A chapter's module of cases, and those that it imports."""
    known = {path.stem for path in (checks / "cases").glob("*.py")}
    found, wanted = {"__init__"}, {topic}
    while wanted:
        found |= wanted
        imports = (_imports(checks / "cases" / f"{name}.py") for name in wanted)
        wanted = set().union(*imports) & known - found
    return found


def _imports(path: Path) -> set[str]:
    """What a file imports of the cases, at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == CASES:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{CASES}."):
            found.add(node.module.removeprefix(f"{CASES}.").partition(".")[0])
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix(f"{CASES}.").partition(".")[0]
                for alias in node.names
                if alias.name.startswith(f"{CASES}.")
            }
    return found


def _copy(source: str, target: str) -> None:
    """Copy a file; weights are linked, where that can be done."""
    if not source.endswith(".py") and os.path.getsize(source) > 100_000:
        try:
            os.link(source, target, follow_symlinks=False)
            return
        except OSError:
            pass
    shutil.copyfile(source, target)
