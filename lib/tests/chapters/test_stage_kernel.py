"""A convolution on a circle as a page shows it, held against the library's."""

import random
from decimal import ROUND_HALF_UP, Decimal
from functools import partial

import numpy as np
import pytest

from mixlab.chapters.ssm_convolution.traces import trace_kernel
from mixlab.chapters.stage import host
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "Without zeros the last inputs act on the first outputs"

# What the page computes for each state, and what it draws: where taps and bars lie, of which kind.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const seen = (name) => [...el.querySelectorAll(`.${name} > :not([display])`)];
  const at = (node) => Number(node.style.transform.match(/-?[\\d.]+/)[0]);
  const number = (node, name) => Number(node.getAttribute(name));
  const kinds = (nodes) => nodes.map(({ dataset }) => dataset.kind);
  const { inputs, kernel } = module.parse(state.text);
  return {
    inputs, kernel,
    trace: module.trace_kernel(inputs, kernel, state.n),
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
    cells: seen("inputs").map((node) => [at(node), node.textContent]),
    taps: seen("taps").map((node) => [at(node), node.textContent, node.dataset.kind]),
    products: seen("products").map((node) => node.textContent),
    bars: seen("bars").map((node) =>
      [number(node.firstChild, "y"), number(node.firstChild, "height"), node.dataset.kind]),
    floor: Number(el.querySelector(".floor path").getAttribute("d").split(/[ H]/)[1]),
    hands: seen("clocks").map((node) => [...node.querySelectorAll(".clock")].map((clock) => {
      const end = clock.lastChild.getAttribute("d").split("L")[1].split(" ").map(Number);
      return [number(clock.firstChild, "r"), ...end];
    })),
    grip: el.querySelector(".grip > text").textContent,
    said: el.querySelector(".stage-said").textContent,
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("kernel", TITLE))


