"""An answer that is examined from another process is judged as it is beside the check.

A thorough run tries every right and wrong answer, not one of each of an exercise.
"""

from array import array
from collections import UserList
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch

from classroom.grade.sealed import agree
from mixlab.checks.checking import PUBLIC
from mixlab.checks.exercise import each, files, find
from mixlab.checks.messages import Unreadable
from tests.examination.examined import examined, results, right
from tests.thorough import some


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
    assert line == results("07.2", answer, 1)


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


class ArrayRing(np.ndarray):
    """A ring that is an array itself."""

    def __new__(cls, window):
        return np.full(window, None).view(cls)

    def write(self, item):
        place = self.seen = getattr(self, "seen", -1) + 1
        out, self[place % len(self)] = self[place % len(self)], item
        return out

    @property
    def slots(self):
        return self.tolist()


class Slots(NamedTuple):
    """A ring whose parts are named."""

    slots: list
    written: list

    def write(self, item):
        place = len(self.written) % len(self.slots)
        self.written.append(self.slots[place])
        self.slots[place] = item
        return self.written[-1]


class Masked(np.ndarray):
    """A result that knows more than its numbers."""

    def share(self):
        return self.mean()


def as_a_mask(seq, window):
    return np.asarray(right("02.1")(seq, window)).view(Masked)


class Memo(dict):
    """A function that remembers."""

    def __call__(self, *given):
        if given not in self:
            self[given] = right("02.3")(*given)
        return self[given]


class Minute:
    """A pair that can only be iterated over."""

    def __init__(self, *pair):
        self.pair = pair

    def __iter__(self):
        return iter(self.pair)


def in_a_minute(one, other):
    return Minute(*right("17.1")(tuple(one), tuple(other)))


def as_an_array(lengths, bounds):
    return tuple(array("q", part) for part in right("06.1")(lengths, bounds))


def in_small_integers(seq, window):
    return torch.as_tensor(right("02.1")(seq, window)).to(torch.uint16)


UNUSUAL = [
    *(("04.1", ListRing), ("02.3", Memo()), ("17.1", in_a_minute), ("06.1", as_an_array)),
    *(("02.1", in_small_integers), ("02.1", as_a_mask)),
    *(("04.1", ArrayRing), ("04.1", lambda window: Slots([None] * window, []))),
]


@pytest.mark.parametrize(("exercise", "answer"), UNUSUAL)
def test_unusual_results_are_read_as_beside_the_check(exercise, answer):
    with examined(exercise, 1) as candidate:
        line = candidate.request("examine", exercise, answer)
    texts = [one.partition("✓ ")[2] for one in (line, results(exercise, right(exercise), 1))]
    assert agree(*texts, 1e-4)


def test_an_iterator_that_calls_what_was_handed_out_does_not_hang():
    def answer(f, seq, dim):
        return (f(torch.ones(seq, dim))[at, 0] > 0 for at in range(seq))

    with examined("03.4", 1) as candidate, pytest.raises(Unreadable):
        candidate.request("examine", "03.4", answer)


def _all():
    for exercise in files():
        known = find(exercise).KNOWN
        wrong = [answer for _, answer in each(known.mistakes)]
        others = known.right[::-1]  # the first is what all are held against
        for number, answer in enumerate((*some(others, 1), *some(wrong, 1))):
            yield pytest.param(exercise, answer, id=f"{exercise}-{number}")


@cache
def _expected(exercise: str, seed: int) -> str:
    return results(exercise, right(exercise), seed)


def _texts(exercise, *lines):
    return [line.removeprefix(f"{exercise} ✓ ") for line in lines]


@pytest.mark.parametrize(("exercise", "answer"), list(_all()))
def test_an_examiner_elsewhere_comes_to_the_same_end(exercise, answer):
    """What a wrong answer raises may be another error there; what it returns may not be right."""
    seed, asked = PUBLIC + 1, find(exercise).ASKED
    expected = _expected(exercise, seed)

    def elsewhere():
        with examined(exercise, seed) as candidate:
            return candidate.request("examine", exercise, answer)

    how, line = _outcome(elsewhere)
    if answer in find(exercise).KNOWN.right:
        assert how == "line"
        assert agree(*_texts(exercise, line, expected), asked.atol)
    else:
        assert how != "line" or not agree(*_texts(exercise, line, expected), asked.atol)
