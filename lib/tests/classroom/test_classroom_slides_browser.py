"""Decks as a class sees them: in Chromium, with no network, by mouse and by keyboard."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from classroom.slides import Problem, build_all, check_deck, render
from classroom.slides.paper import print_deck
from classroom.slides.picture import take_picture

pytestmark = pytest.mark.browser

SIZES = [(1280, 720), (1920, 1080)]
FEATURES = Path(__file__).parents[1] / "fixtures" / "slides" / "90_deck_features.py"
MASK_SLIDE = 4  # the one with an animated figure: a window of W keys, at first 4
PLOT = "document.querySelector('section.present .plot')"
FIGURE = f"{PLOT}.parentElement.figure"
ACTIVE = f"{PLOT}.layout.sliders[0].active"
WIDTH_OF_BAND = (
    f"(() => {{ const z = {PLOT}._fullData[0].z; return [...z[15]].reduce((a, b) => a + b) }})()"
)


@pytest.fixture(scope="module")
def deck(tmp_path_factory) -> Path:
    """A deck that holds everything, from a chapter's source through a kernel to the file."""
    root = tmp_path_factory.mktemp("course")
    (root / "course" / "source").mkdir(parents=True)
    shutil.copy(FEATURES, root / "course" / "source")
    result = build_all(root)[FEATURES.stem]
    assert isinstance(result, Path), result
    return result


@pytest.fixture(scope="module", params=[SIZES[0]])
def window(browser, deck, request) -> Iterator:
    """A page with the deck open, and its errors; one a size, because loading takes seconds."""
    width, height = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="light", offline=True
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.goto(deck.as_uri())
    yield page, errors
    context.close()


@pytest.fixture
def page(window) -> Iterator:
    """The deck at its animated figure, untouched. No error may occur."""
    page, errors = window
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(); deck.setTheme('light')")
    page.evaluate("number => deck.visit(number)", MASK_SLIDE - 1)
    # What the test before has left playing, on a slow machine, would go on into this one.
    page.evaluate(f"{FIGURE}.stop(); Plotly.animate({PLOT}, [null]); void {FIGURE}.step(0, 3)")
    until(page, f"{WIDTH_OF_BAND} === 4 && {ACTIVE} === 3 && !{FIGURE}.aims.size")
    yield page
    assert errors == []


both_sizes = pytest.mark.parametrize("window", SIZES, indirect=True, ids=["1280", "1920"])


def until(page, expression: str) -> None:
    """Wait for it; the deck's own policy forbids Playwright's wait_for_function."""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never came true: {expression}")


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(150)


def middle(page, selector: str) -> tuple[float, float]:
    box = page.locator(f"section.present {selector}").first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


# ---- the deck that holds everything -------------------------------------------------------------


def test_nothing_is_wrong_with_a_deck_that_holds_everything(deck, browser):
    assert [str(problem) for problem in check_deck(deck, browser)] == []
    assert deck.stat().st_size < 6.5e6


def test_the_next_slides_figure_is_drawn_ahead(page):
    following = "document.querySelector('section.present').nextElementSibling"
    until(page, f"{following}.querySelectorAll('.plot .scatterlayer .trace').length === 3")
    press(page, "ArrowRight")
    assert page.evaluate(f"{PLOT}.querySelectorAll('.scatterlayer .trace').length") == 3


@both_sizes
def test_the_slider_moves_the_mask_by_mouse(page):
    assert (page.evaluate(ACTIVE), page.evaluate(WIDTH_OF_BAND)) == (3, 4)
    x, y = middle(page, ".slider-grip-rect")
    rail = page.locator("section.present .slider-rail-rect").bounding_box()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(rail["x"] + rail["width"] * 0.8, y, steps=8)
    page.mouse.up()
    until(page, f"{ACTIVE} === 12")
    until(page, f"{WIDTH_OF_BAND} === 13")
    grip, _ = middle(page, ".slider-grip-rect")
    assert abs(grip - (rail["x"] + rail["width"] * 0.8)) < 0.05 * rail["width"]
    assert page.evaluate("document.querySelector('section.present .steps input').value") == "12"


