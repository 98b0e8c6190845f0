"""The scans of exercise 17.4 are what their makers say, and tell it by what they do alone."""

from itertools import accumulate

import numpy as np
import pytest

from mixlab.checks.cases.scan_suspects import FILE, LONGEST, hand_out
from mixlab.checks.oracles.scan_makers import RIGHT, WRONG, described, records
from mixlab.examination.scans import Scan


def _letters(scan, length):
    return scan("{}-{}".format, [str(t) for t in range(length)])


def test_the_file_holds_what_the_makers_do():
    with np.load(FILE) as file:
        held = {name: file[name].tolist() for name in file.files}
    assert held == {name: numbers.tolist() for name, numbers in records().items()}


def test_every_scan_is_handed_out_once_and_does_what_it_says():
    handed = {described(scan): scan for scan in hand_out()}
    assert len(handed) == len(hand_out()) == len(RIGHT) + len(WRONG)
    for maker in (*RIGHT, *WRONG):
        for length in range(1, LONGEST + 1):
            assert _letters(handed[maker.__doc__], length) == _letters(maker, length)


@pytest.mark.parametrize("maker", [*RIGHT, *WRONG], ids=lambda maker: maker.__name__)
def test_right_scans_are_right_at_every_length_and_wrong_ones_at_one(maker):
    wrong = []
    for length in range(1, LONGEST + 1):
        expected = list(accumulate((str(t) for t in range(length)), "{}-{}".format))
        if _letters(maker, length) != expected:
            wrong.append(length)
    assert bool(wrong) == (maker in WRONG)


def test_nothing_but_the_joins_tells_one_scan_from_another():
    handed = hand_out()
    assert {type(scan) for scan in handed} == {Scan}
    assert {tuple(vars(scan)) for scan in handed} == {("programs",)}


@pytest.mark.parametrize("length", [0, LONGEST + 1])
def test_a_length_without_a_list_of_joins_is_named(length):
    with pytest.raises(ValueError, match=f"1 to {LONGEST} items: got {length} of them"):
        _letters(hand_out()[0], length)
