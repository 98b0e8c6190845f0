"""An answer that is examined from another process is judged as it is beside the check.

MIXLAB_SLOW=1 tries every wrong answer, not two an exercise.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import pytest
import torch

from mixlab.checks.candidate import Candidate
from mixlab.checks.core import CHAPTERS, cases_of, run
from mixlab.checks.examiner import examine
from mixlab.checks.manners import MANNERS
from tests.test_checks import ANSWERS


@contextmanager
def examined(exercise: str, seed: int, may_fail: bool = False):
    """A candidate's end of a channel to an examiner."""
    context = get_context("fork")
    here, there = context.Pipe()

    def serve():
        here.close()
        examine(there, exercise, CHAPTERS[exercise[:2]], seed)

    process = context.Process(target=serve, daemon=True)
    process.start()
    there.close()
    try:
        yield Candidate(here, MANNERS)
    finally:
        here.close()
        process.join(20)
        assert process.exitcode == 0 or may_fail


def _outcome(call) -> tuple[str, str]:
    try:
        return "line", call()
    except Exception as error:
        return type(error).__name__, ""


def test_what_is_handed_out_can_be_called_from_threads():
    def answer(x, chosen, gates, experts, capacity):
        picked = [
            tuple(p[:capacity] for p in torch.where(chosen == e)) for e in range(len(experts))
        ]
        with ThreadPoolExecutor(4) as pool:
            made = {
                e: pool.submit(experts[e], x[token])
                for e, (token, _) in enumerate(picked)
                if len(token)
            }
        out = torch.zeros_like(x)
        for e, future in made.items():
            token, rank = picked[e]
            out[token] += gates[token, rank, None] * future.result()
        return out

    with examined("07.2", 1) as candidate:
        line = candidate.request("examine", "07.2", answer)
    assert line == f"07.2 ✓ {run('07.2', answer, 1)[0].text}"


# Its memory goes by where a table of weights lies, and every call gets a table of its own.
_UNLIKE = {"one_token_remembers"}


def _all():
    for chapter in ANSWERS.values():
        for exercise, answers in chapter.RIGHT.items():
            for answer in answers:
                yield pytest.param(exercise, answer, id=f"{exercise}-{answer.__name__}")
        for exercise, answers in chapter.WRONG.items():
            for answer, _ in answers if os.environ.get("MIXLAB_SLOW") else answers[:2]:
                if answer.__name__ not in _UNLIKE:
                    yield pytest.param(exercise, answer, id=f"{exercise}-{answer.__name__}")


@pytest.mark.parametrize(("exercise", "answer"), list(_all()))
def test_an_examiner_elsewhere_gets_the_same(exercise, answer):
    seed = cases_of(exercise).seed + 1

    def beside():
        torch.manual_seed(0)
        return f"{exercise} ✓ {run(exercise, answer, seed)[0].text}"

    def elsewhere():
        torch.manual_seed(0)
        with examined(exercise, seed) as candidate:
            return candidate.request("examine", exercise, answer)

    wanted = _outcome(beside)
    if wanted[0] == "CheckFailed":
        pytest.skip("it calls the library, which a graded process doesn't have")
    assert _outcome(elsewhere) == wanted