@both_sizes
def test_hovering_reads_the_cell_under_the_mouse(page):
    box = page.locator("section.present .nsewdrag").bounding_box()
    # The centre of column 3 of 16, row 12 of 16.
    page.mouse.move(box["x"] + box["width"] * 3.5 / 16, box["y"] + box["height"] * 12.5 / 16)
    page.wait_for_selector("section.present .hoverlayer .hovertext")
    label = page.locator("section.present .hoverlayer .hovertext").first.text_content()
    assert re.sub(r"\s", "", label).startswith("x:3y:12")


def test_keys_step_the_figure_and_leave_the_slide(page):
    press(page, ".", ".", ",")
    until(page, f"{ACTIVE} === 4 && {WIDTH_OF_BAND} === 5")
    press(page, "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowLeft")
    until(page, f"{ACTIVE} === 5 && {WIDTH_OF_BAND} === 6")
    assert page.evaluate("Reveal.getIndices().h") == MASK_SLIDE - 1


def test_no_key_is_lost_where_drawing_is_slower_than_typing(page):
    for key in (".", ".", ".", ".", ",", ".", ".", ",", "."):
        page.keyboard.press(key)  # each while the frames of those before are still shown
    until(page, f"{ACTIVE} === 8 && {WIDTH_OF_BAND} === 9")
    for key in (*["."] * 9, ","):
        page.keyboard.press(key)
    until(page, f"{ACTIVE} === 14 && {WIDTH_OF_BAND} === 15")


def test_p_plays_and_pauses(page):
    page.evaluate(f"{FIGURE}.pace = () => 1500")  # slow enough for a machine that stalls
    press(page, "p")
    until(page, f"{ACTIVE} > 3")
    press(page, "p")
    page.wait_for_timeout(400)
    stopped = page.evaluate(ACTIVE)
    page.wait_for_timeout(2000)
    assert page.evaluate(ACTIVE) == stopped < 15
    page.evaluate(f"delete {FIGURE}.pace")


def test_p_at_the_end_plays_from_the_start(page):
    page.evaluate(f"{FIGURE}.pace = () => 150; void {FIGURE}.step(0, 14)")
    until(page, f"{ACTIVE} === 14")
    press(page, "p")
    until(page, f"{ACTIVE} === 15 && !{FIGURE}.timer")
    page.evaluate(f"{FIGURE}.pace = () => 1500")
    press(page, "p")
    until(page, f"{ACTIVE} < 3")
    page.evaluate(f"{FIGURE}.stop(); delete {FIGURE}.pace")


def test_p_pauses_what_the_figures_own_button_plays(page):
    page.locator("section.present .updatemenu-button").click()
    until(page, f"{ACTIVE} >= 1")
    press(page, "p")
    page.wait_for_timeout(400)
    stopped = page.evaluate(ACTIVE)
    page.wait_for_timeout(800)
    assert page.evaluate(ACTIVE) == stopped


def test_tab_reaches_the_figures_slider_then_the_footer(page):
    press(page, "Tab")
    assert page.evaluate("document.activeElement.type") == "range"
    press(page, "ArrowRight")
    until(page, f"{WIDTH_OF_BAND} === 5")
    until(page, "document.activeElement.getAttribute('aria-valuetext') === '5'")
    names = []
    for _ in range(3):
        press(page, "Tab")
        names.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert names == ["Keys", "Previous slide", "Next slide"]


def test_the_theme_turns_and_keeps_the_figures_state(page):
    press(page, ".", ".")
    until(page, f"{WIDTH_OF_BAND} === 6")
    ink = f"getComputedStyle({PLOT}.querySelector('.xtick text')).fill"
    light = page.evaluate(ink)
    colorscale = page.evaluate(f"JSON.stringify({PLOT}.data[0].colorscale)")
    press(page, "d")
    until(page, f"{ink} !== '{light}'")
    assert page.evaluate(WIDTH_OF_BAND) == 6
    assert page.evaluate(f"JSON.stringify({PLOT}.data[0].colorscale)") == colorscale
    press(page, "d")
    until(page, f"{ink} === '{light}'")


