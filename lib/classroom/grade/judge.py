"""Run answers in boxes under nbval, and read what nbval said: one judgement an exercise.

It fails closed: an exercise has passed only if nbval reported every code cell of its notebook as
passed. Whatever ends a run early costs the exercise it happened in; the others are run again by
themselves.
"""

import builtins
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex

import nbformat
from nbformat import NotebookNode

from classroom.environment import kernel_environment
from classroom.grade.box import HERE, Box, Limits
from classroom.grade.protection import keeps_to_folders
from classroom.referee import COLOUR, error_of, telling
from classroom.solution_region import awaits_answer

KINDS = {"Unreadable": "kind", "TooCostly": "cost"}  # what checks raise of themselves
FATAL = ("timeout", "died", "flood")  # nothing that comes behind can be run
START_SECONDS = 90  # for a box, pytest and a kernel to start on a busy machine
LIBRARY = re.compile(r"library: the answer uses [a-z_]+|calls mixlab\.[a-z_.]+")


@dataclass(frozen=True)
class Job:
    """An exercise's notebook, the part of the library it may see, the seconds that one of its cells
    may take, and the bytes, if these are counted, that its kernel may hold beyond what every kernel
    does. With a key its results come sealed, for this mark, and are compared by this tolerance."""

    exercise: str
    notebook: NotebookNode
    library: Path
    seconds: float
    room: int | None = None
    atol: float = 0.0
    key: bytes | None = None
    mark: str = field(default_factory=partial(token_hex, 16))


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


def judge(
    jobs: list[Job],
    hidden: tuple[Path, ...],
    scratch: Path,
    limits: Limits,
    imports: tuple[str, ...],
    examiner: Path | None,
) -> dict[str, Judgement]:
    """A judgement for each job's exercise; `imports` is what most of them will want imported, and
    `examiner` what their examiners are made from, if they have any.

    An answer may end the box or the whole run. The exercise in which that happened and those that
    had no chance are run again, the former by itself.
    """
    found: dict[str, Judgement] = {}
    while jobs:
        found |= _run(jobs, hidden, scratch, limits, imports, examiner)
        if len(jobs) == 1:
            break
        jobs = [job for job in jobs if found[job.exercise].kind in ("unreported", "setup")]
        if jobs:
            found |= _run(jobs[:1], hidden, scratch, limits, imports, examiner)
            jobs = jobs[1:]
    return found


def _run(
    jobs: list[Job],
    hidden: tuple[Path, ...],
    scratch: Path,
    limits: Limits,
    imports: tuple[str, ...],
    examiner: Path | None,
) -> dict[str, Judgement]:
    """One run of nbval over all jobs, a kernel each, in one box where that is safe."""
    libraries = tuple(dict.fromkeys(job.library for job in jobs))
    groups = [libraries] if keeps_to_folders() else [(library,) for library in libraries]
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="n", dir=scratch)))
        boxes = {
            library: box
            for group in groups
            for box in [stack.enter_context(Box(group, scratch, hidden, limits, imports, examiner))]
            for library in group
        }
        folder = place / "notebooks"
        folder.mkdir()
        (folder / "pytest.ini").write_text("[pytest]\n")
        for number, job in enumerate(jobs):
            name = f"k{number}"
            _write_kernelspec(place, name, boxes[job.library], job)
            notebook = job.notebook
            notebook.metadata["kernelspec"] = {"name": name, "display_name": name}
            notebook.metadata["seconds"] = job.seconds
            if job.key is not None:
                sealed = {"key": job.key.hex(), "mark": job.mark, "atol": job.atol}
                notebook.metadata["sealed"] = sealed
            nbformat.write(notebook, folder / f"{number:03d}.ipynb")
        environment = kernel_environment(place) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        environment |= {"PYTHONPATH": str(HERE.parents[1]), "TMPDIR": str(place)}
        _run_referee(folder, environment, START_SECONDS + sum(map(_longest, jobs)))
        verdicts = _read_verdicts(folder / "verdicts.jsonl")
    return {
        job.exercise: judgement(job.notebook, verdicts.get(f"{number:03d}.ipynb", []))
        for number, job in enumerate(jobs)
    }


def _longest(job: Job) -> float:
    """The longest that a notebook may take from the start of its kernel to its end."""
    return 2 * job.seconds + 20


def _run_referee(folder: Path, environment: dict[str, str], limit: float) -> None:
    """Let nbval run the folder's notebooks; what it says is in verdicts.jsonl."""
    process = subprocess.Popen(
        [sys.executable, "-m", "classroom.grade.boxed_referee", str(folder)],
        env=environment,
        stdin=subprocess.PIPE,  # closes when this process ends, and the referee with it
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.stdin.close()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _write_kernelspec(place: Path, name: str, box: Box, job: Job) -> None:
    request = {
        "exercise": job.exercise,
        "library": box.library_inside(job.library),
        "limits": box.limits.as_rlimits(cpu_seconds=3 * job.seconds),
        "room": job.room,
        "mark": job.mark,
    }
    spec = {
        "argv": [
            *(sys.executable, "-I", "-S", str(HERE / "relay.py"), str(box.control)),
            *("{connection_file}", str(box.sockets_inside), json.dumps(request)),
        ],
        "display_name": name,
        "language": "python",
        "metadata": {"sockets": str(box.sockets)},
    }
    folder = place / "jupyter" / "data" / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))


def _read_verdicts(path: Path) -> dict[str, list[dict]]:
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
    if kind == "error" and roles[place] not in ("answer", "check"):
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
