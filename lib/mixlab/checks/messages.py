"""What a reader sees of an exercise: one message, wrapped, with no frames of ours above it."""

from textwrap import wrap

WIDTH = 90  # JupyterLab breaks longer lines anywhere, in the middle of a word too
_HOW = dict(width=WIDTH, break_long_words=False, break_on_hyphens=False)


def wrapped(text: str) -> str:
    """Lines of at most 90 columns, broken between words; what goes on is indented deeper.

    >>> print(wrapped("  Probably: " + "a word " * 14).replace(" ", "."))
    ..Probably:.a.word.a.word.a.word.a.word.a.word.a.word.a.word.a.word.a.word.a.word.a.word.a
    ....word.a.word.a.word
    """
    lines = []
    for line in text.splitlines():
        begin = " " * (len(line) - len(line.lstrip()))
        how = dict(initial_indent=begin, subsequent_indent=f"{begin}  ", **_HOW)
        lines += [line] if len(line) <= WIDTH else wrap(line.strip(), **how)
    return "\n".join(lines)


class Plain(Exception):
    """An error that a notebook shows as its message alone: the frames would be ours."""

    def _render_traceback_(self) -> list[str]:  # IPython calls this
        return wrapped(f"{type(self).__name__}: {self}").splitlines()


class CheckFailed(Plain, AssertionError):
    """An answer is not right yet; the message says where, and what was probably misunderstood."""


class Unreadable(Exception):
    """The answer returned something that is not of the kind the exercise asks for."""


class TooCostly(Unreadable):
    """The answer took far more memory than the exercise allows, whatever it returned."""


class UnknownExerciseError(Plain, ValueError):
    """There is no exercise, or no hint, of that name."""
