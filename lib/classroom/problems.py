"""What a tool tells an author: a place, the rule that was broken, and the likely fix."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Problem:
    """One broken rule. `line` counts from 1; 0 means the file as a whole."""

    path: Path
    line: int
    rule: str
    fix: str = ""

    def __str__(self) -> str:
        here = Path.cwd()
        path = self.path.relative_to(here) if self.path.is_relative_to(here) else self.path
        place = f"{path}:{self.line}" if self.line else str(path)
        return f"{place}: {self.rule}" + (f" {self.fix}" if self.fix else "")


class ChapterError(ValueError):
    """Everything found wrong in one go, in the order of the file."""

    def __init__(self, problems: list[Problem]):
        self.problems = sorted(problems)
        super().__init__("\n".join(map(str, self.problems)))
