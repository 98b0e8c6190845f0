"""Decks as text: which cells become what, and that nothing in a notebook can break the page."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from classroom.slides.index import card, render_index
from classroom.slides.markdown import Pictures, render_markdown
from classroom.slides.mathml import MathError, to_mathml
from classroom.slides.output_blocks import PIECE, figure_block
from classroom.slides.render import SlideError, render
from classroom.slides.sanitise import sanitise

PLOTLY = "application/vnd.plotly.v1+json"
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # any bytes would do


def markdown(source: str, slide: str = "slide", **fields) -> NotebookNode:
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": slide}}, **fields)


def code(source: str, *outputs: NotebookNode, slide: str = "-", **facts) -> NotebookNode:
    metadata = {"slideshow": {"slide_type": slide}, "classroom": facts}
    return new_code_cell(source, outputs=list(outputs), metadata=metadata)


def result(**data) -> NotebookNode:
    kinds = {"png": "image/png", "svg": "image/svg+xml", "plotly": PLOTLY}
    kinds |= {"piece": PIECE, "html": "text/html", "plain": "text/plain"}
    return new_output("display_data", data={kinds[name]: value for name, value in data.items()})


def figure(title: str | None = None, **layout) -> NotebookNode:
    layout = layout | ({"title": {"text": title}} if title else {})
    return result(plotly={"data": [{"type": "bar", "y": [1, 2]}], "layout": layout}, plain="Figure")


class Page(HTMLParser):
    """The deck as a browser's parser cuts it: slides with their text, and scripts."""

    def __init__(self, html: str):
        super().__init__()
        self.slides: list[str] = []
        self.scripts: list[str] = []
        self.notes = ""
        self.tags: list[tuple[str, dict]] = []
        self.stack: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append("")
        if tag == "section":
            self.slides.append("")
        if tag not in ("meta", "link", "img", "input", "br", "hr", "mspace"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1] += data
        elif "aside" in self.stack:
            self.notes += data
        elif "section" in self.stack and "footer" not in self.stack:
            self.slides[-1] += data


def deck(*cells: NotebookNode, **options) -> Page:
    return Page(render(new_notebook(cells=list(cells)), **options))


def specs(page: Page) -> list[dict]:
    found = [attributes.get("type") for tag, attributes in page.tags if tag == "script"]
    return [
        json.loads(text)
        for kind, text in zip(found, page.scripts, strict=True)
        if kind == "application/json"
    ]


# ---- cells to slides --------------------------------------------------------------------------


def test_slide_types_decide_where_a_cell_goes():
    page = deck(
        markdown("# Title"),
        markdown("## Two\n\nfirst"),
        markdown("joined", "-"),
        markdown("later", "fragment"),
        markdown("whispered $x$", "notes"),
        markdown("never", "skip"),
        markdown("## Three", "subslide"),
    )
    assert [" ".join(text.split()) for text in page.slides] == [
        "Title",
        "Two first joined later",
        "Three",
    ]
    assert page.notes.split() == ["whispered", "x"]
    fragments = [a for _, a in page.tags if "fragment" in a.get("class", "").split()]
    assert len(fragments) == 1


def test_cells_before_the_first_slide_and_cells_without_slide_type_still_show():
    page = Page(render(new_notebook(cells=[new_markdown_cell("## A"), new_markdown_cell("b")])))
    assert page.slides[0].split() == ["A", "b"]


def test_a_piece_keeps_its_module_and_gives_its_title_to_the_slide():
    html = (
        '<p class="stage-title">A</p><div class="stage"></div><script type="module">go()</script>'
    )
    shown = code("", result(piece={"title": "1 < 2"}, html=html), slide="slide", alt="It moves.")
    page = deck(shown)
    assert "go()" in page.scripts
    headings = [text.split() for text in page.slides]
    assert headings == [["1", "<", "2", "A"]]
    labels = [a.get("aria-label") for tag, a in page.tags if tag == "figure"]
    assert labels == ["It moves."]
    assert "go()" not in deck(code("", result(html=html), slide="slide")).scripts


def test_a_notebook_without_slides_says_so():
    with pytest.raises(SlideError, match="slide type"):
        deck(markdown("x", "skip"))


