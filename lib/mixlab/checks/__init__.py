"""Checks of the exercises: `check("02.1", answer)` in a notebook, and `hint("02.1")`.

Each exercise has two halves, in two packages:

- `cases/` draws seeded inputs, calls the answer and reads what it returned. It knows nothing of
  what is right.
- `oracles/` knows what is right, by a small implementation of its own, and what usual mistakes
  look like. It never sees the solution notebooks.

`check` prints one line with a digest of everything the answer returned on the drawn inputs. Two
answers print the same line exactly when they agree, so a notebook's output can be compared by
nbval with the output of another process that ran the solution with the same seed.

A grader keeps both halves out of the student's process. There, `candidate` has the same check: it
lends the answer to an `examiner` in another process, which has the cases and calls it from there
(`remote`, `wire`, `gradients`). What the student's process is handed of functions and objects is a
number and no more.
"""

from mixlab.checks.core import CheckFailed, check, hint

__all__ = ["CheckFailed", "check", "hint"]
