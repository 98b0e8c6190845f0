"""`classroom doctor`: every problem of this machine in one run, each with its remedy.

A row is ok, a note (something is slower or skipped) or a problem (something does not work).
"""

from collections.abc import Callable
from pathlib import Path

from classroom import machine
from classroom.machine import Row


def examine(root: Path) -> list[Row]:
    """All rows. Nothing that goes wrong in one keeps the others from being looked at."""
    looks: dict[str, Callable[[], Row | list[Row]]] = {
        "Python": machine.python_rows,
        "packages": machine.package_row,
        "torch": machine.torch_rows,
        "xformers": machine.xformers_row,
        "kernel": machine.kernel_row,
        "disk": lambda: machine.disk_row(root),
        "weights": machine.weights_row,
        "browser": machine.browser_row,
        "sandbox": machine.sandbox_row,
        "git": machine.git_row,
    }
    rows: list[Row] = []
    for name, look in looks.items():
        try:
            found = look()
        except Exception as error:  # a doctor who faints helps nobody
            found = Row(name, "problem", f"{type(error).__name__}: {error}", "", "make setup")
        rows += found if isinstance(found, list) else [found]
    return rows


def render(rows: list[Row]) -> str:
    """The rows as text; what is not ok says what it costs and what to run."""
    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.state:<7}  {row.name:<{width}}  {row.found}")
        if row.state != "ok":
            margin = " " * (7 + 2 + width + 2)
            lines += [
                f"{margin}{label}: {text}"
                for label, text in (("without it", row.without), ("remedy", row.remedy))
                if text
            ]
    problems = sum(row.state == "problem" for row in rows)
    notes = sum(row.state == "note" for row in rows)
    return "\n".join([*lines, "", f"{problems} problems, {notes} notes"])


def doctor_command(root: Path) -> int:
    """Print the rows; 1 if there is a problem."""
    rows = examine(root)
    print(render(rows))
    return 1 if any(row.state == "problem" for row in rows) else 0
