"""`classroom check`: a student's own result, against the pristine notebook.

Only answers are taken from the student's file, by exercise id, with the cells that they lean on
(`answers`). Each exercise runs in a notebook and a kernel of its own: the shared cells before it,
the student's cells and the untouched check, whose stored output is the expected one. So nothing
that the student's run stored counts, and neither an endless loop nor an exception costs the other
exercises.
"""

import builtins
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from textwrap import indent, wrap

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from classroom.answers import Answer, Piece, take_answers
from classroom.causes import causes
from classroom.cells import Notebook, parse_notebook, read_notebook
from classroom.environment import CELL_SECONDS
from classroom.given import answer_id
from classroom.known import known_answers
from classroom.layout import FOLDERS
from classroom.referee import Verdict, referee, telling

FATAL = ("Timeout", "Flood")  # what comes behind can't be run


@dataclass(frozen=True)
class Outcome:
    """How one exercise went."""

    exercise: str
    title: str
    points: int
    passed: bool
    status: str
    message: str = ""


def students_notebook(path: Path) -> Notebook:
    """A student's file, read as the grader reads it, or a ValueError that says what is wrong."""
    try:
        return parse_notebook(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file.") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def pristine_path(root: Path, submission: Path, numbers: set[str]) -> Path:
    """The solution notebook of the one chapter that a submission belongs to."""
    if len(numbers) != 1:
        found = (
            f"answers of chapters {', '.join(sorted(numbers))}" if numbers else "no answer cells"
        )
        raise ValueError(
            f"{submission}: an exercise notebook holds the answer cells of one chapter; found "
            f"{found}. Take a fresh copy from exercises/ and put your answers into its cells."
        )
    number = numbers.pop()
    folder = root / FOLDERS["solution"]
    found = sorted(folder.glob(f"{number}_*.ipynb"))
    if len(found) != 1:
        raise ValueError(
            f"{folder}/{number}_*.ipynb: a check needs chapter {number}'s solution notebook; found "
            f"{len(found)}. Restore it (git checkout -- solutions) or build it (make notebooks)."
        )
    return found[0]


def exercise_notebook(pristine: NotebookNode, exercise: str, answer: Answer) -> NotebookNode:
    """A notebook of one exercise: what is given, a student's cells up to the check, the check.

    What all exercises share stands again before the check, which then calls what is ours.
    """
    shared, cells = [], []
    for cell in map(deepcopy, pristine.cells):
        facts = cell.metadata.get("classroom", {})
        if cell.cell_type != "code" or facts.get("exercise", exercise) != exercise:
            continue
        if "exercise" not in facts:
            shared.append(cell)
        if facts.get("role") == "answer":
            cells += [_students(piece, facts) for piece in answer.pieces]
        elif facts.get("role") == "check":
            cell.metadata["tags"] = ["nbval-check-output"]
            cells += [new_code_cell(one.source, metadata=one.metadata) for one in shared]
            cells.append(cell)
            break
        else:
            cells.append(cell)
    notebook = new_notebook(cells=cells, metadata=deepcopy(pristine.metadata))
    notebook.nbformat_minor = 5
    return notebook


def _students(piece: Piece, facts: dict) -> NotebookNode:
    """A cell of a student's; its role says whether it is the answer itself."""
    marks = {"classroom": {**facts, "role": "answer" if piece.is_answer else "own"}}
    return new_code_cell(piece.source, metadata=marks)


def check_submission(
    root: Path, path: Path, cell_timeout: float = CELL_SECONDS
) -> Iterator[Outcome]:
    """The outcome of each exercise of the chapter, in order, as they become known."""
    found = students_notebook(path)
    known = known_answers(root)
    answers = take_answers(found, known)
    marked = answers or filter(None, map(answer_id, found.cells))
    pristine_file = pristine_path(root, path, {exercise[:2] for exercise in marked})
    pristine = read_notebook(pristine_file)
    prompts = {}
    for cell in pristine.cells:
        facts = cell.metadata.get("classroom", {})
        if facts.get("role") == "check" and not (cell.outputs and cell.execution_count):
            raise ValueError(
                f"{pristine_file}: a check is compared with its stored output, and that of "
                f"{facts['exercise']} has none. Run: make notebooks"
            )
        if "title" in facts:
            prompts[facts["exercise"]] = facts

    def judge(exercise: str) -> Outcome:
        facts = prompts[exercise]
        if answer := answers.get(exercise):
            notebook = exercise_notebook(pristine, exercise, answer)
            passed, status, message = explain(notebook, referee(notebook, cell_timeout), exercise)
            if not passed:
                message = "\n".join([message, *causes(answer, known.asked.get(exercise))]).strip()
        elif exercise in answers:
            passed, status, message = False, "not answered yet", ""  # no need to run it
        else:
            passed, status = False, "missing"
            message = "no answer cell of this exercise; take it from a fresh copy in exercises/."
        return Outcome(exercise, facts["title"], facts["points"], passed, status, message)

    with ThreadPoolExecutor(max_workers=min(2, cpu_count() or 1)) as pool:
        yield from pool.map(judge, prompts)


def explain(
    notebook: NotebookNode, verdicts: list[Verdict], exercise: str
) -> tuple[bool, str, str]:
    """(passed, status, message) of one exercise from the verdicts on its notebook's cells."""
    roles = [cell.metadata.get("classroom", {}).get("role") for cell in notebook.cells]
    failed = [place for place, verdict in enumerate(verdicts) if not verdict.passed]
    place = telling(roles, failed, [p for p in failed if verdicts[p].error in FATAL])
    if place < 0:
        return True, "passed", ""
    verdict, role = verdicts[place], roles[place]
    if verdict.error == "NotImplementedError" and not verdict.message:  # nbgrader's own stub
        return False, "not answered yet", ""
    if verdict.error == "Timeout":
        message = f"the {role or 'set-up'} cell took too long; does a loop never end?"
    elif verdict.error == "Flood":
        message = f"the {role or 'set-up'} cell {verdict.message}"
    elif role in ("answer", "check"):
        # A check fails with an error of its own making; Python's own come from the answer.
        own = role == "answer" or hasattr(builtins, verdict.error)
        raised = verdict.error and verdict.error != "AssertionError" and own
        prefix = f"your answer raises {verdict.error}: " if raised else ""
        message = prefix + verdict.message
    else:
        message = (
            f"a cell before the exercise failed ({verdict.error} {verdict.message}). "
            "That is not your answer's fault; run: make doctor"
        )
    return False, "not yet", message


def check_command(root: Path, path: Path, cell_timeout: float) -> int:
    """Print the outcomes; 0 only if every exercise passed."""
    print(f"{path}\n")
    outcomes = []
    for outcome in check_submission(root, path, cell_timeout):
        outcomes.append(outcome)
        print(f"{outcome.exercise}  {outcome.title}: {outcome.status}", flush=True)
        for line in outcome.message.splitlines():
            parts = wrap(line, 92) if len(line) > 92 else [line]
            print(indent("\n".join(parts), "      "))
    passed = [outcome for outcome in outcomes if outcome.passed]
    points = sum(outcome.points for outcome in passed)
    total = sum(outcome.points for outcome in outcomes)
    print(f"\n{len(passed)} of {len(outcomes)} exercises passed, {points} of {total} points")
    return 0 if outcomes and len(passed) == len(outcomes) else 1
