"""Chunks as a page shows them, in Chromium with no network, held against the library's cache."""

import random
from collections.abc import Iterator
from functools import partial

import pytest

from mixlab.chapters.stage import host
from mixlab.traces.rolling_cache import trace_prefill
from tests.chapters.stage_page import AS_WIDGET, LOWERED, finish, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "A chunk reads the ring in order, then itself, and is written last"

# What is drawn: the token whose point lies in each slot, the tokens that stand at the mask's
# columns in their order, and the kinds of its cells, row by row.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const at = (node) => new DOMPoint(...node.style.transform.match(/-?[\\d.]+/g).map(Number));
  const here = (node) => !node.hasAttribute("display");
  const chips = [...el.querySelectorAll(".chip")].filter(here)
    .map((node, token) => ({ node, token }));
  const shown = chips.filter(({ node }) => node.style.opacity === "1");
  const slots = [...el.querySelectorAll(".slot")].filter(here);
  const near = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) < 2;
  const drawn = slots.map((slot) =>
    shown.filter(({ node }) => near(at(node), at(slot))).map(({ token }) => token));
  const wide = el.querySelector("svg").viewBox.baseVal.width > 500;
  const columns = shown.filter(({ token }) => !drawn.flat().includes(token));
  const along = ({ node }) => (wide ? at(node).x : at(node).y);
  const rows = [...el.querySelectorAll(".mask > g")].filter(here);
  return {
    drawn,
    held: slots.map((slot) => Number(slot.dataset.held ?? -1)),
    columns: columns.sort((a, b) => along(a) - along(b)).map(({ token }) => token),
    cells: rows.map((row) => [...row.children].filter(here).map((cell) => cell.dataset.kind)),
    kinds: chips.map(({ node }) => node.dataset.kind),
    said: el.querySelector(".stage-said").textContent,
    chunks: module.trace_prefill(chips.length, state.window, state.size),
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("chunks", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        lengths = [draw.randint(1, 11) for _ in range(draw.randint(1, 16))]
        text = " ".join("".join(draw.choices("aehimnorstw", k=k)) for k in lengths)[:120]
        size = draw.randint(1, 6)
        last = 2 * -(-len(text.split()) // size)
        yield dict(text=text, window=draw.randint(1, 6), size=size, step=draw.randint(1, last))


def names(words, positions) -> str:
    return " ".join(words[p] + str(p).translate(LOWERED) for p in positions)


def sentence(words, chunks, state, held) -> str:
    """What the piece says of a state, worded from the trace."""
    number = -(-state["step"] // 2)
    chunk, which = chunks[number - 1], f"Chunk {number} of {len(chunks)}"
    if state["step"] % 2:
        ring = chunk.unrotated
        source = f"{names(words, ring)} from the ring, then itself" if ring else "itself alone"
        all_scores = len(chunk.positions) * (len(ring) + len(chunk.positions))
        return f"{which} reads {source}: {chunk.sees.sum()} of {all_scores} scores are of use."
    kept = [p for p in chunk.positions if p in held]
    gone = sorted(p for p in chunk.held_before if p >= 0 and p not in held)
    slots = ", ".join(str(p % state["window"]) for p in kept)
    onto = f", over {names(words, gone)}" if gone else ""
    many = "s" if len(kept) > 1 else ""
    return f"{which} is written: {names(words, kept)} to slot{many} {slots}{onto}."


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_cache_does(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("chunks"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        words = state["text"].split()
        chunks = trace_prefill(len(words), state["window"], state["size"])
        chunk, reading = chunks[(state["step"] - 1) // 2], state["step"] % 2 == 1
        assert shown["told"] == state
        for theirs, ours in zip(shown["chunks"], chunks, strict=True):
            assert theirs.pop("sees") == ours.sees.tolist()
            assert theirs == {name: list(getattr(ours, name)) for name in theirs}
        held = chunk.held_before if reading else chunk.held
        keys = [*chunk.unrotated, *chunk.positions]
        lying = [[p] if p >= 0 and not (reading and p in keys) else [] for p in held]
        assert shown["held"] == list(held)
        assert shown["drawn"] == lying
        assert shown["columns"] == (keys if reading else [])
        kind = ["seen"] * len(chunk.unrotated) + ["now"] * len(chunk.positions)
        assert shown["cells"] == [
            [name if row[p] else "hidden" for p, name in zip(keys, kind, strict=True)]
            for row in chunk.sees
        ]
        assert shown["kinds"] == [fate(p, chunk, reading, held) for p in range(len(words))]
        assert shown["said"] == sentence(words, chunks, state, held)


def fate(position, chunk, reading, held) -> str:
    if position > chunk.positions[-1]:
        return "later"
    if position in chunk.positions:
        return "now" if reading or position in held else "gone"
    if position not in held:
        return "gone"
    return "idle" if reading and position not in chunk.unrotated else "seen"


def test_it_opens_on_its_claim(opened):
    page = opened()
    assert said(page) == (
        "Chunk 3 of 4 reads me₃ who₄ is₅ from the ring, then itself: 12 of 18 scores are of use."
    )
    assert page.locator(".stage-title").inner_text() == TITLE


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".word").nth(1).focus()
    assert said(page) == "you₁ sees Can₀ you₁; its key is written to slot 1 mod 4 = 1."
    for key, words in {
        ".": "Chunk 3 of 4 is written: the₆ richest₇ man₈ to slots 2, 3, 0, over tell₂ me₃ who₄.",
        ",": "Chunk 3 of 4 reads me₃ who₄ is₅",
        "Shift+ArrowLeft": "is written: me₃ who₄ is₅ to slots 3, 0, 1, over Can₀ you₁.",
        "Shift+ArrowUp": "to slots 3, 4, 0, over Can₀.",
        "Shift+ArrowDown": "to slots 3, 0, 1",
        "+": "Chunk 2 of 3 is written: who₄ is₅ the₆ richest₇ to slots 0, 1, 2, 3",
        "-": "Chunk 2 of 4 is written",
        "Enter": "Chunk 1 of 4 reads itself alone: 6 of 9 scores are of use.",
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    for grip, value in ((0, "5"), (1, "4")):
        page.locator(".grip").nth(grip).focus()
        page.keyboard.press("ArrowUp")
        assert page.locator(".grip").nth(grip).get_attribute("aria-valuenow") == value


def test_typing_is_no_command(opened):
    page = opened()
    field = page.locator(".stage-bar input[type=text]")
    field.fill("")
    assert said(page) == "0 chunks to read; the ring has 4 slots, and nothing in them yet."
    field.press_sequentially("a+b -, p. <b>")
    assert said(page).startswith("Chunk 2 of 2 is written: <b>₃ to slot 3")


@pytest.mark.parametrize("width", [1280, 390])
def test_w_and_the_chunk_are_dragged(opened, width):
    page = opened(width=width, height=844)

    def drag(grip: int, x: float, y: float) -> str:
        box = page.locator(".grip").nth(grip).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(x, y, steps=6)
        page.mouse.up()
        return page.locator(".grip").nth(grip).get_attribute("aria-valuenow")

    for word, size in ((4, "5"), (0, "1"), (2, "3")):
        box = page.locator(".word").nth(word).bounding_box()
        assert drag(1, box["x"] + box["width"], box["y"] + box["height"]) == size
    for slot, window in ((1, "2"), (0, "1")):
        box = page.locator(".slot rect").nth(slot).bounding_box()
        below = box["y"] + box["height"] + 12
        x, y = box["x"] + box["width"] / 2, below if width > 500 else box["y"] - 12
        assert drag(0, x, y) == window


def test_a_token_is_one_node_for_life_and_flies(opened):
    page = opened(motion="no-preference")
    page.evaluate("window.man = document.querySelectorAll('.chip')[8]")
    place = "man.style.transform"
    column = page.evaluate(place)
    page.locator(".word").first.focus()
    page.keyboard.press(".")
    finish(page)
    slot = page.evaluate("document.querySelectorAll('.slot')[0].style.transform")
    assert page.evaluate(place) == slot != column
    for _ in range(3):
        page.keyboard.press(",")
        finish(page)
    word = page.evaluate("document.querySelectorAll('.word')[8].style.transform")
    assert page.evaluate(place) == word
    assert page.evaluate("man === document.querySelectorAll('.chip')[8]")


def test_a_query_and_a_slot_light_up_with_all_that_belongs_to_them(opened):
    page = opened()
    part = ".word[data-lit]:not([display])"
    lit = f"[...document.querySelectorAll('{part}')].map((node) => node.textContent)"
    page.locator(".asks").nth(1).hover()
    assert said(page).startswith("richest₇ sees who₄ is₅ the₆ richest₇")
    assert page.evaluate(lit) == ["who4", "is5", "the6", "richest7"]
    page.locator(".slot").nth(2).hover()
    assert said(page) == "Slot 2 takes positions 2, 6, 10, …; now it holds tell₂."
    assert page.evaluate(lit) == ["tell2", "the6", "history10"]
    page.mouse.move(0, 0)
    assert said(page).startswith("Chunk 3 of 4 reads")
