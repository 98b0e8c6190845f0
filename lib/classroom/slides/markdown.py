"""A notebook's Markdown to HTML for a slide: title, text, tables, highlighted code, MathML.

CommonMark with tables, as JupyterLab shows them; $…$ and $$…$$ are formulas, \\$ is a dollar, and
a dollar inside code is code.
"""

import base64
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from classroom.slides.mathml import to_mathml
from classroom.slides.sanitise import sanitise

NOTEBOOK = re.compile(r"(?:\./)?(\d\d_[a-z0-9_]+)\.ipynb(#.*)?")


@dataclass(frozen=True)
class Pictures:
    """Where a cell's pictures come from: its attachments, or files beside the notebook."""

    folder: Path | None = None
    attachments: dict = field(default_factory=dict)

    def __call__(self, address: str) -> str:
        """The picture at this address as a data: URL; ValueError if a deck cannot hold it."""
        if re.match(r"data:image/(png|jpeg|gif|webp|svg\+xml)[;,]", address):
            return address
        name = unquote(address)
        if name.startswith("attachment:"):
            bundle = self.attachments.get(name.removeprefix("attachment:"), {})
            for kind, data in bundle.items():
                return data_url(kind, data)
            raise ValueError(f"the picture {name} is not attached to the cell. Attach it again.")
        if re.match(r"[a-z][a-z0-9+.-]*:|//", name, re.IGNORECASE):
            raise ValueError(
                f"a deck is one file and works offline; got a picture from elsewhere, {name}. "
                "Save it beside the notebook."
            )
        path = (self.folder or Path()) / name
        kind = mimetypes.guess_type(name)[0] or ""
        if self.folder is None or not path.is_file() or not kind.startswith("image/"):
            raise ValueError(f"no picture {name} beside the notebook. Correct its path.")
        return data_url(kind, base64.b64encode(path.read_bytes()).decode())


def data_url(kind: str, data: str) -> str:
    """A picture of this mime type; `data` is base64, or the text of an SVG."""
    if kind == "image/svg+xml" and data.lstrip().startswith("<"):
        data = base64.b64encode(data.encode()).decode()
    return f"data:{kind};base64," + "".join(data.split())


def link(address: str) -> str | None:
    """Where a link leads from a deck: the web, or the deck of another lesson; else nowhere."""
    if re.match(r"https?://|mailto:", address):
        return address
    lesson = NOTEBOOK.fullmatch(address)
    return f"{lesson[1]}.html" if lesson else None


def highlight_code(code: str, language: str = "python") -> str:
    """Code as spans with Pygments' short classes, which the theme colours.

    >>> highlight_code("x = 1")
    '<span class="n">x</span> <span class="o">=</span> <span class="mi">1</span>'
    """
    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text", stripnl=False)
    return highlight(code, lexer, HtmlFormatter(nowrap=True)).rstrip("\n")


def _fence(code: str, language: str, _attributes: str) -> str:
    return f'<pre class="code"><code>{highlight_code(code, language)}</code></pre>'


def _formula(latex: str, options: dict) -> str:
    return to_mathml(latex, options["display_mode"])


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "highlight": _fence})
    parser.enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin, allow_space=False, double_inline=True, renderer=_formula)
    parser.use(amsmath_plugin, renderer=lambda latex: to_mathml(latex, display=True))
    return parser


PARSER = _make_parser()


@dataclass(frozen=True)
class Text:
    """A Markdown cell: the heading it opens with (level 0: none) and the rest, as HTML."""

    level: int
    title: str
    body: str


def render_markdown(source: str, pictures: Pictures) -> Text:
    """One cell's Markdown. ValueError names a formula or picture that cannot be shown.

    >>> render_markdown("# The *window*\\n\\nIt is $W$ wide.", Pictures()).title
    'The <em>window</em>'
    """
    tokens = PARSER.parse(source)
    level, title = 0, ""
    if tokens and tokens[0].type == "heading_open":
        level = int(tokens[0].tag[1])
        title = PARSER.renderer.render(tokens[1:2], PARSER.options, {})
        tokens = tokens[3:]
    body = PARSER.renderer.render(tokens, PARSER.options, {})
    return Text(level, sanitise(title, pictures, link), sanitise(body, pictures, link).strip())


def words(html: str) -> int:
    """How many words a reader sees; a formula counts as one."""
    text = re.sub(r"<math\b.*?</math>", "x", html, flags=re.DOTALL)
    return len(re.sub(r"<[^>]+>", " ", text).split())
