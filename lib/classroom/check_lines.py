"""The lines by which checks are compared: "02.1 ✓ right on 9 inputs".

What an answer prints while it is called, draws or warns is its own affair, so of a check's output
only these lines count. All of them do: printing several guesses is no use.
"""

import re
from collections.abc import Callable

CHECK_LINE = re.compile(r"\d\d\.\d+ ✓ ?[^\n]*")


def check_lines(outputs: list) -> list[str]:
    """The lines of checks that a cell's outputs hold, in order."""
    text = "".join(
        output.text
        for output in outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
    return CHECK_LINE.findall(text)


def compare_check_lines(opened: Callable = lambda cell, found, expected: found) -> None:
    """Let nbval compare these lines alone, in this process, where the stored output has some.

    `opened` maps nbval's cell, the lines that it printed and those that are expected to the former
    as they are to be compared.
    """
    import nbformat
    from nbval.plugin import IPyNbCell

    whole = IPyNbCell.compare_outputs

    def as_output(lines: list[str]) -> list:
        return [nbformat.v4.new_output("stream", name="stdout", text="\n".join(lines))]

    def compare(self, test, ref, skip_compare=None):
        if expected := check_lines(ref):
            test, ref = as_output(opened(self, check_lines(test), expected)), as_output(expected)
        return whole(self, test, ref, skip_compare)

    IPyNbCell.compare_outputs = compare
