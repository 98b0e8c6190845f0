"""Every public function of the library says what it takes and returns, as pyright reads it.

Only signatures: inside a function, torch's own types leave too much open. Left out are chapters and
the grader's side, which nobody else calls, and the loops, to which Numba gives types of their own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LEFT_OUT = ("mixlab.chapters", "mixlab.examination", "mixlab.loops")


@pytest.fixture(scope="module")
def symbols(tmp_path_factory):
    """What pyright says of each public name."""
    pythons = Path(sys.executable).parent
    run = subprocess.run(
        [pythons / "pyright", "--verifytypes", "mixlab", "--ignoreexternal", "--outputjson"],
        env=os.environ | {"PATH": f"{pythons}:{os.environ['PATH']}"},
        cwd=tmp_path_factory.mktemp("nothing"),  # or the sources would count as no package
        capture_output=True,
        text=True,
    )
    try:
        return json.loads(run.stdout)["typeCompleteness"]["symbols"]
    except (ValueError, KeyError):
        pytest.fail(f"pyright said: {run.stdout}{run.stderr}")


def _told(about: dict) -> str:
    """A message of a symbol's own. That a class of ours is known in part only, as an attribute has
    no annotation, is told at each function that takes one: it's no fault of the function's."""
    message = " ".join(about["message"].split())
    return message if "partially" not in message or "Type argument" in message else ""


def test_every_public_signature_is_typed(symbols):
    told = {
        one["name"]: [_told(about) for about in one["diagnostics"] if _told(about)]
        for one in symbols
        if one["category"] in ("function", "method") and not one["name"].startswith(LEFT_OUT)
    }
    assert not {name: messages for name, messages in told.items() if messages}


def test_pyright_has_read_the_library(symbols):
    names = {one["name"] for one in symbols}
    assert {"mixlab.load", "mixlab.generate", "mixlab.transformer.model.Transformer.step"} <= names
