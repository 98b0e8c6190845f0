"""The environment variables that notebooks run under, for the builder, the checks and the lab."""

import os
from pathlib import Path

# What a surrounding notebook, editor or user set-up would otherwise let in.
FOREIGN = ("PYTHONSTARTUP", "JPY_PARENT_PID", "JPY_SESSION_NAME", "PYTEST_ADDOPTS", "PYTHONHOME")

# nbformat imports, through jsonschema, a parser of internationalised addresses that it never uses
# and that takes a second of CPU to load. A process of our own does without it.
SLOW_IMPORT = "rfc3987_syntax"

CELL_SECONDS = 40  # a student's own check and the grader give a cell the same


def kernel_environment(scratch: Path) -> dict[str, str]:
    """This process's environment, with Jupyter's and IPython's files kept inside `scratch`.

    Plotly gets its renderer by name: what it guesses depends on the editor it runs under.
    """
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return environment | own_folders(scratch) | {"PLOTLY_RENDERER": "plotly_mimetype"}


def own_folders(scratch: Path) -> dict[str, str]:
    """The variables that keep Jupyter's and IPython's files inside `scratch`."""
    return {
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch / "jupyter" / "config"),
        "JUPYTER_DATA_DIR": str(scratch / "jupyter" / "data"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "jupyter" / "runtime"),
    }
