"""Two memories as a page shows them, held against the library's, which step sample by sample."""

import random
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

import numpy as np
import pytest
import torch

from mixlab.chapters.hippo.traces import (
    FADES,
    MOST_NUMBERS,
    SAMPLES,
    SHAPES,
    shape,
    trace_memory,
)
from mixlab.chapters.stage import host
from mixlab.ssm.hippo import recall, recall_fading
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "With the 1/t the whole past stays, without it the recent"
STEPS = 16  # of four samples each
TOP, TALLEST = 1.25, 0.55  # what a plot's half height stands for, and a bar's

# What the page computes, and what it draws: boxes, curves and bars in pixels.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const numbers = (node, ...names) => names.map((name) => Number(node.getAttribute(name)));
  const heard = 4 * state.step;
  return {
    signal: model.get("signal"),
    trace: module.trace_memory(model.get("signal"), state.numbers, heard),
    panels: [...el.querySelectorAll(".panel")].map((panel) => ({
      kind: panel.dataset.kind,
      box: numbers(panel.querySelector(".window"), "x", "y", "width", "height"),
      curve: panel.querySelector(".curve").getAttribute("d"),
      heard: panel.querySelector("path.heard").getAttribute("d"),
      coming: panel.querySelector("path.coming").getAttribute("d"),
      now: panel.querySelector("path.now").getAttribute("d"),
      bars: [...panel.querySelectorAll(".bar:not([display])")].map(({ children: [bar, room] }) =>
        [...numbers(bar, "y", "height"), ...numbers(room, "y", "height")]),
      caption: panel.querySelector(".caption").textContent,
    })),
    grip: el.querySelector(".grip > text").textContent,
    named: [...el.querySelectorAll(".stage-bar button")].at(-1).textContent,
    said: el.querySelector(".stage-said").textContent,
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("hippo", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        name = draw.choice([*SHAPES, "drawn", "drawn"])
        drawn = [draw.uniform(-1, 1) for _ in range(SAMPLES)]
        yield dict(
            shape=name,
            signal=drawn if name == "drawn" else shape(name),
            numbers=draw.randint(1, MOST_NUMBERS),
            step=draw.randint(1, STEPS),
        )


def told(number: float) -> str:
    """A number as the page writes it: halves away from 0, a true minus, no −0."""
    rounded = Decimal(float(number)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{abs(rounded) if rounded == 0 else rounded}".replace("-", "−")


def sentence(state: dict, trace: dict) -> str:
    """What the piece says of a state, worded from numbers that have been checked."""
    numbers, heard = state["numbers"], 4 * state["step"]
    each = f"{numbers} number{'' if numbers == 1 else 's'} each"
    a, b, c, d = map(told, trace["whole"]["errors"] + trace["fading"]["errors"])
    return (
        f"{heard} samples heard, {each}. With the 1/t they are off by {a} in the older half and "
        f"{b} in the newer; without it by {c} and {d}."
    )


def path_of(d: str) -> np.ndarray:
    return np.array([point.split() for point in d[1:].split("L")], dtype=float)


def in_units(panel: dict) -> tuple[np.ndarray, np.ndarray]:
    """The points of a panel's curve: moments, in samples, and values."""
    left, top, wide, high = panel["box"]
    x, y = path_of(panel["curve"]).T
    return (x - left) / wide * SAMPLES, TOP * (1 - 2 * (y - top) / high)


def recalled(kind: str, numbers: np.ndarray, times: np.ndarray, heard: int) -> torch.Tensor:
    c, times = torch.from_numpy(numbers), torch.from_numpy(times)
    if kind == "whole":
        return recall(c, times / heard)
    return recall_fading(c, (heard - times) / FADES)


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_library_remembers(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("hippo"))
    states = list(random_states(often(40, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        heard, signal = 4 * state["step"], state["signal"]
        np.testing.assert_allclose(shown["signal"], signal, rtol=0, atol=1e-12)
        ours = trace_memory(signal, state["numbers"], heard)
        for kind, memory in ours.items():
            for name in ("numbers", "recalled", "errors"):
                expected = getattr(memory, name)
                np.testing.assert_allclose(shown["trace"][kind][name], expected, atol=1e-9)
        assert [panel["kind"] for panel in shown["panels"]] == [*ours]
        for panel in shown["panels"]:
            kind, memory = panel["kind"], ours[panel["kind"]]
            times, values = in_units(panel)
            np.testing.assert_allclose(times, np.linspace(0, heard, 161), atol=1e-9)
            expected = recalled(kind, memory.numbers, times, heard)
            np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)
            line = float(panel["now"][1:].split()[0])
            assert line == pytest.approx(path_of(panel["curve"])[-1, 0])
            heights = np.clip(memory.numbers / TALLEST, -1, 1) / 2
            for height, (y, high, room, tall) in zip(heights, panel["bars"], strict=True):
                assert high == pytest.approx(abs(height) * tall, abs=1e-6)
                assert y == pytest.approx(room + tall / 2 - max(height * tall, 0), abs=1e-6)
            assert (panel["heard"].count("H"), panel["coming"].count("H")) == (heard, 64 - heard)
        assert shown["grip"] == f"N = {state['numbers']}"
        assert shown["named"] == state["shape"]
        assert shown["said"] == sentence(state, shown["trace"])


def test_it_opens_on_its_claim(opened):
    assert said(opened()) == (
        "64 samples heard, 12 numbers each. With the 1/t they are off by 0.02 in the older half "
        "and 0.02 in the newer; without it by 0.61 and 0.08."
    )


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".stage-bar button").first.focus()
    for key, words in {
        "Shift+ArrowUp": "13 numbers each",
        "Shift+ArrowDown": "12 numbers each",
        "r": "off by 0.19 in the older half",  # the steps
        ",": "60 samples heard",
        "R": "64 samples heard",  # the hill
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    page.locator(".grip").focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert "24 numbers each" in said(page)
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert "1 number each" in said(page)


STAIRS = "document.querySelector('path.heard').getAttribute('d')"
NAMED = ".stage-bar button >> nth=-1"


def test_a_signal_is_drawn_with_the_pointer(opened):
    page = opened()
    for panel in (0, 1):
        before = page.evaluate(STAIRS)
        box = page.locator(".pad").nth(panel).bounding_box()
        share = 0.3 + 0.4 * panel
        height, level = box["y"] + box["height"] * share, TOP * (1 - 2 * share)
        page.mouse.move(box["x"] + 1, height)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] + 30, height)
        page.mouse.up()
        assert page.evaluate(STAIRS) != before
        assert page.locator(NAMED).inner_text() == "drawn"
        values = page.locator(".pad").nth(panel).get_attribute("aria-valuenow")
        assert float(values) == pytest.approx(level, abs=0.02)
        assert "With the 1/t they are off by 0.00 in the older half and 0.00" in said(page)


def test_a_signal_is_drawn_with_the_arrow_keys(opened):
    page = opened()
    page.locator(".pad").first.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    before = float(page.locator(".pad").first.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    after = float(page.locator(".pad").first.get_attribute("aria-valuenow"))
    assert after - before == pytest.approx(0.2)
    assert page.locator(".pad").first.get_attribute("aria-valuetext").startswith("sample 30: ")
    assert page.locator(NAMED).inner_text() == "drawn"


def test_a_number_lights_up_its_part_of_the_curve(opened):
    page = opened()
    page.locator(".panel").nth(1).locator(".bar").nth(3).hover()
    number = trace_memory(shape("waves"), 12, 64)["fading"].numbers[3]
    assert said(page) == (
        f"Number 3 without the 1/t is {told(number)}: so much of polynomial 3, "
        "which crosses zero 3 times."
    )
    parts = "[...document.querySelectorAll('path.part')].map((one) => one.getAttribute('d').length)"
    assert [length > 100 for length in page.evaluate(parts)] == [False, True]


def test_a_step_moves_on_and_ends_where_it_should(opened):
    page = opened(motion="no-preference")
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press(",")
    finish(page)
    curve = "document.querySelector('.curve').getAttribute('d')"
    short = page.evaluate(curve)
    page.keyboard.press(".")
    hold(page, 500)
    assert "64 samples heard" in said(page)  # what is true holds at once
    half = page.evaluate(curve)
    finish(page)
    assert len({short, half, page.evaluate(curve)}) == 3
