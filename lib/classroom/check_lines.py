"""The lines by which checks are compared: "02.1 ✓ 0123456789abcdef".

What an answer prints while it is called, draws or warns is its own affair, so of a check's output
only these lines count. All of them do: printing several guesses is no use.
"""

import re

CHECK_LINE = re.compile(r"\d\d\.\d+ ✓ ?[^\n]*")


def check_lines(outputs: list) -> list[str]:
    """The lines of checks that a cell's outputs hold, in order."""
    text = "".join(
        output.text
        for output in outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
    return CHECK_LINE.findall(text)


def compare_check_lines() -> None:
    """Let nbval compare these lines alone, in this process, where the stored output has some."""
    import nbformat
    from nbval.plugin import IPyNbCell

    whole = IPyNbCell.compare_outputs

    def lines_alone(outputs: list) -> list:
        text = "\n".join(check_lines(outputs))
        return [nbformat.v4.new_output("stream", name="stdout", text=text)]

    def compare(self, test, ref, skip_compare=None):
        if check_lines(ref):
            test, ref = lines_alone(test), lines_alone(ref)
        return whole(self, test, ref, skip_compare)

    IPyNbCell.compare_outputs = compare
