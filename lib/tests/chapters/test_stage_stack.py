"""A stack of layers as a page shows it, against the Python trace."""

import random
from collections.abc import Iterator
from functools import partial

import pytest

from mixlab.chapters.capstone.memory import LAYERS, trace_stack
from mixlab.chapters.stage import host
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said

pytestmark = pytest.mark.browser

TITLE = "One full layer keeps more than seven scans"
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const texts = (kind) => [...el.querySelectorAll(kind)].map((one) => one.textContent);
  return {
    trace: module.trace_stack(state.mixers, state.feeds, 2 ** (8 + state.step)),
    widths: [...el.querySelectorAll(".bar")].map((one) => Number(one.getAttribute("width"))),
    axis: el.querySelector(".axis").getAttribute("d"), sizes: texts(".size"), sums: texts(".sum"),
    mixers: texts(".mixer text"), feeds: texts(".feed text"), fate: texts(".fate")[0],
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
    said: el.querySelector(".stage-said").textContent,
  };
})"""
FATES = {"held": "held, word for word", "carried": "carried, perhaps", "gone": "gone"}
ENDS = {
    "held": "is held, word for word.",
    "carried": "may have been carried here, nothing says that it was.",
    "gone": "is gone: no way leads here.",
}


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("stack", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        kinds = draw.choice(["fws", "w", "w", "ws", "s"])  # stacks without attention to all, too
        mixers = "".join(draw.choice(kinds) for _ in range(8))
        feeds = "".join(draw.choice("den") for _ in range(8))
        yield dict(mixers=mixers, feeds=feeds, step=draw.randint(0, 10))


def told(size: int) -> str:
    """Bytes as the page writes them: halves up, one decimal below 10."""
    unit, scale = next(
        (unit, scale)
        for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
        if size >= scale
    )
    number = size / scale
    if number < 10 and number % 1:
        return f"{int(number * 10 + 0.5) / 10:.1f} {unit}"
    return f"{int(number + 0.5)} {unit}"


def check_state(state: dict, shown: dict) -> None:
    tokens = 2 ** (8 + state["step"])
    ours = trace_stack(state["mixers"], state["feeds"], tokens)
    assert shown["told"] == state
    assert shown["trace"] == dict(
        kept=list(ours.kept), stored=ours.stored, read=ours.read, fate=ours.fate
    )
    left, right = (float(part.split()[0]) for part in shown["axis"].split("M")[1::3])
    for size, width in zip(ours.kept, shown["widths"], strict=True):  # from 2**18 to 2**30
        assert 2 ** (18 + 12 * width / (right - left)) == pytest.approx(size)
    assert shown["sizes"] == [told(size) for size in ours.kept]
    assert shown["sums"] == [
        f"keeps {told(sum(ours.kept))}",
        f"weights {told(ours.stored)}",
        f"a token reads {told(ours.read)}",
    ]
    assert shown["mixers"] == [{"f": "all", "w": "window", "s": "scan"}[m] for m in state["mixers"]]
    assert shown["feeds"] == [{"d": "dense", "e": "experts", "n": "–"}[f] for f in state["feeds"]]
    assert shown["fate"] == FATES[ours.fate]
    assert f"{tokens:,} tokens: {told(sum(ours.kept))} kept." in shown["said"]
    assert shown["said"].endswith(f"The first word {ENDS[ours.fate]}")


@pytest.mark.parametrize(("width", "count"), [(1280, 200), (390, 40)])
def test_what_is_drawn_and_said_is_what_the_trace_counts(opened, width, count):
    page = opened(width=width, height=844)
    page.evaluate(AS_WIDGET, host.module("stack"))
    states = list(random_states(count, seed=width))
    found = page.evaluate(LOOK, states)
    for state, shown in zip(states, found, strict=True):
        check_state(state, shown)
    assert {shown["trace"]["fate"] for shown in found} == {"held", "carried", "gone"}


def test_the_models_have_the_trace_s_layers(opened):
    page = opened()
    page.evaluate(AS_WIDGET, host.module("stack"))
    assert page.evaluate("module.LAYERS") == {name: list(of) for name, of in LAYERS.items()}


def test_keys_do_everything(opened):
    page = opened()
    assert said(page).startswith("Eight layers in Jamba's order, 262,144 tokens: 1.0 GiB kept.")
    page.locator(".stage-bar button").first.focus()
    for key, words in {
        "m": "in Mistral's order, 262,144 tokens: 128 MiB kept. The first word is gone",
        ",": "131,072 tokens",
        "M": "in Mixtral's order, 131,072 tokens: 4 GiB kept. The first word is held",
        "Shift+ArrowLeft": "65,536 tokens",
        "p": "131,072 tokens",
        "P": "131,072 tokens",
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    box = page.locator(".mixer").nth(2)
    box.focus()
    assert said(page).startswith("Layer 2: attention over everything, 2 of 8 experts.")
    page.keyboard.press("Enter")
    page.keyboard.press(" ")
    assert box.get_attribute("aria-label") == "layer 2, mixer: scan"


def test_a_click_changes_a_layer_and_a_pointer_tells_of_it(opened):
    page = opened()
    page.locator(".feed").nth(0).click()
    page.mouse.move(5, 5)
    page.locator(".mixer").nth(7).focus()  # a click leaves the focus where it was
    page.locator(".stage-bar button").first.focus()
    assert said(page).startswith("Your eight layers, 262,144 tokens")
    page.locator(".feed").nth(0).hover()
    assert said(page).startswith("Layer 0: a scan, 2 of 8 experts. After 262,144 tokens")


def test_bars_grow_on_the_way(opened):
    page = opened(motion="no-preference")
    widths = "document.querySelectorAll('.bar')[4].getAttribute('width')"
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press(",")
    finish(page)
    short = float(page.evaluate(widths))
    page.keyboard.press(".")
    hold(page, 500)
    half = float(page.evaluate(widths))
    finish(page)
    assert short < half < float(page.evaluate(widths))
