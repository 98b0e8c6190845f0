"""Before a class is graded: seeds that suit an exercise, and a solution that is right on them."""

import pytest

from mixlab.checks import CheckFailed
from mixlab.checks.checking import run
from mixlab.checks.digest import SAFE_MARGIN
from mixlab.examination import expected
from tests.examination.examined import right

SOLUTION = [
    "def n_scores(seq, window):\n    return sum(min(i + 1, window) for i in range(seq))",
    "from mixlab.checks import check\ncheck('02.3', n_scores)",
]


def test_a_seed_keeps_the_result_clear_of_borders_and_depends_on_the_base():
    first = [next(expected.safe_seeds("02.4", right("02.4"), base)) for base in (1, 1, 2)]
    assert first[0] == first[1] != first[2]
    assert run("02.4", right("02.4"), first[0])[0].margin >= SAFE_MARGIN


def test_one_unlucky_seed_keeps_no_class_from_being_graded(monkeypatch):
    lucky, line, tried = expected.expect(SOLUTION, base=5), expected._line, []

    def fails_once(exercise, answer, seed):
        tried.append(seed)
        if len(tried) == 1:
            raise CheckFailed("02.3 is off by a rounding error")
        return line(exercise, answer, seed)

    monkeypatch.setattr(expected, "_line", fails_once)
    found = expected.expect(SOLUTION, base=5)
    assert tried == [lucky["seed"], found["seed"]]
    assert found["line"].startswith("02.3 ✓ ")
    assert found["line"] != lucky["line"]


def test_a_wrong_solution_is_told():
    wrong = ["def n_scores(seq, window):\n    return seq * window", SOLUTION[1]]
    with pytest.raises(ValueError, match=r"the solution itself fails on seed \d+: 02\.3"):
        expected.expect(wrong, base=5)
    with pytest.raises(ValueError, match="calls check"):
        expected.expect(SOLUTION[:1], base=5)
