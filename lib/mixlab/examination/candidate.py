"""`check` in a process that is being graded: hand the answer to the examiner, print what it says.

The examiner is another process: it draws the inputs, asks this one for the results and sums them up
in a line. What is right, neither of them knows.
"""

import itertools
import os
from multiprocessing.connection import Connection

from mixlab.checks.messages import CheckFailed, TooCostly
from mixlab.checks.ready_made import ready_made_in
from mixlab.examination.channel import Channel, rebuilt
from mixlab.examination.wire import MOST_OF_AN_ITERATOR, Gone
from mixlab.traces.costs import measured

__all__ = ["CheckFailed", "check", "final_check", "hint"]

MEASURES = {"measured": measured}
CHANNEL = "MIXLAB_EXAMINER"  # the number of the file that leads to the examiner


class Candidate(Channel):
    """The answer's end."""

    _foreign = staticmethod(rebuilt)

    def _answer(self, what: str, parts: list):
        if what == "attribute":
            return hasattr(*parts), getattr(*parts, None)
        if what == "iterate":
            return list(itertools.islice(*parts, MOST_OF_AN_ITERATOR))
        return super()._answer(what, parts)


def final_check(exercise: str, answer) -> None:
    """The check that counts, once in a process.

    Raises:
        Exception: whatever the answer raises, or the examiner has to say.
    """
    if name := ready_made_in(answer):
        raise CheckFailed(f"library: the answer uses {name}")
    with Connection(int(os.environ[CHANNEL])) as connection:
        try:
            print(Candidate(connection, MEASURES).request("examine", exercise, answer))
        except Gone:
            raise TooCostly(
                "the answer asked what it was handed for more than memory or time allow"
            ) from None


def check(exercise: str, answer) -> None:
    """A check among an answer's own lines: only the one in the check's own cell counts."""


def hint(exercise: str, number: int | None = None) -> None:
    """Hints help who writes an answer; here it is read."""
