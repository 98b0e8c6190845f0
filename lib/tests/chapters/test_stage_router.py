"""The router's piece in Chromium: its model, and what it draws, held against the library's."""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch

from mixlab import load, tokenizer
from mixlab.chapters.kit.colored_text import shown_piece
from mixlab.chapters.stage import host
from mixlab.small_mixtral import folder
from mixlab.small_mixtral.corpus import KINDS, documents
from mixlab.traces.router import trace_router, twins, without_experts
from mixlab.transformer.model import Transformer, next_token_loss
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "In layer 0 every at goes to the same two experts"
# Letters that tokenizers stumble over: digits of other scripts, blanks that aren't spaces, marks.
AWKWARD = (
    "ab the' 's't\n\t  12\u0663\u00bd\u2177\ufeff\u0085\u00a0\u00e9\u00df\u6f22\u5b57"
    "\U0001f642\U0001f469\u200d\U0001f467\u0301\ufb01\u200b\u2028"
)

COMPUTE = """([text, k, removed]) => {
  const model = module.model(), { tokenizer } = model;
  const tokens = tokenizer.encode(text), ids = [0, ...tokens].slice(0, 256);
  const { hidden, chosen, gates } = module.trace_router(model, ids, k, removed);
  const logits = module.read_out(model, hidden), costs = module.nats(logits, ids);
  const mean = costs.reduce((a, b) => a + b) / Math.max(1, costs.length - 1);
  return { tokens, text: tokenizer.decode(tokens), chosen, gates, last: [...logits.at(-1)], mean };
}"""

# What is drawn: the chips that lie in each lane, in reading order; and the lane of each word.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const middle = (node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return { x: (left + right) / 2, y: (top + bottom) / 2 };
  };
  const chips = [...el.querySelectorAll(".chip:not([display])")]
    .map((node, number) => ({ node, token: Math.floor(number / 8), rank: number % 8 }))
    .filter(({ node }) => node.style.opacity === "1")
    .map((chip) => ({ ...chip, ...middle(chip.node.querySelector(".body")) }));
  const lane = (node) => Number(node.style.getPropertyValue("--expert").match(/\\d/)[0]);
  return {
    lanes: [...el.querySelectorAll(".band")].map((band) => {
      const { top, bottom, left, right } = band.getBoundingClientRect();
      return chips.filter(({ x, y }) => y > top && y < bottom && x > left && x < right)
        .sort((a, b) => a.y - b.y > 3 ? 1 : b.y - a.y > 3 ? -1 : a.x - b.x)
        .map(({ token, rank }) => [token, rank]);
    }),
    colors: chips.map(({ token, rank, node }) => [token, rank, lane(node)]),
    gates: chips.map(({ node }) =>
      node.querySelector(".gate").getAttribute("width") /
      node.querySelector(".body").getAttribute("width")),
    words: [...el.querySelectorAll(".word:not([display])")].map((node) =>
      [node.textContent, lane(node)]),
    loads: [...el.querySelectorAll(".load")].map((node) => node.textContent),
    said: el.querySelector(".stage-said").textContent,
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("router", TITLE, step=0))


@cache
def shipped(k: int = 2) -> Transformer:
    """The course's model, with k experts a token."""
    trained = load(folder(), dtype=torch.float32)
    model = Transformer(replace(trained.config, experts_per_token=k))
    model.load_state_dict(trained.state_dict())
    return model


def computed(ids: list[int], k: int = 2, removed: dict | None = None):
    """Choices and gates, (layers, seq, k); the logits; and the mean cost of a token, in nats."""
    tokens, gone = (
        torch.tensor([ids]),
        {int(at): experts for at, experts in (removed or {}).items()},
    )
    with without_experts(shipped(k), gone), torch.inference_mode():
        trace, logits = trace_router(shipped(k), tokens), shipped(k)(tokens)
    mean = next_token_loss(logits, tokens).item() if len(ids) > 1 else 0.0
    return trace.chosen[:, 0], trace.gates[:, 0], logits[0], mean


def random_text(draw: random.Random) -> str:
    """Words of all kinds of text, or letters that tokenizers stumble over."""
    if draw.random() < 0.3:
        return "".join(draw.choices(AWKWARD, k=draw.randint(1, 14)))
    words = documents(draw.choice(list(KINDS)), "held_out")[1].split(" ")
    start = draw.randrange(len(words) - 12)
    return " ".join(words[start : start + draw.randint(0, 11)])[:200]


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        layers = draw.sample(range(6), draw.choice([0, 0, 1, 2]))
        removed = {str(at): sorted(draw.sample(range(8), draw.randint(1, 4))) for at in layers}
        # A text field keeps neither line ends nor a carriage return.
        text = random_text(draw).replace("\n", " ").replace("\r", " ")
        k = draw.choice([1, 2, 2, 2, 3, 4])
        yield dict(text=text, step=draw.randrange(6), k=k, removed=dict(sorted(removed.items())))