def test_grey_lines_change_sides_with_the_theme_and_colours_do_not(page):
    press(page, "ArrowRight")
    colors = f"JSON.stringify({PLOT}.data.map((trace) => trace.line.color))"
    light = page.evaluate(colors)
    assert light == '["#d55e00","#0072b2","#222222"]'
    press(page, "d")
    assert page.evaluate(colors) == '["#d55e00","#0072b2","rgba(221,221,221,1)"]'
    press(page, "d")
    assert page.evaluate(colors) == light


@pytest.mark.parametrize(
    ("system", "query", "theme"),
    [("dark", "", "dark"), ("light", "", "light"), ("light", "?theme=dark", "dark")],
)
def test_the_theme_follows_the_system_and_the_address(browser, tmp_path, system, query, theme):
    path = tmp_path / "deck.html"
    path.write_text(render(new_notebook(cells=[markdown("## T")])), encoding="utf-8")
    context = browser.new_context(color_scheme=system, offline=True)
    opened = context.new_page()
    opened.goto(path.as_uri() + query)
    assert opened.evaluate("document.documentElement.dataset.theme") == theme
    context.close()


def test_the_help_opens_and_closes(page):
    press(page, "?")
    assert page.locator("#help").is_visible()
    press(page, "Escape")
    assert not page.locator("#help").is_visible()
    assert not page.evaluate("Reveal.isOverview()")


def test_the_speaker_window_shows_the_notes_without_network(page):
    page.evaluate("Reveal.slide(0)")
    with page.context.expect_page() as opening:
        page.keyboard.press("s")
    speaker = opening.value
    value = speaker.locator(".speaker-controls-notes .value")
    value.filter(has_text="Ask the class first").wait_for(timeout=120_000)
    assert value.locator("math").count() == 1
    assert len(speaker.frames) == 3


def test_printing_puts_one_slide_on_a_page_with_its_figures(browser, deck):
    context = browser.new_context(color_scheme="dark", offline=True)
    opened = context.new_page()
    opened.goto(deck.as_uri() + "?print-pdf")
    until(opened, "'printable' in document.documentElement.dataset")
    drawn = "[...document.querySelectorAll('.plot')].every((p) => p.querySelector('.main-svg'))"
    assert opened.evaluate(drawn)
    slides = opened.evaluate("Reveal.getTotalSlides()")
    assert opened.evaluate("document.documentElement.dataset.theme") == "light"
    context.close()
    pdf = print_deck(deck, browser).read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) == slides


def test_an_upright_screen_gets_upright_slides(browser, deck):
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    opened = context.new_page()
    opened.goto(deck.as_uri())
    assert opened.evaluate("document.documentElement.dataset.shape") == "portrait"
    for number in range(opened.evaluate("Reveal.getTotalSlides()")):
        opened.evaluate("number => deck.visit(number)", number)
        slide = opened.locator("section.present .slide")
        box = slide.bounding_box()
        assert (round(box["x"]), round(box["width"])) == (0, 390)
        assert slide.locator(".body").evaluate("(b) => b.scrollHeight <= b.clientHeight + 1")
        for shown in opened.locator("section.present :is(h1, h2, p, .plot, .picture)").all():
            inner = shown.bounding_box()
            if inner and inner["width"] > 1:  # not what is there for a screen reader alone
                assert inner["x"] + inner["width"] <= 391
    opened.evaluate("deck.visit(3)")
    address = opened.url
    with opened.expect_navigation():
        opened.set_viewport_size({"width": 844, "height": 390})
    assert opened.evaluate("document.documentElement.dataset.shape") == "landscape"
    assert opened.url == address
    context.close()


# ---- what the checker must catch ----------------------------------------------------------------


def markdown(text: str):
    return new_markdown_cell(text, metadata={"slideshow": {"slide_type": "slide"}})


def bars(alt: str = "two bars", **layout):
    data = {"data": [{"type": "bar", "y": [1, 2]}], "layout": layout}
    output = new_output("display_data", data={"application/vnd.plotly.v1+json": data})
    facts = {"slideshow": {"slide_type": "slide"}, "classroom": {"show": "output", "alt": alt}}
    return new_code_cell("bars", outputs=[output], metadata=facts)


