"""`classroom lint`: hold every chapter to its budgets, its links, its exercises and its style.

Prints a table of what was measured, then each broken rule with file and line.
"""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat

from classroom.budgets import Measures, budget_problems, measure
from classroom.build import BUDGET_SECONDS, kinds
from classroom.chapter import Chapter
from classroom.execute import run_notebook
from classroom.independence import dependence_problems, given_away_problems
from classroom.layout import FOLDERS, WORK, notebook_path
from classroom.notebook import make_notebook
from classroom.problems import ChapterError, Problem
from classroom.source import read_chapter

NOTEBOOK_KB = 500
NUMBERS = "no one two three four five six seven".split()
PROMISE = re.compile(r"(?P<number>\w+) exercises? on \[.*?about (?P<time>an hour|\d+ minutes)")
ROUNDED = 7  # minutes that the exercises' time may be off
LINK = re.compile(r"\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")


def lint_chapter(root: Path, chapter: Chapter) -> list[Problem]:
    """Every rule the chapter breaks; runs ruff, but no notebook."""
    return sorted(
        [
            *budget_problems(chapter),
            *link_problems(root, chapter),
            *dependence_problems(chapter),
            *given_away_problems(chapter),
            *promise_problems(chapter),
            *size_problems(root, chapter),
            *ruff_problems(root, chapter),
        ]
    )


def link_problems(root: Path, chapter: Chapter) -> list[Problem]:
    """Relative links, seen from each notebook the cell goes to, must lead to a file."""
    problems = []
    for cell in chapter.cells:
        if cell.type != "markdown":
            continue
        text = re.sub(r"```.*?```|`[^`\n]*`", "", cell.source, flags=re.DOTALL)
        for target in LINK.findall(text):
            if re.match(r"[a-z][a-z0-9+.-]*:|#", target):
                continue
            path = unquote(target.partition("#")[0])
            for kind, folder in FOLDERS.items():
                if cell.goes_to(kind) and not _leads(root, root / folder / path):
                    problems.append(
                        Problem(
                            chapter.path,
                            cell.line,
                            f"the link {target!r} leads nowhere from {folder}/.",
                            "Link to a file or chapter that exists.",
                        )
                    )
    return problems


def _leads(root: Path, target: Path) -> bool:
    """Whether a link leads to a file, a notebook that a source will give, or a student's copy.

    What lies in work/ on this machine proves nothing: there is a copy of each exercise notebook.
    """
    folder = target.resolve().parent
    if target.exists() and folder != (root / WORK).resolve():
        return True
    built = [(root / name).resolve() for name in (*FOLDERS.values(), WORK)]
    source = root / "course" / "source" / f"{target.stem}.py"
    return target.suffix == ".ipynb" and folder in built and source.exists()


def promise_problems(chapter: Chapter) -> list[Problem]:
    """The exercises' introduction, where it says how many they are and how long they take."""
    problems = []
    number = NUMBERS[len(chapter.exercises)] if len(chapter.exercises) < len(NUMBERS) else "many"
    minutes = sum(cell.minutes or 0 for cell in chapter.cells)
    for cell in chapter.cells:
        said = PROMISE.search(" ".join(cell.source.split()))
        if cell.exercise or not said:
            continue
        takes = 60 if said["time"] == "an hour" else int(said["time"].partition(" ")[0])
        if said["number"].lower() != number or abs(takes - minutes) > ROUNDED:
            promised = f"{said['number']} exercises, about {said['time']}"
            rule = f"{promised}; there are {number}, of {minutes} minutes together."
            problems.append(Problem(chapter.path, cell.line, rule))
    return problems


def size_problems(root: Path, chapter: Chapter) -> list[Problem]:
    """A built notebook stays small enough to review and to clone."""
    problems = []
    for kind in kinds(chapter):
        path = notebook_path(root, kind, chapter.stem)
        size = path.stat().st_size / 1000 if path.exists() else 0
        if size > NOTEBOOK_KB:
            problems.append(Problem(path, 0, f"{size:.0f} KB; at most {NOTEBOOK_KB} are allowed."))
    return problems