def names_of(ids: list[int]) -> list[str]:
    pieces = [shown_piece(tokenizer(folder()).decode([i])) for i in ids]
    return [piece.strip() or piece for piece in pieces]


def sentence(names: list[str], state: dict, chosen, mean: float, usual: float, cut: bool) -> str:
    """What the piece says of a state, worded from the trace."""
    if not names:
        return "Type a text, and its tokens go to their experts."
    loads = np.bincount(chosen.ravel(), minlength=8)
    which = "of the first 40 tokens" if cut else "token"
    more = mean - usual
    against = (
        f", {abs(more):.2f} {'less' if more < 0 else 'more'} than with k = 2 and all experts"
        if state["k"] != 2 or state["removed"]
        else ""
    )
    return (
        f"Layer {state['step']} sends each {which} to {state['k']} of 8 experts; expert "
        f"{loads.argmax()} has most, {loads.max()} of {len(names)}. "
        f"The text costs {mean:.2f} nats a token{against}."
    )


def test_the_page_s_model_is_the_library_s(opened):
    page = opened()
    page.evaluate(AS_WIDGET, host.module("router"))
    draw, tokens = random.Random(8), tokenizer(folder())
    kinds = [documents(kind, "held_out")[2][:400] for kind in KINDS]
    edges = ["", "<s>", "a<s>b", "<s><s>  <", "\ufeffx", "a  1\t\n 22 ", "don't", AWKWARD]
    asked = [(text, 2, {}) for text in (*kinds, *edges)]
    asked += [(random_text(draw), 2, {}) for _ in range(often(90, 3))]
    asked += [(s["text"], s["k"], s["removed"]) for s in random_states(often(40, 4), seed=1)]
    choices = 0
    for text, k, removed in asked:
        theirs = page.evaluate(COMPUTE, [text, k, removed])
        ids = tokens.encode(text).ids
        assert theirs["tokens"] == ids
        assert theirs["text"] == tokens.decode(ids)
        chosen, gates, logits, mean = computed([0, *ids][:256], k, removed)
        assert theirs["chosen"] == chosen.tolist()
        np.testing.assert_allclose(theirs["gates"], gates, atol=1e-4)
        np.testing.assert_allclose(theirs["last"], logits[-1], atol=1e-4)
        assert theirs["mean"] == pytest.approx(mean, abs=1e-4)
        choices += chosen[..., 0].size
    assert choices > often(12_000, 2)


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_routers_decide(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("router"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        ids = tokenizer(folder()).encode(state["text"]).ids
        kept, step = ids[:40], state["step"]
        chosen, gates, _, mean = computed([0, *kept], state["k"], state["removed"])
        usual = computed([0, *kept])[3]
        chosen, gates = chosen[step, 1:], gates[step, 1:]
        assert shown["told"] == state
        ranks = [np.argwhere(chosen == expert).tolist() for expert in range(8)]
        assert shown["lanes"] == ranks
        assert sorted(shown["colors"]) == [
            [token, rank, expert]
            for token, row in enumerate(chosen.tolist())
            for rank, expert in enumerate(row)
        ]
        np.testing.assert_allclose(shown["gates"], gates.ravel(), atol=1e-4)
        names = names_of(kept)
        assert shown["words"] == [[n, e] for n, e in zip(names, chosen[:, 0].tolist(), strict=True)]
        off = state["removed"].get(str(step), [])
        assert shown["loads"] == ["off" if e in off else str(len(ranks[e])) for e in range(8)]
        said_so, numbers = sentence(names, state, chosen, mean, usual, len(ids) > 40), r"\d+\.\d+"
        assert re.sub(numbers, "…", shown["said"]) == re.sub(numbers, "…", said_so)
        for one, other in zip(
            *(re.findall(numbers, s) for s in (shown["said"], said_so)), strict=True
        ):
            assert float(one) == pytest.approx(float(other), abs=0.011)  # rounded either way


def test_it_opens_on_its_claim(opened):
    page = opened()
    assert said(page) == (
        "Layer 0 sends each token to 2 of 8 experts; expert 7 has most, 7 of 9. "
        "The text costs 4.38 nats a token."
    )
    assert page.locator(".layer").inner_html() == "layer 0"


def test_a_token_lights_up_with_its_twins_and_an_expert_with_its_tokens(opened):
    page = opened()
    lit = "[...document.querySelectorAll('.word')].flatMap((node, n) => node.dataset.lit ?? 'no')"
    page.locator(".word").nth(2).hover()
    chosen = computed([0, *tokenizer(folder()).encode("The cat sat on the mat").ids])[0][0, 1:]
    same = twins(chosen, 2)
    found = page.evaluate(lit)
    assert [n for n, how in enumerate(found) if how != "no"] == same == [2, 4, 5, 8]
    assert found[2] == "now"
    assert said(page).startswith("at₂ goes to experts 7 (0.88), 6 (0.12), as do at₄ on₅ at₈.")
    page.locator(".switch").nth(1).hover()
    assert said(page) == "Expert 1 of layer 0 runs once, on 2 of 9 tokens: The₀ the₆."
    assert page.locator(".chip[data-lit]").count() == 2
    faint = "getComputedStyle(document.querySelectorAll('.chip')[8].firstChild).opacity"
    assert page.evaluate(faint) == "0.25"  # of c₁, which expert 1 doesn't run
    page.locator(".switch").nth(0).hover()
    assert said(page) == "Nobody chose expert 0 of layer 0: it does not run."


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".stage-bar button").first.focus()
    for key, words in {
        "7": "The text costs 6.71 nats a token, 2.33 more than with k = 2 and all experts.",
        ".": "Layer 1 sends",
        "Shift+ArrowUp": "Layer 1 sends each token to 3 of 8",
        ",": "Layer 0 sends each token to 3 of 8",
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    page.keyboard.press("7")
    page.keyboard.press("Shift+ArrowDown")
    assert said(page).endswith("The text costs 4.38 nats a token.")
    page.locator(".switch").nth(7).focus()
    page.keyboard.press("Enter")
    assert page.locator(".switch").nth(7).get_attribute("aria-checked") == "false"
    assert said(page).startswith("Layer 0 sends")
    page.locator(".dots").focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    assert page.locator(".dots").get_attribute("aria-valuenow") == "7"  # of the seven left


def test_experts_go_as_long_as_one_is_left(opened):
    page = opened()
    page.locator(".stage-bar button").first.focus()
    for key in "01234567":
        page.keyboard.press(key)
    assert page.locator(".lane[data-off]").count() == 7
    assert "to 1 of 8 experts" in said(page)


def test_k_is_dragged_by_mouse_and_an_expert_tapped_away(opened):
    page = opened()
    here, there = (page.locator(".dots circle").nth(n).bounding_box() for n in (1, 4))
    page.mouse.move(here["x"] + 5, here["y"] + 5)
    page.mouse.down()
    page.mouse.move(there["x"] + 5, there["y"] + 5, steps=6)
    page.mouse.up()
    assert page.locator(".dots").get_attribute("aria-valuenow") == "5"
    small = opened(width=390, height=844, touch=True)
    small.locator(".switch").nth(7).tap()
    assert "6.71 nats" in small.locator(".sum").nth(1).inner_html()


def test_typing_is_no_command_and_a_long_text_is_cut(opened):
    page = opened()
    field = page.locator(".stage-bar input[type=text]")
    field.fill("")
    assert said(page) == "Type a text, and its tokens go to their experts."
    field.press_sequentially("7, p. <b>")
    assert page.locator(".lane[data-off]").count() == 0
    assert page.locator(".word:not([display])").count() > 4
    field.fill("and so on " * 20)
    assert "of the first 40 tokens" in said(page)


def test_a_token_is_one_node_for_life_and_flies_to_its_next_lane(opened):
    page = opened(motion="no-preference")
    page.locator(".stage-bar button").first.focus()
    page.evaluate("window.cat = document.querySelectorAll('.chip')[8]")
    rest = page.evaluate("cat.style.transform")
    page.keyboard.press(".")
    hold(page, 400)
    between = page.evaluate("cat.style.transform")
    finish(page)
    end = page.evaluate("cat.style.transform")
    assert len({rest, between, end}) == 3
    page.keyboard.press(",")
    finish(page)
    assert page.evaluate("cat.style.transform") == rest
    assert page.evaluate("cat === document.querySelectorAll('.chip')[8]")


def test_it_is_drawn_soon(opened):
    """In a second and a half on a quiet machine; a busy one is forgiven twice that."""
    page = opened()
    assert page.evaluate("performance.getEntriesByType('navigation')[0].domComplete") < 4500
