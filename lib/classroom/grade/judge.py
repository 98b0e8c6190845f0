"""Run answers in boxes under nbval, and read what nbval said: one judgement an exercise.

It fails closed: an exercise has passed only if nbval reported every code cell of its notebook as
passed. Whatever ends a run early costs the exercise it happened in; the others are run again by
themselves.
"""

import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex

import nbformat
from nbformat import NotebookNode

from classroom.grade.box import HERE, Box
from classroom.grade.protection import keeps_to_folders
from classroom.grade.verdicts import FATAL, Judgement, judgement, read_verdicts
from classroom.grade.workshop import Workshop

START_SECONDS = 90  # for a box, pytest and a kernel to start on a busy machine
EARLY = ("unreported", "setup", *FATAL)  # what these leave behind is not used again


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


def judge(jobs: list[Job], workshop: Workshop) -> dict[str, Judgement]:
    """A judgement for each job's exercise.

    An answer may end the box or the whole run. The exercise in which that happened and those that
    had no chance are run again, the former by itself.
    """
    found: dict[str, Judgement] = {}
    while jobs:
        found |= _run(jobs, workshop)
        if len(jobs) == 1:
            break
        jobs = [job for job in jobs if found[job.exercise].kind in ("unreported", "setup")]
        if jobs:
            found |= _run(jobs[:1], workshop)
            jobs = jobs[1:]
    return found


def _run(jobs: list[Job], workshop: Workshop) -> dict[str, Judgement]:
    """One run of nbval over all jobs, a kernel each, in one box where that is safe."""
    libraries = tuple(dict.fromkeys(job.library for job in jobs))
    groups = [libraries] if keeps_to_folders() else [(library,) for library in libraries]
    with ExitStack() as stack:
        scratch = workshop.scratch
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="n", dir=scratch)))
        boxes = {
            library: box
            for group in groups
            for box in [stack.enter_context(workshop.box(group))]
            for library in group
        }
        referee = stack.enter_context(workshop.referee())
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
        referee.run(folder, place, START_SECONDS + sum(map(_longest, jobs)))
        verdicts = read_verdicts(folder / "verdicts.jsonl")
        found = {
            job.exercise: judgement(job.notebook, verdicts.get(f"{number:03d}.ipynb", []))
            for number, job in enumerate(jobs)
        }
        if any(one.kind in EARLY for one in found.values()):
            for tool in (referee, *boxes.values()):
                tool.close()
    return found


def _longest(job: Job) -> float:
    """The longest that a notebook may take from the start of its kernel to its end."""
    return 2 * job.seconds + 20


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
