"""The library reads from the bottom up: no circle, no function without an end."""

import ast
from pathlib import Path

import pytest

LIB = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((LIB / "mixlab").rglob("*.py"))
}
# What is taught.
MODELS = ("common", "transformer", "ssm", "kernels", "generate", "parallel")
LONGEST_BODY = 60  # lines, without the docstring


def imported(tree: ast.AST) -> set[str]:
    """The modules of mixlab that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    # `from package import name` names a module or something inside one.
    names = {name if name in MODULES else name.rpartition(".")[0] for name in names}
    return names & MODULES.keys()


GRAPH = {name: imported(ast.parse(path.read_text())) for name, path in MODULES.items()}


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else "mixlab"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A way along imports that comes back to where it began; empty if there is none.

    >>> circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    ['b', 'c', 'b']
    """
    done: set[str] = set()

    def follow(path: list[str]) -> list[str]:
        for following in sorted(graph[path[-1]] - done):
            if following in path:
                return [*path[path.index(following) :], following]
            if found := follow([*path, following]):
                return found
        done.add(path[-1])
        return []

    return next(filter(None, (follow([start]) for start in graph)), [])


def test_no_imports_run_in_a_circle():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    assert circle(GRAPH) == []


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) in MODELS])
def test_functions_end_and_arguments_come_one_by_one(module):
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= LONGEST_BODY, f"{module}.{node.name}: {lines} lines"
        if isinstance(node, ast.Call):
            packed = [a for a in node.args if isinstance(a, ast.Starred)]
            packed = [ast.unparse(a) for a in packed if isinstance(a.value, ast.Tuple | ast.List)]
            assert not packed, f"{module}:{node.lineno}: write {packed} one by one"
