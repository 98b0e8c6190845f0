"""The part of the library that an answer may see: no oracles, nothing that it is asked to write.

A forbidden module becomes a stub that any use of raises, so that calling the library's own
implementation is found however it is reached: by alias, by importlib, by reading its source. Of the
checks only those of the exercise's own chapter stay: what one chapter hands out to be judged, such
as a stack of windowed layers, answers another's question.
"""

import ast
import os
import shutil
from pathlib import Path

STUB = '''"""Taken away while this exercise is graded."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AssertionError("library: the answer uses {module}." + name)
'''
PACKAGE = '"""The course\'s library, as far as an answer may see it."""\n'
TRUSTED_ONLY = ("seeds.py",)  # what a grader asks, not what an answer needs
CASES = "mixlab.checks.cases"


def stage_library(
    library: Path, target: Path, topic: str, forbids: tuple[str, ...], teaching: bool
) -> None:
    """Copy `library` (the folder that holds the package mixlab) to `target`, reduced.

    `topic` is the chapter's, by which its cases are called. With `teaching` the oracles stay: for
    the run that only words the feedback. Its exercises' inputs are then not hidden either.
    """
    checks = library / "mixlab" / "checks"
    cases = _cases_of(checks, topic)

    def left_out(folder: str, names: list[str]) -> set[str]:
        out = {name for name in names if name == "__pycache__" or name.endswith(".pyc")}
        if Path(folder) == checks:
            out |= set(TRUSTED_ONLY) | (set() if teaching else {"oracles"})
        elif Path(folder) == checks / "cases":
            out |= {name for name in names if name.partition(".")[0] not in cases}
        elif Path(folder) == library / "mixlab" / "kernels":
            # Triton's interpreter would run them, and nothing in a box has a GPU.
            out |= {name for name in names if name.startswith("selective_scan")}
        return out

    package = target / "mixlab"
    shutil.copytree(library / "mixlab", package, ignore=left_out, copy_function=_copy)
    (package / "__init__.py").write_text(PACKAGE)
    for module in forbids:
        if teaching and module.startswith("mixlab.checks."):
            continue  # the oracles may stand on it
        path = target / Path(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.exists():
            raise ValueError(f"an exercise forbids {module}, which is not in {library}/mixlab")
        path.write_text(STUB.replace("{module}", module))
        for data in path.parent.glob(f"{path.stem}.*"):  # what only this module reads
            if data != path and path.name != "__init__.py":
                data.unlink()


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
