"""A cut model as a page draws it, in Chromium with no network, held against the library's plan."""

import random
from functools import partial

import pytest

from mixlab.chapters.stage import host
from mixlab.parallel.plan import CUTS, plan, token_numbers
from mixlab.parallel.sharding import spans
from mixlab.transformer.config import TransformerConfig
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "Cut by layers, a token visits one device after the other"

# What is drawn: each device's numbers, the share of every part that lies inside its box, the boxes
# in which the token's copies are, and the bill.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const shown = (node) => node.getAttribute("display") !== "none";
  const number = (node, name) => Number(node.getAttribute(name));
  const boxes = [...el.querySelectorAll(".device")].filter(shown);
  const inside = (rect, x, y) => {
    const left = number(rect, "x"), top = number(rect, "y");
    return left <= x && x <= left + number(rect, "width")
      && top <= y && y <= top + number(rect, "height");
  };
  const boxOf = (x, y) => boxes.findIndex((box) => inside(box.querySelector("rect"), x, y));
  const copies = [...el.querySelectorAll(".parts rect")].filter(shown).map((node) => {
    const [x, y, w] = ["x", "y", "width"].map((name) => number(node, name));
    const { kind, device, expert, layer } = node.dataset;
    return { kind, w, y, box: boxOf(x + w / 2, y + 1), device: Number(device),
      expert: Number(expert ?? -1), layer: Number(layer ?? -1) };
  });
  const dots = [...el.querySelectorAll(".tokens circle")]
    .filter(({ style }) => style.opacity === "1")
    .map(({ style }) => boxOf(...style.transform.match(/-?[\\d.]+/g).map(Number)));
  const bill = el.querySelector(".bill text").dataset;
  return {
    shares: boxes.map(({ dataset }) => [Number(dataset.parameters), Number(dataset.cached)]),
    empty: boxes.map((box) => box.hasAttribute("data-empty")),
    plan: module.plan(state), copies, dots,
    sent: Number(bill.sent), all: Number(bill.all),
  };
})"""


def random_states(count: int, seed: int) -> list[dict]:
    draw, states = random.Random(seed), []
    for _ in range(count):
        cut, devices, layers = draw.choice(CUTS), draw.randint(2, 8), draw.randint(1, 8)
        last = devices - 1 if cut == "layers" else layers
        chosen = [draw.sample(range(8), 2) for _ in range(8)]
        state = dict(cut=cut, devices=devices, layers=layers, ceiling=draw.random() < 0.5)
        states.append(state | dict(chosen=chosen, step=draw.randint(0, last)))
    return states


def held(state: dict) -> dict[tuple, list[float]]:
    """The share of every part that each device holds, by the library's spans."""
    devices, layers = range(state["devices"]), state["layers"]
    rows = spans(layers, state["devices"], state["ceiling"])
    experts, heads, hidden = (spans(n, state["devices"]) for n in (8, 8, 14_336))
    by = {
        "layers": lambda kind, layer, expert, d: (
            d == 0
            if kind == "embedding"
            else d == devices[-1]
            if kind == "output"
            else layer in rows[d]
        ),
        "tensors": lambda kind, layer, expert, d: (
            len(heads[d]) / 8
            if kind == "attention"
            else len(hidden[d]) / 14_336
            if kind == "expert"
            else 1
        ),
        "experts": lambda kind, layer, expert, d: kind != "expert" or expert in experts[d],
    }[state["cut"]]
    parts = [("embedding", -1, -1), ("output", -1, -1)]
    parts += [("attention", layer, -1) for layer in range(layers)]
    parts += [("expert", layer, expert) for layer in range(layers) for expert in range(8)]
    return {part: [float(by(*part, d)) for d in devices] for part in parts}


