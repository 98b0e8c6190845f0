"""Euler's steps as a page shows them, held against the library's and the truth."""

import random
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

import numpy as np
import pytest

from mixlab.chapters.sequence_models.traces import PROBLEMS, trace_euler
from mixlab.chapters.stage import host
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "Beyond h = 0.2, what should die out blows up"

# What the page computes, and what it draws: each plot's points in pixels, and its grid's lines.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const numbers = (node, ...names) => names.map((name) => Number(node.getAttribute(name)));
  const seen = [...el.querySelectorAll(".plot:not([display])")];
  return {
    trace: module.trace_euler(state.problem, state.h, state.method),
    regions: module.regions(state.problem, state.method),
    plots: seen.map((plot) => ({
      box: numbers(plot.querySelector(".window"), "x", "y", "width", "height"),
      points: [...plot.querySelectorAll(".point:not([display])")]
        .map((one) => numbers(one, "cx", "cy")),
      there: numbers(plot.querySelector(".there"), "cx", "cy"),
      now: [...plot.querySelectorAll(".point")].findIndex((one) => one.hasAttribute("data-now")),
    })),
    grip: el.querySelector(".grip > text").textContent,
    lit: [...el.querySelectorAll(".region:not([display])[data-now]")]
      .map((one) => one.dataset.fate),
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
    said: el.querySelector(".stage-said").textContent,
  };
})"""

UP = {"growth": (0, 40), "decay": (-3.2, 3.2), "spring": (-2.4, 2.4)}  # the plots' ranges


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("euler", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        problem, method = draw.choice([*PROBLEMS]), draw.choice(["explicit", "implicit"])
        posed = PROBLEMS[problem]
        h = draw.randint(1, round(posed.most * posed.notches)) / posed.notches
        n = len(trace_euler(problem, h, method).times) - 1
        yield dict(problem=problem, h=h, method=method, step=draw.randint(0, n))


def told(number: float, digits: int = 2) -> str:
    """A number as the page writes it: halves away from 0, a true minus, no −0."""
    rounded = Decimal(float(number)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{abs(rounded) if rounded == 0 else rounded}".replace("-", "−")


BECOMES = {
    "holds": "it dies out without ringing",
    "rings": "it rings, and dies out",
    "swings": "it swings forever",
    "blows up": "it rings, and blows up",
    "falls behind": "it grows, and falls behind",
    "runs ahead": "it grows, and runs ahead",
    "spirals outwards": "it spirals outwards",
    "spirals inwards": "it spirals inwards",
}


def sentence(state: dict, trace: dict) -> str:
    """What the piece says of a state, worded from numbers that have been checked."""
    h, k = state["h"], state["step"]
    ours, true = trace["states"], trace["exact"]
    if state["problem"] == "spring":
        growth = (1 + h * h) ** (0.5 if state["method"] == "explicit" else -0.5)
        does = f"moves it {told(growth, 3)} times as far out"
        where = f"Euler is {told(np.hypot(*ours[k]))} from rest, the truth {told(1)}"
    else:
        does = f"multiplies by {told(ours[1][0] / ours[0][0])}"
        where = f"Euler says {told(ours[k][0])}, the truth {told(true[k][0])}"
    steps = f"{k} step{'' if k == 1 else 's'}"
    end = f"After {steps}, at t = {told(trace['times'][k])}, {where}."
    return f"Each step of {told(h)} {does}: {BECOMES[trace['fate']]}. {end}"


def drawn(problem: str, plot: dict, plane: bool) -> np.ndarray:
    """(points, 2): where the points lie, in the problem's own units."""
    left, top, wide, high = plot["box"]
    low, most = UP[problem]
    along = (low, most) if plane else (0, PROBLEMS[problem].duration)
    x, y = np.array(plot["points"]).T
    return np.stack(
        (
            along[0] + (x - left) / wide * (along[1] - along[0]),
            low + (1 - (y - top) / high) * (most - low),
        ),
        axis=1,
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_library_steps(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("euler"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        problem, h, method, step = (state[name] for name in ("problem", "h", "method", "step"))
        ours = trace_euler(problem, h, method)
        assert shown["told"] == state
        assert shown["trace"]["fate"] == ours.fate
        for name in ("times", "states", "exact"):
            np.testing.assert_allclose(
                shown["trace"][name], getattr(ours, name), rtol=1e-9, atol=1e-9
            )
        spring = problem == "spring"
        assert len(shown["plots"]) == 1 + (spring and width == 1280)
        for number, plot in enumerate(shown["plots"]):
            plane = spring and number == 0
            expected = ours.states if plane else np.stack((ours.times, ours.states[:, 0]), axis=1)
            np.testing.assert_allclose(
                drawn(problem, plot, plane), expected[: step + 1], rtol=1e-6, atol=1e-6
            )
            assert plot["now"] == step
        assert shown["grip"] == f"h = {told(h)}"
        assert shown["lit"] == ["rings" if ours.fate == "swings" else ours.fate]
        assert shown["said"] == sentence(state, shown["trace"])


def test_the_ruler_s_stretches_have_the_fate_of_every_step_in_them(opened):
    page = opened()
    page.evaluate(AS_WIDGET, host.module("euler"))
    kinds = [(p, m) for p in PROBLEMS for m in ("explicit", "implicit")]
    found = page.evaluate("(kinds) => kinds.map((kind) => module.regions(...kind))", kinds)
    for (problem, method), regions in zip(kinds, found, strict=True):
        posed = PROBLEMS[problem]
        assert (regions[0]["from"], regions[-1]["to"]) == (0, posed.most)
        for notch in range(1, round(posed.most * posed.notches) + 1):
            h = notch / posed.notches
            inside = [r["fate"] for r in regions if r["from"] < h <= r["to"]]
            fate = trace_euler(problem, h, method).fate
            assert inside == ["rings" if fate == "swings" else fate]


def test_it_opens_on_its_claim(opened):
    assert said(opened()) == (
        "Each step of 0.22 multiplies by −1.20: it rings, and blows up. "
        "After 6 steps, at t = 1.32, Euler says 2.99, the truth 0.00."
    )


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".stage-bar button").first.focus()
    for key, words in {
        "Shift+ArrowDown": "Each step of 0.21 multiplies by −1.10: it rings, and blows up",
        "Shift+ArrowDown ": "Each step of 0.20 multiplies by −1.00: it swings forever",
        "Shift+ArrowUp": "Each step of 0.21",
        "e": "Each step of 0.21 multiplies by 0.32: it dies out without ringing",
        "r": "Each step of 0.20 moves it 0.981 times as far out: it spirals inwards",
        "E": "Each step of 0.20 moves it 1.020 times as far out: it spirals outwards",
        "R": "Each step of 0.25 multiplies by 1.50: it grows, and falls behind. After 4 steps",
        ",": "After 3 steps, at t = 0.75, Euler says 16.88, the truth 22.41",
        "p": "After 4 steps",
        "P": "After 4 steps",
    }.items():
        page.keyboard.press(key.strip())
        assert words in said(page)
    page.locator(".grip").focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".grip").get_attribute("aria-valuenow") == "0.3"
    assert "After 3 steps, at t = 0.90" in said(page)


def test_the_step_is_dragged_along_its_ruler(opened):
    page = opened()

    def drag_to(h: float) -> None:
        box = page.locator(".grip rect").bounding_box()
        first, last = (page.locator(".region rect").nth(n).bounding_box() for n in (0, 2))
        left, right = first["x"], last["x"] + last["width"]
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(left + (right - left) * h / 0.3, box["y"], steps=6)
        page.mouse.up()

    for h, words in ((0.1, "dies out without"), (0.15, "rings, and dies"), (0.28, "blows up")):
        drag_to(h)
        assert f"Each step of {h:.2f}" in said(page)
        assert words in said(page)


def test_a_point_lights_up_in_both_plots_and_a_stretch_says_its_fate(opened):
    page = opened()
    page.locator(".region rect").nth(1).hover()
    assert said(page) == "With steps from 0.10 to 0.20 it rings, and dies out."
    page.keyboard.press("r")
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press("r")
    page.locator(".plot .point").nth(8).hover()
    points = "[...document.querySelectorAll('.point')]"
    lit = page.evaluate(f"{points}.flatMap((one, n) => (one.dataset.lit === '' ? n : []))")
    assert lit == [8, 251 + 8]
    assert said(page).startswith("After 8 steps, at t = 1.60, Euler is 1.17 from rest")


def test_a_step_follows_the_speed_and_ends_where_it_should(opened):
    page = opened(motion="no-preference")
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press(",")
    finish(page)
    short = page.locator(".polygon").first.get_attribute("d")
    page.keyboard.press(".")
    hold(page, 500)
    assert "After 6 steps" in said(page)  # what is true holds at once
    half = page.locator(".polygon").first.get_attribute("d")
    finish(page)
    whole = page.locator(".polygon").first.get_attribute("d")
    assert len({short, half, whole}) == 3
    assert half.startswith(short)
