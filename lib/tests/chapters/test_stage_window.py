"""The window's mask and stack as a page shows them, held against the library's rule and traces."""

import random
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from mixlab.chapters.receptive_field.traces import cone, reach, relay
from mixlab.chapters.stage import host
from mixlab.transformer.window import first_visible, n_visible_pairs, window_mask
from tests.chapters.stage_page import AS_WIDGET, LOWERED, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "Each token sees itself and the W − 1 before it"

# What is drawn: of the mask the cells by kind, and those that the query's frame holds; of the stack
# the lit states, the lines between them, the way, and where the two chips are.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const all = (selector) => [...el.querySelectorAll(selector)];
  const place = (node) => new DOMPoint(...node.style.transform.match(/-?[\\d.]+/g).map(Number));
  const shown = (node) => node.getAttribute("display") !== "none";
  const kinds = (selector) => all(selector).filter(shown).map((node) => node.dataset.kind);
  const rows = (nodes) => Array.from({ length: nodes.length / 14 }, (_, n) =>
    nodes.slice(14 * n, 14 * n + 14));
  const frame = el.querySelector(".frame");
  const inFrame = (cell) => {
    const { x, y, width, height } = cell.getBBox();
    return frame.isPointInFill(new DOMPoint(x + width / 2, y + height / 2));
  };
  const states = rows(all(".state"));
  const points = states.flatMap((row, layer) =>
    row.map((node, token) => ({ node, layer, token })));
  const near = ({ x, y }) => {
    const far = ({ node }) => Math.hypot(node.cx.baseVal.value - x, node.cy.baseVal.value - y);
    const best = points.filter(({ node }) => shown(node)).sort((a, b) => far(a) - far(b))[0];
    return far(best) < 1e-3 ? [best.layer, best.token] : null;
  };
  const lines = (path) => (path.getAttribute("d") ?? "").split("M").slice(1).map((piece) =>
    piece.split("L").map((at) => at.split(" ").map(Number)).map(([x, y]) => near({ x, y })));
  const chips = Object.fromEntries(["asker", "traveller"].map((name) => {
    const chip = el.querySelector(`.${name}`), at = chip.style.transform && place(chip);
    const down = name === "traveller" ? 31 : 0;
    return [name, at && shown(chip) ? [near({ x: at.x, y: at.y + down }), chip.textContent] : null];
  }));
  const high = state.layers > 1, { query, step, window: wide } = state;
  return {
    visible: [".mask", ".stack"].map((name) => shown(el.querySelector(name))),
    cells: rows(all(".cell")).map((row) => row.filter(shown).map((node) => node.dataset.kind)),
    framed: rows(all(".cell")).map((row) => row.filter(shown).map(inFrame)),
    words: kinds(".text .word"),
    places: all(".text .word").filter(shown).map((node) => place(node).x),
    states: states.map((row) => row.filter(shown).map((node) => node.dataset.kind)),
    reads: high ? lines(el.querySelector(".reads")) : [],
    way: high ? lines(el.querySelector(".way"))[0] ?? [] : [],
    chips,
    grip: Number(el.querySelector(".grip").getAttribute("aria-valuenow")),
    said: el.querySelector(".stage-said").textContent,
    reach: module.reach(Array(3).fill(wide), state.text.split(" ").length),
    cone: module.cone(wide, step, query),
    relay: module.relay(wide, step, 0, query),
    pairs: module.n_visible_pairs(state.text.split(" ").length, wide),
    first: module.first_visible(query, wide),
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("window", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        lengths = [draw.randint(1, 9) for _ in range(draw.randint(1, 14))]
        text = " ".join("".join(draw.choices("aehimnorstw", k=k)) for k in lengths)
        layers, query = draw.choice([1, 1, 2, 3, 4, 6]), draw.randrange(len(lengths))
        step = query if layers == 1 else draw.randint(0, layers)
        yield dict(text=text, window=draw.randint(1, 14), layers=layers, query=query, step=step)


def name(words: list[str], position: int) -> str:
    return words[position] + str(position).translate(LOWERED)


def mask_sentence(words: list[str], window: int, query: int) -> str:
    row = np.flatnonzero(window_mask(len(words), window=window)[query]).tolist()
    shown, pairs = (n_visible_pairs(len(words), wide) for wide in (window, None))
    return (
        f"{name(words, query)} sees {len(row)}: {' '.join(name(words, key) for key in row)}. "
        f"In all, W = {window} shows {shown} of {pairs} scores."
    )


def stack_sentence(words: list[str], window: int, way: list[int], step: int, query: int) -> str:
    known = cone(window, step, query)[0]
    after = f"After layer {step}" if step else "Before layer 1"
    first = name(words, int(np.flatnonzero(known)[0]))
    whole = f": {known.sum()} = {step}·({window} − 1) + 1 words"
    ends = whole if known.sum() == step * (window - 1) + 1 else ", where the text begins"
    tokens = list(dict.fromkeys(way))
    route = " → ".join(name(words, token) for token in tokens)
    told = f" The way: {route}." if len(tokens) > 1 else ""
    return f"{after} {name(words, query)} reaches back to {first}{ends}.{told}"


def check_mask(shown: dict, words: list[str], window: int, query: int) -> None:
    seq = len(words)
    mask = window_mask(seq, window=window).numpy()
    assert shown["visible"] == [True, False]
    for i in range(seq):
        hidden = ["later" if i < j else "gone" for j in range(seq)]
        kinds = [("self" if i == j else "seen") if mask[i, j] else hidden[j] for j in range(seq)]
        assert shown["cells"][i] == kinds
        assert shown["framed"][i] == (mask[i] & (i == query)).tolist()
    assert shown["words"] == kinds_of_words(mask[query], query)
    assert shown["said"] == mask_sentence(words, window, query)


def check_stack(shown: dict, words: list[str], state: dict) -> None:
    window, layers, query, step = (state[key] for key in ("window", "layers", "query", "step"))
    seq, looks = len(words), np.zeros((layers + 1, len(words)), dtype=bool)
    looks[: step + 1, : query + 1] = cone(window, step, query)
    mask = window_mask(seq, window=window).numpy()
    assert shown["visible"] == [False, True]
    for layer in range(layers + 1):
        lit = "now" if layer == step else "seen"
        dark = "later" if layer > step else "gone"
        assert shown["states"][layer] == [lit if looks[layer, j] else dark for j in range(seq)]
    reads = {
        ((m + 1, i), (m, j))
        for m in range(step)
        for i, j in np.argwhere(mask & looks[m + 1][:, None] & looks[m]).tolist()
    }
    assert {tuple(map(tuple, line)) for line in shown["reads"]} == reads
    key = int(np.flatnonzero(cone(window, layers, query)[0])[0])
    way = relay(window, layers, key, query)[: step + 1]
    assert shown["chips"]["asker"] == [[step, query], f"{words[query]}{query}"]
    if key < query:
        assert [tuple(at) for at in dict.fromkeys(map(tuple, shown["way"]))] == [*enumerate(way)]
        assert shown["chips"]["traveller"] == [[step, way[-1]], f"{words[key]}{key}"]
    else:
        assert shown["way"] == []
        assert shown["chips"]["traveller"] is None
    assert shown["words"] == kinds_of_words(looks[0], query)
    assert shown["said"].replace("\u00a0", " ") == stack_sentence(words, window, way, step, query)


def kinds_of_words(seen: np.ndarray, query: int) -> list[str]:
    fate = {True: "seen", False: "gone"}
    return [
        "now" if n == query else "later" if n > query else fate[bool(seen[n])]
        for n in range(len(seen))
    ]


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_library_says(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("window"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        words = state["text"].split()
        window, query, step = state["window"], state["query"], state["step"]
        seq = len(words)
        assert shown["told"] == state
        assert shown["grip"] == window
        assert shown["places"] == sorted(shown["places"])
        assert shown["reach"] == reach([window] * 3, seq).tolist()
        assert shown["cone"] == cone(window, step, query).tolist()
        assert shown["relay"] == relay(window, step, 0, query)
        assert shown["pairs"] == n_visible_pairs(seq, window)
        assert shown["first"] == first_visible(query, window)
        if state["layers"] == 1:
            check_mask(shown, words, window, query)
        else:
            check_stack(shown, words, state)


def test_it_opens_on_its_claim(opened):
    page = opened()
    assert said(page) == "mat₅ sees 3: on₃ the₄ mat₅. In all, W = 3 shows 15 of 21 scores."
    assert page.locator(".stage-title").inner_text() == TITLE


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".text .word").first.focus()
    assert said(page) == "The₀ is seen by The₀ cat₁ sat₂."
    for key, words in {
        ",": "the₄ sees 3: sat₂ on₃ the₄.",
        ".": "mat₅ sees 3: on₃ the₄ mat₅.",
        "Shift+ArrowUp": "mat₅ sees 4: sat₂ on₃ the₄ mat₅.",
        "Shift+ArrowDown": "mat₅ sees 3: on₃ the₄ mat₅.",
        "+": "After layer 2 mat₅ reaches back to cat₁: 5 = 2·(3 − 1) + 1 words.",
        "Shift+ArrowLeft": "After layer 1 mat₅ reaches back to on₃: 3 = 1·(3 − 1) + 1 words.",
        "Enter": "After layer 2 The₀ reaches back to The₀, where the text begins.",
        "-": "The₀ sees 1: The₀.",
    }.items():
        page.keyboard.press(key)
        assert words in said(page).replace("\u00a0", " ")
    page.keyboard.press("p")
    assert said(page).startswith("cat₁ sees 2: The₀ cat₁.")
    page.keyboard.press("p")
    page.locator(".mask .word").nth(3).focus()
    assert said(page).startswith("on₃ sees 3: cat₁ sat₂ on₃.")
    page.locator(".grip").focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".grip").get_attribute("aria-valuenow") == "4"


def test_typing_is_no_command(opened):
    page = opened()
    field = page.locator(".stage-bar input[type=text]")
    field.fill("")
    assert said(page) == "Type a sentence: each word is a query and a key."
    field.press_sequentially("+ - p. <b> incomprehensible")
    assert said(page).startswith("incompre…₄ sees 3: p.₂ <b>₃ incompre…₄.")


def test_the_band_s_edge_is_dragged_in_the_mask_and_in_the_stack(opened):
    page = opened()

    def drag(start: str, x: float, y: float) -> str:
        box = page.locator(start).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(x, y, steps=6)
        page.mouse.up()
        return page.locator(".grip").get_attribute("aria-valuenow")

    for key, window in ((1, "5"), (0, "6"), (5, "1"), (4, "2")):
        cell = page.locator(f".cell >> nth={14 * 5 + key}").bounding_box()
        assert drag(".pill", cell["x"], cell["y"] + cell["height"] + 20) == window
    # The edge itself: at the left of the query's window, two cells to the left.
    cell = page.locator(f".cell >> nth={14 * 5 + 4}").bounding_box()
    page.mouse.move(cell["x"] - 1, cell["y"] + cell["height"] / 2)
    page.mouse.down()
    page.mouse.move(cell["x"] - 1 - 2 * cell["width"], cell["y"] + cell["height"] / 2, steps=6)
    page.mouse.up()
    assert page.locator(".grip").get_attribute("aria-valuenow") == "4"
    page.keyboard.press("+")
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press("+")
    pill = page.locator(".pill").bounding_box()
    one, two = (page.locator(f".state >> nth={n}").bounding_box()["x"] for n in (0, 1))
    at = pill["x"] + pill["width"] / 2 + (two - one) / 2, pill["y"] + pill["height"] / 2
    assert drag(".pill", *at) == "3"


def test_what_belongs_together_lights_up(opened):
    page = opened()

    def lit(part: str) -> list[str]:
        found = f"[...document.querySelectorAll('{part}[data-lit]:not([display])')]"
        return page.evaluate(f"{found}.map((node) => node.textContent)")

    def lit_cells() -> list[tuple[int, int]]:
        flags = "[...document.querySelectorAll('.cell')].map((node) => 'lit' in node.dataset)"
        return [divmod(n, 14) for n, on in enumerate(page.evaluate(flags)) if on]

    page.locator(".mask .word").nth(4).hover()
    assert said(page).startswith("the₄ sees 3: sat₂ on₃ the₄.")
    assert lit(".text .word") == ["sat2", "on3", "the4"]
    assert lit_cells() == [(4, 2), (4, 3), (4, 4)]
    page.locator(".text .word").nth(1).hover()
    assert said(page) == "cat₁ is seen by cat₁ sat₂ on₃."
    assert lit(".mask .word") == ["cat1", "sat2", "on3"]
    assert lit_cells() == [(1, 1), (2, 1), (3, 1)]
    for (i, j), words in {
        (5, 0): "mat₅ doesn't see The₀: 5 − 0 = 5 isn't among 0 … 2.",
        (5, 3): "mat₅ sees on₃: 5 − 3 = 2 is among 0 … 2.",
        (1, 4): "cat₁ doesn't see the₄: 1 − 4 = −3 isn't among 0 … 2.",
    }.items():
        page.locator(f".cell >> nth={14 * i + j}").hover()
        assert said(page) == words
        assert lit_cells() == [(i, j)]
    page.mouse.move(0, 0)
    assert said(page).startswith("mat₅ sees 3")


def test_in_the_stack_a_word_shows_its_way_and_a_state_what_it_knows(open_piece):
    page = open_piece(host.piece("window", TITLE, layers=3, step=2))
    words = page.locator(".text .word")
    for n, sentence in {
        0: "After layer 2: The₀ → sat₂ → the₄, and not yet mat₅.",
        1: "After layer 2: cat₁ → on₃ → mat₅.",
        5: "After layer 2: mat₅.",
    }.items():
        words.nth(n).hover()
        assert said(page) == sentence
    page.locator(".state >> nth=17").hover()  # of on, after the first layer
    assert (
        said(page).replace("\u00a0", " ").startswith("After layer 1 on₃ reaches back to cat₁: 3 =")
    )
    page.locator(".text .word").nth(3).click()
    page.locator(".text .word").nth(4).hover()
    assert said(page) == "the₄ comes after on₃, and never reaches it."


def test_a_word_comes_one_layer_at_a_time(open_piece):
    page = open_piece(host.piece("window", TITLE, layers=3, step=1), motion="no-preference")
    finish(page)
    at = "document.querySelector('.traveller').style.transform.match(/[\\d.]+/g).map(Number)"
    x, y = page.evaluate(at)
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press(".")
    hold(page, 700)
    # What is true holds at once; on the way is only the picture.
    assert "The₀ → sat₂ → the₄" in said(page)
    x_between, y_between = page.evaluate(at)
    finish(page)
    x_now, y_now = page.evaluate(at)
    assert x < x_between < x_now
    assert y > y_between > y_now
    words = page.evaluate("window.The = document.querySelector('.text .word'); The.style.transform")
    for key in "--+":
        page.keyboard.press(key)
    finish(page)
    assert page.evaluate("The === document.querySelector('.text .word')")
    page.keyboard.press("+")
    finish(page)
    assert page.evaluate("The.style.transform") == words


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_hidden_recedes_into_the_page(opened, theme):
    page = opened(theme=theme)
    paper = 255 if theme == "light" else 18
    contrast = []
    for kind in ("later", "gone", "seen"):
        color = page.evaluate(
            "(part) => { const brush = document.createElement('canvas').getContext('2d');"
            "brush.fillStyle = getComputedStyle(document.querySelector(part)).fill;"
            "brush.fillRect(0, 0, 1, 1); return [...brush.getImageData(0, 0, 1, 1).data] }",
            f".cell[data-kind={kind}]:not([data-row])",
        )
        contrast.append(sum(abs(color[3] / 255 * (c - paper)) for c in color[:3]))
    assert 0 < contrast[0] < contrast[1] < contrast[2]