def test_chapter_number_leaves_the_title():
    page = deck(markdown("# 02 · Sliding window\n\nHow far?"))
    assert page.slides[0].split() == ["02", "Sliding", "window", "How", "far?"]
    assert any(attributes.get("class") == "eyebrow" for _, attributes in page.tags)


def test_only_the_first_heading_of_a_slide_is_its_title():
    page = deck(markdown("text\n\n## Not a title"), markdown("## Title\n\n### Under it"))
    headings = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[:3] == ["h2", "h2", "h3"]
    labels = [attributes["aria-label"] for tag, attributes in page.tags if tag == "section"]
    assert labels == ["Slide 1", "Title"]


@pytest.mark.parametrize(("show", "has"), [("both", "sb"), ("code", "s"), ("output", "b")])
def test_show_decides_between_code_and_output(show, has):
    cell = code("source = 1", new_output("stream", name="stdout", text="billed\n"), show=show)
    text = deck(markdown("## T"), cell).slides[0]
    assert ("source" in text, "billed" in text) == ("s" in has, "b" in has)


def test_widgets_stderr_and_raw_cells_stay_out():
    page = deck(
        markdown("## T"),
        code("w", result(plain="Box()"), widget=True),
        code("x", new_output("stream", name="stderr", text="Warning")),
        nbformat.v4.new_raw_cell("raw"),
    )
    assert page.slides[0].split() == ["T", "x"]


def test_output_text_is_what_a_terminal_would_leave():
    text = "\x1b[31mred\x1b[0m\n10%\r50%\r100%\r\ndone"
    page = deck(markdown("## T"), code("x", new_output("stream", name="stdout", text=text)))
    assert page.slides[0].split() == ["T", "x", "red", "100%", "done"]


def test_an_error_shows_its_name_and_message_without_traceback():
    error = new_output("error", ename="ValueError", evalue="window <0>", traceback=["deep"])
    text = deck(markdown("## T"), code("raise", error)).slides[0]
    assert "ValueError: window <0>" in text
    assert "deep" not in text


# ---- figures and pictures ---------------------------------------------------------------------


def test_a_lone_figure_gives_its_claim_to_the_slide():
    page = deck(code("f", figure("W is <b>wide</b><br>measured"), slide="slide", show="output"))
    assert page.slides[0].split()[:4] == ["W", "is", "wide", "measured"]
    assert "title" not in specs(page)[0]["layout"]


def test_a_figures_title_is_not_said_twice():
    page = deck(markdown("## Same claim"), code("f", figure("Same claim"), show="output"))
    assert page.slides[0].count("Same claim") == 1


def test_a_title_that_the_frames_change_stays_in_the_figure():
    spec = {
        "data": [],
        "layout": {"title": {"text": "t = 0"}},
        "frames": [{"name": "1", "layout": {"title": {"text": "t = 1"}}}],
    }
    assert figure_block(spec, "alt").figure["layout"]["title"] == {"text": "t = 0"}


def test_figures_carry_their_alternative_text_and_a_slider_for_the_keyboard():
    steps = [{"label": str(w), "method": "skip"} for w in range(3)]
    sliders = [{"steps": steps, "active": 1, "currentvalue": {"prefix": "W = "}}]
    cell = code("f", figure("T", sliders=sliders), alt='A "band" <of> blue', show="output")
    page = deck(markdown("## X"), cell)
    container = next(a for tag, a in page.tags if tag == "figure")
    assert container["role"] == "group"
    assert container["aria-label"] == 'A "band" <of> blue'
    slider = next(a for tag, a in page.tags if tag == "input")
    assert (slider["max"], slider["value"]) == ("2", "1")


def test_a_figure_with_frames_and_no_slider_gets_one():
    spec = {"data": [], "layout": {}, "frames": [{"name": "a"}, {"name": "b"}]}
    assert figure_block(spec, "alt").sliders == [{"name": "frame", "steps": 2, "active": 0}]


def test_a_formula_in_a_figure_is_refused_because_plotly_would_fetch_mathjax():
    with pytest.raises(SlideError, match=r"cell 2.*MathJax"):
        deck(markdown("## T"), code("f", figure(xaxis={"title": {"text": "$W$"}})))


def test_pictures_keep_their_alternative_text():
    page = deck(
        markdown("## T"),
        code("p", result(png=PIXEL, plain="Image"), alt="one dot"),
        code("s", result(svg="<svg onload='x()'></svg>"), alt="nothing"),
    )
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == ["one dot", "nothing"]
    assert images[0]["src"] == f"data:image/png;base64,{PIXEL}"
    assert images[1]["src"].startswith("data:image/svg+xml;base64,")


