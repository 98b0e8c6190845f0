"""Slots as a page shows them, held against the library's trace."""

import random
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from mixlab.chapters.selection.slots import DOT, trace_slots
from mixlab.chapters.stage import host
from tests.chapters.stage_page import AS_WIDGET, LOWERED, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "Where dots take no time, each slot keeps a letter; run evenly, slots smear"

# What the page computes, and what it draws: shares as parts of a slot's height.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const number = (node, name) => Number(node.getAttribute(name));
  const memories = [...el.querySelectorAll(".memory")];
  return {
    traces: [null, state.delta].map((delta) => module.trace_slots(state.text, delta)),
    drawn: memories.map((memory) => [...memory.querySelectorAll(".slot")].map((slot) =>
      [...slot.querySelectorAll(".part")].slice(0, state.text.length).map((part) =>
        part.hasAttribute("display") ? 0
          : number(part.firstChild, "height") / number(slot.firstChild, "height")))),
    open: memories.map((memory) => [...memory.querySelectorAll(".lid")]
      .map((lid) => lid.hasAttribute("data-open"))),
    kinds: [...el.querySelectorAll(".token:not([display])")].map((node) => node.dataset.kind),
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
    said: el.querySelector(".stage-said").textContent,
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("copying", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        text = "".join(draw.choice("ABCDZ" + DOT * 8) for _ in range(draw.randint(1, 20)))
        delta = draw.randint(1, 40) / 20
        yield dict(text=text, delta=delta, step=draw.randint(0, len(text)))


def percent(share: float) -> str:
    return f"{int(100 * share + 0.5)}%"


def sentence(text: str, step: int, gated: np.ndarray, even: np.ndarray) -> str:
    """What the piece says of a state, worded from the traces' shares."""
    if step == 0:
        return "Nothing has been read yet: all slots are empty."

    def name(token: int) -> str:
        return text[token] + str(token).translate(LOWERED)

    held = [name(row.argmax()) if row.max() > 0.5 else "nothing" for row in gated[step - 1]]
    dots = [percent(row[[token == DOT for token in text]].sum()) for row in even[step - 1]]
    return (
        f"After {name(step - 1)}: behind gates the slots hold {held[0]}, {held[1]} and {held[2]}. "
        f"Run evenly, dots are {dots[0]}, {dots[1]} and {dots[2]} of them."
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_trace_gives(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("copying"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        text, delta, step = state["text"], state["delta"], state["step"]
        ours = [trace_slots(text), trace_slots(text, delta)]
        assert shown["told"] == state
        for which, trace in enumerate(ours):
            for name in ("delta", "shares"):
                theirs = np.array([one[name] for one in shown["traces"][which]])
                np.testing.assert_allclose(theirs, getattr(trace, name), rtol=0, atol=1e-12)
            held = trace.shares[step - 1] if step else np.zeros((3, len(text)))
            np.testing.assert_allclose(shown["drawn"][which], held, rtol=0, atol=2e-4)
            lasts = trace.delta[step - 1] if step else np.zeros(3)
            assert shown["open"][which] == (lasts > 0).tolist()
        fates = ["later" if n >= step else "read" for n in range(len(text))]
        if step:
            fates[step - 1] = "now"
        assert shown["kinds"] == fates
        assert shown["said"] == sentence(text, step, *(trace.shares for trace in ours))


def test_what_is_typed_is_letters_and_dots_and_no_more_than_twenty(opened):
    page = opened()
    page.locator(".stage-bar input[type=text]").fill("c a-" + "b" * 30)
    tokens = page.locator(".token:not([display])")
    assert tokens.all_text_contents() == ["C", DOT, "A", DOT] + ["B"] * 16
    page.locator(".stage-bar input[type=text]").fill("")
    assert said(page) == "Nothing has been read yet: all slots are empty."


def test_dragging_and_keys_change_how_long_a_token_lasts(opened):
    page = opened()
    grip = page.locator(".grip")
    grip.focus()
    page.keyboard.press("ArrowRight")
    assert grip.locator("text").text_content() == "Δ 0.25"
    page.keyboard.press("Shift+ArrowDown")
    assert grip.locator("text").text_content() == "Δ 0.20"
    box = grip.locator("rect").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 2000, box["y"])
    page.mouse.up()
    assert grip.locator("text").text_content() == "Δ 2.00"


def test_a_token_flies_only_into_slots_whose_gates_are_open(opened):
    page = opened(motion="no-preference")
    page.locator(".token").nth(3).click()  # a dot
    finish(page)
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press(".")  # the second letter
    hold(page, 300)
    shown = (
        "[...document.querySelectorAll('.chips g')].map((chip) => chip.hasAttribute('data-flies'))"
    )
    assert page.evaluate(shown) == [False, True, True, True, True, True]
    finish(page)
    assert not any(page.evaluate(shown))


def test_a_token_that_is_pointed_at_lights_its_shares(opened):
    page = opened()
    page.locator(".token").nth(2).hover()
    lit = page.locator(".part[data-lit]:not([display])")
    assert set(lit.locator("text").all_text_contents()) == {"C"}
    assert said(page).startswith("C₂ is 100%, 0% and 0% of the slots behind gates, and ")
    page.locator(".token").nth(0).focus()
    page.keyboard.press("Enter")
    page.locator(".token").nth(5).hover()
    assert said(page) == "·₅ hasn't been read yet."
