"""nbval as the referee: run a notebook, compare its marked outputs, one verdict a code cell.

nbval decides by the kernel's messages alone and lets much pass: skipped cells, cells without a
stored output, whatever follows a dead kernel. So a verdict is "passed" only for a cell that nbval
ran and reported as passed, and only if the report speaks of every code cell. Reports are read by
position, never by label: labels change between nbval's versions.
"""

import re
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from os import killpg
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom.environment import SLOW_IMPORT, kernel_environment

COLOUR = re.compile(r"(?:\x1b|#x1B)\[[0-9;]*m")
HEADER = re.compile(r"^(\w[\w.]*) {2,}Traceback \(most recent call last\)$", re.MULTILINE)
LAST_ERROR = re.compile(
    r"^(\w+(?:Error|Exception|Interrupt|Failed)): ?(.*)", re.MULTILINE | re.DOTALL
)
MEMORY = 3 * 2**30  # bytes of addresses a kernel may map, as in grading
PYTEST = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
sys.modules[{SLOW_IMPORT!r}] = None
import contextlib, resource
import pytest
from classroom.check_lines import compare_check_lines
from classroom.flood import cut_off_floods
compare_check_lines()
cut_off_floods()
with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
    resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
sys.exit(pytest.main())
"""
START_SECONDS = 120  # for pytest and a kernel to start on a busy machine


@dataclass(frozen=True)
class Verdict:
    """What nbval said about one cell. `error` is an exception's name, if it raised one."""

    passed: bool
    error: str = ""
    message: str = ""


def referee(notebook: NotebookNode, cell_timeout: float) -> list[Verdict]:
    """Run the notebook under nbval in a folder of its own; a verdict for each code cell, in order.

    Outputs are compared in cells tagged nbval-check-output: of a check's, the lines of checks.
    Fails closed: a run that ends early, a report that is missing, or one that speaks of another
    number of cells passes nothing.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    with tempfile.TemporaryDirectory(prefix="classroom-") as temporary:
        folder, scratch = Path(temporary) / "work", Path(temporary) / "scratch"
        folder.mkdir()
        nbformat.write(notebook, folder / "notebook.ipynb")
        (folder / "pytest.ini").write_text("[pytest]\n")
        # An endless loop costs its own cell and, if it resists interruption, the ones behind it.
        limit = START_SECONDS + (cell_timeout + 10) * len(cells)
        finished = _run_pytest(folder, scratch, cell_timeout, limit)
        if not finished:
            return [Verdict(False, "", f"took longer than {limit:.0f} seconds in all")] * len(cells)
        try:
            report = ElementTree.parse(folder / "report.xml")
        except (OSError, ElementTree.ParseError):
            return [Verdict(False, "", "nbval left no report")] * len(cells)
    cases = list(report.iter("testcase"))
    if len(cases) != len(cells):
        message = f"nbval reported {len(cases)} of {len(cells)} cells"
        return [Verdict(False, "", message)] * len(cells)
    return [_verdict(case) for case in cases]


def telling(roles: Sequence[str | None], failed: Collection[int], fatal: Collection[int]) -> int:
    """Which of an exercise's failed cells says why it failed; -1 if it passed.

    The course's own cells decide, the check among them. A student's cell may fail, as in their own
    notebook: what it had defined by then stands. It is the reason only if the check failed too.

    Args:
        roles: each cell's, "answer" and "own" for the student's.
        failed: the positions of cells that did not pass.
        fatal: those of them that ended the kernel, or what is left of its time.

    >>> telling(["answer", "check"], [0], []), telling(["answer", "check"], [0, 1], [])
    (-1, 0)
    """
    decisive = [place for place in sorted(failed) if roles[place] not in ("answer", "own")]
    if not decisive:
        return -1
    if fatal:
        return min(fatal)
    last = max((place for place, role in enumerate(roles) if role == "answer"), default=-1)
    return last if last in failed and roles[decisive[0]] == "check" else decisive[0]


def _run_pytest(folder: Path, scratch: Path, cell_timeout: float, limit: float) -> bool:
    """Run nbval in `folder` with nothing of the user's pytest set-up; False if it took too long."""
    command = [
        *(sys.executable, "-c", PYTEST, "-p", "nbval.plugin", "-p", "no:cacheprovider", "-q"),
        *("-c", "pytest.ini", "--rootdir", ".", "--confcutdir", "."),
        *("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", str(cell_timeout)),
        *("--junitxml", "report.xml", "notebook.ipynb"),
    ]
    environment = kernel_environment(scratch) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(limit)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:  # its kernel ends with it: it watches its parent
            killpg(process.pid, signal.SIGKILL)
            process.wait()


def _verdict(case: ElementTree.Element) -> Verdict:
    """One test case of a JUnit report."""
    outcome = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
    if outcome is None:
        return Verdict(True)
    if outcome.tag == "skipped":
        return Verdict(False, "", f"the cell was skipped ({outcome.get('message', 'no reason')})")
    text = COLOUR.sub("", outcome.text or "")
    if "Cell outputs differ" in text or "Unrun reference cell" in text:
        return Verdict(
            False, "", "the check ran, but did not print what it prints for the solution"
        )
    if re.search(r"^Cell \d+: Timeout of", text, re.MULTILINE):
        return Verdict(False, "Timeout", "took too long")
    if text.startswith("pytest plugin exception: Flood: "):
        return Verdict(False, "Flood", "printed or drew far too much")
    error, message = error_of(text)
    return Verdict(False, error, message or text.strip().splitlines()[-1])


def error_of(report: str) -> tuple[str, str]:
    """The exception's name and its whole message, from a traceback as IPython prints it.

    >>> error_of('''ValueError         Traceback (most recent call last)
    ... Cell In[1], line 1
    ... ----> 1 raise ValueError("no\\\\nway")
    ...
    ... ValueError: no
    ... way''')
    ('ValueError', 'no\\nway')
    """
    headers = list(HEADER.finditer(report))
    if headers:
        name = headers[-1].group(1)
        pattern = re.compile(rf"^{re.escape(name)}(?:: ?(.*))?\s*\Z", re.MULTILINE | re.DOTALL)
        found = pattern.search(report, headers[-1].end())
        return name, (found.group(1) or "").strip() if found else ""
    found = LAST_ERROR.search(report)  # a SyntaxError has no header, nor a check's own message
    return (found.group(1), found.group(2).strip()) if found else ("", "")