def ruff_problems(root: Path, chapter: Chapter) -> list[Problem]:
    """ruff's lint, seen as notebooks so that its rules for cells hold, and its formatting."""
    if importlib.util.find_spec("ruff") is None:
        return [Problem(chapter.path, 0, "ruff is not installed.", "Run: make setup")]
    config = next(
        (
            ["--config", str(path)]
            for path in (
                root / "lib" / "pyproject.toml",
                Path(__file__).resolve().parents[1] / "pyproject.toml",
            )
            if path.exists()
        ),
        [],
    )
    found = set()
    for kind in ("lesson", "solution"):
        notebook, origins = make_notebook(chapter, kind)
        name = chapter.path.with_suffix(".ipynb").name
        output = _ruff(
            ["check", *config, "--output-format", "json", "--stdin-filename", name, "-"],
            nbformat.writes(notebook),
        )
        for finding in json.loads(output or "[]"):
            origin = origins[(finding["cell"] or 1) - 1]
            line = origin.body_line + finding["location"]["row"] - 1
            found.add(Problem(chapter.path, line, f"{finding['code']} {finding['message']}."))
    if _ruff(["format", *config, "--diff", str(chapter.path)]):
        found.add(Problem(chapter.path, 0, "not formatted.", f"Run: ruff format {chapter.path}"))
    return list(found)


def _ruff(arguments: list[str], text: str = "") -> str:
    command = [sys.executable, "-m", "ruff", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True).stdout


def time_problems(root: Path, chapter: Chapter) -> list[Problem]:
    """Run the lesson; it has a minute. Prints how long it took."""
    notebook, _ = make_notebook(chapter, "lesson")
    run = run_notebook(notebook, notebook_path(root, "lesson", chapter.stem).parent)
    print(f"{chapter.stem}: the lesson ran in {run.seconds:.1f} s")
    if run.stopped_at is not None:
        return [Problem(chapter.path, 0, f"cell {run.stopped_at + 1} {run.reason}.")]
    if run.seconds > BUDGET_SECONDS:
        rule = f"the lesson ran {run.seconds:.0f} s; at most {BUDGET_SECONDS} are allowed."
        return [Problem(chapter.path, 0, rule)]
    return []


def table(rows: list[tuple[str, Measures]]) -> str:
    """What was measured, a line a chapter."""
    heads = (
        "chapter",
        "cells",
        "words",
        "longest text",
        "longest code",
        "median code",
        "slides",
        "figures",
        "exercises",
    )
    lines = [
        heads,
        *((stem, *(f"{value:g}" for value in vars(measures).values())) for stem, measures in rows),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def lint_command(root: Path, chosen: list[Path], timed: bool) -> int:
    """Print the table and the broken rules; 0 when there are none but a draft's."""
    rows, problems, unfinished = [], [], []
    for source in chosen:
        try:
            chapter = read_chapter(source)
        except ChapterError as error:
            problems += error.problems
            continue
        rows.append((chapter.stem, measure(chapter)))
        found = lint_chapter(root, chapter)
        found += time_problems(root, chapter) if timed else []
        (unfinished if chapter.draft else problems).extend(found)
    print(table(rows))
    if unfinished:
        print("\nStill unfinished, as the title says:")
        print("\n".join(map(str, unfinished)))
    if problems:
        print()
        print("\n".join(map(str, problems)))
    count = len(problems)
    chapters = f"{len(chosen)} chapter{'s' if len(chosen) != 1 else ''}"
    other = " beside what is unfinished" if unfinished else ""
    print(f"\n{chapters}, {count or 'no'} problem{'s' if count != 1 else ''}{other}")
    return 1 if problems else 0