def sent_after(state: dict, step: int) -> float:
    """Bytes that have been sent when the token has come so far."""
    config = TransformerConfig.mixtral_8x7b(n_layers=max(step, 1))
    devices = state["devices"]
    if state["cut"] == "layers":
        return step * 2 * config.dim
    if state["cut"] == "tensors":
        return 2 * token_numbers(config, "tensors", devices) if step else 0
    home = spans(8, devices)[0]
    away = [expert for pair in state["chosen"][:step] for expert in pair if expert not in home]
    return 2 * len(away) * 2 * config.dim


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_is_the_library_s_plan(open_piece, width):
    page = open_piece(host.piece("ranks", TITLE), width=width)
    page.evaluate(AS_WIDGET, host.module("ranks"))
    states = random_states(often(100, 4), seed=width)
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        config = TransformerConfig.mixtral_8x7b(n_layers=state["layers"])
        shares = plan(config, state["cut"], state["devices"], state["ceiling"])
        assert shown["shares"] == [[share.parameters, share.cached] for share in shares]
        assert shown["plan"] == [vars(share) for share in shares]
        last = state["devices"] - 1 if state["cut"] == "layers" else state["layers"]
        assert shown["sent"] == sent_after(state, state["step"])
        assert shown["all"] == sent_after(state, last)

        expected = held(state)
        widths = {}
        for copy in shown["copies"]:
            assert copy["box"] == copy["device"]
            widths[copy["kind"], copy["layer"], copy["expert"], copy["device"]] = copy["w"]
        wholes = {
            kind: max(
                w / expected[kind, layer, expert][device]
                for (one, layer, expert, device), w in widths.items()
                if one == kind
            )
            for kind in {kind for kind, *_ in widths}
        }
        for part, shares in expected.items():
            for device, share in enumerate(shares):
                drawn = widths.get((*part, device), 0) / wholes[part[0]]
                assert drawn == pytest.approx(share, abs=1e-6), (state, part, device)
        assert sorted(shown["dots"]) == sorted(whereabouts(state))
        nobody = state["cut"] == "layers" and [not span for span in layer_spans(state)]
        assert shown["empty"] == (nobody or [False] * state["devices"])


def layer_spans(state: dict) -> list[range]:
    return spans(state["layers"], state["devices"], state["ceiling"])


def whereabouts(state: dict) -> list[int]:
    """The devices on which the token's copies are."""
    if state["cut"] == "layers":
        return [state["step"]]
    if state["cut"] == "tensors":
        return list(range(state["devices"]))
    experts, step = spans(8, state["devices"]), state["step"]
    visits = state["chosen"][step - 1] if step else []
    return [0, *(d for one in visits for d, span in enumerate(experts) if one in span)]


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("ranks", TITLE))


def test_it_opens_on_a_device_without_layers(opened):
    page = opened()
    assert said(page) == (
        "By layers: the token is on device 3, 3 borders behind it, 24 KiB sent. "
        "Device 3 holds no layer."
    )
    assert page.locator(".device[data-empty]").count() == 1


def test_keys_buttons_and_handles_change_the_cut(opened):
    page = opened()
    page.locator(".device").first.focus()
    assert said(page) == (
        "Device 0 holds layers 0 and 1 whole: 5.65 GiB, and 8 KiB of keys and values a token."
    )
    for key, words in {
        "e": "the token is on device 3, 3 borders behind it, 24 KiB sent.",
        "m": "By tensors: all devices work on one token. After 6 layers of 6, 12 all-reduces",
        "Shift+ArrowUp": "768 KiB sent",
        ",": "After 5 layers of 6, 10 all-reduces, 640 KiB sent.",
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    page.get_by_role("button", name="by experts").click()
    assert "the token's home is device 0; in this layer it visits experts 6" in said(page)
    for grip, value in ((0, "6"), (1, "7")):
        page.locator(".grip").nth(grip).focus()
        page.keyboard.press("ArrowUp")
        assert page.locator(".grip").nth(grip).get_attribute("aria-valuenow") == value


@pytest.mark.parametrize("width", [1280, 390])
def test_devices_are_dragged(opened, width):
    page = opened(width=width, height=844)
    box = page.locator(".grip").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(2000, box["y"], steps=4)
    page.mouse.up()
    assert page.locator(".device:not([display])").count() == 8


def test_a_device_lights_up_with_all_that_it_holds(opened):
    page = opened()
    page.locator(".device").nth(1).hover(position=dict(x=20, y=10))
    assert said(page).startswith("Device 1 holds layers 2 and 3 whole")
    lit = "[...document.querySelectorAll('.parts rect[data-lit]:not([display])')]"
    assert page.evaluate(f"{lit}.length") == 2 * 9
    assert page.evaluate(f"{lit}.every(({{ dataset }}) => dataset.device === '1')")


def test_parts_fly_and_the_token_is_one_node_for_life(opened):
    page = opened(motion="no-preference")
    page.evaluate("window.token = document.querySelector('.tokens circle')")
    part = 'document.querySelector(\'[data-device="1"][data-layer="0"][data-expert="3"]\')'
    before = page.evaluate("token.style.transform")
    assert page.evaluate(f"{part}.hasAttribute('display')")
    page.get_by_role("button", name="by experts").click()
    hold(page, 400)
    middle = page.evaluate(f"Number({part}.getAttribute('x'))")
    finish(page)
    assert page.evaluate(f"Number({part}.getAttribute('x'))") > middle
    assert page.evaluate("token.style.transform") != before
    assert page.evaluate("token === document.querySelector('.tokens circle')")
