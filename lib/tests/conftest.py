"""What tests of pages share."""

from collections.abc import Iterator

import pytest

from classroom.browser import find_browser, open_browser


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A browser without network. Of one module: a process can't have two at once."""
    pytest.importorskip("playwright", reason="looking at pages needs the test extra: make setup")
    if find_browser() is None:
        pytest.skip("no Chromium or Chrome on the path")
    with open_browser() as opened:
        yield opened
