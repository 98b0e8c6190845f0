"""The block as a page shows it, in Chromium with no network, held against the lesson's count."""

import random
from dataclasses import asdict
from functools import partial

import pytest

from mixlab.chapters.stage import host
from mixlab.chapters.transformer_to_mistral import forms
from mixlab.chapters.transformer_to_mistral.block import seen
from mixlab.transformer.config import TransformerConfig
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said

pytestmark = pytest.mark.browser

SIZES = ("dim", "n_heads", "n_kv_heads", "head_dim", "hidden_dim", "window")
SIZES = (*SIZES, "n_experts", "experts_per_token")
DRAWN = TransformerConfig.mixtral_8x7b(window=TransformerConfig.mistral_7b().window)
LENGTHS = [2**power for power in range(10, 18)]
STATES = [dict(step=step, length=length) for step in range(8) for length in LENGTHS]

# What is drawn: where norms, clocks and heads stand, which cells are filled, how long the bars are.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const at = (node) => node.style.transform.match(/-?[\\d.]+/g).map(Number);
  const all = (part) => [...el.querySelectorAll(part)];
  const there = (part) => all(part).filter((node) => !node.matches("[data-absent]")).length;
  return {
    norms: all(".norm").map(at),
    clocks: new Set(all(".position").map((node) => node.style.transform)).size,
    clock: at(el.querySelector(".position")),
    heads: ["queries", "keys"].map((row) =>
      new Set(all(`.${row} .head`).map(at).map(String)).size),
    table: all(".table rect").map((node) => node.dataset.kind === "seen"),
    matrices: there(".matrix"),
    cards: there(".card"),
    bars: all(".ledger > rect").map((node) => Number(node.getAttribute("width"))),
    values: all(".value").map((node) => node.textContent),
    said: el.querySelector(".stage-said").textContent,
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("block", "A claim"))


def written(cost: forms.Costs) -> dict[str, str]:
    return {
        "parameters": f"{cost.parameters:,}",
        "cache": f"{cost.cache_bytes // 2**20:,} MiB",
        "work for the next token": f"{round(cost.work / 1e6):,} million",
    }


def _differs(every: list[forms.Costs], form: int, name: str) -> bool:
    field = {"parameters": "parameters", "cache": "cache_bytes"}.get(name, "work")
    return getattr(every[form - 1], field) != getattr(every[form], field)


def test_it_counts_what_the_lesson_counts(opened):
    page = opened()
    page.evaluate(AS_WIDGET, host.module("block"))
    assert page.evaluate("module.CHANGES") == list(forms.CHANGES)
    assert page.evaluate("module.MIXTRAL") == {name: getattr(DRAWN, name) for name in SIZES}
    draw, asked = random.Random(0), []
    for _ in range(200):
        group, experts = draw.randint(1, 5), draw.randint(2, 16)
        numbers = [draw.randint(2, 99) for _ in range(8)]
        numbers[1:3] = group * numbers[2], numbers[2]
        numbers[3] *= 2  # of a head
        numbers[6:8] = experts, draw.randint(1, experts)
        asked.append(
            (draw.randint(0, 7), dict(zip(SIZES, numbers, strict=True)), draw.randint(1, 200))
        )
    counted = page.evaluate("(asked) => asked.map((given) => module.costs(...given))", asked)
    for (form, sizes, length), theirs in zip(asked, counted, strict=True):
        config = TransformerConfig.tiny(**sizes)
        assert theirs == asdict(forms.costs(form, config, length))


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_the_form(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("block"))
    for state, shown in zip(STATES, page.evaluate(LOOK, STATES), strict=True):
        form, length = state["step"], state["length"]
        every = [forms.costs(other, DRAWN, length) for other in range(8)]
        shapes = forms.shapes(form, DRAWN)
        before_the_part = [norm[1] > 40 for norm in shown["norms"]]
        assert before_the_part == [form >= 1] * 2
        assert shown["clocks"] == (2 if form >= 3 else 1)
        assert (shown["clock"][1] > 40) == (form >= 3)
        ratio = shapes["wq"][0] // shapes["wk"][0]
        assert shown["heads"] == [8, 2 * 8 // ratio]
        window = 3 if forms.n_keys(form, DRAWN, 10**6) < 10**6 else None
        assert shown["table"] == seen(6, window).flatten().tolist()
        assert shown["matrices"] == sum(
            name.startswith("w") and name[1].isdigit() for name in shapes
        )
        assert shown["cards"] == (DRAWN.n_experts - 1 if "router" in shapes else 0)
        assert shown["values"] == list(written(every[form]).values())
        for bar, name in zip(shown["bars"], ("parameters", "cache_bytes", "work"), strict=True):
            numbers = [getattr(cost, name) for cost in every]
            most = {1280: 690, 390: 210}[width]
            assert bar == pytest.approx(most * numbers[form] / max(numbers))
        if form:
            old, new = written(every[form - 1]), written(every[form])
            told = [
                f"{name} {old[name]} → {new[name]}" for name in old if _differs(every, form, name)
            ]
            words = "; ".join(told) + "." if told else "It costs nothing and saves nothing."
            assert shown["said"].endswith(words[0].upper() + words[1:])


def test_mistral_and_mixtral_are_what_it_draws():
    for form, config in (
        (6, TransformerConfig.mistral_7b()),
        (7, TransformerConfig.mixtral_8x7b()),
    ):
        once = 2 * config.vocab_size * config.dim + config.dim
        whole = config.n_layers * forms.costs(form, DRAWN, 1).parameters + once
        assert whole == config.n_parameters


def test_keys_and_the_grip(opened):
    page = opened()
    assert said(page).startswith("Window: a token sees 4,096. This is Mistral 7B's block.")
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press(".")
    assert said(page).startswith("Experts: eight feed-forward layers")
    page.keyboard.press("Shift+ArrowDown")
    assert page.locator(".grip").get_attribute("aria-valuetext") == "16,384 tokens"
    box = page.locator(".grip").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(0, box["y"], steps=5)
    page.mouse.up()
    assert page.locator(".grip").get_attribute("aria-valuetext") == "1,024 tokens"
    page.locator(".grip").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".grip").get_attribute("aria-valuetext") == "2,048 tokens"


def test_a_part_is_one_node_for_life_and_moves(opened):
    page = opened(motion="no-preference")
    page.locator(".stage-bar button").first.focus()
    for key in ",,,,,,":
        page.keyboard.press(key)
    finish(page)
    place = "norm.style.transform"
    page.evaluate("window.norm = document.querySelector('.norm')")
    old = page.evaluate(place)
    page.keyboard.press(".")
    hold(page, 500)
    halfway = page.evaluate(place)
    finish(page)
    assert len({old, halfway, page.evaluate(place)}) == 3
    assert page.evaluate("norm === document.querySelector('.norm')")


def test_a_part_tells_what_it_is(opened):
    page = opened()
    for part, words in {
        ".queries": "32 query heads of 128 numbers: 16,777,216 parameters",
        ".keys": "8 key heads and 8 value heads: 4,194,304 parameters each, 4 KiB of",
        ".norm": "RMSNorm: 4,096 factors.",
        ".table": "The next token of 32,768 sees 4,096.",
        ".layer": "A feed-forward layer: 176,160,768 parameters in three matrices.",
        ".position": "RoPE: queries and keys are turned",
    }.items():
        page.locator(part).first.focus()
        assert said(page).startswith(words)
        assert page.locator(".part[data-lit]").count() >= 1
