"""Shapes become checks: every jaxtyped signature in mixlab is verified at run time under pytest."""

import logging

from jaxtyping import install_import_hook

# xformers logs, at import, that a CPU build of torch has none of its CUDA extensions.
logging.getLogger("xformers").setLevel(logging.ERROR)

install_import_hook("mixlab", "beartype.beartype")
