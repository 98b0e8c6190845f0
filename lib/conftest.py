"""Shapes become checks, and tests are handed out so that both cores have work to the end."""

import logging

import pytest
from jaxtyping import install_import_hook

# xformers logs, at import, that a CPU build of torch has none of its CUDA extensions.
logging.getLogger("xformers").setLevel(logging.ERROR)

# Every jaxtyped signature of the library is verified at run time under pytest. Not the exercises':
# their answers make functions by the thousand, and each would be wrapped anew.
PARTS = ("common", "transformer", "ssm", "kernels", "generate", "parallel", "weights", "traces")
install_import_hook([f"mixlab.{part}" for part in PARTS], "beartype.beartype")

# The longest first, or one process would wait for the other at the end.
LONGEST = ("test_lessons", "test_grade_attacks", "test_grade_honest", "test_exercises")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests of a file stay together, unless they name a group of their own."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))

    def place(item) -> int:
        stem = item.path.stem
        return LONGEST.index(stem) if stem in LONGEST else len(LONGEST)

    items.sort(key=place)
