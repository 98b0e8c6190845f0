"""Answers out of a notebook that anybody may have written: JSON in, code by exercise id out.

Nothing but the answer cells' code is taken, and the definitions from the student's own cells that
an answer leans on. A notebook that can't be read, or of another format, is a ValueError that says
what to do.
"""

import ast
import json

from classroom.check import answer_id

MAX_NOTEBOOK = 20 * 2**20
MAX_ANSWER = 100_000
MAX_CELLS = 5_000
AGAIN = "Save it again in JupyterLab, or start from a fresh copy of the exercises."


def read_cells(content: bytes) -> list[dict]:
    """The cells of a notebook, of format 4 or 3, each with a text as its source.

    Raises:
        ValueError: if the bytes are not such a notebook.
    """
    if len(content) > MAX_NOTEBOOK:
        raise ValueError(
            f"this notebook has {len(content) / 2**20:.0f} MB; {MAX_NOTEBOOK // 2**20} MB are "
            "read at most. Clear its outputs and save it again."
        )
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise ValueError(f"this is not a notebook: its text is not JSON. {AGAIN}") from None
    version = notebook.get("nbformat") if isinstance(notebook, dict) else None
    if version == 4:
        cells = notebook.get("cells")
    elif version == 3:
        sheets = notebook.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        cells = [
            {**cell, "source": cell.get("input", cell.get("source", ""))}
            for sheet in sheets
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
            if isinstance(cell, dict)
        ]
    else:
        raise ValueError(f"this is not a notebook of format 4 or 3. {AGAIN}")
    if not isinstance(cells, list) or len(cells) > MAX_CELLS:
        raise ValueError(f"this notebook has no list of cells, or too long a one. {AGAIN}")
    return [
        {**cell, "source": _text(cell.get("source", ""))}
        for cell in cells
        if isinstance(cell, dict)
    ]


def _text(source) -> str:
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def take_answers(cells: list[dict]) -> dict[str, list[str]]:
    """Exercise id -> its answers, each with what it needs from the student's own cells."""
    found: dict[str, list[str]] = {}
    helpers: list[ast.stmt] = []
    for cell in cells:
        exercise = answer_id(cell)
        if exercise is not None:
            answer = cell["source"]
            if len(answer) <= MAX_ANSWER:
                answer = with_helpers(answer, helpers)
            found.setdefault(exercise, []).append(answer)
        elif cell.get("cell_type") == "code" and not _is_ours(cell):
            helpers += _definitions(cell["source"])
    return found


def _is_ours(cell: dict) -> bool:
    """Whether the cell came with the exercises: it is in the pristine notebook already."""
    metadata = cell.get("metadata")
    ours = isinstance(metadata, dict) and ("nbgrader" in metadata or "classroom" in metadata)
    ident = cell.get("id")
    return ours or (isinstance(ident, str) and "-exercise-" in ident)


def _parse(source: str) -> list[ast.stmt]:
    if len(source) > MAX_ANSWER:
        return []
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _definitions(source: str) -> list[ast.stmt]:
    """Functions, classes, imports and assignments at the top of a cell: what a helper may be."""
    kinds = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign
    return [statement for statement in _parse(source) if isinstance(statement, kinds)]


def _defines(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in statement.names}
    return {
        node.id
        for target in statement.targets
        for node in ast.walk(target)
        if isinstance(node, ast.Name)
    }


def _uses(statements: list[ast.stmt]) -> set[str]:
    return {
        node.id
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def with_helpers(answer: str, helpers: list[ast.stmt]) -> str:
    """The answer, after those of the helpers' definitions that it leans on.

    >>> helper = ast.parse("def half(x): return x / 2").body
    >>> with_helpers("def f(x): return half(x)", helper)
    'def half(x):\\n    return x / 2\\n\\ndef f(x): return half(x)'
    >>> with_helpers("def f(x): return x", helper)
    'def f(x): return x'
    """
    statements = _parse(answer)
    own = set().union(*(_defines(s) for s in _definitions(answer))) if statements else set()
    wanted, taken = _uses(statements) - own, []
    # Backwards: the last definition of a name counts, and may itself lean on earlier ones.
    for helper in reversed(helpers):
        names = _defines(helper) & wanted
        if names:
            taken.insert(0, helper)
            wanted = (wanted - names) | (_uses([helper]) - own)
    if not taken:
        return answer
    return "\n\n".join([*(ast.unparse(helper) for helper in taken), answer])
