"""What leaves a box: opened by its own key and kernel alone, and compared as a check would."""

import numpy as np
import pytest

from classroom.grade.sealed import agree, seal, unseal
from mixlab.checks import explain
from mixlab.examination.results import to_text

RNG = np.random.default_rng(0)
VALUES = [RNG.standard_normal((40, 8)), np.arange(5), np.eye(3, dtype=bool), np.array("a")]
TEXT = to_text(VALUES)


def test_a_seal_is_opened_by_its_own_key_and_mark_alone():
    sealed = seal(TEXT, b"key", "mark")
    assert unseal(sealed, b"key", "mark") == TEXT
    for key, mark in ((b"other", "mark"), (b"key", "other")):
        with pytest.raises(ValueError, match="another kernel"):
            unseal(sealed, key, mark)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "right",
        TEXT,
        seal(TEXT, b"", "mark"),
        seal(TEXT, b"key", "mark")[4:],
        seal(TEXT, b"key", "mark")[:-8],
        "A" * 64,
    ],
)
def test_nothing_else_is_opened(forged):
    with pytest.raises(ValueError, match="sealed"):
        unseal(forged, b"key", "mark")


def test_a_seal_tells_nothing_of_what_it_holds():
    """Neither equal beginnings nor equal results show."""
    one, same, other = (seal(TEXT, b"key", mark) for mark in ("1", "2", "3"))
    assert len({one[:8], same[:8], other[:8]}) == 3


@pytest.mark.parametrize("kind", [float, int, bool, str])
def test_a_result_is_compared_as_the_check_compares_it(kind):
    value = VALUES[[float, int, bool, str].index(kind)]
    variants = [value, value[..., None], value.astype(float) if kind is not str else value]
    if kind is float:
        variants += [value + by for by in (0.9e-4, 1.1e-4)]
        variants += [np.where(value == value.max(), wrong, value) for wrong in (np.nan, np.inf, 9)]
    if kind is int:
        variants += [value + 1, value.astype(np.uint8), value > 2]
    for got in variants:
        same = explain.agree(got, value, 1e-4)
        assert agree(to_text([got]), to_text([value]), 1e-4) == same
    assert not agree(to_text([value, value]), to_text([value]), 1e-4)
