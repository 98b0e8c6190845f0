"""What tests of pages share."""

from collections.abc import Iterator

import pytest

from classroom.browser import missing, open_browser


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A browser without network. Of one module: a process can't have two at once."""
    if lacking := missing():
        pytest.skip(f"to look at pages takes {lacking}")
    with open_browser() as opened:
        yield opened
