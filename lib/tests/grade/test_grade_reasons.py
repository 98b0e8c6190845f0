"""What a student is told is read off a real run: errors by name, syntax, kinds, costs."""

import pytest

from classroom.grade.box import bubblewrap
from tests.grade.conftest import filled, grade, write

pytestmark = pytest.mark.skipif(
    bubblewrap() is None, reason="bubblewrap is missing or may not make namespaces here"
)
WHOLE = """
def banded(q, k, v, window):
    i = torch.arange(len(q))
    distance = i[:, None] - i
    scores = q @ k.mT / q.shape[1] ** 0.5
    scores[(distance < 0) | (distance >= window)] = -torch.inf
    return scores.softmax(-1) @ v
"""


def test_each_way_to_fail_is_told_by_its_name(tmp_path):
    answers = {
        "02.1": "def window_mask(seq, window):\n    return undefined",
        "02.2": "def chunk_mask(n_queries, past, window):\n    return 'a mask'",
        "02.3": "def n_scores(seq, window:\n    return 1",
        "02.4": WHOLE,
        "02.5": "def is_window_mask(make_mask):\n  x = 1\n    return True",
    }
    write(tmp_path / "in", "a", filled(answers))
    rows = grade(tmp_path / "in", tmp_path / "out")
    told = {ident: rows["a", ident]["reason"] for ident in answers}
    assert {row["status"] for row in rows.values()} == {"wrong"}
    assert "raises NameError" in told["02.1"]
    assert "It stops at its line 2: return undefined" in told["02.1"]
    assert "of another kind" in told["02.2"]
    assert "not valid Python: a bracket" in told["02.3"]
    assert "computes or keeps far more" in told["02.4"]
    assert "indentation" in told["02.5"]
