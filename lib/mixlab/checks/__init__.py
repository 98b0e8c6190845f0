"""Checks of the exercises: `check("02.1", answer)` in a notebook, and `hint("02.1")`.

Each exercise is one file of its chapter's folder (see `exercise`): above a cut, how inputs are
drawn and an answer is called; below it, what is right and what people get wrong.

`check` prints one line for a right answer, which nbval compares, and raises for a wrong one. A
grader keeps both halves out of the student's process: see `mixlab.examination`.
"""

from mixlab.checks.checking import CheckFailed, check, hint

__all__ = ["CheckFailed", "check", "hint"]
