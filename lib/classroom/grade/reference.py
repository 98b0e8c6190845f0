"""What the solution prints on fresh seeds, found in a process of its own.

The grader's process imports neither torch nor mixlab; it gives the solution's cells to
`python -m mixlab.examination.expected` and reads back JSON.
"""

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from nbformat import NotebookNode

from classroom.answers import Answer
from classroom.cells import read_notebook
from classroom.check import exercise_notebook
from classroom.known import chapters
from classroom.layout import FOLDERS

FINAL_CHECK = "from mixlab.checks import final_check as check"


@dataclass(frozen=True)
class Exercise:
    """One exercise as it is graded. `expected` is secret: it never enters a box. `room` is how many
    bytes its answer may hold, if that is what is asked; `module` holds the exercise, `packages` are
    packages that no answer may use."""

    ident: str
    title: str
    points: int
    seed: int
    expected: str
    atol: float
    module: str
    packages: tuple[str, ...]
    calls: tuple[str, ...]
    sayings: tuple[str, ...]
    hints: tuple[str, ...]
    room: int | None = None


@dataclass(frozen=True)
class Reference:
    """A chapter's pristine notebook, and what its exercises must print."""

    stem: str
    pristine: NotebookNode
    exercises: dict[str, Exercise]

    @property
    def title(self) -> str:
        """The first heading of the exercises without the chapter's number, or its stem in words."""
        for cell in self.pristine.cells:
            for line in cell.source.split("\n") if cell.cell_type == "markdown" else ():
                if line.startswith("# "):
                    title = re.sub(r"^#\s*\d+\s*·\s*", "", line).lstrip("# ")
                    return re.sub(r":\s*exercises$", "", title.strip())
        return self.stem[3:].replace("_", " ").capitalize()

    def notebook(self, exercise: str, answer: Answer, public: bool = False) -> NotebookNode:
        """The notebook of one exercise with this answer, and the expected line where nbval looks.

        With `public` the notebook expects what the course's own solution printed. Without, the
        check of its last cell is the one that counts, whatever the name stands for by then.
        """
        notebook = exercise_notebook(self.pristine, exercise, answer)
        for cell in notebook.cells:
            if cell.metadata.get("classroom", {}).get("role") == "check":
                # One cell's answer may not end another's comparison: the marks are ours alone.
                if not public:
                    cell.source = f"{FINAL_CHECK}\n{cell.source}"
                    cell.outputs = [_printed(f"{exercise} ✓ {self.exercises[exercise].expected}\n")]
                cell.execution_count = 1
            else:
                cell.outputs, cell.execution_count = [], None
        notebook.metadata = {}
        return notebook


def _printed(text: str) -> NotebookNode:
    return NotebookNode(output_type="stream", name="stdout", text=text)


def find_references(root: Path, numbers: list[str], base: int) -> dict[str, Reference]:
    """Ask for seeds and expected lines of these chapters.

    Raises:
        ValueError: if there is no such chapter, or a solution does not pass its own checks.
    """
    there = chapters(root)
    if unknown := [number for number in numbers if number not in there]:
        where = root / FOLDERS["solution"]
        raise ValueError(f"there are no exercises of chapter {', '.join(unknown)} in {where}")
    notebooks = {number: read_notebook(there[number]) for number in numbers}
    asked = [_solved(notebook) for notebook in notebooks.values()]
    finished = subprocess.run(
        [sys.executable, "-m", "mixlab.examination.expected"],
        input=json.dumps({"base": base, "chapters": asked}),
        capture_output=True,
        text=True,
        env=_trusted_environment(root),
    )
    if finished.returncode:
        raise ValueError(
            f"a solution of chapters {', '.join(numbers)} does not pass its own checks, so nothing "
            f"can be graded:\n{finished.stderr.strip()[-2000:]}\nRun: make test, or make doctor"
        )
    return {
        number: Reference(there[number].stem, notebooks[number], _exercises(pristine, found))
        for (number, pristine), found in zip(
            notebooks.items(), json.loads(finished.stdout), strict=True
        )
    }


def _solved(pristine: NotebookNode) -> dict[str, list[str]]:
    """Exercise -> the cells of its notebook with the solution's answer, the check's last."""
    return {
        given["exercise"]: [
            one.source
            for one in exercise_notebook(pristine, given["exercise"], Answer.of(cell.source)).cells
            if "raises-exception" not in one.metadata.get("tags", ())
        ]
        for cell in pristine.cells
        if (given := cell.metadata.get("classroom", {})).get("role") == "answer"
    }


def _exercises(pristine: NotebookNode, found: dict[str, dict]) -> dict[str, Exercise]:
    """A chapter's exercises, by what its notebook and its solution say of them."""
    given = [cell.metadata.get("classroom", {}) for cell in pristine.cells]
    facts = {one["exercise"]: one for one in given if "title" in one}
    return {
        ident: Exercise(
            ident=ident,
            title=facts[ident]["title"],
            points=facts[ident]["points"],
            **{key: tuple(v) if isinstance(v, list) else v for key, v in one.items()},
        )
        for ident, one in found.items()
    }


def _trusted_environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(root / "lib"), "OMP_NUM_THREADS": "1"}


def to_json(reference: Reference) -> dict:
    """For a run that may be continued."""
    return {"exercises": {name: asdict(one) for name, one in reference.exercises.items()}}


def from_json(root: Path, number: str, kept: dict) -> Reference:
    """The reference that an interrupted run worked with."""
    path = chapters(root)[number]
    exercises = {
        ident: Exercise(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})
        for ident, found in kept["exercises"].items()
    }
    return Reference(path.stem, read_notebook(path), exercises)


def imports(pristine: NotebookNode) -> set[str]:
    """What a chapter's exercises import, save the course's own: worth importing before a fork."""
    found: set[str] = set()
    for cell in pristine.cells:
        if cell.cell_type != "code":
            continue
        try:
            nodes = list(ast.walk(ast.parse(cell.source)))
        except SyntaxError:  # a magic
            continue
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return {name for name in found if name.partition(".")[0] not in ("mixlab", "classroom")}


def course_digest(root: Path) -> str:
    """What the grades depend on: the solution notebooks, the library, and the grader itself."""
    hashed = hashlib.sha256()
    library = root / "lib"
    for path in sorted(
        [
            *(root / FOLDERS["solution"]).glob("*.ipynb"),
            *(library / "mixlab").rglob("*.py"),
            *(library / "classroom").glob("*.py"),
            *(library / "classroom" / "grade").glob("*.py"),
        ]
    ):
        name = path.relative_to(root).as_posix()
        hashed.update(f"{name}|".encode() + path.read_bytes())
    return hashed.hexdigest()