def test_markdown_pictures_come_along(tmp_path: Path):
    (tmp_path / "a b.svg").write_text("<svg></svg>")
    cells = [
        markdown("![file](a%20b.svg)"),
        markdown("![pasted](attachment:p.png)", attachments={"p.png": {"image/png": PIXEL}}),
    ]
    images = [a for tag, a in deck(*cells, folder=tmp_path).tags if tag == "img"]
    assert [image["alt"] for image in images] == ["file", "pasted"]
    assert all(image["src"].startswith("data:image/") for image in images)


@pytest.mark.parametrize(
    "address", ["https://example.org/x.png", "//example.org/x.png", "gone.png", "attachment:gone"]
)
def test_a_picture_that_a_deck_cannot_hold_is_an_error_with_its_cell(address, tmp_path):
    with pytest.raises(SlideError, match=r"cell 2 \(\S+\): .*picture"):
        deck(markdown("## T"), markdown(f"![x]({address})", "-"), folder=tmp_path)


def test_scripts_are_inlined_once_and_plotly_only_where_a_figure_needs_it():
    with_figures = deck(code("f", figure("T"), slide="slide"), code("g", figure("U")))
    without = deck(markdown("# T"))
    assert sum("plotly.js v" in script for script in with_figures.scripts) == 1
    assert not any("plotly.js v" in script for script in without.scripts)
    size = sum(map(len, with_figures.scripts))
    assert size < 6.5e6


# ---- nothing breaks the page ------------------------------------------------------------------


def test_what_ends_a_script_element_is_escaped_in_figures():
    nasty = "</script><!-- <script> \u2028 & 'quoted'"
    page = deck(code("f", figure(xaxis={"title": {"text": nasty}}), slide="slide"))
    assert specs(page)[0]["layout"]["xaxis"]["title"]["text"] == nasty


def test_no_script_holds_what_steers_the_html_parser():
    html = render(new_notebook(cells=[code("f", figure("T"), slide="slide")]))
    inside = re.findall(r"<script[^>]*>(.*?)</script>", html, flags=re.DOTALL)
    assert len(inside) == html.count("<script")
    assert not any(re.search(r"<!--|<script|sourceMappingURL", text) for text in inside)


def test_nothing_is_loaded_from_outside_the_file():
    page = deck(markdown("# T\n\n[web](https://example.org)"), code("f", figure("T")))
    loaded = [a.get("src") or a.get("href") for tag, a in page.tags if tag in ("script", "link")]
    assert set(loaded) <= {None, "data:,"}
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")


def test_html_outputs_are_reduced_to_tables_and_text():
    html = (
        "<style>td{color:red}</style><table onclick='x()' border=1>"
        "<tr><td style='text-align: right'>1 &amp; 2</table></div>"
        "<script>alert(1)</script><a href='javascript:x()'>link</a>"
        "<iframe src='https://example.org'>x</iframe><img src=x.png onerror='y()'>"
    )
    picture = "data:image/png;base64,AA=="
    assert sanitise(html, lambda _: picture, lambda _: None) == (
        '<table><tr><td style="text-align: right">1 &amp; 2</td></tr></table><a>link</a>'
        f'<img src="{picture}">'
    )


def test_dollars_in_code_and_escaped_dollars_are_no_formulas():
    body = render_markdown(r"\$5, `$x$`, $W$" + "\n\n```sh\necho $a$b\n```", Pictures()).body
    assert body.count("<math") == 1
    assert "$5" in body
    assert "<code>$x$</code>" in body
    assert "echo $a$b" in re.sub("<[^>]+>", "", body)


def test_links_lead_to_the_web_and_to_other_decks_and_nowhere_else():
    source = "[a](https://x.org) [b](03_receptive_field.ipynb) [c](../lib/x.py) [d](javascript:x)"
    body = render_markdown(source, Pictures()).body
    assert re.findall('href="([^"]*)"', body) == ["https://x.org", "03_receptive_field.html"]
    assert 'rel="noopener"' in body


def test_code_is_highlighted_and_otherwise_unchanged():
    source = 'def f(x):\n    return f"{x} </script> & <b>"  # <!-- $x$'
    text = deck(markdown("## T"), code(source)).slides[0]
    assert source in text


