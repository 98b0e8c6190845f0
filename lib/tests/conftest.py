"""What tests of pages share, and that a test which computes may take its time."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from classroom.browser import missing, open_browser

settings.register_profile("unhurried", deadline=None)  # a slow machine is no failure
settings.load_profile("unhurried")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A browser without network. Of one module: a process can't have two at once."""
    if lacking := missing():
        pytest.skip(f"to look at pages takes {lacking}")
    with open_browser() as opened:
        yield opened
