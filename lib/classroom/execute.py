"""Run a notebook from top to bottom on a fresh kernel of this environment.

The kernel starts in the notebook's own folder, as JupyterLab would start it, and sees nothing of
the user's IPython profile: an author's start-up scripts must not decide what students see.
"""

import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from classroom.environment import kernel_environment

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CELL_LINE = re.compile(r"^\s*Cell In\s?\[\d+\], line (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """How a run went: wall-clock seconds, and the cell that stopped it (None: all ran).

    `line` is the line of that cell, from 1, where its error was raised, if that is known.
    """

    seconds: float
    stopped_at: int | None = None
    reason: str = ""
    line: int = 1


def run_notebook(notebook: NotebookNode, folder: Path, cell_timeout: float = 120) -> Run:
    """Execute every code cell in place, with all its outputs; stop at the first that goes wrong.

    A cell tagged raises-exception may raise. Needs `folder` to exist. `cell_timeout` is in
    seconds and holds for each cell.
    """
    current = [0]
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as kernel_log:
        # An empty list of folders leaves the one kernel that is certain: this interpreter's.
        manager = AsyncKernelManager(
            kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=cell_timeout,
            resources={"metadata": {"path": str(folder)}},
            store_widget_state=True,  # without it, nbclient fails at a widget that shows output
            record_timing=False,
            on_cell_start=lambda cell, cell_index: current.__setitem__(0, cell_index),
        )
        environment = kernel_environment(Path(scratch))
        started = time.perf_counter()
        stopped_at, reason = None, ""
        try:
            client.execute(env=environment, stderr=kernel_log, cleanup_kc=True)
        except CellExecutionError as error:
            stopped_at, reason = current[0], f"raised {error.ename}: {error.evalue}".rstrip(": ")
        except CellTimeoutError:
            stopped_at, reason = current[0], f"took longer than {cell_timeout:g} seconds"
        except DeadKernelError:
            kernel_log.seek(0)
            last_words = kernel_log.read().decode(errors="replace").strip()[-500:]
            stopped_at, reason = current[0], f"ended the kernel; it last said: {last_words}"
        seconds = time.perf_counter() - started
        notebook.metadata.pop("widgets", None)
    return Run(seconds, stopped_at, reason, _error_line(notebook.cells[current[0]]))


def _error_line(cell: NotebookNode) -> int:
    """The line of the cell that its error's traceback starts from; 1 where there is none."""
    traceback = "\n".join(
        line
        for output in cell.get("outputs", [])
        if output.output_type == "error"
        for line in output.traceback
    )
    found = CELL_LINE.search(COLOUR.sub("", traceback))
    return int(found[1]) if found else 1
