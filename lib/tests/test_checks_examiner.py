"""An answer that is examined from another process is judged as it is beside the check.

MIXLAB_SLOW=1 tries every right and wrong answer, not two of each an exercise.
"""

import os
from array import array
from collections import UserList
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import pytest
import torch

from mixlab.checks.candidate import Candidate
from mixlab.checks.core import CHAPTERS, cases_of, run
from mixlab.checks.examiner import examine
from mixlab.checks.manners import MANNERS
from mixlab.checks.messages import Unreadable
from tests.answers import packed_prompts, parallel_scan, sliding_window
from tests.test_checks import ANSWERS

MOST = None if os.environ.get("MIXLAB_SLOW") else 2


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


class ListRing(list):
    """A ring that is a list itself."""

    def __init__(self, window):
        super().__init__([None] * window)
        self.seen = 0

    def write(self, item):
        place = self.seen % len(self)
        out, self[place] = self[place], item
        self.seen += 1
        return out

    @property
    def slots(self):
        return UserList(self)


class Memo(dict):
    """A function that remembers."""

    def __call__(self, *given):
        if given not in self:
            self[given] = sliding_window.RIGHT["02.3"][0](*given)
        return self[given]


class Minute:
    """A pair that can only be iterated over."""

    def __init__(self, *pair):
        self.pair = pair

    def __iter__(self):
        return iter(self.pair)


def in_a_minute(one, other):
    return Minute(*parallel_scan.RIGHT["17.1"][0](tuple(one), tuple(other)))


def as_an_array(lengths, bounds):
    return tuple(array("q", part) for part in packed_prompts.RIGHT["06.1"][0](lengths, bounds))


def in_small_integers(seq, window):
    return torch.as_tensor(sliding_window.RIGHT["02.1"][0](seq, window)).to(torch.uint16)


UNUSUAL = [
    *(("04.1", ListRing), ("02.3", Memo()), ("17.1", in_a_minute), ("06.1", as_an_array)),
    ("02.1", in_small_integers),
]


@pytest.mark.parametrize(("exercise", "answer"), UNUSUAL)
def test_unusual_results_are_read_as_beside_the_check(exercise, answer):
    with examined(exercise, 1) as candidate:
        line = candidate.request("examine", exercise, answer)
    right = ANSWERS[exercise[:2]].RIGHT[exercise][0]
    assert line == f"{exercise} ✓ {run(exercise, right, 1)[0].text}"


def test_an_iterator_that_calls_what_was_handed_out_does_not_hang():
    def answer(f, seq, dim):
        return (f(torch.ones(seq, dim))[at, 0] > 0 for at in range(seq))

    with examined("03.4", 1) as candidate, pytest.raises(Unreadable):
        candidate.request("examine", "03.4", answer)


# Its memory goes by where a table of weights lies, and every call gets a table of its own.
_UNLIKE = {"one_token_remembers"}


def _all():
    for chapter in ANSWERS.values():
        for exercise, answers in chapter.RIGHT.items():
            for answer in answers[:MOST]:
                yield pytest.param(exercise, answer, id=f"{exercise}-{answer.__name__}")
        for exercise, answers in chapter.WRONG.items():
            for answer, _ in answers[:MOST]:
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
