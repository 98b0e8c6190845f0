"""Shapes become checks, and tests are handed out so that both cores have work to the end."""

import logging
import sys

from jaxtyping import install_import_hook

from classroom.environment import SLOW_IMPORT
from tests.handing_out import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401

sys.modules[SLOW_IMPORT] = None

# xformers logs, at import, that a CPU build of torch has none of its CUDA extensions.
logging.getLogger("xformers").setLevel(logging.ERROR)

# Every jaxtyped signature of the library is verified at run time under pytest. Not the exercises':
# their answers make functions by the thousand, and each would be wrapped anew.
PARTS = (
    "common",
    "transformer",
    "ssm",
    "kernels",
    "compiled",
    "generate",
    "parallel",
    "weights",
    "traces",
)
install_import_hook([f"mixlab.{part}" for part in PARTS], "beartype.beartype")