PARAGRAPH = "The window counts the token itself, and nothing beyond it. " * 4
WIDE = "x_0 " + " ".join(f"+ x_{{{n}}}" for n in range(1, 40))
NOTES = [{"text": text, "x": 0.5, "y": 1, "showarrow": False} for text in ("label 1", "label 2")]
UNROOMY = {"automargin": False, "ticksuffix": " thousands"}
FOOTER = "<footer>"

# name: what the checker calls it, the cell, and what is then replaced in the page by what.
FAULTS = {
    "too many lines": ("overflow", markdown("## T\n\n" + f"{PARAGRAPH}\n\n" * 12)),
    "text below the slide": ("text cut", markdown("## T\n\n" + f"{PARAGRAPH}\n\n" * 12)),
    "a long line of code": ("text cut", markdown(f"## T\n\n```python\n{'x = 1; ' * 40}\n```")),
    "a wide formula": ("text cut", markdown(f"## T\n\n$$\n{WIDE}\n$$")),
    "a wide table": ("overflow", markdown("|" + "column|" * 30 + "\n" + "|" + "--|" * 30)),
    "a title of many lines": ("text cut", markdown("## " + PARAGRAPH * 6)),
    "small text": ("small text", markdown("TINY"), "<p>TINY", '<p style="font-size: 10px">TINY'),
    "faint text": ("faint text", markdown("PALE"), "<p>PALE", '<p style="color: #bbb">PALE'),
    "a picture without alternative text": (
        "no alternative text",
        markdown("BARE"),
        "<p>BARE",
        '<p><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">BARE',
    ),
    "a picture that is damaged": (
        "picture not shown",
        markdown("HURT"),
        "<p>HURT",
        '<p><img alt="x" src="data:image/png;base64,AAAA">HURT',
    ),
    "an empty formula": ("empty formula", markdown("$E$"), "<mi>E</mi>", "<mi></mi>"),
    "a figure whose data is damaged": (
        "figure not drawn",
        bars(xaxis={"title": {"text": "DAMAGED"}}),
        '"DAMAGED"',
        "DAMAGED",
    ),
    "a figure without alternative text": ("no alternative text", bars(alt="")),
    "a figure with little room": (
        "figure too small",
        bars(alt="CRAMPED"),
        'aria-label="CRAMPED"',
        'aria-label="CRAMPED" style="max-height: 200px"',
    ),
    "a figure whose labels collide": ("figure text overlaps", bars(annotations=NOTES)),
    "a figure whose label is cut": ("figure text cut", bars(margin={"l": 0}, yaxis=UNROOMY)),
}


def test_on_an_upright_screen_a_figure_whose_words_collide_becomes_wider_and_scrolls(
    browser, tmp_path
):
    path = tmp_path / "deck.html"
    ticks = {"tickvals": [0, 1]}
    cells = [bars(xaxis=ticks), bars(xaxis=ticks, annotations=NOTES)]
    path.write_text(render(new_notebook(cells=cells)), encoding="utf-8")
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    opened = context.new_page()
    opened.goto(path.as_uri())
    times = []
    for number in range(2):
        opened.evaluate("number => deck.visit(number)", number)
        plot = opened.locator("section.present .plot")
        times.append(plot.evaluate("(plot) => plot.scrollWidth / plot.clientWidth"))
    assert times == [1, 2]
    context.close()


@pytest.fixture(scope="module")
def faults(browser, tmp_path_factory) -> dict[str, set[str]]:
    """One deck with a fault on each slide: what the checker found, by fault."""
    html = render(new_notebook(cells=[cell for _, cell, *_ in FAULTS.values()]))
    for _, _, *change in FAULTS.values():
        if change:
            assert change[0] in html
            html = html.replace(*change, 1)
    path = tmp_path_factory.mktemp("faults") / "deck.html"
    path.write_text(html, encoding="utf-8")
    found: dict[str, set[str]] = {}
    for problem in check_deck(path, browser):
        found.setdefault(list(FAULTS)[problem.slide - 1], set()).add(problem.kind)
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_the_checker_catches(fault, faults):
    assert FAULTS[fault][0] in faults.get(fault, set())


