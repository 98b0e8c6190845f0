"""Lower layers never import higher ones, and the classroom knows nothing of the library."""

import ast
from pathlib import Path

import pytest

LIB = Path(__file__).parents[1]

# What each part of mixlab may import from mixlab. A part may always import itself; chapters, and
# their exercises, have rules of their own below.
MAY_IMPORT = {
    "loops": set(),
    "common": {"loops"},
    "transformer": {"common", "loops", "kernels"},
    "ssm": {"common", "loops", "kernels"},
    # A kernel follows the rules that stand once, such as the window's: it may read its twin's
    # package, which imports it only inside functions.
    "kernels": {"common", "transformer", "ssm"},
    "compiled": {"transformer", "ssm", "generate"},
    "generate": {"common", "transformer", "ssm", "kernels"},
    "parallel": {"common", "transformer", "kernels"},
    "weights": {"common", "transformer", "ssm", "kernels"},
    "traces": {"common", "transformer", "ssm", "kernels", "generate", "weights"},
    # A model that the course ships, with its text and its training.
    "small_mixtral": {"common", "transformer", "kernels", "weights", "traces"},
    "checks": set(),
    "examination": {"checks", "traces"},
    "chapters": {
        *("common", "transformer", "ssm", "kernels", "generate", "parallel", "weights"),
        *("traces", "small_mixtral", "checks", "examination"),
    },
    "__init__": {"compiled", "generate", "weights"},
    # The command line stands above what a student imports.
    "__main__": {"__init__", "generate", "weights"},
}


def _modules(package: str) -> list[Path]:
    return sorted((LIB / package).rglob("*.py"))


def _imports(path: Path) -> list[tuple[str, bool]]:
    """Dotted names imported by a file, and whether the import stands at the top level."""
    found = []
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found += [(f"{node.module}.{alias.name}", id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            pytest.fail(f"{path}:{node.lineno}: relative import; write the full name")
    return found


def _part(dotted: str) -> str:
    return dotted.split(".")[1] if "." in dotted else "__init__"


@pytest.mark.parametrize("path", _modules("mixlab"), ids=lambda p: str(p.relative_to(LIB)))
def test_a_module_imports_only_lower_layers(path):
    own = path.relative_to(LIB / "mixlab").parts[0].removesuffix(".py")
    for name, at_top in _imports(path):
        if name.split(".")[0] == "classroom":
            pytest.fail(f"{path.name} imports {name}: the library knows nothing of the classroom")
        if name.split(".")[0] != "mixlab":
            continue
        part = _part(name)
        assert part == own or part in MAY_IMPORT[own], f"{own} may not import {name}"
        if part == "kernels" and own != "kernels":
            assert not at_top, (
                f"{path.name}: import {name} lazily, inside the function that needs it"
            )


def test_every_part_of_the_library_has_a_layer():
    parts = {p.relative_to(LIB / "mixlab").parts[0].removesuffix(".py") for p in _modules("mixlab")}
    assert parts == set(MAY_IMPORT)


@pytest.mark.parametrize("path", _modules("classroom"), ids=lambda p: str(p.relative_to(LIB)))
def test_the_classroom_imports_neither_torch_nor_mixlab(path):
    for name, _ in _imports(path):
        assert name.split(".")[0] not in ("torch", "mixlab", "transformers"), name


CHAPTERS = LIB / "mixlab" / "chapters"


@pytest.mark.parametrize("path", _modules("mixlab/chapters"), ids=lambda p: str(p.relative_to(LIB)))
def test_no_chapter_imports_another(path):
    own = path.relative_to(CHAPTERS).parts[0]
    for name, _ in _imports(path):
        if name.startswith("mixlab.chapters.") and len(name.split(".")) > 2:
            assert name.split(".")[2] in (own, "kit", "stage"), f"{own} may not import {name}"


@pytest.mark.parametrize(
    "path",
    [*CHAPTERS.glob("*/figures.py"), *CHAPTERS.glob("kit/*.py")],
    ids=lambda p: str(p.relative_to(LIB)),
)
def test_figures_take_arrays_and_show_nothing(path):
    assert not [name for name, _ in _imports(path) if name.split(".")[0] == "torch"]
    assert ".show(" not in path.read_text()


@pytest.mark.parametrize("package", ["mixlab", "classroom", "bench"])
def test_nothing_private_crosses_a_file(package):
    for path in _modules(package):
        for name, _ in _imports(path):
            private = name.rpartition(".")[2]
            ours = name.split(".")[0] in ("mixlab", "classroom", "bench")
            assert not ours or not private.startswith("_") or private == "__version__", (
                f"{path.relative_to(LIB)} imports {name}: give it a public name"
            )


def test_no_two_files_of_the_classroom_share_a_name():
    names = [p.stem for p in _modules("classroom") if not p.name.startswith("__")]
    assert sorted(set(names)) == sorted(names)
