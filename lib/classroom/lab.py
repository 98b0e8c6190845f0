"""`classroom lab`: JupyterLab on the first lesson, leaving no trace outside the project's folder.

The student's copies of the exercises are laid out in work/ first. Settings, runtime files,
histories and caches go to build/jupyter; the kernel is this environment's, so nothing is
registered. JupyterLab's own calls home are switched off.
"""

import json
import os
import sys
from pathlib import Path

from classroom.environment import FOREIGN
from classroom.layout import FOLDERS, write_atomically
from classroom.work import prepare

ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"


def lab_environment(root: Path) -> dict[str, str]:
    """This process's environment, with every place that Jupyter writes to inside build/jupyter."""
    home = root / "build" / "jupyter"
    places = {
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
        "MPLCONFIGDIR": home / "matplotlib",
        "XDG_CACHE_HOME": home / "cache",
        "TRITON_CACHE_DIR": home / "cache" / "triton",
    }
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return environment | {name: str(path) for name, path in places.items()}


def lab_arguments(root: Path, extra: list[str]) -> list[str]:
    """The command that starts JupyterLab on the first lesson; `extra` goes to it as it is."""
    lessons = sorted((root / FOLDERS["lesson"]).glob("[0-9][0-9]_*.ipynb"))
    if not lessons:
        raise ValueError(f"{root / FOLDERS['lesson']}: no lesson here yet. Run: make notebooks")
    return [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"),
        f"--LabApp.default_url=/lab/tree/{FOLDERS['lesson']}/{lessons[0].name}",
        "--LabApp.extension_manager=readonly",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--LanguageServerManager.autodetect=False",  # the search starts npm, which writes ~/.npm
        *extra,
    ]


def lab_command(root: Path, extra: list[str]) -> int:
    """Lay out work/, then replace this process by JupyterLab."""
    arguments, environment = lab_arguments(root, extra), lab_environment(root)
    for line in prepare(root):
        print(line)
    config = Path(environment["JUPYTER_CONFIG_DIR"]) / "labconfig" / "page_config.json"
    write_atomically(config, json.dumps({"disabledExtensions": {ANNOUNCEMENTS: True}}) + "\n")
    sys.stdout.flush()
    os.execve(arguments[0], arguments, environment)