ELSEWHERE = '<img alt="x" src="https://example.org/x.png">'
OPEN_POLICY = ("img-src data: blob:", "img-src *")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("request", [OPEN_POLICY, (FOOTER, ELSEWHERE + FOOTER)]),
        ("console error", [(FOOTER, ELSEWHERE + FOOTER)]),
        ("page error", [("</body>", "<script>undefined.x</script></body>")]),
        ("not a deck", [("Reveal.initialize", "void")]),
    ],
)
def test_the_checker_catches_what_is_wrong_with_the_page(kind, changes, browser, tmp_path):
    html = render(new_notebook(cells=[markdown("## T")]))
    for old, new in changes:
        assert old in html
        html = html.replace(old, new, 1)
    path = tmp_path / "deck.html"
    path.write_text(html, encoding="utf-8")
    assert kind in {problem.kind for problem in check_deck(path, browser)}


def test_the_checker_says_where_and_what():
    problem = Problem(3, "overflow", "<pre> x", "1280×720")
    assert str(problem) == "slide 3 at 1280×720: overflow: <pre> x"


def test_a_picture_shows_the_figure_at_the_step_asked_for(deck, browser, tmp_path):
    def take(slide, step=0):
        out = tmp_path / "pictures" / f"{slide}-{step}.png"
        return take_picture(deck, slide, out, step, width=640, browser=browser).read_bytes()

    first, later = take(MASK_SLIDE), take(MASK_SLIDE, step=3)
    assert first.startswith(b"\x89PNG")
    assert first != later
    with pytest.raises(ValueError, match="has slides 1 to"):
        take(99)
    with pytest.raises(ValueError, match="no figure"):
        take(1)


# ---- pieces of the stage ------------------------------------------------------------------------

COUNTER = """<p class="stage-title">It counts</p>
<div class="stage" data-piece="counter"><svg viewBox="0 0 100 50"><text x="40" y="30">0</text></svg>
<input type="text"></div>
<script type="module">
const el = document.querySelector(".stage");
const text = el.querySelector("text");
el.addEventListener("stage-key", (event) => {
  if (event.detail !== ".") return;
  text.textContent = Number(text.textContent) + 1;
  event.preventDefault();
});
el.addEventListener("stage-stop", () => { text.textContent = -1; });
</script>"""


@pytest.fixture(scope="module")
def piece_deck(tmp_path_factory) -> Path:
    mark = {"application/vnd.classroom.piece+json": {"title": "It counts"}, "text/html": COUNTER}
    facts = {"slideshow": {"slide_type": "slide"}, "classroom": {"alt": "A number that grows."}}
    counter = new_code_cell("", outputs=[new_output("display_data", data=mark)], metadata=facts)
    last = new_markdown_cell("## After it", metadata={"slideshow": {"slide_type": "slide"}})
    path = tmp_path_factory.mktemp("piece") / "piece.html"
    path.write_text(render(new_notebook(cells=[counter, last])), encoding="utf-8")
    return path


def test_a_deck_hands_a_piece_the_keys_it_has_no_use_for(piece_deck, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    try:
        page = context.new_page()
        page.goto(piece_deck.as_uri())
        number = "document.querySelector('.stage text').textContent"
        press(page, ".", ".", "o", "o")  # o is the overview's
        assert page.evaluate(number) == "2"
        page.locator(".stage input").focus()
        press(page, ".", "d")  # typed, and no command
        assert page.locator(".stage input").input_value() == ".d"
        assert page.evaluate(number) == "2"
        page.evaluate("document.activeElement.blur()")
        press(page, "ArrowRight")
        assert page.evaluate("Reveal.getIndices().h") == 1
        assert page.evaluate(number) == "-1"
    finally:
        context.close()


def test_a_piece_is_looked_at_like_a_figure(piece_deck, browser, tmp_path):
    assert [str(problem) for problem in check_deck(piece_deck, browser)] == []
    pictures = [
        take_picture(piece_deck, 1, tmp_path / f"{step}.png", step, 640, browser).read_bytes()
        for step in (0, 2)
    ]
    assert pictures[0] != pictures[1]
