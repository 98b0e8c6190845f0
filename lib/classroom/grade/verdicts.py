"""From what nbval said of an exercise's cells to one judgement."""

import builtins
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from classroom.referee import COLOUR, error_of, telling
from classroom.solution_region import awaits_answer

KINDS = {"Unreadable": "kind", "TooCostly": "cost"}  # what checks raise of themselves
FATAL = ("timeout", "died", "flood")  # nothing that comes behind can be run
LIBRARY = re.compile(r"library: the answer uses [a-z_]+|calls mixlab\.[a-z_.]+")


@dataclass(frozen=True)
class Judgement:
    """How one exercise went.

    `kind` is one of ours: passed, wrong, error, syntax, library, timeout, died, flood, setup,
    unreported. `text` is what the student's process said, and not to be shown to anybody as it
    is: it can hold whatever that process saw. `error` is a built-in exception's name or "".
    """

    passed: bool
    kind: str
    error: str = ""
    text: str = ""
    seconds: float = 0.0


def read_verdicts(path: Path) -> dict[str, list[dict]]:
    """Notebook -> its cells' verdicts in order; a last line that was cut off is left out."""
    verdicts: dict[str, list[dict]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                one = json.loads(line)
            except ValueError:
                continue
            one["report"] = COLOUR.sub("", one["report"])  # IPython paints its tracebacks
            verdicts.setdefault(one["notebook"], []).append(one)
    return verdicts


def judgement(notebook: NotebookNode, verdicts: list[dict]) -> Judgement:
    """From nbval's verdicts on a notebook's cells, in order, to a judgement."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    roles = [cell.metadata.get("classroom", {}).get("role") for cell in cells]
    seconds = round(sum(verdict["seconds"] for verdict in verdicts), 1)
    failed = [place for place, verdict in enumerate(verdicts) if not verdict["passed"]]
    complete = len(verdicts) == len(cells)
    if len(verdicts) > len(cells) or not (complete or failed):
        return Judgement(False, "unreported", seconds=seconds)
    if any(verdicts[place]["outcome"] == "skipped" for place in failed):
        return Judgement(False, "unreported", seconds=seconds)
    limit = notebook.metadata.get("seconds", math.inf)
    reasons = {place: _reason(verdicts[place], limit) for place in failed}
    fatal = [place for place, reason in reasons.items() if reason[0] in FATAL]
    place = telling(roles, failed, fatal)
    if place < 0:
        return Judgement(complete, "passed" if complete else "unreported", seconds=seconds)
    kind, error, text = reasons[place]
    # What all exercises share runs again after the answer: if it fails then, the answer spoiled it.
    if kind == "error" and roles[place] not in ("answer", "check") and "answer" in roles[place:]:
        kind = "setup"
    return Judgement(False, kind, error, text, seconds)


def _reason(verdict: dict, limit: float) -> tuple[str, str, str]:
    """(kind, built-in error or "", text) of a failed cell, which had `limit` seconds."""
    kind, error, text = _reported(verdict["report"])
    if kind == "error" and not error and verdict["seconds"] >= limit:
        kind = "timeout"  # which interrupts an import, say, as some error of its own
    return kind, error, text


def _reported(report: str) -> tuple[str, str, str]:
    """(kind, built-in error or "", text) as nbval reports them."""
    for word, kind in (("Timeout: ", "timeout"), ("Died: ", "died"), ("Flood: ", "flood")):
        if re.match(rf"(pytest plugin exception: |.*CutOff: ){word}", report):
            return kind, "", ""
    if re.search(r"^Cell \d+: Timeout of", report, re.MULTILINE):
        return "timeout", "", ""
    if report.startswith("pytest plugin exception"):
        return "died", "", ""
    if re.search(r"^Cell \d+: Cell outputs differ", report, re.MULTILINE):
        return "wrong", "", ""
    error, message = error_of(report)
    if LIBRARY.search(report):
        return "library", "", report
    if error == "NotImplementedError" and awaits_answer(message):
        return "empty", error, ""
    if error in ("SyntaxError", "IndentationError", "TabError"):
        return "syntax", error, ""
    if error in KINDS:
        return KINDS[error], "", ""
    named = getattr(builtins, error, None)
    known = isinstance(named, type) and issubclass(named, BaseException)
    return "error", error if known else "", report