def test_entities_and_html_in_markdown():
    body = render_markdown("R&amp;D &lt;b&gt; x<sub>1</sub> </section></div> ok", Pictures()).body
    assert body == "<p>R&amp;D &lt;b&gt; x<sub>1</sub>  ok</p>"


def test_rendering_is_deterministic():
    notebook = new_notebook(cells=[markdown("# T $x$"), code("f", figure("T"))])
    assert render(notebook) == render(notebook)


def test_the_list_of_decks_shows_each_with_its_question(tmp_path):
    still = new_output(
        "display_data", data={"image/png": "AAAA"}, metadata={"classroom_still": "1"}
    )
    lesson = new_notebook(
        cells=[
            markdown("# 02 · <Sliding> window\n\n*What does it save?*"),
            new_code_cell("x", outputs=[still]),
        ]
    )
    (tmp_path / "course").mkdir()
    nbformat.write(lesson, tmp_path / "course" / "02_sliding_window.ipynb")
    decks = [Path("02_sliding_window.html"), Path("17_scan.html")]
    page = " ".join(render_index([card(tmp_path, deck) for deck in decks]).split())
    assert '<a href="02_sliding_window.html"> <img src="data:image/png;base64,AAAA"' in page
    assert "<b>02 · &lt;Sliding&gt; window</b> <span>What does it save?</span>" in page
    assert page.index("<h2>Window</h2>") < page.index("<h2>Scan</h2>") < page.index("17 scan")


# ---- maths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{a}{",
        r"\foo{x}",
        "a & b",
        r"a \\ b",
        "50% x",
        "",
        r"\text{a $x$ b}",
        r"\left( x",
        r"\frac{a}",
        "x^",
        r"\begin{foo}x\end{foo}",
        r"\begin{array}{c|c}1&0\end{array}",
        r"\cancel{x}",
        "5 to `",
    ],
)
def test_a_formula_that_would_show_wrong_is_an_error(latex):
    with pytest.raises(MathError, match="formula"):
        to_mathml(latex)


def test_the_error_names_the_cell():
    with pytest.raises(SlideError, match=r"cell 2 \(\S+\): the formula \\foo: unknown command"):
        deck(markdown("# T"), markdown(r"see $\foo$", "-"))


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\mathbb{R}", "<mi>ℝ</mi>"),
        (r"\mathbb{1}", "<mn>𝟙</mn>"),
        (r"\boldsymbol{\theta}", "<mi>𝜽</mi>"),
        (r"\mathcal{O}", "<mi>𝒪</mi>"),
        (r"\mathrm{d}", '<mi mathvariant="normal">d</mi>'),
        (r"\mathrm{softmax}", "<mi>softmax</mi>"),
        (r"\Delta", '<mi mathvariant="normal">Δ</mi>'),
        (r"\lfloor x", '<mo stretchy="false">⌊</mo>'),
        (r"f'", '<mo lspace="0em" rspace="0em">′</mo>'),
        (r"50\%", "<mi>%</mi>"),
        (r"\text{5\% off}", "<mtext>5%\N{NO-BREAK SPACE}off</mtext>"),
        (r"\bar{A}", '<mrow class="math-bar"><mrow><mi>A</mi></mrow></mrow>'),
        (r"\begin{aligned} a &= b \end{aligned}", '<mtd class="math-right"><mi>a</mi></mtd>'),
        (r"\begin{cases} a & b \end{cases}", '<mtd class="math-left"><mi>b</mi></mtd>'),
    ],
)
def test_formulas_come_in_the_terms_of_mathml_core(latex, expected):
    assert expected in to_mathml(latex)


def test_a_minus_is_a_sign_after_a_bracket_and_an_operator_between_operands():
    assert '<mo form="prefix">−</mo>' in to_mathml("(-1)")
    assert "<mo>−</mo>" in to_mathml("W - 1")


def test_limits_stand_below_in_display_and_beside_in_text():
    assert "<munder><mi>max</mi>" in to_mathml(r"\max_i x_i", display=True)
    assert "<msub><mi>max</mi>" in to_mathml(r"\max_i x_i")


def test_formulas_keep_their_latex_for_screen_readers():
    assert 'alttext="a &lt; b"' in to_mathml("a < b")
