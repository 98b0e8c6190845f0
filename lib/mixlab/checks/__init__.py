"""Checks of the exercises: `check("02.1", answer)` in a notebook, and `hint("02.1")`.

Each exercise has two halves, in two packages:

- `cases/` draws seeded inputs, calls the answer and reads what it returned. It knows nothing of
  what is right, so a grader can put it into a student's process.
- `oracles/` knows what is right, by a small implementation of its own, and what usual mistakes
  look like. It never sees the solution notebooks, and a grader keeps it out of the student's
  process.

`check` prints one line with a digest of everything the answer returned on the drawn inputs. Two
answers print the same line exactly when they agree, so a notebook's output can be compared by
nbval with the output of another process that ran the solution with the same seed, and the
student's process never holds an expected value.
"""

from mixlab.checks.core import CheckFailed, check, hint

__all__ = ["CheckFailed", "check", "hint"]
