"""Finding the rows: every list `ROWS` in this folder's files `bench_*.py`."""

import importlib
import pkgutil
from fnmatch import fnmatch

import bench
from bench.row import Row


def discover(device: str, patterns: list[str] | None = None) -> list[Row]:
    """The rows of one device, in the order of the files' names.

    Args:
        device: "cpu" or "cuda".
        patterns: shell patterns, one of which a row's name must match; all rows by default.

    Raises:
        ValueError: if two rows share a name, or a pattern matches none.
    """
    modules = sorted(m.name for m in pkgutil.iter_modules(bench.__path__))
    found = [
        row
        for name in modules
        if name.startswith("bench_")
        for row in importlib.import_module(f"bench.{name}").ROWS
    ]
    names = [row.name for row in found]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two rows must not share a name: {', '.join(doubled)}")
    rows = [row for row in found if row.device == device]
    for pattern in patterns or []:
        if not any(fnmatch(row.name, pattern) for row in rows):
            raise ValueError(
                f"no row for the device {device!r} matches {pattern!r}: there are "
                f"{', '.join(row.name for row in rows)}"
            )
    return [row for row in rows if not patterns or any(fnmatch(row.name, p) for p in patterns)]
