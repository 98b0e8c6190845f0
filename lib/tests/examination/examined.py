"""An answer here, its examiner in another process, and what is right."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context

from mixlab.checks.exercise import files, find
from mixlab.examination.candidate import MEASURES, Candidate
from mixlab.examination.examiner import examine
from mixlab.examination.results import to_text


def results(exercise: str, answer, seed: int) -> str:
    """The line of an answer that is called beside its examiner."""
    asked = find(exercise).ASKED
    values = [asked.outcome(answer, arguments) for arguments in asked.inputs(seed)]
    return f"{exercise} ✓ {to_text(values)}"


def right(exercise: str):
    """The first right answer."""
    return find(exercise).KNOWN.right[0]


@contextmanager
def examined(exercise: str, seed: int, may_fail: bool = False) -> Iterator[Candidate]:
    """A candidate's end of a channel to an examiner."""
    context = get_context("fork")
    here, there = context.Pipe()

    def serve():
        here.close()
        examine(there, exercise, files()[exercise], seed)

    process = context.Process(target=serve, daemon=True)
    process.start()
    there.close()
    try:
        yield Candidate(here, MEASURES)
    finally:
        here.close()
        process.join(20)
        assert process.exitcode == 0 or may_fail
