"""The ring as a page shows it, in Chromium with no network, held against the library's cache."""

import random
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from mixlab.chapters.stage import host
from mixlab.traces.rolling_cache import trace_decode
from mixlab.transformer.rolling_layer import unrotate
from tests.chapters.stage_page import AS_WIDGET, LOWERED, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "Token p takes slot p mod W, over the token that just left"

# What is drawn: the slot that each token's point lies in, and the tokens in the order they lie.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const at = (node) => new DOMPoint(...node.style.transform.match(/-?[\\d.]+/g).map(Number));
  const chips = [...el.querySelectorAll(".chip:not([display])")]
    .map((node, token) => ({ node, token }));
  const shown = chips.filter(({ node }) => node.style.opacity === "1");
  const slots = [...el.querySelectorAll(".slot")];
  const drawn = slots.map((slot) =>
    shown.filter(({ node }) => slot.firstChild.isPointInFill(at(node))).map(({ token }) => token));
  const wide = el.querySelector("svg").viewBox.baseVal.width > 500;
  const along = ({ node }) => (wide ? at(node).x : at(node).y);
  return {
    drawn,
    held: slots.map((slot) => Number(slot.dataset.held ?? -1)),
    order: shown.filter(({ token }) => drawn.flat().includes(token))
      .sort((a, b) => along(a) - along(b)).map(({ token }) => token),
    kinds: chips.map(({ node }) => node.dataset.kind),
    said: el.querySelector(".stage-said").textContent,
    steps: module.trace_decode(chips.length, state.window),
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("ring", TITLE, window=4))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        lengths = [draw.randint(1, 13) for _ in range(draw.randint(1, 24))]
        text = " ".join("".join(draw.choices("aehimnorstw", k=k)) for k in lengths)
        step = draw.randint(1, len(lengths))
        yield dict(text=text, window=draw.randint(1, 12), step=step, cut=draw.random() < 0.4)


def plain(value):
    return list(value) if isinstance(value, tuple) else value


def in_order(slots, length: int) -> list[int]:
    """What the library's unrotate makes of the slots."""
    return [int(held) for held in unrotate(torch.tensor([*map(float, slots)]), length)]