def random_states(count: int, seed: int):
    draw = random.Random(seed)
    for _ in range(count):
        n_inputs = draw.randint(1, 8)
        n_taps = draw.randint(1, n_inputs)
        row = [[draw.randint(-9, 9) for _ in range(k)] for k in (n_inputs, n_taps)]
        n, view = draw.randint(n_inputs, n_inputs + n_taps), draw.choice(["slide", "product"])
        step = draw.randint(0, n - 1 if view == "slide" else n // 2)
        text = " * ".join(" ".join(map(str, part)) for part in row)
        yield dict(text=text, n=n, view=view, step=step)


def told(number: float, digits: int = 2) -> str:
    """A number as the page writes it: halves away from 0, a true minus, no −0."""
    rounded = Decimal(float(number)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{abs(rounded) if rounded == 0 else rounded}".replace("-", "−")


def factor(number: int) -> str:
    return f"(−{-number})" if number < 0 else str(number)


def whole(number: float) -> str:
    return str(round(number)).replace("-", "−")


def sentence(state: dict, shown: dict, ours) -> str:
    """What the piece says of a state."""
    n, t, x, K = state["n"], state["step"], shown["inputs"], shown["kernel"]
    if state["view"] == "product":
        arrows = [
            [complex(*part) for part in shown["trace"][name]]
            for name in ("kernel", "inputs", "product")
        ]
        by = " × ".join(told(abs(row[t])) for row in arrows[:2])
        a, b = (np.degrees(np.angle(row[t])) if abs(row[t]) > 1e-9 else 0 for row in arrows[:2])
        column = f"Frequency {t}: lengths {by} = {told(abs(arrows[2][t]))}, angles "
        column += f"{told(a, 0)}° + {told(b, 0)}° = {told(a + b, 0)}°."
        if t < n // 2:
            off = max(abs(np.array(shown["trace"]["partial"][t]) - shown["trace"]["outputs"]))
            return f"{column} The waves up to it miss the outputs by up to {told(off, 1)}."
        end = f"{len(ours.wrong)} of them wrong" if ours.wrong else "all of them right"
        return f"{column} All waves together are the outputs, {end}."
    pairs = [(j, (t - j) % n) for j in range(len(K)) if (t - j) % n < len(x)]
    terms = " + ".join(f"{factor(K[j])}·{factor(x[s])}" for j, s in pairs) or "nothing"
    total = f"{terms} = {whole(ours.outputs[t])}"
    if t >= len(x):
        return f"Place {t} is behind the last input, and isn't read: {total}."
    round_the_end = sum(s > t for _, s in pairs)
    if not round_the_end:
        return f"Output {t}: {total}."
    taps = f"{round_the_end} tap{'s' * (round_the_end > 1)}"
    chance = "" if t in ours.wrong else ", and is by chance"
    should = f"it should be {whole(ours.truth[t])}{chance}"
    return f"Output {t}: {total}. {taps} came round the end: {should}."


def check_slide(state: dict, shown: dict) -> None:
    """Each tap under the cell of the input that it meets, and their products below."""
    n, t, x, K = state["n"], state["step"], shown["inputs"], shown["kernel"]
    places = [at for at, _ in shown["cells"]]
    assert [text for _, text in shown["cells"]] == [whole(one) for one in x + [0] * (n - len(x))]
    products = []
    for j, (at, text, kind) in enumerate(shown["taps"]):
        s = (t - j) % n
        assert abs(at - places[s]) < 1e-6
        assert text == whole(K[j])
        assert kind == ("idle" if s >= len(x) else "wrong" if s > t else "now")
        products += [whole(K[j] * x[s])] if s < len(x) else []
    assert shown["products"] == products
    assert shown["grip"] == f"n = {n}"


def check_hands(state: dict, shown: dict, ours) -> None:
    """Each hand a part of its row's longest, the product's of both."""
    longest = [max(abs(ours.kernel)) or 1, max(abs(ours.inputs)) or 1]
    for f, column in enumerate(shown["hands"]):
        expected = [ours.kernel[f] / longest[0], ours.inputs[f] / longest[1]]
        for (radius, x, y), hand in zip(
            column, [*expected, expected[0] * expected[1]], strict=True
        ):
            assert abs(complex(x, -y) / radius - hand) < 1e-6


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_library_convolves(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("kernel"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        assert shown["told"] == state
        ours = trace_kernel(shown["inputs"], shown["kernel"], state["n"])
        for name in ("outputs", "truth", "partial"):
            np.testing.assert_allclose(shown["trace"][name], getattr(ours, name), atol=1e-9)
        for name in ("kernel", "inputs", "product"):
            pairs = np.array(shown["trace"][name])
            np.testing.assert_allclose(
                pairs[:, 0] + 1j * pairs[:, 1], getattr(ours, name), atol=1e-9
            )
        assert shown["trace"]["wrong"] == ours.wrong
        slides = state["view"] == "slide"
        check_slide(state, shown) if slides else check_hands(state, shown, ours)
        heights = ours.outputs if slides else ours.partial[state["step"]]
        check_bars(shown, heights, ours, slides or state["step"] == state["n"] // 2)
        assert shown["said"] == sentence(state, shown, ours)


def check_bars(shown: dict, heights: np.ndarray, ours, done: bool) -> None:
    """Bars from the floor, all on one scale; those of wrong outputs are marked."""
    signed = [high if y + high / 2 < shown["floor"] else -high for y, high, _ in shown["bars"]]
    scale = max(map(abs, signed)) / (max(abs(heights)) or 1)
    np.testing.assert_allclose(signed, scale * heights, atol=1e-6 * (1 + scale))
    n_inputs = len(shown["inputs"])
    for t, (_, _, kind) in enumerate(shown["bars"]):
        ours_kind = "wrong" if t in ours.wrong else "seen"
        assert kind == ("tail" if t >= n_inputs else ours_kind if done else "forming")


def test_it_opens_on_its_claim(opened):
    assert said(opened()) == (
        "Output 2: 8·1 + 4·0 + 2·3 + 1·2 = 16. 1 tap came round the end: it should be 14."
    )


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".stage-bar button").first.focus()
    for key, words in {
        ",": "Output 1: 8·0 + 4·3 + 2·2 + 1·1 = 17. 2 taps came round",
        "+": "Output 1: 8·0 + 4·3 + 1·2 = 14. 1 tap came round",
        "Shift+ArrowUp": "Output 1: 8·0 + 4·3 = 12.",
        "Shift+ArrowDown": "1 tap came round",
        "-": "2 taps came round",
        "t": "Frequency 3: lengths 5.00 × 1.00 = 5.00, angles 0° + 0° = 0°. All waves together",
        "T": "Output 5: 8·2 + 4·1 + 2·2 + 1·1 = 25.",
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    page.locator(".grip").focus()
    page.keyboard.press("ArrowUp")
    assert page.locator(".grip").get_attribute("aria-valuenow") == "7"


def test_the_circle_s_end_is_dragged_and_stays_where_there_is_room(opened):
    page = opened()
    for n, wrong in ((9, 0), (8, 1), (6, 3)):
        box = page.locator(".grip rect").bounding_box()
        cell = page.locator(".inputs .cell rect").first.bounding_box()
        pitch = page.locator(".inputs .cell rect").nth(1).bounding_box()["x"] - cell["x"]
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(cell["x"] + n * pitch, box["y"], steps=6)
        page.mouse.up()
        assert page.locator(".grip").get_attribute("aria-valuenow") == str(n)
        assert page.locator(".bar[data-kind=wrong]").count() == wrong


def test_other_numbers_are_typed_and_odd_ones_are_made_to_fit(opened):
    page = opened()
    field = page.locator("input[type=text]")
    for text, words in {
        "1 2 * 1": "Output 1: 1·2 = 2.",
        "1 2 * 5 6 7": "Output 1: 5·2 + 6·1 = 16.",  # a third tap has nothing to act on
        "99 x * -1": "Output 1: (−1)·0 = 0.",
        "": "Output 0: 1·1 = 1.",
    }.items():
        field.fill(text)
        assert said(page) == words
    field.fill("99 x * -1")
    assert page.locator(".inputs .cell text").all_text_contents()[:2] == ["9", "0"]
    page.locator(".inputs .cell").first.hover()
    assert said(page) == "No tap stands at place 0 while output 1 is made."


def test_what_belongs_together_lights_up(opened):
    page = opened()
    page.locator(".taps .cell").nth(3).hover()
    assert (
        said(page)
        == "Tap 3, 1, meets input 5, 2, which comes after output 2: it came round the end."
    )
    lit = "[...document.querySelectorAll('.inputs > [data-lit], .taps > [data-lit]')].length"
    assert page.evaluate(lit) == 2
    page.locator(".inputs .cell").nth(1).hover()
    assert said(page) == "Tap 1, 4, meets input 1, 0."
    page.locator(".bar rect").first.hover()
    assert said(page).startswith("Output 0: 8·3 + 4·2 + 2·1 + 1·2 = 36. 3 taps came round")


def test_a_tap_goes_round_and_a_hand_is_turned(opened):
    page = opened(motion="no-preference")
    page.locator(".stage-bar button").first.focus()
    tap = page.locator(".taps .cell").nth(3)
    page.keyboard.press(".")  # tap 3 leaves place 5 for place 0
    hold(page, 500)
    assert "Output 3" in said(page)  # what is true holds at once
    assert float(tap.evaluate("(node) => node.style.opacity")) < 0.2  # between the two ends
    finish(page)
    assert tap.evaluate("(node) => node.style.opacity") == "1"
    page.keyboard.press("t")
    page.keyboard.press(",")
    finish(page)
    hand = page.locator(".clocks > g").nth(2).locator(".clock path").nth(2)
    before = hand.get_attribute("d")
    page.keyboard.press(",")
    finish(page)
    page.keyboard.press(".")
    hold(page, 300)
    assert hand.get_attribute("d") != before
    finish(page)
    assert hand.get_attribute("d") == before
