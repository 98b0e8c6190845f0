"""`python -m classroom <command>`: build, lint, check and serve the course."""

import argparse
import sys
from pathlib import Path

from classroom.layout import find_root, select


def parser() -> argparse.ArgumentParser:
    """Every command with its options; `python -m classroom <command> --help` explains each."""
    top = argparse.ArgumentParser(prog="python -m classroom", description=__doc__)
    top.add_argument("--root", type=Path, help="the project's folder (default: found from here)")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    notebooks = commands.add_parser(
        "notebooks",
        help="build the three notebooks of each chapter from course/source",
        description="Build course/, exercises/ and solutions/ from course/source. Notebooks run "
        "only where their code changed.",
    )
    notebooks.add_argument("chapters", nargs="*", metavar="NN", help="chapters (default: all)")
    notebooks.add_argument(
        "--check", action="store_true", help="write nothing; fail if a notebook has drifted"
    )
    notebooks.add_argument("--execute", action="store_true", help="run every notebook again")

    check = commands.add_parser(
        "check",
        help="tell a student which of their answers pass",
        description="Put the answers of a notebook into the pristine one, run each exercise "
        "there under nbval, and say how each went. Exit status 0 only if all passed.",
    )
    check.add_argument("notebook", type=Path, help="such as exercises/02_sliding_window.ipynb")
    check.add_argument(
        "--timeout", type=float, default=60, help="seconds a cell may take (default: 60)"
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        root = options.root.resolve() if options.root else find_root()
        return run(options, root)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


def run(options: argparse.Namespace, root: Path) -> int:
    """Dispatch; each command's module is imported only when it is asked for."""
    if options.command == "notebooks":
        from classroom.build import build_command

        chosen = select(root, options.chapters)
        return build_command(root, chosen, options.check, options.execute)
    if options.command == "check":
        from classroom.check import check_command

        return check_command(root, options.notebook, options.timeout)
    raise AssertionError(options.command)


if __name__ == "__main__":
    sys.exit(main())
