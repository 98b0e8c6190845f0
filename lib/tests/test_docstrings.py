"""Everything public says what it does, its shapes, its errors, and where its idea comes from.

Read from the source text, so that modules which need a GPU are held to the same rules.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

MIXLAB = Path(__file__).parent.parent / "mixlab"
FILES = {str(path.relative_to(MIXLAB)): path for path in sorted(MIXLAB.rglob("*.py"))}
# Where tensors are computed; elsewhere they only pass through.
TENSORS = ("transformer/", "ssm/", "common/", "kernels/", "parallel/")
SHAPED = re.compile(r"\b(Float|Int|Bool|Complex|UInt8|Num)\[(Tensor|np\.ndarray),")
# Axes in parentheses, such as (batch, seq, dim), or a pointer to where they stand.
SHAPE_IN_WORDS = re.compile(
    r"\([a-z_*…· \d]+,[a-z_*…· \d,]*\)|\bshapes?\b|Arg(ument)?s (are )?as in"
)
# Their ideas are this library's own, or everyone's: no paper to name.
NO_PAPER = {
    f"common/{stem}.py"
    for stem in (
        "arrays",
        "checkpoint",
        "compiled_model",
        "linear",
        "perplexity",
        "threads",
        "tokens",
    )
}
NO_PAPER |= {"ssm/packing.py", "parallel/processes.py", "parallel/rank.py"}
PLACE = re.compile(r"section|equation|algorithm|figure|table|theorem|appendi|chapter|`\w+\.\w+")
# Elementwise helpers, which take any shape, and tuples of parameters.
UNSHAPED = {
    "ssm/discretize.py": {"discretize_dense"},
    "ssm/selective_scan_shared.py": {"step_lengths", "skip_and_gate"},
    "ssm/s4.py": {"S4.system", "S4.recurrent"},
    "ssm/s4d.py": {"S4D.system", "S4D.step"},
}


class Definition(NamedTuple):
    """A public function, method or class, and the text that documents it."""

    file: str
    name: str
    node: ast.FunctionDef | ast.ClassDef
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def public(file: str) -> Iterator[Definition]:
    """What a module defines at its top level or in its classes without a leading underscore."""

    def inside(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[Definition]:
        for child in node.body:
            named = isinstance(child, ast.FunctionDef | ast.ClassDef)
            if not named or child.name.startswith("_"):
                continue
            yield Definition(file, prefix + child.name, child, ast.get_docstring(child) or "")
            if isinstance(child, ast.ClassDef):
                yield from inside(child, f"{child.name}.")

    return inside(ast.parse(FILES[file].read_text(encoding="utf-8")))


def module_text(file: str) -> str:
    return ast.get_docstring(ast.parse(FILES[file].read_text(encoding="utf-8"))) or ""


def parameters(function: ast.FunctionDef) -> list[ast.arg]:
    given = function.args
    everything = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [argument for argument in everything if argument.arg not in ("self", "cls")]


@cache
def aliases(file: str) -> set[str]:
    """Names of shaped types, such as `Queries`, that the module defines or imports."""
    tree = ast.parse(FILES[file].read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and SHAPED.search(ast.unparse(node.value)):
            names |= {target.id for target in node.targets}
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mixlab."):
            source = node.module.removeprefix("mixlab.").replace(".", "/") + ".py"
            if source in FILES:
                names |= aliases(source) & {alias.name for alias in node.names}
    return names


def functions(*layers: str) -> Iterator[Definition]:
    """Public functions and methods of some layers, without a GPU's kernels and autograd's."""
    for file in FILES:
        if file.startswith(layers):
            for found in public(file):
                if isinstance(found.node, ast.FunctionDef) and not any(
                    "triton.jit" in ast.unparse(mark) for mark in found.node.decorator_list
                ):
                    yield found


@pytest.mark.parametrize("file", [file for file in FILES if not file.endswith("__init__.py")])
def test_every_module_class_function_and_method_is_documented(file):
    assert module_text(file), f"{file} has no docstring"
    if "/exercises/" in file:
        return  # answers, right and wrong: the table that holds them says what they do
    assert not [str(found) for found in public(file) if not found.text]


def test_tensors_come_with_their_shapes():
    """In the annotation, or in words: the axes, or where they are written."""
    bare = []
    for found in functions(*TENSORS):
        hints = [argument.annotation for argument in parameters(found.node)] + [found.node.returns]
        shaped = aliases(found.file)
        for hint in (ast.unparse(hint) for hint in hints if hint is not None):
            text = re.sub(r"['\"]", "", hint)
            if "Tensor" not in text or SHAPED.search(text) or shaped & set(re.split(r"\W", text)):
                continue
            words = SHAPE_IN_WORDS.search(found.text) or text.startswith(("Callable", "Iterator"))
            if not words and found.name not in UNSHAPED.get(found.file, ()):
                bare.append(f"{found}: {hint}")
    assert not bare


def test_errors_are_announced():
    """A function that raises ValueError says when, under "Raises" or in its first sentence."""
    silent = []
    for found in functions(*TENSORS, "weights/", "traces/", "generate.py"):
        own = [node for node in ast.walk(found.node) if isinstance(node, ast.Raise)]
        raised = {name for node in own for name in re.findall(r"\b\w+Error\b", ast.unparse(node))}
        if "ValueError" in raised and not re.search(r"Raises?\b|errors as", found.text):
            silent.append(str(found))
    assert set(silent) <= {"ssm/mamba.py: Mamba.hidden"}  # whose callers say it


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in FILES
        if file.startswith(("transformer/", "ssm/", "common/", "parallel/"))
        and not file.endswith("__init__.py")
    ],
)
def test_ideas_name_their_source_and_the_place_in_it(file):
    text = module_text(file)
    if file in NO_PAPER:
        assert "Source" not in text, f"{file} names a source now: take it out of NO_PAPER"
        return
    _, mark, source = text.partition("Source")
    assert mark, f"{file} names no source"
    assert PLACE.search(source), f"{file} doesn't say where in its source"
