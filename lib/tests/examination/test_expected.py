"""Before a class is graded: a seed on which the solution is right, and what it must return."""

import pytest

from classroom.grade.sealed import agree
from mixlab.checks import CheckFailed
from mixlab.checks.checking import hold
from mixlab.examination import expected
from tests.examination.examined import results, right

SOLUTION = [
    "def n_scores(seq, window):\n    return sum(min(i + 1, window) for i in range(seq))",
    "from mixlab.checks import check\ncheck('02.3', n_scores)",
]


def test_a_seed_depends_on_the_base_and_the_exercise():
    def seed(exercise, base):
        return expected.fair_seed(exercise, right(exercise), base)

    assert seed("02.3", 1) == seed("02.3", 1)
    assert len({seed("02.3", 1), seed("02.3", 2), seed("02.1", 1)}) == 3


def test_what_is_expected_is_what_a_right_answer_returns():
    found = expected.expect(SOLUTION, base=5)
    returned = results("02.3", right("02.3"), found["seed"])
    assert agree(returned.partition("✓ ")[2], found["expected"], found["atol"])


def test_one_unlucky_seed_keeps_no_class_from_being_graded(monkeypatch):
    lucky, tried = expected.expect(SOLUTION, base=5)["seed"], []

    def fails_once(exercise, answer, seed):
        tried.append(seed)
        if len(tried) == 1:
            raise CheckFailed("02.3 is off by a rounding error")
        return hold(exercise, answer, seed)

    monkeypatch.setattr(expected, "hold", fails_once)
    assert expected.expect(SOLUTION, base=5)["seed"] == tried[1] != tried[0] == lucky


def test_a_wrong_solution_is_told():
    wrong = ["def n_scores(seq, window):\n    return seq * window", SOLUTION[1]]
    with pytest.raises(ValueError, match=r"the solution itself fails on seed \d+: 02\.3"):
        expected.expect(wrong, base=5)
    with pytest.raises(ValueError, match="calls check"):
        expected.expect(SOLUTION[:1], base=5)
