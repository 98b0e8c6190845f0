"""Lower layers never import higher ones, and the classroom knows nothing of the library."""

import ast
from pathlib import Path

import pytest

LIB = Path(__file__).parents[1]

# What each part of mixlab may import from mixlab. A part may always import itself.
MAY_IMPORT = {
    "common": set(),
    "transformer": {"common", "kernels"},
    "ssm": {"common", "kernels"},
    # A kernel follows the rules that stand once, such as the window's: it may read its twin's
    # package, which imports it only inside functions.
    "kernels": {"common", "transformer", "ssm"},
    "generate": {"common", "transformer", "ssm", "kernels"},
    "weights": {"common", "transformer", "ssm", "kernels"},
    "traces": {"common", "transformer", "ssm", "kernels", "generate", "weights"},
    # A model that the course ships, with its text and its training.
    "small_mixtral": {"common", "transformer", "kernels", "weights", "traces"},
    # Figures take arrays, or what a trace holds.
    "figures": {"traces"},
    "checks": {"common", "transformer", "ssm", "kernels"},
    "__init__": {"generate", "weights"},
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


@pytest.mark.parametrize(
    "path", sorted((LIB / "mixlab/checks/cases").glob("*.py")), ids=lambda p: p.name
)
def test_cases_never_import_an_oracle(path):
    assert not [name for name, _ in _imports(path) if "oracle" in name]


@pytest.mark.parametrize(
    "path", sorted((LIB / "mixlab/checks/oracles").glob("*.py")), ids=lambda p: p.name
)
def test_oracles_are_independent_of_the_library(path):
    imported = {_part(name) for name, _ in _imports(path) if name.split(".")[0] == "mixlab"}
    assert imported <= {"checks"}


@pytest.mark.parametrize(
    "path", sorted((LIB / "mixlab/figures").glob("*.py")), ids=lambda p: p.name
)
def test_figures_take_arrays(path):
    assert not [name for name, _ in _imports(path) if name.split(".")[0] == "torch"]
    assert ".show(" not in path.read_text()