def sentence(words: list[str], window: int, now, cut: bool) -> str:
    """What the piece says of a state, worded from the trace."""

    def names(positions) -> str:
        return " ".join(words[p] + str(p).translate(LOWERED) for p in positions)

    if cut:
        length = now.position + 1
        order = ", ".join(map(str, in_order(range(window), length)))
        held = names(in_order(now.held, length))
        return f"Cut before the oldest, slots {order} read in order: {held}."
    over = "which was empty" if now.evicted < 0 else f"over {names([now.evicted])}"
    return (
        f"{names([now.position])} goes to slot {now.position} mod {window} = {now.slot}, {over}. "
        f"Its query sees {names(now.seen)}."
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_cache_holds(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("ring"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        words, window, step = state["text"].split(), state["window"], state["step"]
        steps = trace_decode(range(len(words)), window)
        now = steps[step - 1]
        assert shown["told"] == state
        for theirs, ours in zip(shown["steps"], steps, strict=True):
            assert theirs == {name: plain(getattr(ours, name)) for name in theirs}
        missing = 12 - window
        assert shown["held"] == [*now.held, *[-1] * missing]
        assert shown["drawn"] == [[p] if p >= 0 else [] for p in now.held] + [[]] * missing
        kind = dict.fromkeys(now.seen, "seen") | {now.position: "now"}
        fate = ["later" if p >= step else kind.get(p, "gone") for p in range(len(words))]
        assert shown["kinds"] == fate
        assert shown["said"] == sentence(words, window, now, state["cut"])
        if state["cut"]:
            assert shown["order"] == in_order(now.held, step)


def test_it_opens_on_its_claim(opened):
    page = opened()
    assert (
        said(page) == "mat₅ goes to slot 5 mod 4 = 1, over cat₁. Its query sees sat₂ on₃ the₄ mat₅."
    )
    assert page.locator(".stage-title").inner_text() == TITLE


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".word").first.focus()
    assert said(page) == "The₀ sees The₀; its key is gone: the₄ took slot 0."
    for key, words in {
        ",": "the₄ goes to slot 4 mod 4 = 0, over The₀",
        "Shift+ArrowLeft": "on₃ goes to slot 3 mod 4 = 3, which was empty",
        ".": "the₄ goes to slot 4 mod 4 = 0",
        "Shift+ArrowUp": "the₄ goes to slot 4 mod 5 = 4, which was empty",
        "Shift+ArrowDown": "the₄ goes to slot 4 mod 4 = 0",
        "x": "Cut before the oldest, slots 1, 2, 3, 0 read in order: cat₁ sat₂ on₃ the₄.",
        "Enter": "Cut before the oldest, slots 0 read in order: The₀.",
        "X": "The₀ goes to slot 0 mod 4 = 0, which was empty.",
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    page.keyboard.press("p")
    assert said(page).startswith("cat₁ goes to slot 1")
    page.keyboard.press("p")
    page.locator(".grip").focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".grip").get_attribute("aria-valuenow") == "5"


def test_typing_is_no_command(opened):
    page = opened()
    field = page.locator(".stage-bar input[type=text]")
    field.fill("")
    assert said(page) == "The ring has 4 slots, and nothing in them yet."
    field.press_sequentially("x, p. <b>")
    assert said(page).startswith("<b>₂ goes to slot 2 mod 4 = 2")
    assert page.locator("svg[data-cut]").count() == 0


def test_w_is_dragged_by_mouse_and_by_touch(opened):
    page = opened()

    def drag_to(word: int) -> None:
        here, there = (page.locator(s).bounding_box() for s in (".grip", f".word >> nth={word}"))
        page.mouse.move(here["x"] + here["width"] / 2, here["y"] + here["height"] / 2)
        page.mouse.down()
        page.mouse.move(there["x"] - here["width"] / 2, here["y"], steps=6)
        page.mouse.up()

    for word, window in ((0, 6), (4, 2), (5, 1), (2, 4)):
        drag_to(word)
        assert page.locator(".grip").get_attribute("aria-valuenow") == str(window)
    small = opened(width=390, height=844, touch=True)
    small.locator(".word").nth(1).tap()
    assert "cat₁" in said(small)
    assert small.locator("input[type=range]").input_value() == "2"


def test_a_token_is_one_node_for_life_and_flies(opened):
    page = opened(motion="no-preference")
    page.evaluate("window.mat = document.querySelectorAll('.chip')[5]")
    place = "mat.style.transform"
    rest = page.evaluate(place)
    page.locator(".word").first.focus()
    page.keyboard.press(",")
    finish(page)
    word = page.evaluate("document.querySelectorAll('.word')[5].style.transform")
    assert page.evaluate(place) == word
    page.keyboard.press(".")
    hold(page, 400)
    # What is true holds at once; on the way is only the picture.
    assert page.evaluate("document.querySelectorAll('.slot')[1].dataset.held") == "5"
    assert page.evaluate(place) not in (word, rest)
    finish(page)
    assert page.evaluate(place) == rest
    assert page.evaluate("mat === document.querySelectorAll('.chip')[5]")


def test_a_new_move_ends_the_running_one(opened):
    page = opened(motion="no-preference")
    page.locator(".word").first.focus()
    for key in ",,.,x..x,.":
        page.keyboard.press(key)
    page.wait_for_timeout(100)
    finish(page)
    moved = page.evaluate("[...document.querySelectorAll('.chip')].map((n) => n.style.transform)")
    calm = opened()
    assert moved == calm.evaluate(
        "[...document.querySelectorAll('.chip')].map((n) => n.style.transform)"
    )


def test_two_changes_at_once_end_where_they_should(opened):
    page = opened(motion="no-preference")
    page.evaluate(AS_WIDGET, host.module("ring"))
    where = (
        "[...el.querySelectorAll('.slot path')].map((path) =>"
        " path.getAttribute('d').replace(/[-\\d.e]+/g, (number) => Number(number).toFixed(1)))"
    )
    for cut in (True, False):
        page.evaluate("(change) => model.tell(change)", {"cut": cut, "window": 3 + cut})
        finish(page)
    moved = page.evaluate(where)
    page.evaluate("model.tell({ step: 5 }); model.tell({ step: 6 })")
    finish(page)
    assert moved == page.evaluate(where)


def test_a_slot_lights_up_with_all_that_belongs_to_it(opened):
    page = opened()
    part = ".word[data-lit]:not([display]) text"
    lit = f"[...document.querySelectorAll('{part}')].map((node) => node.textContent)"
    page.locator(".slot").nth(1).hover()
    assert said(page) == "Slot 1 takes positions 1, 5, 9, …; now it holds mat₅."
    assert page.evaluate(lit) == ["cat1", "mat5"]
    page.locator(".word").nth(4).hover()
    assert page.evaluate(lit) == ["cat1", "sat2", "on3", "the4"]
    page.mouse.move(0, 0)
    assert said(page).startswith("mat₅ goes to slot 5")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_gone_recedes_into_the_page(opened, theme):
    page = opened(theme=theme)
    paper = 255 if theme == "light" else 18
    contrast = {}
    for kind, part in {
        "gone": ".chip[data-kind=gone] rect",
        "seen": ".slot[data-kind=seen] path",
    }.items():
        color = page.evaluate(
            "(part) => { const brush = document.createElement('canvas').getContext('2d');"
            "brush.fillStyle = getComputedStyle(document.querySelector(part)).fill;"
            "brush.fillRect(0, 0, 1, 1); return [...brush.getImageData(0, 0, 1, 1).data] }",
            part,
        )
        opaque = color[3] / 255
        contrast[kind] = sum(abs(opaque * (c - paper)) for c in color[:3])
    assert 0 < contrast["gone"] < contrast["seen"]
