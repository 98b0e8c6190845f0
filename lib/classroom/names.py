"""The names that a cell of a notebook gives to others, and those that it leans on.

Read from the text; nothing runs. What can't be parsed gives and takes nothing.
"""

import ast
import builtins
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_CELL = 100_000  # characters
MAX_FIELDS = 1_000  # of formatted texts
FORMATTED = re.compile(r"\b(?:[fF][rR]?|[rR][fF])['\"]")
# A line for IPython: a magic, a command, a question, or a command's output with a name.
MAGIC = re.compile(r"^([ \t]*)(?:[%!?].*|[^#'\"\n]*\?|[\w, \t]+=[ \t]*[!%].*)$", re.MULTILINE)
# What Python's parser raises for text that is no program, or one too deep for it.
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
STAR = "*"  # given by a cell with `from module import *`: any name
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True)
class Names:
    """What a cell does at its top: names that it binds, names whose objects it changes, and those
    that it takes from elsewhere, at its top or inside functions."""

    binds: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()

    @property
    def gives(self) -> frozenset[str]:
        """The names for whose sake others may need the cell."""
        return self.binds | self.changes


@lru_cache(maxsize=4096)  # a class's notebooks are read twice, and share many a cell
def names_of(source: str) -> Names:
    """The names of a cell.

    >>> found = names_of("table = {}\\nfor n in range(9):\\n    table[n] = half(n)")
    >>> sorted(found.gives), sorted(found.uses)
    (['n', 'table'], ['half', 'range'])
    >>> names_of("table[0] = 1\\nprint(table)").changes
    frozenset({'table'})
    """
    try:
        changed = frozenset(_changed(parse(source)))
        bound, used = _bound_and_used(symtable.symtable(without_magics(source), "cell", "exec"))
    except UNPARSABLE:
        return Names()
    return Names(frozenset(bound), changed, frozenset(used - bound))


def parse(source: str) -> ast.Module:
    """The program in a cell, without what IPython does for it.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: if there is none, or one that would
            take long to parse: the time for a formatted text grows with the square of its fields.
    """
    if len(source) > MAX_CELL or (FORMATTED.search(source) and source.count("{") > MAX_FIELDS):
        raise ValueError("too long")
    return ast.parse(without_magics(source))


def without_magics(source: str) -> str:
    """A cell's text with nothing where a line is for IPython."""
    return MAGIC.sub(r"\1pass", source)


def _bound_and_used(top: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """The names bound at the top, and all that are looked up there or from inside functions."""
    bound, used, tables = set(), set(), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            name, is_top = symbol.get_name(), table is top
            if (is_top or symbol.is_declared_global()) and (
                symbol.is_assigned() or symbol.is_imported()
            ):
                bound.add(name)
            if symbol.is_referenced() and (is_top or symbol.is_global()):
                used.add(name)
    return bound, used


def _changed(tree: ast.Module) -> Iterator[str]:
    """Names whose objects the top of a cell changes: `x[0] = 1`, `x.y = 1`, `x.f(1)`, `f(x)`."""
    nodes: list[ast.AST] = list(tree.body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, SCOPES):
            continue
        nodes += ast.iter_child_nodes(node)
        match node:
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                yield STAR
            case ast.Subscript(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
                yield from _root(node)
            case ast.Expr(value=ast.Call(func=function, args=arguments)):
                called = _root(function)
                if not set(called) & vars(builtins).keys():
                    yield from called
                    yield from (one.id for one in arguments if isinstance(one, ast.Name))


def _root(node: ast.expr) -> list[str]:
    """The name that a chain of attributes and indices begins with, if it does with one."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return [node.id] if isinstance(node, ast.Name) else []
