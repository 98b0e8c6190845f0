"""What the course wrote in an exercise notebook, and what a student did to it.

Every cell of the course has a mark: nbgrader's id, or the cell's own. An exercise notebook also
carries a stamp, mark -> digest of the cell as it was handed out, so that a copy tells by itself
which version it was made from and which cells were changed since. Where an editor dropped marks or
stamp, a cell is known by its text, and what can't be known counts as the student's.
"""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field

from nbformat import NotebookNode

ANSWER_ID = re.compile(r"ex-(\d\d)-(\d+)-answer")
EXERCISE_ID = re.compile(r"\d\d\.\d{1,3}")
MARK = re.compile(r"ex-\d\d-\d+-(?:prompt|answer|check)(?:-\d+)?|\d\d-exercise-\d{3}")


def answer_id(cell: dict) -> str | None:
    """The exercise whose answer this cell is, or None.

    nbgrader's id counts first, then the cell's id, then our own metadata: editors and graders
    drop one or the other. The cell's type does not count: a key changes it.
    """
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
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


def mark(cell: dict) -> str | None:
    """The course's name for a cell; None for one of a student's own.

    >>> mark({"cell_type": "code", "id": "ex-02-1-answer"}), mark({"id": "a1b2"})
    ('ex-02-1-answer', None)
    """
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    for claim in (grade_id, cell.get("id")):
        if isinstance(claim, str) and MARK.fullmatch(claim):
            return claim
    exercise = answer_id(cell)
    return answer_mark(exercise) if exercise else None


def answer_mark(exercise: str) -> str:
    """The mark of an exercise's answer cell.

    >>> answer_mark("02.1")
    'ex-02-1-answer'
    """
    return f"ex-{exercise.replace('.', '-')}-answer"


def exercise_of(name: str) -> str:
    """The exercise that a marked cell belongs to.

    >>> exercise_of("ex-02-1-prompt-2")
    '02.1'
    """
    return ".".join(name.split("-")[1:3])


def is_answer(name: str) -> bool:
    """Whether a mark is that of an answer cell."""
    return name.endswith("-answer")


def is_check(name: str) -> bool:
    """Whether a mark is that of a check."""
    return name.endswith("-check")


def is_locked(name: str) -> bool:
    """Whether JupyterLab keeps a student from changing the cell: a prompt or a check."""
    return name.startswith("ex-") and not is_answer(name)


def digest(source: str) -> str:
    """A short fingerprint of a cell's text; line ends and trailing blanks don't count.

    >>> digest("x = 1 \\r\\n") == digest("x = 1")
    True
    """
    text = "\n".join(line.rstrip() for line in source.splitlines()).strip()
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def marked_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The course's cells by their marks; of several with the same one, the first."""
    cells: dict[str, NotebookNode] = {}
    for cell in notebook.cells:
        if name := mark(cell):
            cells.setdefault(name, cell)
    return cells


def digests(notebook: NotebookNode) -> dict[str, str]:
    """The digests of the course's cells by their marks, as they stand."""
    return {name: digest(cell.source) for name, cell in marked_cells(notebook).items()}


def stamp(notebook: dict) -> dict[str, str]:
    """The digests of the course's cells as they were handed out; {} where an editor lost them."""
    facts: object = notebook
    for key in ("metadata", "classroom", "given"):
        facts = facts.get(key) if isinstance(facts, dict) else None
    return dict(facts) if isinstance(facts, dict) else {}


def is_pristine(notebook: NotebookNode) -> bool:
    """Whether every cell is the course's, as it was handed out."""
    given = stamp(notebook)
    return bool(given) and digests(notebook) == given and len(notebook.cells) == len(given)


def is_current(copy: NotebookNode, pristine: NotebookNode) -> bool:
    """Whether a student's copy was made from this version of the exercises.

    Without its stamp, the cells that a student can't change tell.
    """
    new = digests(pristine)
    if given := stamp(copy):
        return given == new
    found = digests(copy)
    return all(found.get(name) == text for name, text in new.items() if is_locked(name))


@dataclass
class Written:
    """What a student wrote: answers by mark, and own cells by the mark they stand behind.

    Own cells at the top stand behind None. A given cell that was changed is one of them.
    """

    answers: dict[str, NotebookNode] = field(default_factory=dict)
    own: dict[str | None, list[NotebookNode]] = field(default_factory=lambda: defaultdict(list))

    def __bool__(self) -> bool:
        return bool(self.answers or self.own)


def written(found: NotebookNode, pristine: NotebookNode) -> Written:
    """What a student wrote into `found`, a copy of these exercises in any version.

    A blank cell is nothing. An exercise that is gone from the course leaves its answer as an own
    cell.
    """
    given, new = stamp(found), digests(pristine)
    unmarked = {**given, **new}.keys() - marked_cells(found).keys()
    by_text = {texts[name]: name for texts in (given, new) for name in unmarked & texts.keys()}
    result, seen, behind = Written(), set(), None
    for cell in found.cells:
        text = digest(cell.source)
        name = mark(cell) or by_text.get(text)
        first = name is not None and name not in seen
        if first:
            seen.add(name)
            behind = name if name in new else behind
        if not cell.source.strip() or (first and _is_the_courses(name, text, given, new)):
            continue
        if first and is_answer(name) and name in new:
            result.answers[name] = cell
        else:
            result.own[behind].append(cell)
    return result


def _is_the_courses(name: str, text: str, given: dict[str, str], new: dict[str, str]) -> bool:
    """Whether a cell stands as the course wrote it, now or when the copy was made."""
    return text in (given.get(name), new.get(name)) or (not given and is_locked(name))


def differences(found: NotebookNode, pristine: NotebookNode) -> list[str]:
    """How what the course wrote in `found` differs from what its source gives.

    What a student may change is judged by the stamp: neither answers and own cells nor outputs,
    nor what an editor added or dropped, make a difference.
    """
    given, new, cells = stamp(found), digests(pristine), marked_cells(found)
    here, texts = digests(found), {digest(cell.source) for cell in found.cells}
    result = []
    for position, cell in enumerate(pristine.cells, 1):
        name = mark(cell)
        if not given and not is_locked(name):
            continue  # nothing tells what the course wrote there
        mine, text = cells.get(name), (here if is_locked(name) else given).get(name)
        if text is None and new[name] not in texts:
            result.append(f"lacks cell {position} ({name})")
        elif text not in (None, new[name]):
            result.append(f"cell {position} ({name}) differs in source")
        elif mine is not None and any(
            mine.metadata.get(key, value) != value for key, value in cell.metadata.items()
        ):
            result.append(f"cell {position} ({name}) differs in metadata")
    gone = {*given, *cells} - new.keys()
    return result + [f"has a cell {name} that its source does not give" for name in sorted(gone)]
