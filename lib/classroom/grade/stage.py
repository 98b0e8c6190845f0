"""What of the library an answer may see, and what its examiner needs.

An answer's part holds no exercise files, of which even the upper halves hand out what other
exercises ask for. A forbidden module becomes a stub that any use of raises, so that calling the
library's own implementation is found however it is reached: by alias, by importlib, by reading its
source. So does a forbidden package of somebody else's, in whose place another one is found first.
The examiner's part is a zip, which a box gets as an open file and no answer can name. Of an
exercise's file it has the text above the cut, and nothing else.
"""

import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

STUB = '''"""Taken away while this exercise is graded. To import a name is no use of it."""


class TakenAway:
    """Stands for what the exercise asks for; any use is found."""

    def __init__(self, name):
        object.__setattr__(self, "_name", name)

    def _used(self, *_, **__):
        name = object.__getattribute__(self, "_name")
        raise AssertionError("library: the answer uses {module}." + name)

    __call__ = __getattr__ = __getitem__ = __iter__ = __len__ = __bool__ = __mro_entries__ = _used


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return TakenAway(name)
'''
TAKEN_AWAY = '''"""Taken away while an answer is graded."""

raise AssertionError("library: the answer uses {module}")
'''
PACKAGE = '"""The course\'s library, as far as an answer may see it."""\n'
CHECKS = '''"""Checks while an answer is graded: the examiner is another process."""

from mixlab.examination.candidate import CheckFailed, check, final_check, hint  # noqa: F401
'''
CUT = "# --- kept back while grading ---"  # in an exercise's file: below it stands what is right
BOTH = ("channel.py", "derivatives.py", "measuring.py", "scans.py", "wire.py")
# What of a package each part gets.
CANDIDATE = {"checks": ("messages.py",), "examination": ("candidate.py", *BOTH)}
EXAMINER = {
    "checks": ("exercise.py", "messages.py", "readers.py"),
    "examination": ("examiner.py", "results.py", *BOTH),
}
TRUSTED_ONLY = ("candidate.py", "examiner.py", "expected.py", "results.py")
FACTS = "examined.json"  # in the examiner's zip


def stage_library(
    library: Path, target: Path, topic: str, forbids: tuple[str, ...], teaching: bool
) -> None:
    """Copy `library` (the folder that holds the package mixlab) to `target`, reduced.

    With `teaching`, for the run that only words the feedback, the checks stay as they are, and so
    do the whole exercise files of the chapter of this `topic`. Its inputs are then not hidden.
    """
    source, package = library / "mixlab", target / "mixlab"

    def left_out(folder: str, names: list[str]) -> set[str]:
        out = {name for name in names if name == "__pycache__" or name.endswith(".pyc")}
        at = Path(folder).relative_to(source)
        if at.name in CANDIDATE and at.parent == Path():
            out |= set(TRUSTED_ONLY) if teaching else set(names) - set(CANDIDATE[at.name])
        elif at.parent == Path("chapters") and not (teaching and at.name == topic):
            out.add("exercises")
        elif at == Path("kernels"):
            # Triton's interpreter would run them, and nothing in a box has a GPU.
            out |= {name for name in names if name.startswith("selective_scan")}
        return out

    shutil.copytree(source, package, ignore=left_out, copy_function=_copy)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "examination" / "__init__.py").write_text(PACKAGE)
    if not teaching:
        (package / "checks" / "__init__.py").write_text(CHECKS)
    for module in forbids:
        if not module.startswith("mixlab."):
            (target / module).mkdir()
            (target / module / "__init__.py").write_text(TAKEN_AWAY.replace("{module}", module))
            continue
        path = target / Path(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not path.exists():
            raise ValueError(f"an exercise forbids {module}, which is not in {library}/mixlab")
        path.write_text(STUB.replace("{module}", module))


def stage_examiner(
    library: Path, target: Path, examined: dict[str, tuple[str, int]], key: bytes
) -> None:
    """Write to `target` a zip of all that an examiner imports, compiled, and what to examine.

    Args:
        examined: exercise id -> (full name of its file's module, seed of its inputs).
        key: to seal results with.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        package = Path(folder) / "mixlab"
        for part, names in EXAMINER.items():
            _lay_out(package / part, {n: library / "mixlab" / part / n for n in names})
        chapters = {Path(*module.split(".")).parent for module, _ in examined.values()}
        for chapter in chapters:
            files = (library / chapter).glob("*.py")
            _lay_out(Path(folder) / chapter, {file.name: file for file in files})
        for above in {package, *(Path(folder) / chapter.parent for chapter in chapters)}:
            _lay_out(above, {})
        _lay_out(package / "chapters", {})
        with zipfile.PyZipFile(target, "w") as file:
            file.writepy(str(package))
            file.writestr(FACTS, json.dumps({"key": key.hex(), "examined": examined}))


def _lay_out(package: Path, files: dict[str, Path]) -> None:
    """A package of these files, each as far as its cut."""
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(PACKAGE)
    for name, file in files.items():
        above, _, _ = file.read_text(encoding="utf-8").partition(f"\n{CUT}\n")
        (package / name).write_text(above, encoding="utf-8")


def _copy(source: str, target: str) -> None:
    """Copy a file; weights are linked, where that can be done."""
    if not source.endswith(".py") and os.path.getsize(source) > 100_000:
        try:
            os.link(source, target, follow_symlinks=False)
            return
        except OSError:
            pass
    shutil.copyfile(source, target)
