"""Run answers in boxes under nbval, and read what nbval said: one judgement an exercise.

It fails closed: an exercise has passed only if nbval reported every code cell of its notebook as
passed. Whatever ends a run early costs the exercise it happened in; the others are run again by
themselves.
"""

import builtins
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom.environment import kernel_environment
from classroom.grade.box import HERE, Box, Limits
from classroom.referee import error_of

START_SECONDS = 90  # for a box, pytest and a kernel to start on a busy machine
LIBRARY = re.compile(r"library: the answer uses (mixlab\.[a-z_.]+)|calls (mixlab\.[a-z_.]+)")


@dataclass(frozen=True)
class Job:
    """An exercise's notebook, the part of the library it may see, and its kernel's environment."""

    exercise: str
    notebook: NotebookNode
    library: Path
    environment: dict[str, str]


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
    jobs: list[Job], hidden: tuple[Path, ...], cell_seconds: float, limits: Limits
) -> dict[str, Judgement]:
    """A judgement for each job's exercise."""
    found = _run(jobs, hidden, cell_seconds, limits)
    for job in jobs:
        # An earlier answer may have ended the box or the whole run: not this one's fault.
        if found[job.exercise].kind in ("unreported", "setup") and len(jobs) > 1:
            found |= _run([job], hidden, cell_seconds, limits)
    return found


def _run(
    jobs: list[Job], hidden: tuple[Path, ...], cell_seconds: float, limits: Limits
) -> dict[str, Judgement]:
    """One run of nbval over all jobs, with one box for each part of the library in use."""
    notebook_seconds = 2 * cell_seconds + 5
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="grade-")))
        boxes: dict[Path, Box] = {}
        folder = scratch / "notebooks"
        folder.mkdir()
        (folder / "pytest.ini").write_text("[pytest]\n")
        environment = kernel_environment(scratch) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        environment |= {"PYTHONPATH": str(HERE.parents[1]), "TMPDIR": str(scratch)}
        environment.pop("MIXLAB_SEEDS", None)
        for number, job in enumerate(jobs):
            if job.library not in boxes:
                boxes[job.library] = stack.enter_context(Box(job.library, hidden, limits))
            name = f"k{number}"
            _write_kernelspec(scratch, name, boxes[job.library], job.environment)
            notebook = job.notebook
            notebook.metadata["kernelspec"] = {"name": name, "display_name": name}
            nbformat.write(notebook, folder / f"{number:03d}.ipynb")
        limit = START_SECONDS + (notebook_seconds + 15) * len(jobs)
        command = [sys.executable, "-m", "classroom.grade.referee", str(folder)]
        command += [str(cell_seconds), str(notebook_seconds)]
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        verdicts = _read_verdicts(folder / "verdicts.jsonl")
    return {
        job.exercise: judgement(job.notebook, verdicts.get(f"{number:03d}.ipynb", []))
        for number, job in enumerate(jobs)
    }


def _write_kernelspec(scratch: Path, name: str, box: Box, environment: dict[str, str]) -> None:
    spec = {
        "argv": [
            *(sys.executable, "-I", "-S", str(HERE / "relay.py"), str(box.control)),
            *("{connection_file}", str(box.sockets_inside), json.dumps(environment)),
        ],
        "display_name": name,
        "language": "python",
        "metadata": {"sockets": str(box.sockets)},
    }
    folder = scratch / "jupyter" / "data" / "kernels" / name
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
            verdicts.setdefault(one["notebook"], []).append(one)
    return verdicts


def judgement(notebook: NotebookNode, verdicts: list[dict]) -> Judgement:
    """From nbval's verdicts on a notebook's cells, in order, to a judgement."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    seconds = round(sum(verdict["seconds"] for verdict in verdicts), 1)
    failed = next((i for i, verdict in enumerate(verdicts) if not verdict["passed"]), None)
    if failed is None:
        if len(verdicts) == len(cells):
            return Judgement(True, "passed", seconds=seconds)
        return Judgement(False, "unreported", seconds=seconds)
    if failed >= len(cells):
        return Judgement(False, "unreported", seconds=seconds)
    report = verdicts[failed]["report"]
    role = cells[failed].metadata.get("classroom", {}).get("role")
    kind, error, text = _reason(report)
    if kind == "error" and role not in ("answer", "check"):
        kind = "setup"
    if verdicts[failed]["outcome"] == "skipped":
        kind = "unreported"
    return Judgement(False, kind, error, text, seconds)


def _reason(report: str) -> tuple[str, str, str]:
    """(kind, built-in error or "", text) of a failed cell."""
    for word, kind in (("Timeout: ", "timeout"), ("Died: ", "died"), ("Flood: ", "flood")):
        if re.match(rf"(pytest plugin exception: |.*CutOff: ){word}", report):
            return kind, "", ""
    if re.search(r"^Cell \d+: Timeout of", report, re.MULTILINE):
        return "timeout", "", ""
    if report.startswith("pytest plugin exception"):
        return "died", "", ""
    if re.search(r"^Cell \d+: Cell outputs differ", report, re.MULTILINE):
        return "wrong", "", ""
    error, _ = error_of(report)
    if LIBRARY.search(report):
        return "library", "", report
    if error == "NotImplementedError":
        return "empty", "", ""
    if error in ("SyntaxError", "IndentationError", "TabError"):
        return "syntax", error, ""
    if error == "Unreadable":
        return "kind", "", ""
    known = error if isinstance(getattr(builtins, error, None), type) else ""
    return "error", known, report
