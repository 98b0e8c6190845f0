"""Checks of the exercises: `check("02.1", answer)` in a notebook, and `hint("02.1")`.

Each exercise is one file of its chapter's folder (see `exercise`): above a cut, how inputs are
drawn and an answer is called; below it, what is right and what people get wrong.

`check` prints one line with a digest of everything the answer returned on the drawn inputs. Two
answers print the same line exactly when they agree, so a notebook's output can be compared by
nbval with the output of another process that ran the solution with the same seed.

A grader keeps both halves out of the student's process: see `mixlab.examination`.
"""

from mixlab.checks.checking import CheckFailed, check, hint

__all__ = ["CheckFailed", "check", "hint"]
