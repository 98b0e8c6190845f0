"""What of the library an answer may see, and what its examiner needs.

An answer's part holds how to talk with an examiner. Every other module is a stub that any use of
raises, so that to call the library's own implementation is found however it is reached: by alias,
by importlib, by reading its source. So does a package of somebody else's that holds what the course
asks for, in whose place another one is found first. A run that teaches has the chapter's exercises
too, whole; a graded one has none, of which even the upper halves hand out what others ask for.
The examiner's part is a zip, which a box gets as an open file and no answer can name. Of an
exercise's file it has the text above the cut, and nothing else.
"""

import compileall
import json
import tempfile
import zipfile
from pathlib import Path

STUB = '''"""Taken away while this exercise is graded. To import a name is no use of it."""


class TakenAway:
    """Stands for what an exercise may ask for; any use is found."""

    def __init__(self, name):
        object.__setattr__(self, "_name", name)

    def _used(self, *_, **__):
        name = object.__getattribute__(self, "_name")
        raise AssertionError("library: the answer uses {module}." + name)

    __call__ = __getattr__ = __getitem__ = __iter__ = __len__ = __bool__ = __mro_entries__ = _used


def __getattr__(name):
    if name.startswith("__") or name in {parts}:
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
BOTH = ("channel.py", "derivatives.py", "scans.py", "wire.py")
# What of a package each part gets; of the last, which is the library's, the rest are stubs.
CANDIDATE = {
    "checks": ("messages.py", "ready_made.py"),
    "examination": ("__init__.py", "candidate.py", *BOTH),
    "traces": ("costs.py",),
}
EXAMINER = {
    "checks": ("exercise.py", "messages.py", "readers.py"),
    "examination": ("examiner.py", "results.py", *BOTH),
    "traces": ("costs.py",),
}
TRUSTED_ONLY = ("candidate.py", "examiner.py", "expected.py", "results.py")
WITHHELD = ("checks", "examination")  # of these not even the names
FACTS = "examined.json"  # in the examiner's zip


def stage_library(
    library: Path, target: Path, packages: tuple[str, ...], topic: str | None = None
) -> None:
    """Lay out in `target` what of the package mixlab, in the folder `library`, an answer may see.

    With a `topic`, for the run that only words the feedback, checks are whole, and so are the
    exercise files of that chapter. Its inputs are then not hidden.

    Args:
        packages: somebody else's, which are taken away.
    """
    source = library / "mixlab"
    for path in source.rglob("*.py"):
        if path == source / "checks" / "__init__.py" and topic is None:
            text = CHECKS
        elif _is_seen(path.relative_to(source), topic):
            text = path.read_text(encoding="utf-8")
        elif path.parent.name in WITHHELD:
            continue
        else:
            text = _stub(path, ".".join(path.relative_to(library).with_suffix("").parts))
        to = target / path.relative_to(library)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(text, encoding="utf-8")
    for part in CANDIDATE:  # which every kernel imports, and cannot write beside
        compileall.compile_dir(target / "mixlab" / part, quiet=1)
    for name in packages:
        (target / name).mkdir()
        (target / name / "__init__.py").write_text(TAKEN_AWAY.replace("{module}", name))


def _is_seen(path: Path, topic: str | None) -> bool:
    part = str(path.parent)
    if part in WITHHELD and topic is not None:
        return path.name not in TRUSTED_ONLY
    if part in CANDIDATE:
        return path.name in CANDIDATE[part]
    return topic is not None and path.parent == Path("chapters", topic, "exercises")


def _stub(path: Path, name: str) -> str:
    """What stands in for a module; a package still leads to its parts."""
    parts = {part.stem for part in path.parent.iterdir()} if path.name == "__init__.py" else ()
    text = STUB.replace("{module}", name.removesuffix(".__init__"))
    return text.replace("{parts}", repr(sorted(parts)))


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
