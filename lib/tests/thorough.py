"""How much to try: a test run takes one of each kind, `make test-all` everything."""

import os

THOROUGH = bool(os.environ.get("MIXLAB_THOROUGH"))


def some(everything, few: int) -> list:
    """The first few, or all in a thorough run."""
    return list(everything) if THOROUGH else list(everything)[:few]
