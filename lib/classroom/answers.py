"""A student's answers out of a notebook: code by exercise id, with the helpers it leans on.

Nothing else of the notebook is taken. Answers are run one at a time in pristine notebooks, so what
an answer needs from the student's other cells travels with it: the functions, classes, imports and
assignments that define names which the answer uses and does not define itself.
"""

import ast
import re
import symtable
from dataclasses import dataclass

ANSWER_ID = re.compile(r"ex-(\d\d)-(\d+)-answer")
EXERCISE_ID = re.compile(r"\d\d\.\d{1,3}")
MAX_ANSWER = 100_000  # characters
MAX_HELPERS = 500_000  # characters of a student's own cells that are looked through
MAX_DEFINITIONS = 3_000  # and definitions that are kept of them
MAX_ANSWERS = 300  # answers of a notebook that are given helpers
LINE_END = re.compile(r"\r\n|\r|\n")
MAGIC = re.compile(r"^[ \t]*[%!?].*$", re.MULTILINE)
DEFINITIONS = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom),
    *(ast.Assign, ast.AnnAssign),
)
MAX_DOUBLES = 4  # answers to one exercise that are given their helpers; the rest can't be meant
# What Python's parser raises for text that is no program, or one too deep for it.
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Answer:
    """An answer cell's code, and the definitions from the student's other cells it leans on."""

    code: str
    helpers: str = ""

    def __len__(self) -> int:
        return len(self.code) + len(self.helpers)


@dataclass(frozen=True, eq=False)
class Helper:
    """A definition at the top of a cell: its text, the names it gives, and those it leans on."""

    text: str
    defines: frozenset[str]
    uses: frozenset[str]


def answer_id(cell: dict) -> str | None:
    """The exercise whose answer this cell is, or None.

    nbgrader's id counts first, then the cell's id, then our own metadata: editors and graders
    drop one or the other.
    """
    metadata = cell.get("metadata")
    if cell.get("cell_type") != "code" or not isinstance(metadata, dict):
        return None
    nbgrader, facts = (
        found if isinstance(found := metadata.get(key), dict) else {}
        for key in ("nbgrader", "classroom")
    )
    for claim in (nbgrader.get("grade_id"), cell.get("id")):
        match = ANSWER_ID.fullmatch(claim) if isinstance(claim, str) else None
        if match:
            return f"{match[1]}.{match[2]}"
    claim = facts.get("exercise")
    if facts.get("role") == "answer" and isinstance(claim, str) and EXERCISE_ID.fullmatch(claim):
        return claim
    return None


def take_answers(cells: list[dict]) -> dict[str, list[Answer]]:
    """All answers by exercise id, each with its helpers; a doubled id has several.

    A helper may stand anywhere before the next answer, and one exercise's answer may lean on
    another's: in the student's notebook it did.
    """
    found: dict[str, list[Answer]] = {}
    known: dict[str | None, int] = {}  # how many helpers stand before the answer that follows
    helpers: list[Helper] = []
    latest, room = None, MAX_HELPERS
    for cell in cells:
        exercise, source = answer_id(cell), str(cell.get("source", ""))
        if exercise is not None:
            found.setdefault(exercise, []).append(Answer(source))
            latest = exercise
        if exercise is not None or (cell.get("cell_type") == "code" and not _is_ours(cell)):
            room -= len(source)
            left = MAX_DEFINITIONS - len(helpers)
            helpers += _definitions(source, left) if room >= 0 and left else []
        known[latest] = len(helpers)
    for exercise, given in list(found.items())[:MAX_ANSWERS]:
        for place, answer in enumerate(given[:MAX_DOUBLES]):
            text = needed(answer.code, helpers[: known[exercise]])
            given[place] = Answer(answer.code, text)
    return found


def drop_untouched(given: list[Answer], untouched: str) -> list[Answer]:
    """An exercise's answers without copies of one another and of the cell as it was handed out.

    The latter stays if there is no other.
    """
    distinct = list({answer.code.strip(): answer for answer in given}.values())
    return [one for one in distinct if one.code.strip() != untouched.strip()] or distinct


def answered_exercises(cells: list[dict]) -> set[str]:
    """The exercises of which a notebook holds an answer cell."""
    return {exercise for exercise in map(answer_id, cells) if exercise is not None}


def _is_ours(cell: dict) -> bool:
    """Whether the cell came with the exercises: it is in the pristine notebook already."""
    metadata = cell.get("metadata")
    ours = isinstance(metadata, dict) and ("nbgrader" in metadata or "classroom" in metadata)
    ident = cell.get("id")
    return ours or (isinstance(ident, str) and "-exercise-" in ident)


def _definitions(source: str, most: int = MAX_DEFINITIONS) -> list[Helper]:
    """What a cell defines at its top, in order."""
    source = MAGIC.sub("", source)
    if len(source) > MAX_ANSWER:
        return []
    try:
        found = [node for node in ast.parse(source).body if isinstance(node, DEFINITIONS)]
    except UNPARSABLE:
        return []
    lines = LINE_END.split(source)
    helpers = []
    for node in found[:most]:
        text = _text(node, lines)
        names = _names(text)
        if names is not None:
            helpers.append(Helper(text, *names))
    return helpers


def _text(node: ast.stmt, lines: list[str]) -> str:
    """The statement as it was written, decorators included."""
    decorators = getattr(node, "decorator_list", [])
    if decorators:
        return "\n".join(lines[decorators[0].lineno - 1 : node.end_lineno])
    own = lines[node.lineno - 1 : node.end_lineno]  # columns count bytes, not characters
    own[-1] = own[-1].encode()[: node.end_col_offset].decode()
    own[0] = own[0].encode()[node.col_offset :].decode()
    return "\n".join(own)


def _names(source: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """(names that the text defines at its top, names that it takes from elsewhere), or None."""
    try:
        top = symtable.symtable(MAGIC.sub("", source), "cell", "exec")
        defines = {
            symbol.get_name()
            for symbol in top.get_symbols()
            if symbol.is_assigned() or symbol.is_imported()
        }
        uses, tables = set(), [top]
        while tables:
            table = tables.pop()
            tables += table.get_children()
            uses |= {
                symbol.get_name()
                for symbol in table.get_symbols()
                if symbol.is_referenced() and (table is top or symbol.is_global())
            }
    except UNPARSABLE:
        return None
    return frozenset(defines), frozenset(uses - defines)


def needed(answer: str, helpers: list[Helper]) -> str:
    """Those of the helpers that an answer leans on, in their order.

    >>> helpers = _definitions("def half(x):\\n    return x / two\\ntwo = 2\\nthree = 3")
    >>> print(needed("def f(x): return half(x)", helpers))
    def half(x):
        return x / two
    <BLANKLINE>
    two = 2
    >>> needed("def f(half): return half", helpers)
    ''
    """
    names = _names(answer) if len(answer) <= MAX_ANSWER else None
    if names is None:
        return ""
    own, wanted = names
    last = {name: helper for helper in helpers for name in helper.defines}
    chosen, seen = set(), set(own)
    while wanted := wanted - seen:
        seen |= wanted
        taken = [last[name] for name in wanted if name in last]
        chosen.update(taken)
        wanted = frozenset().union(*(helper.uses for helper in taken))
    return "\n\n".join(helper.text for helper in helpers if helper in chosen)
