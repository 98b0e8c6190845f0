"""The part of the library that an answer may see: no oracles, nothing that it is asked to write.

A forbidden module becomes a stub that any use of raises, so that calling the library's own
implementation is found however it is reached: by alias, by importlib, by reading its source.
"""

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


def stage_library(library: Path, target: Path, forbids: tuple[str, ...], teaching: bool) -> None:
    """Copy `library` (the folder that holds the package mixlab) to `target`, reduced.

    With `teaching` the oracles stay: for the run that only words the feedback. Its exercises'
    inputs are then not hidden either.
    """

    def left_out(folder: str, names: list[str]) -> set[str]:
        out = {name for name in names if name == "__pycache__" or name.endswith(".pyc")}
        if Path(folder) == library / "mixlab" / "checks":
            out |= set(TRUSTED_ONLY) | (set() if teaching else {"oracles"})
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


def _copy(source: str, target: str) -> None:
    """Copy a file; weights are linked, where that can be done."""
    if not source.endswith(".py") and os.path.getsize(source) > 100_000:
        try:
            os.link(source, target, follow_symlinks=False)
            return
        except OSError:
            pass
    shutil.copyfile(source, target)
