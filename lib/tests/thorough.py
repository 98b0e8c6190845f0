"""How much to try: a test run takes one of each kind, `make test-all` everything."""

import os

import pytest

THOROUGH = bool(os.environ.get("MIXLAB_THOROUGH"))
long = pytest.mark.skipif(not THOROUGH, reason="takes long; make test-all runs it")


def some(everything, few: int) -> list:
    """The first few, or all in a thorough run."""
    return list(everything) if THOROUGH else list(everything)[:few]


def often(times: int, part: int = 2) -> int:
    """How many random cases: so many in a thorough run, else half of them, or a smaller part."""
    return times if THOROUGH else times // part
