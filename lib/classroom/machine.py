"""What the doctor looks at: one function a finding, each a Row, or several.

torch and xformers are looked at in processes of their own: one that crashes is a finding.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from classroom.weights import PACKAGE, installed_file, verify

PYTHONS = ((3, 11), (3, 13))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PROBE_SECONDS = 180


@dataclass(frozen=True)
class Row:
    """One finding. `without` says what is slower or skipped; `remedy` is what to run."""

    name: str
    state: str
    found: str
    without: str = ""
    remedy: str = ""


def probe(code: str) -> tuple[dict[str, Any] | None, str]:
    """Run code that prints JSON last, in a process of its own: (what it said, why it didn't)."""
    try:
        finished = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {PROBE_SECONDS} s"
    if finished.returncode == 0 and finished.stdout.strip():
        return json.loads(finished.stdout.strip().splitlines()[-1]), ""
    if finished.returncode < 0:
        return None, f"crashed with signal {-finished.returncode}"
    lines = finished.stderr.strip().splitlines()
    return None, lines[-1] if lines else f"ended with status {finished.returncode}"


TORCH = """
import json, torch
devices = []
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        with torch.cuda.device(index):
            product = torch.ones(8, 8, device="cuda") @ torch.ones(8, 8, device="cuda")
        assert product.sum().item() == 512
        devices.append([facts.name, facts.total_memory])
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda,
                  "threads": torch.get_num_threads(), "devices": devices}))
"""

XFORMERS = """
import json, logging
logging.disable(logging.CRITICAL)
import xformers, xformers.ops.fmha.attn_bias
print(json.dumps({"version": xformers.__version__}))
"""


def python_rows() -> list[Row]:
    """The interpreter and the environment it runs in."""
    low, high = PYTHONS
    version = platform.python_version()
    if low <= sys.version_info[:2] <= high:
        rows = [Row("Python", "ok", f"{version}, {sys.executable}")]
    else:
        wanted = f"{low[0]}.{low[1]} to {high[0]}.{high[1]}"
        remedy = f"install Python {wanted}, then: rm -rf .venv && make setup PYTHON=python3.12"
        rows = [Row("Python", "problem", f"{version}; the course needs {wanted}", "", remedy)]
    if sys.prefix != sys.base_prefix:
        rows.append(Row("environment", "ok", f"virtual, {sys.prefix}"))
    elif os.environ.get("CONDA_PREFIX"):
        rows.append(Row("environment", "ok", f"conda, {os.environ['CONDA_PREFIX']}"))
    else:
        without = "packages are shared with everything else on this machine"
        rows.append(Row("environment", "note", "none of its own", without, "make setup"))
    return rows


def package_row() -> Row:
    """Whether what is installed is what the project pins."""
    from packaging.requirements import Requirement

    wrong = []
    try:
        requirements = [Requirement(text) for text in metadata.requires("mixlab") or []]
    except metadata.PackageNotFoundError:
        return Row("packages", "problem", "the course's library is not installed", "", "make setup")
    needed = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, wanted {requirement.specifier}")
    if wrong:
        return Row("packages", "problem", "; ".join(wrong), "", "make setup")
    return Row("packages", "ok", f"all {len(needed)} at their pinned versions")


def torch_rows(look: Callable = probe) -> list[Row]:
    """torch, its threads, and the GPUs it sees."""
    facts, why = look(TORCH)
    if facts is None:
        remedy = "make setup; if it persists: rm -rf .venv && make setup"
        return [Row("torch", "problem", why, "nothing of the library runs", remedy)]
    build = f"CUDA {facts['cuda']}" if facts["cuda"] else "CPU build"
    rows = [Row("torch", "ok", f"{facts['version']}, {build}")]
    cores = os.cpu_count() or 1
    threads = facts["threads"]
    if threads == 1 < cores:
        without = "everything on the CPU takes about as many times longer as there are cores"
        remedy = "unset OMP_NUM_THREADS MKL_NUM_THREADS"
        rows.append(Row("threads", "note", f"1 of {cores} cores in use", without, remedy))
    else:
        rows.append(Row("threads", "ok", f"{threads} on {cores} cores"))
    if facts["devices"]:
        found = ", ".join(f"{name} ({size / 2**30:.0f} GiB)" for name, size in facts["devices"])
        return [*rows, Row("CUDA", "ok", found)]
    without = "GPU paths run as their readable twins on the CPU; tests of GPU kernels are skipped"
    if shutil.which("nvidia-smi") and not facts["cuda"]:
        remedy = "pip install --force-reinstall torch==" + facts["version"].partition("+")[0]
        return [*rows, Row("CUDA", "note", "a GPU, but a CPU build of torch", without, remedy)]
    if facts["cuda"]:
        remedy = "install or update the NVIDIA driver; nvidia-smi must list the GPU"
        return [*rows, Row("CUDA", "note", "torch could use a GPU and sees none", without, remedy)]
    return [*rows, Row("CUDA", "note", "no GPU", without, "none needed")]


def xformers_row(look: Callable = probe, system: str = sys.platform) -> Row:
    """xformers, whose masks chapter 06 shows."""
    without = "chapter 06 shows its masks in our own form only"
    if system == "darwin":
        return Row("xformers", "note", "not made for macOS", without, "none needed")
    facts, why = look(XFORMERS)
    if facts is None:
        return Row("xformers", "problem", why, without, "make setup")
    return Row("xformers", "ok", facts["version"])


def kernel_row() -> Row:
    """Whether a notebook's kernel starts and answers."""
    from nbformat.v4 import new_code_cell, new_notebook

    from classroom.execute import run_notebook

    cell = new_code_cell("print(6 * 7)")
    with tempfile.TemporaryDirectory() as folder:
        run = run_notebook(new_notebook(cells=[cell]), Path(folder), cell_timeout=60)
    if run.stopped_at is None and cell.outputs and cell.outputs[0].text == "42\n":
        return Row("kernel", "ok", f"starts and answers in {run.seconds:.1f} s")
    why = run.reason or "it answered nonsense"
    return Row("kernel", "problem", why, "no notebook runs", "make setup")


def disk_row(root: Path) -> Row:
    """Room on the project's disk."""
    free = shutil.disk_usage(root).free / 1e9
    found = f"{free:.1f} GB free"
    if free < 1:
        remedy = "free some: a full installation takes 2 GB, with CUDA 7 GB"
        return Row("disk", "problem", found, "installing and building fail", remedy)
    if free < 3:
        remedy = "free some before a re-installation: it takes 2 GB, with CUDA 7 GB"
        return Row("disk", "note", found, "a second environment does not fit", remedy)
    return Row("disk", "ok", found)


def weights_row() -> Row:
    """The real pretrained weights."""
    path = installed_file()
    without = "cells that load a real model stop with an error"
    if path is None:
        return Row("weights", "problem", f"{PACKAGE} is not installed", without, "make weights")
    wrong = verify(path)
    if wrong:
        return Row("weights", "problem", wrong, without, "make weights")
    return Row("weights", "ok", f"{path.name}, {path.stat().st_size / 1e6:.1f} MB, verified")


def browser_row(which: Callable = shutil.which) -> Row:
    """A browser for the tests of the slides."""
    path = next(filter(None, map(which, BROWSERS)), None)
    if path:
        return Row("browser", "ok", path)
    without = "slides render all the same; the tests that look at them are skipped"
    return Row("browser", "note", "no Chromium or Chrome", without, "sudo apt install chromium")


def sandbox_row(which: Callable = shutil.which) -> Row:
    """bubblewrap, and whether this machine lets it make namespaces."""
    without = "grading runs submissions under limits only, with network and files in reach"
    path = which("bwrap")
    if path is None:
        remedy = "sudo apt install bubblewrap (Linux only)"
        return Row("sandbox", "note", "no bubblewrap", without, remedy)
    command = [path, "--ro-bind", "/", "/", "--dev", "/dev", "--unshare-all", "true"]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Row("sandbox", "note", f"bubblewrap does not start: {error}", without)
    if finished.returncode:
        why = (finished.stderr.strip().splitlines() or ["it says nothing"])[-1]
        remedy = (
            "allow unprivileged user namespaces: "
            "sudo sysctl kernel.unprivileged_userns_clone=1 "
            "kernel.apparmor_restrict_unprivileged_userns=0"
        )
        return Row("sandbox", "note", f"bubblewrap cannot isolate: {why}", without, remedy)
    return Row("sandbox", "ok", f"{path}, namespaces work")


def git_row(which: Callable = shutil.which) -> Row:
    """git, to restore what was changed by mistake."""
    path = which("git")
    if path:
        return Row("git", "ok", path)
    without = "a notebook changed by mistake cannot be restored"
    return Row("git", "note", "no git", without, "sudo apt install git")
