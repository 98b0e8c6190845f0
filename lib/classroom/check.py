"""`classroom check`: a student's own result, against the pristine notebook.

Only the answer cells are taken from the student's file, by exercise id. Each exercise runs in a
notebook and a kernel of its own: the shared cells before it, its prompts, the student's answer and
the untouched check, whose stored output is the expected one. So nothing that the student's run
stored counts, and neither an endless loop nor an exception costs the other exercises.
"""

import builtins
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from textwrap import indent, wrap

import nbformat
from nbformat import NotebookNode, ValidationError

from classroom.answers import Answer, drop_untouched, take_answers
from classroom.environment import CELL_SECONDS
from classroom.layout import FOLDERS
from classroom.referee import Verdict, referee
from classroom.solution_region import clear_regions


@dataclass(frozen=True)
class Outcome:
    """How one exercise went."""

    exercise: str
    title: str
    points: int
    passed: bool
    status: str
    message: str = ""


def read_notebook(path: Path) -> NotebookNode:
    """A notebook file, or a ValueError that says what is the matter with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an editor's duplicate cell ids are nobody's concern
            notebook = nbformat.read(path, as_version=4)
        if not all(isinstance(cell.source, str) for cell in notebook.cells):
            raise ValueError("a cell holds no text")
        return notebook
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file.") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ValidationError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise ValueError(
            f"{path}: this is not a notebook that can be read ({reason}). "
            "Open it in JupyterLab and save it again, or start from a fresh copy."
        ) from error


def pristine_path(root: Path, submission: Path, answers: dict[str, list[Answer]]) -> Path:
    """The solution notebook that a submission belongs to."""
    numbers = {exercise[:2] for exercise in answers}
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


def untouched_answers(pristine: NotebookNode) -> dict[str, str]:
    """Exercise id -> its answer cell as it was handed out; ids in order."""
    return {
        facts["exercise"]: clear_regions(cell.source, facts["exercise"])
        for cell in pristine.cells
        if (facts := cell.metadata.get("classroom", {})).get("role") == "answer"
    }


def exercise_notebook(pristine: NotebookNode, exercise: str, answer: Answer) -> NotebookNode:
    """A notebook of one exercise: shared cells before it, its own cells, the given answer.

    The answer's helpers stand in a cell of their own before it.
    """
    cells = []
    for cell in pristine.cells:
        facts = cell.metadata.get("classroom", {})
        if cell.cell_type != "code" or facts.get("exercise", exercise) != exercise:
            continue
        copy = deepcopy(cell)
        if facts.get("role") == "answer":
            copy.source, copy.outputs, copy.execution_count = answer.code, [], None
            if answer.helpers:
                marks = {"classroom": dict(facts)}
                cells.append(nbformat.v4.new_code_cell(answer.helpers, metadata=marks))
        if facts.get("role") == "check":
            copy.metadata["tags"] = ["nbval-check-output"]
        cells.append(copy)
        if facts.get("role") == "check":
            break
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=deepcopy(pristine.metadata))
    notebook.nbformat_minor = 5
    return notebook


def check_submission(
    root: Path, path: Path, cell_timeout: float = CELL_SECONDS
) -> Iterator[Outcome]:
    """The outcome of each exercise of the chapter, in order, as they become known."""
    answers = take_answers(read_notebook(path).cells)
    pristine_file = pristine_path(root, path, answers)
    pristine = read_notebook(pristine_file)
    prompts, untouched = {}, untouched_answers(pristine)
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
        given = drop_untouched(answers.get(exercise, []), untouched[exercise])
        if len(given) == 1 and given[0].code.strip() == untouched[exercise].strip():
            passed, status, message = False, "not answered yet", ""  # no need to run it
        elif len(given) == 1:
            notebook = exercise_notebook(pristine, exercise, given[0])
            passed, status, message = explain(notebook, referee(notebook, cell_timeout), exercise)
        elif given:
            passed, status = False, "doubled"
            message = f"{len(given)} cells claim to be this answer; keep one, delete the others."
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
    failed = next(
        (pair for pair in zip(notebook.cells, verdicts, strict=True) if not pair[1].passed), None
    )
    if failed is None:
        return True, "passed", ""
    cell, verdict = failed
    if verdict.error == "NotImplementedError" and not verdict.message:  # nbgrader's own stub
        return False, "not answered yet", ""
    role = cell.metadata.get("classroom", {}).get("role")
    if verdict.error == "Timeout":
        message = f"the {role or 'set-up'} cell took too long; does a loop never end?"
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
