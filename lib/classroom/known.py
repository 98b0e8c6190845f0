"""The course's own cells of exercises, by which what a student wrote is told from what we did."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode

from classroom.cells import read_notebook
from classroom.given import answer_id, answer_mark, digest, mark
from classroom.layout import FOLDERS
from classroom.solution_region import clear_regions

LAYOUT = re.compile(r"#.*|\s+")
ASKED = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Known:
    """The answer cells by exercise, as they were handed out and solved; and, by their marks, the
    digests of all cells as they are handed out."""

    untouched: dict[str, str] = field(default_factory=dict)
    solved: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)

    @cached_property
    def marks(self) -> dict[str, str]:
        """Marks by digest, for cells that have lost theirs; what stands twice tells nothing.

        Of what the exercises share, the first chapter's stands for all.
        """
        return {text: name for name, text in reversed(self.given.items())}

    @cached_property
    def asked(self) -> dict[str, str]:
        """The name of the function or class that each exercise asks for."""
        found = {exercise: ASKED.search(stub) for exercise, stub in self.untouched.items()}
        return {exercise: match[1] for exercise, match in found.items() if match}


def known_answers(root: Path) -> Known:
    """What is known of every chapter that has exercises."""
    known = Known()
    for path in chapters(root).values():
        pristine = read_notebook(path)
        known.untouched.update(untouched_answers(pristine))
        for cell in pristine.cells:
            if exercise := answer_id(cell):
                known.solved[exercise] = cell.source
                known.given[answer_mark(exercise)] = digest(known.untouched[exercise])
            elif name := mark(cell):
                known.given[name] = digest(cell.source)
    return known


def chapters(root: Path) -> dict[str, Path]:
    """Chapter number -> its solution notebook."""
    return {path.stem[:2]: path for path in sorted((root / FOLDERS["solution"]).glob("*.ipynb"))}


def untouched_answers(pristine: NotebookNode) -> dict[str, str]:
    """Exercise id -> its answer cell as it was handed out; ids in order."""
    return {
        facts["exercise"]: clear_regions(cell.source, facts["exercise"])
        for cell in pristine.cells
        if (facts := cell.metadata.get("classroom", {})).get("role") == "answer"
    }


def same_code(code: str, other: str) -> bool:
    """Whether two programs are one, comments and layout aside.

    >>> same_code("x = 1  # one", "x=1"), same_code("x = 1", "y = 1")
    (True, False)
    """
    return LAYOUT.sub("", code) == LAYOUT.sub("", other)
