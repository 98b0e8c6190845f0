"""The examiner of one exercise: asks a candidate in another process, and sums up its results.

It holds the seed and whatever is handed out to be judged or called. The candidate gets arguments,
and numbers for what stays here; so it can neither look into a suspect nor make an operator forget
that it was called. What an answer returns is read here, and compared elsewhere.
"""

import importlib
from collections.abc import Callable
from multiprocessing.connection import Connection

from mixlab.checks.messages import Unreadable
from mixlab.examination.channel import Channel, Remote
from mixlab.examination.results import to_text
from mixlab.examination.wire import Gone


class Examiner(Channel):
    """The examiner's end: lends nothing but functions and opaque objects.

    Args:
        connection: to the candidate.
        exercise: the only one that it examines, and once.
        module: the full name of its file.
        seed: of the inputs.
        sealed: makes of what the answer returned, as text, what the candidate may see of it.
    """

    def __init__(
        self, connection: Connection, exercise: str, module: str, seed: int, sealed: Callable
    ):
        super().__init__(connection)
        self._exercise, self._sealed = exercise, sealed
        self._asked = importlib.import_module(module).ASKED
        self._inputs = self._asked.inputs(seed)
        self._examined = False
        self._refusal: Unreadable | None = None

    def attribute(self, remote: Remote, name: str):
        """An attribute of the answer's object, such as its method."""
        found, value = self.request("attribute", remote, name)
        if not found:
            raise AttributeError(f"{remote!r} has no attribute {name!r}")
        return value

    def parts(self, remote: Remote) -> list:
        """What the answer's object gives when it is iterated over."""
        return self.request("iterate", remote)

    def _show(self, value) -> str:
        # An address in memory would tell in which order suspects were made.
        return "<function>" if callable(value) else super()._show(value)

    def _changed(self, arrays: list[tuple]) -> list[int]:
        return []  # nothing that is lent changes its arguments

    def _answer(self, what: str, parts: list):
        if what == "examine":
            return self._examine(*parts)
        try:
            return super()._answer(what, parts)
        except Unreadable as error:  # a rule was broken, and no answer can undo that
            self._refusal = self._refusal or error
            raise

    def _examine(self, exercise: str, answer) -> str:
        """The line that the check prints.

        Raises:
            Unreadable: if the answer broke a rule, or returned another kind of thing.
        """
        if exercise != self._exercise or self._examined:
            raise Unreadable(f"{self._exercise} is examined here, once: got {exercise}")
        self._examined, values = True, []
        for arguments in self._inputs:
            values.append(self._asked.outcome(answer, arguments))
        if self._refusal:
            raise self._refusal
        return f"{self._exercise} ✓ {self._sealed(to_text(values))}"


def examine(
    connection: Connection, exercise: str, module: str, seed: int, sealed=str, ready=None
) -> None:
    """Serve a candidate until it goes; `ready` is called when all inputs have been drawn."""
    examiner = Examiner(connection, exercise, module, seed, sealed)
    if ready:
        ready()
    while True:
        try:
            examiner.serve_one()
        except Gone:
            return
