"""The stage's host: a piece as the output of a cell, alive without a kernel.

A piece is `<name>.js` behind `stage.js`, one ES module in the form that anywidget defines
(`export default { render({ model, el }) }`), and `<name>.css` behind `stage.css`. Shown by a cell,
module and style go into the page as they are: JupyterLab runs them with the output, a deck and a
plain page likewise, from a file and with the network cut. A browser draws; Python says which piece
opens with which title and state. What pieces share beyond the stage, or compute with, is a module
without a style sheet: `import { … } from "./<name>.js";` is replaced by its text. Files that a
piece reads go into its module too, so that a module is always whole.
"""

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from mixlab.chapters.kit import theme
from mixlab.chapters.kit.experts import EXPERTS
from mixlab.small_mixtral import folder

HERE = Path(__file__).parent
# Marks the HTML beside it as a piece, for whoever builds decks: it holds the title, and runs.
MIME = "application/vnd.classroom.piece+json"
MEANINGS = ("now", "seen", "gone", "wrong", "waste", "forward", "backward")
IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";$', re.MULTILINE)


# The files that a piece reads: it finds their contents, in base64, by their names in `FILES`.
MODEL = ("config.json", "model.safetensors", "tokenizer.json")
READS = {"router": tuple(folder() / name for name in MODEL)}


def module(name: str) -> str:
    """The ES module of a piece, as anywidget's `_esm` takes it.

    Raises:
        ValueError: if there is no such piece.
    """
    own = IMPORT.sub(lambda shared: _text(f"{shared[1]}.js"), _piece(name, "js"))
    contents = {path.name: b64encode(path.read_bytes()).decode() for path in READS.get(name, ())}
    files = [f"const FILES = {json.dumps(contents)};"] if contents else []
    return "\n".join([_text("stage.js"), *files, own])


def style(name: str) -> str:
    """The style sheet of a piece, with the course's colours by meaning, as anywidget's `_css`."""
    colors = {name: getattr(theme, name.upper()) for name in MEANINGS}
    for expert, (back, ink) in enumerate(EXPERTS):
        colors |= {f"expert-{expert}": back, f"expert-{expert}-ink": ink}
    named = "; ".join(f"--{name}: {color}" for name, color in colors.items())
    return f".stage {{ {named}; }}\n" + _text("stage.css") + _piece(name, "css")


@dataclass(frozen=True)
class Piece:
    """A piece to be shown: what a cell ends with.

    Attributes:
        name: of its files.
        title: the claim.
        state: what it opens on; the piece has its own state for what isn't named.
    """

    name: str
    title: str
    state: dict[str, Any] = field(default_factory=dict)

    def html(self) -> str:
        """Title, place, style and module: a part of a page that runs wherever it is put."""
        state = escape(json.dumps(self.state, allow_nan=False))
        return (
            f'<p class="stage-title">{escape(self.title)}</p>\n'
            f'<div class="stage" data-piece="{self.name}" data-state="{state}">'
            "Run this cell to see the figure.</div>\n"
            f"<style>\n{style(self.name)}</style>\n"
            f'<script type="module">\n{module(self.name)}perform({self.name});\n</script>'
        )

    def page(self) -> str:
        """A whole page with this piece alone."""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<title>{escape(self.title)}</title>\n<link rel="icon" href="data:,">\n'
            "<style>:root { color-scheme: light dark; font: 16px system-ui, sans-serif; }</style>\n"
            f"</head>\n<body>\n{self.html()}\n</body>\n</html>\n"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        """What IPython sends: the page's part, its mark, and words for what shows neither."""
        return {
            "text/html": self.html(),
            MIME: {"title": self.title},
            "text/plain": f"{self.name}: {self.title}",
        }


def piece(name: str, title: str, **state: Any) -> Piece:
    """A piece that opens on this state.

    Raises:
        ValueError: if there is no such piece.

    >>> piece("ring", "Token p takes slot p mod 4", window=4)
    Piece(name='ring', title='Token p takes slot p mod 4', state={'window': 4})
    """
    _piece(name, "js")
    return Piece(name, title, state)


def _piece(name: str, kind: str) -> str:
    pieces = sorted(path.stem for path in HERE.glob("*.css") if path.stem != "stage")
    if name not in pieces:
        raise ValueError(f"the stage has the pieces {', '.join(pieces)}: got {name!r}")
    return _text(f"{name}.{kind}")


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
