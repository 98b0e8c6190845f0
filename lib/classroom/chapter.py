"""A chapter in memory: its cells, as their author wrote them, in the order of the file."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell as its author wrote it. `line` is its header's, `body_line` its text's first."""

    line: int
    body_line: int
    type: str
    source: str
    slide: str | None = None
    show: str | None = None
    alt: str | None = None
    widget: bool = False
    volatile: bool = False
    fails: bool | str = False
    to: str | None = None
    exercise: str | None = None
    role: str | None = None
    title: str | None = None
    difficulty: int | None = None
    minutes: int | None = None
    points: int | None = None
    myth: str | None = None
    said: str | None = None
    truth: str | None = None
    tags: list[str] = field(default_factory=list)

    def goes_to(self, kind: str) -> bool:
        """Whether the cell belongs in the notebook of this kind: lesson, exercise, solution."""
        if self.exercise is not None:
            return kind != "lesson"
        where = self.to or "lesson"
        return where == "both" or (where == "lesson") == (kind == "lesson")


@dataclass(frozen=True)
class Chapter:
    """A chapter's cells in the order of the file."""

    path: Path
    cells: list[Cell]

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return self.stem[:2]

    @property
    def draft(self) -> bool:
        """Whether its title says that it isn't finished."""
        return bool(self.cells) and "(draft)" in self.cells[0].source.partition("\n")[0]

    @property
    def exercises(self) -> dict[str, list[Cell]]:
        """Each exercise's cells by its id, in order."""
        runs: dict[str, list[Cell]] = {}
        for cell in self.cells:
            if cell.exercise is not None:
                runs.setdefault(cell.exercise, []).append(cell)
        return runs
