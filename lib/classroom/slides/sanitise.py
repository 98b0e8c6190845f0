"""HTML that a notebook brought along, reduced to what a slide may hold.

An allow-list of tags and attributes; everything else is dropped, scripts and styles with their
contents. Elements are balanced, so that one stray </div> cannot break the deck. Pictures become
data: URLs, because a deck is a single file; one that lies elsewhere on the network is an error.
"""

import re
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser

TEXT_TAGS = (
    "a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption "
    "figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub "
    "summary sup table tbody td tfoot th thead tr u ul var"
).split()
MATH_TAGS = (
    "math mfrac mi mn mo mover mpadded mphantom mroot mrow mspace msqrt mstyle msub msubsup msup "
    "mtable mtd mtext mtr munder munderover"
).split()
TAGS = {*TEXT_TAGS, *MATH_TAGS}
EMPTY = {"br", "col", "hr", "img"}
DROPPED_WHOLE = {"script", "style", "template", "iframe", "object", "svg", "noscript", "title"}
ATTRIBUTES = (
    "alt class colspan dir height lang open reversed rowspan scope start title width "
    "accent alttext display displaystyle fence form linethickness lspace mathvariant maxsize "
    "minsize movablelimits rspace scriptlevel stretchy symmetric"
).split()
ALIGNED = re.compile(r"text-align:\s*(left|right|center);?")


def sanitise(html: str, picture: Callable[[str], str], link: Callable[[str], str | None]) -> str:
    """The allowed part of `html`, every element closed.

    `picture` turns an image's address into a data: URL, or raises ValueError; `link` turns a
    link's target into the deck's, or None to keep the words and lose the link.

    >>> sanitise("<b onclick='x()'>bold<script>y()</script></div>", str, str)
    '<b>bold</b>'
    """
    parser = _Sanitiser(picture, link)
    parser.feed(html)
    parser.close()
    return "".join(parser.parts) + "".join(f"</{tag}>" for tag in reversed(parser.open))


class _Sanitiser(HTMLParser):
    def __init__(self, picture: Callable[[str], str], link: Callable[[str], str | None]):
        super().__init__(convert_charrefs=True)
        self.picture, self.link = picture, link
        self.parts: list[str] = []
        self.open: list[str] = []
        self.dropping = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in DROPPED_WHOLE:
            self.dropping += 1
        if self.dropping or tag not in TAGS:
            return
        kept = [(name, value) for pair in attributes for name, value in self._attribute(tag, *pair)]
        written = "".join(f' {name}="{escape(value)}"' for name, value in kept)
        self.parts.append(f"<{tag}{written}>")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in DROPPED_WHOLE:
            self.dropping = max(0, self.dropping - 1)
        elif not self.dropping and tag in self.open:
            while True:
                last = self.open.pop()
                self.parts.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self.dropping:
            self.parts.append(escape(data, quote=False))

    def _attribute(self, tag: str, name: str, value: str | None) -> list[tuple[str, str]]:
        """What stays of one attribute: nothing, itself, or its safe form."""
        value = value or ""
        if tag == "img" and name == "src":
            return [("src", self.picture(value))]
        if tag == "a" and name == "href":
            target = self.link(value)
            if target is None:
                return []
            outside = [("target", "_blank"), ("rel", "noopener")] if "//" in target else []
            return [("href", target), *outside]
        if name == "style" and tag in ("td", "th") and ALIGNED.fullmatch(value.strip()):
            return [("style", value.strip())]
        return [(name, value)] if name in ATTRIBUTES else []
