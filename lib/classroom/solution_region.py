"""Solution regions, as in nbgrader: what stands between the markers is the answer.

    def visible(i, j, window):
        ### BEGIN SOLUTION
        return 0 <= i - j < window
        ### END SOLUTION

Markers stand on lines of their own, at any indentation. nbgrader looks for their words anywhere
in a line, so a near miss ("# begin solution") is refused rather than passed on as plain text.
"""

import re

BEGIN = re.compile(r"\s*### BEGIN SOLUTION\s*")
END = re.compile(r"\s*### END SOLUTION\s*")
OPEN = "replace this line with your answer"
NEAR = re.compile(r"\b(begin|end)[ _-]*solution\b", re.IGNORECASE)


def stub(exercise: str) -> str:
    """The line that stands in an exercise where its answer belongs.

    >>> stub("02.1")
    'raise NotImplementedError("02.1: replace this line with your answer")'
    """
    return f'raise NotImplementedError("{exercise}: {OPEN}")'


def awaits_answer(message: str) -> bool:
    """Whether a NotImplementedError says that an answer is missing: our stub's, or nbgrader's.

    PyTorch raises the same error, with a message of its own, for what it can't compute.

    >>> awaits_answer("02.1: replace this line with your answer"), awaits_answer("")
    (True, True)
    >>> awaits_answer("not implemented for Half")
    False
    """
    return not message or re.match(rf"\d\d\.\d+: {OPEN}", message) is not None


def marker_errors(source: str) -> list[tuple[int, str]]:
    """What is wrong with the markers in a cell: (line in the cell from 0, what and its fix).

    >>> marker_errors("### BEGIN SOLUTION")
    [(0, 'a solution region opens here and never ends. Add a line "### END SOLUTION".')]
    """
    errors: list[tuple[int, str]] = []
    opened, empty = None, True
    for number, line in enumerate(source.split("\n")):
        if BEGIN.fullmatch(line):
            if opened is not None:
                errors.append(
                    (number, "a solution region opens inside another. End the first one before.")
                )
            opened, empty = number, True
        elif END.fullmatch(line):
            if opened is None:
                errors.append(
                    (number, 'a solution region ends that never began. Add "### BEGIN SOLUTION".')
                )
            elif empty:
                errors.append((opened, "a solution region holds no code. Write the answer in it."))
            opened = None
        elif NEAR.search(line):
            errors.append(
                (
                    number,
                    "a solution marker stands alone on its line, written exactly "
                    f'"### BEGIN SOLUTION" or "### END SOLUTION"; got {line.strip()!r}.',
                )
            )
        elif line.strip() and not line.lstrip().startswith("#"):
            empty = False
    if opened is not None:
        errors.append(
            (opened, 'a solution region opens here and never ends. Add a line "### END SOLUTION".')
        )
    return errors


def split_regions(source: str) -> tuple[list[str], list[str]]:
    """(lines outside regions, lines inside), without the markers. Markers must be sound."""
    outside, inside, within = [], [], False
    for line in source.split("\n"):
        if BEGIN.fullmatch(line):
            within = True
        elif END.fullmatch(line):
            within = False
        else:
            (inside if within else outside).append(line)
    return outside, inside


def clear_regions(source: str, exercise: str) -> str:
    """The cell as a student gets it: each region becomes one `raise` at the marker's indentation.

    >>> print(clear_regions("def f():\\n    ### BEGIN SOLUTION\\n    return 1\\n"
    ...                     "    ### END SOLUTION", "02.1"))
    def f():
        raise NotImplementedError("02.1: replace this line with your answer")
    """
    lines, within = [], False
    for line in source.split("\n"):
        if BEGIN.fullmatch(line):
            within = True
            indentation = line[: len(line) - len(line.lstrip())]
            lines.append(indentation + stub(exercise))
        elif END.fullmatch(line):
            within = False
        elif not within:
            lines.append(line)
    return "\n".join(lines)


def leaks(regions: list[str], elsewhere: str, built: str) -> list[str]:
    """Solution lines that stand in a `built` text although the source has them nowhere else.

    Lines of eight characters or fewer, and lines that the source also shows outside a region,
    say nothing about an answer and are left out.
    """
    distinct = dict.fromkeys(line.strip() for line in regions)
    return [line for line in distinct if len(line) > 8 and line not in elsewhere and line in built]
