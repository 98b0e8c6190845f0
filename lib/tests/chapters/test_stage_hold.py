"""A spring stepped under a held input as a page shows it, against the library's and the truth."""

import random
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

import numpy as np
import pytest

from mixlab.chapters.stage import host
from mixlab.chapters.state_space_models.traces import (
    DURATION,
    MOST,
    NOTCHES,
    RULES,
    SAMPLES,
    trace_hold,
)
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "Hold new tokens, and the spring runs ahead"

# What the page computes, and what it draws, in pixels.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const numbers = (node, ...names) => names.map((name) => Number(node.getAttribute(name)));
  const dots = (kind) => [...el.querySelectorAll(`.${kind}:not([display])`)]
    .map((one) => numbers(one, "cx", "cy"));
  const lines = [...el.querySelectorAll(".grid path")].map((one) => one.getAttribute("d"));
  return {
    trace: module.trace_hold(state.rule, state.sample, state.delta),
    points: dots("point"), tokens: dots("token"), pair: dots("eigenvalue"),
    boxes: [...el.querySelectorAll(".window")].map((one) => numbers(one, "x", "width")),
    lines,
    unit: numbers(el.querySelector(".unit"), "cx", "cy", "r"),
    stairs: el.querySelector(".stairs").getAttribute("d"),
    table: [...el.querySelectorAll(".table text:not(.head)")].map((one) => one.textContent),
    now: [...el.querySelectorAll(".point")].findIndex((one) => one.hasAttribute("data-now")),
    grows: el.querySelector(".grows").getAttribute("display") === null,
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
    said: el.querySelector(".stage-said").textContent,
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("hold", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        delta = draw.randint(1, MOST) / NOTCHES
        step = draw.randint(0, int(DURATION / delta + 1e-9))
        rule, sample = draw.choice([*RULES]), draw.choice([*SAMPLES])
        yield dict(rule=rule, sample=sample, delta=delta, step=step)


def told(number: float, digits: int = 2) -> str:
    """A number as the page writes it: halves away from 0, a true minus, no −0."""
    rounded = Decimal(float(number)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{abs(rounded) if rounded == 0 else rounded}".replace("-", "−")


def sentence(state: dict, trace: dict) -> str:
    """What the piece says of a state, worded from numbers that have been checked."""
    k, size = state["step"], np.hypot(*trace["turn"])
    name = RULES[state["rule"]]
    if (state["rule"], state["sample"]) == ("mamba", "both"):
        name = "Mamba-3"
    past = "the past swings on"
    if abs(size - 1) > 1e-9:
        past = "it blows up" if size > 1 else "the past dies out"
    head = f"{name[0].upper()}{name[1:]}, Δ = {told(state['delta'], 1)}: an eigenvalue of size "
    head += f"{told(size, 3)}, {past}. "
    if not k:
        return head + "At rest, before the first step."
    old, new = (told(trace["inputs"][at]) for at in (k - 1, k))
    given = {"before": f"x = {old}", "now": f"x = {new}", "both": f"x = {old} and {new}"}
    return head + (
        f"Step {k}, to t = {told(trace['times'][k], 1)}, is given {given[state['sample']]}: the "
        f"place is {told(trace['states'][k][0])}, the truth {told(trace['exact'][k][0])}."
    )


def heights(lines: str) -> list[float]:
    """Of a box's horizontal lines, in pixels."""
    return [float(part.split()[1].split("h")[0]) for part in lines.split("M")[1:]]


def drawn(shown: dict, box: int, dots: str) -> np.ndarray:
    """(dots, 2): time and value of what is drawn, by the box's own lines."""
    x, width = shown["boxes"][box]
    low, _, high = heights(shown["lines"][box])  # of −1, 0, 1, or of −2, 0, 2
    at, up = np.array(shown[dots]).reshape(-1, 2).T
    value = (2 * box or 1) * (2 * (low - up) / (low - high) - 1)
    return np.stack(((at - x - 8) / (width - 16) * DURATION, value), axis=1)


def check_state(state: dict, shown: dict) -> None:
    ours, k = trace_hold(state["rule"], state["sample"], state["delta"]), state["step"]
    assert shown["told"] == state
    for name in ("times", "inputs", "states", "exact", "turn"):
        np.testing.assert_allclose(shown["trace"][name], getattr(ours, name), rtol=1e-7, atol=1e-7)
    for mine, its in zip(shown["trace"]["weights"], ours.weights, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-9)
    for box, dots, values in ((0, "tokens", ours.inputs), (1, "points", ours.states[:, 0])):
        expected = np.stack((ours.times, values), axis=1)[: k + 1]
        np.testing.assert_allclose(drawn(shown, box, dots), expected, rtol=1e-6, atol=1e-6)
    assert shown["now"] == k
    assert shown["stairs"].count("M") == k
    x, y, radius = shown["unit"]
    size = np.hypot(*ours.turn)
    places = np.array([[1, 1], [1, -1]]) * ours.turn * min(1, 1.5 / size)
    np.testing.assert_allclose(
        (np.array(shown["pair"]) - (x, y)) / (radius, -radius), places, atol=1e-9
    )
    A_bar, before, now = shown["trace"]["weights"]
    numbers = [n for row in (0, 1) for n in (*A_bar[row], before[row], now[row])]
    assert shown["table"] == [told(number) for number in numbers]
    assert shown["grows"] == (state["rule"] == "euler")
    assert shown["said"] == sentence(state, shown["trace"])


@pytest.mark.parametrize(("width", "count"), [(1280, 120), (390, 40)])
def test_what_is_drawn_and_said_is_what_the_library_steps(opened, width, count):
    page = opened(width=width, height=844)
    page.evaluate(AS_WIDGET, host.module("hold"))
    states = list(random_states(often(count, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        check_state(state, shown)


def test_a_step_s_input_lies_over_the_step(opened):
    page = opened()
    page.evaluate(AS_WIDGET, host.module("hold"))
    kinds = [("zoh", "now"), ("zoh", "before"), ("zoh", "both"), ("mamba", "both")]
    states = [dict(rule=rule, sample=sample, delta=1.5, step=3) for rule, sample in kinds]
    x = np.sin(1.5 * np.arange(4))
    means = (x[:-1] + x[1:]) / 2
    expected = [(x[1:], x[1:]), (x[:-1], x[:-1]), (means, means), (x[:-1], x[1:])]
    for shown, levels in zip(page.evaluate(LOOK, states), expected, strict=True):
        ends = [pair.split("L") for pair in shown["stairs"].split("M")[1:]]
        shown["ends"] = [[float(n) for n in end.split()] for pair in ends for end in pair]
        found = drawn(shown, 0, "ends").reshape(3, 2, 2)
        np.testing.assert_allclose(found[:, :, 0], [[0, 1.5], [1.5, 3], [3, 4.5]], atol=0.01)
        np.testing.assert_allclose(found[:, :, 1], np.stack(levels, axis=1), atol=0.01)


def test_keys_do_everything(opened):
    page = opened()
    assert said(page).startswith("Zero-order hold, Δ = 1.0: an eigenvalue of size 0.779, the past")
    page.locator(".stage-bar button").first.focus()
    for key, words in {
        "r": "Mamba, Δ = 1.0",
        "x": "is given x = −0.54",
        "X": "Mamba-3, Δ = 1.0",
        "R": "Euler, Δ = 1.0: an eigenvalue of size 1.225, it blows up",
        "Shift+ArrowDown": "Δ = 0.9",
        ",": "Step 12, to t = 10.8",
        "p": "Step 13, to t = 11.7",
        "P": "Step 13, to t = 11.7",
    }.items():
        page.keyboard.press(key)
        assert words in said(page) or key == "x"
    page.locator(".grip").focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".grip").get_attribute("aria-valuenow") == "1"


def test_the_step_is_dragged_and_a_token_lights_its_state(opened):
    page = opened()
    box, track = (page.locator(f"{one}").bounding_box() for one in (".grip rect", ".ruler .all"))
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] * 0.5 / 2, track["y"], steps=6)
    page.mouse.up()
    assert "Δ = 0.5" in said(page)
    page.locator(".token").nth(8).hover()
    assert said(page).startswith("Step 8, to t = 4.0, is given x = −0.76: the place is")
    lit = "[...document.querySelectorAll('.point')].findIndex((one) => one.dataset.lit === '')"
    assert page.evaluate(lit) == 8


def test_a_step_grows_its_block_and_ends_where_it_should(opened):
    page = opened(motion="no-preference")
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press(",")
    finish(page)
    short = page.locator(".path").get_attribute("d")
    page.keyboard.press(".")
    hold(page, 500)
    assert "Step 12" in said(page)  # what is true holds at once
    half = page.locator(".path").get_attribute("d")
    finish(page)
    whole = page.locator(".path").get_attribute("d")
    assert len({short, half, whole}) == 3
    assert half.startswith(short)
