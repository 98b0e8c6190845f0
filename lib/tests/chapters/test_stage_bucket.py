"""The bucket as a page shows it, held against the library's scan."""

import random
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch

from mixlab.chapters.mamba.bucket import DOT, kinds_of, trace_bucket
from mixlab.chapters.stage import host
from mixlab.ssm.selective_scan import selective_scan_reference
from tests.chapters.stage_page import AS_WIDGET, LOWERED, finish, hold, said
from tests.thorough import often

browser_test = pytest.mark.browser

TITLE = "Where Δ is 0 time stands still, and the level holds"
NAMES = ("text", "delta", "taps", "A", "method")

# What the page computes, and what it draws: heights in units of level, and whose share is where.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const number = (node, name) => Number(node.getAttribute(name));
  const floor = Number(el.querySelector(".outline").getAttribute("d").match(/V([^H]+)H/)[1]);
  const one = Number(el.querySelector(".one path").getAttribute("d").match(/ ([^h]+)h/)[1]);
  const tokens = [...el.querySelectorAll(".token:not([display])")];
  const layers = [...el.querySelectorAll(".bucket rect")].slice(0, tokens.length);
  const bands = [...el.querySelectorAll(".bands path")].slice(0, tokens.length);
  const { text, delta, taps, A, method } = state;
  const trace = module.trace_bucket(text, delta, taps, A, method);
  const middle = (node) => number(node.children[0], "x") + number(node.children[0], "width") / 2;
  const behind = trace.slice(0, Math.max(0, state.step - 1)).map(({ shares }, t) => {
    let y = floor;
    return shares.map((share, token) => {
      const at = new DOMPoint(middle(tokens[t]), y - (share * (floor - one)) / 2);
      y -= share * (floor - one);
      return share < 0.01 ? null : bands.flatMap((band, n) => (band.isPointInFill(at) ? [n] : []));
    });
  });
  return {
    trace, behind,
    layers: layers.map((node) => number(node, "height") / (floor - one)),
    bars: tokens.map((node) => number(node.querySelector(".bar"), "height")),
    kinds: tokens.map((node) => node.dataset.kind),
    hues: tokens.map((node) => node.dataset.hue ?? null),
    said: el.querySelector(".stage-said").textContent,
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("bucket", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        text = "".join(draw.choice("ABCDEFXYZ" + DOT * 15) for _ in range(draw.randint(1, 24)))
        delta = [draw.choice((0, draw.uniform(0, 2))) for _ in range(draw.randint(2, 5))]
        yield dict(
            text=text,
            delta=delta,
            taps=draw.choice((1, 1, 2, 4)),
            A=draw.choice((-1, -2, -4)),
            method=draw.choice(("mamba", "zoh")),
            step=draw.randint(0, len(text)),
        )


def percent(share: float) -> str:
    return f"{int(100 * share + 0.5)}%"


def sentence(text: str, taps: int, step: int, trace) -> str:
    """What the piece says of a state, worded from the trace."""
    if step == 0:
        return "The bucket is empty, and nothing has been read yet."

    def name(token: int) -> str:
        return text[token] + str(token).translate(LOWERED)

    now, level = step - 1, trace.levels[step - 1]
    written, before = trace.written[now], trace.levels[now - 1] if now else 0
    poured = f"{written:.2f} for {name(now - taps + 1)}" if written > 1e-300 else "nothing"
    parts = [
        f"{name(n)} {percent(share / level)}"
        for n, share in enumerate(trace.shares[now])
        if share > level / 200
    ]
    holds = f": {', '.join(parts)}" if level > 1e-300 else ""
    return (
        f"{name(now)} lasts Δ = {trace.delta[now]:.2f}: it keeps {percent(trace.kept[now])} of "
        f"{before:.2f} and pours in {poured}. The level is {level:.2f}{holds}."
    )


@browser_test
@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_recurrence_gives(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("bucket"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        ours = trace_bucket(*(state[name] for name in NAMES))
        assert shown["told"] == state
        for key, values in {
            "delta": ours.delta,
            "kept": ours.kept,
            "written": ours.written,
            "level": ours.levels,
            "shares": ours.shares,
        }.items():
            theirs = [step[key] for step in shown["trace"]]
            np.testing.assert_allclose(theirs, values, rtol=0, atol=1e-9)
        text, step = state["text"], state["step"]
        held = ours.shares[step - 1] if step else np.zeros(len(text))
        np.testing.assert_allclose(shown["layers"], held, rtol=0, atol=1e-9)
        for row in shown["behind"]:
            assert all(found in (None, [token]) for token, found in enumerate(row))
        heights = np.maximum(2, 48 * ours.delta)
        np.testing.assert_allclose(shown["bars"], heights, rtol=0, atol=1e-9)
        fates = ["later" if n >= step else "read" for n in range(len(text))]
        assert shown["kinds"] == fates[: max(0, step - 1)] + ["now"] * (step > 0) + fates[step:]
        capitals = [n for n, letter in enumerate(text) if letter != DOT]
        hues = {n: str(number % 5) for number, n in enumerate(capitals)}
        assert shown["hues"] == [hues.get(n) for n in range(len(text))]
        assert shown["said"] == sentence(text, state["taps"], step, ours)


@pytest.mark.parametrize("state", list(random_states(20, seed=1)), ids=lambda state: state["text"])
def test_the_trace_is_the_library_s_scan(state):
    text, late, A = state["text"], state["taps"] - 1, state["A"]
    levels = trace_bucket(text, state["delta"], state["taps"], A).levels
    poured = [0.0] * late + [float(letter != DOT) for letter in text]
    delta = [state["delta"][kind] for kind in kinds_of(text, len(state["delta"]))]
    u, delta, one, rate = (
        torch.tensor(row, dtype=torch.float64)[None, :, None]
        for row in (poured[: len(text)], delta, [1.0] * len(text), [A])
    )
    y, _ = selective_scan_reference(u, delta, rate[0], one, one)
    np.testing.assert_allclose(levels, y.flatten(), rtol=0, atol=1e-12)


def test_the_paper_s_level_never_passes_the_largest_input_and_the_code_s_does():
    for state in random_states(50, seed=2):
        highest = trace_bucket(**{name: state[name] for name in NAMES} | {"method": "zoh"}).levels
        assert highest.max() <= 1 / -state["A"] + 1e-12
    assert trace_bucket("C", [2, 0]).levels.max() == 2


def test_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        trace_bucket("", [1, 0])


@browser_test
def test_it_opens_on_its_claim(opened):
    page = opened()
    assert said(page) == (
        "·₁₂ lasts Δ = 0.00: it keeps 100% of 1.50 and pours in nothing. The level is 1.50: "
        "C₀ 9%, F₆ 24%, A₁₀ 67%."
    )


@browser_test
def test_keys_do_everything(opened):
    page = opened()
    page.locator(".token").nth(10).focus()
    assert said(page) == "A₁₀ came in with 1.00. After ·₁₂ 1.00 of it is left, 67% of the level."
    for key, words in {
        "Enter": "A₁₀ lasts Δ = 1.00: it keeps 37% of 1.37 and pours in 1.00 for A₁₀.",
        "e": "pours in 0.63 for A₁₀. The level is 0.95",
        "r": "it keeps 14% of 0.49 and pours in 0.43 for A₁₀",
        "E": "pours in 1.00",
        "R": "it keeps 2%",
        "r ": "it keeps 37%",
        ",": "·₉ lasts Δ = 0.00: it keeps 100%",
        "Shift+ArrowUp": "·₉ lasts Δ = 0.05: it keeps 95%",
        "Shift+ArrowDown": "·₉ lasts Δ = 0.00",
        "Shift+ArrowRight": "A₁₀ lasts",
    }.items():
        page.keyboard.press(key.strip())
        assert words in said(page)
    grip = page.locator(".grip").first
    grip.focus()
    page.keyboard.press("ArrowUp")
    assert (grip.get_attribute("aria-label"), grip.get_attribute("aria-valuenow")) == (
        "Δ on a capital",
        "1.05",
    )
    assert "A₁₀ lasts Δ = 1.05: it keeps 35%" in said(page)


@browser_test
def test_what_is_typed_becomes_capitals_and_dots(opened):
    page = opened()
    field = page.locator(".stage-bar input[type=text]")
    field.fill("")
    assert said(page) == "The bucket is empty, and nothing has been read yet."
    field.press_sequentially("r.e p")
    assert field.input_value() == "R·E·P"
    assert said(page).startswith("P₄ lasts Δ = 1.00")
    assert page.locator(".stage-bar button").nth(3).inner_text() == "A = −1"


@browser_test
def test_a_length_is_dragged_by_its_grip(opened):
    page = opened()

    def drag(grip: int, by: float) -> None:
        box = page.locator(".grip").nth(grip).bounding_box()
        scale = page.locator(".stage > svg").bounding_box()["width"] / 960
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y - by * 48 * scale, steps=5)
        page.mouse.up()

    drag(1, 0.5)
    assert said(page).startswith("·₁₂ lasts Δ = 0.50: it keeps 61%")
    drag(1, 9)
    assert said(page).startswith("·₁₂ lasts Δ = 2.00")
    drag(1, -9)
    drag(0, 0.5)
    assert "The level is 1.91" in said(page)


@browser_test
def test_a_capital_lights_up_wherever_it_is(opened):
    page = opened()
    page.locator(".bands path").first.hover(position={"x": 20, "y": 20})
    assert said(page) == "C₀ came in with 1.00. After ·₁₂ 0.14 of it is left, 9% of the level."
    for part in (".bands path", ".token", ".bucket rect", ".chips g"):
        nodes = f"[...document.querySelectorAll('{part}')]"
        lit = page.evaluate(f"{nodes}.map((node) => node.hasAttribute('data-lit'))")
        assert lit == [True] + [False] * 23
    page.locator(".token").nth(3).hover()
    assert said(page).startswith("·₃ lasts Δ = 0.00: it keeps 100% of 1.00")


@browser_test
def test_a_letter_flies_from_the_text_into_the_bucket_and_stays_with_its_share(opened):
    page = opened(motion="no-preference")
    page.evaluate("window.letter = document.querySelectorAll('.chips g')[10]")
    page.locator(".token").nth(9).click()
    finish(page)
    at = "letter.style.transform"
    text = page.evaluate(at)
    page.keyboard.press(".")
    hold(page, 650)
    assert page.evaluate("letter.hasAttribute('data-flies')")
    flying = page.evaluate(at)
    assert "The level is 1.50" in said(page)  # what is true holds at once
    finish(page)
    landed = page.evaluate(at)
    assert len({text, flying, landed}) == 3
    page.keyboard.press(".")
    finish(page)
    assert page.evaluate(at) not in (text, landed)  # it travels with the bucket
