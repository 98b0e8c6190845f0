"""The masks of packed requests as a page draws them, held against the library's cache and masks."""

import random
import re

import pytest

from mixlab.chapters.packed_prompts.figures import prompt_color
from mixlab.chapters.packed_prompts.traces import PADDING, trace_request
from mixlab.chapters.stage import host
from mixlab.chapters.stage.host import piece
from tests.chapters.stage_page import AS_WIDGET, LOWERED, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

# What is drawn: the cells of each prompt and the hidden ones, the columns where keys lie from left
# to right, the rows' names, what became of each token, and which columns are the rings'.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const shown = (node) => node.getAttribute("display") !== "none";
  const all = (selector) => [...el.querySelectorAll(selector)].filter(shown);
  const at = (node) => node.style.transform.match(/-?[\\d.]+/g).map(Number);
  const cells = (path) => [...(path.getAttribute("d") ?? "").matchAll(/M(\\S+) (\\S+?)h/g)]
    .map(([, x, y]) => [Number(x), Number(y)]);
  const keys = all(".key").filter(({ style }) => style.opacity === "1")
    .map((node) => [at(node)[0], ...node.dataset.token.split(" ").map(Number)]);
  const empty = [...(el.querySelector(".empty path").getAttribute("d") ?? "")
    .matchAll(/M(\\S+) \\S+?h(-?[\\d.]+)/g)].map(([, x, w]) => [Number(x) + w / 2, null, -1]);
  const names = all(".row").map((node) => node.getAttribute("aria-label"));
  const lengths = module.promptsOf(state.text).map((prompt) => prompt.length);
  const row = el.querySelectorAll(".row")[state.lit];
  row.dispatchEvent(new Event("pointerenter"));
  const lit = el.querySelector(".stage-said").textContent;
  row.dispatchEvent(new Event("pointerleave"));
  return {
    names, lit, lengths, trace: module.trace_request(lengths, state.window, state.chunk, 4),
    hidden: cells(el.querySelector(".cells .hidden")),
    seen: [...el.querySelectorAll(".cells [data-prompt]")].map(cells),
    columns: [...keys, ...empty].sort(([a], [b]) => a - b).map(([, ...token]) => token),
    tokens: all(".token").map((node) => [node.dataset.token, node.dataset.kind]),
    mask_name: el.querySelector(".mask").textContent,
    origins: all(".origins g").map((node) =>
      [node.hasAttribute("data-held"), node.textContent]),
  };
})"""


def random_states(count: int, seed: int) -> list[dict]:
    draw, states = random.Random(seed), []
    while len(states) < count:
        lengths = [draw.randint(1, 9) for _ in range(draw.randint(1, 5))]
        if sum(lengths) > 18:
            continue
        text = " / ".join(" ".join(draw.choices(["oak", "elm", "ash"], k=n)) for n in lengths)
        window, chunk = draw.randint(1, 8), draw.randint(1, 8)
        passes = trace_request(lengths, window, chunk, n_decode=4)
        step = draw.randint(1, len(passes))
        lit = draw.randrange(len(passes[step - 1].mask))
        states.append(dict(text=text, window=window, chunk=chunk, step=step, lit=lit))
    return states


def listed(one) -> dict:
    """A pass of the trace as the page has it."""
    return {
        name: value if isinstance(value, str) else value.tolist()
        for name, value in vars(one).items()
    }


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_is_the_mask_of_the_pass(open_piece, width):
    page = open_piece(piece("requests", "A claim"), width=width)
    page.evaluate(AS_WIDGET, host.module("requests"))
    states = random_states(often(100, 4), seed=width)
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        prompts = [part.split() for part in state["text"].split("/")]
        lengths, step = [len(prompt) for prompt in prompts], state["step"]
        passes = trace_request(lengths, state["window"], state["chunk"], n_decode=4)
        one = passes[step - 1]
        assert shown["lengths"] == lengths
        assert shown["trace"] == [listed(each) for each in passes]
        assert shown["mask_name"] == one.mask_name

        drawn = {(round(x, 2), round(y, 2)): 0 for x, y in shown["hidden"]}
        for prompt, cells in enumerate(shown["seen"]):
            drawn |= {(round(x, 2), round(y, 2)): 1 + prompt for x, y in cells}
        rows, columns = (sorted({place[axis] for place in drawn}) for axis in (1, 0))
        expected = one.mask * (1 + one.query_prompt[:, None])
        assert [[drawn[x, y] for x in columns] for y in rows] == expected.tolist()

        keys = zip(one.key_prompt.tolist(), one.key_position.tolist(), strict=True)
        assert [tuple(key) for key in shown["columns"]] == [
            (None, PADDING) if at == PADDING else (prompt, at) for prompt, at in keys
        ]

        def name(prompt: int, position: int, prompts=prompts) -> str:
            known = prompts[prompt]
            new = f"new\u00a0{position - len(known) + 1}"
            word = known[position] if position < len(known) else new
            return word + str(position).translate(LOWERED)

        queries = list(zip(one.query_prompt.tolist(), one.query_position.tolist(), strict=True))
        assert shown["names"] == [name(*query) for query in queries]
        row = state["lit"]
        sees = sorted(one.key_position[one.mask[row]].tolist())
        words = " ".join(name(queries[row][0], at) for at in sees)
        assert shown["lit"] == f"{name(*queries[row])} sees {words}."

        read = {
            (b, p)
            for each in passes[:step]
            for b, p in zip(each.query_prompt, each.query_position, strict=True)
        }
        held = set(zip(one.key_prompt.tolist(), one.key_position.tolist(), strict=True))
        for token, kind in shown["tokens"]:
            place = tuple(map(int, token.split()))
            fate = "seen" if place in held else "gone"
            assert kind == ("now" if place in queries else fate if place in read else "later")


def test_it_opens_on_a_chunk_that_reads_from_two_rings(open_piece):
    page = open_piece(piece("requests", "A claim"))
    assert said(page) == (
        "Pass 2 of 6, later chunk: 4 queries over 8 keys, 4 of them from the rings."
    )
    assert page.locator(".mask").text_content().endswith("LocalAttentionFromBottomRightMask")
    page.locator(".row").nth(1).hover()
    assert said(page) == "sleeps₄ sees next₂ door₃ sleeps₄."


def test_before_the_first_pass_padding_is_counted(open_piece):
    page = open_piece(piece("requests", "A claim", step=0))
    assert said(page) == (
        "13 tokens end to end; as rows of one rectangle 21 slots, 8 of them padding."
    )
    assert len(re.findall("z", page.locator(".waste").get_attribute("d"))) == 8
    field = page.locator(".stage-bar input[type=text]")
    field.fill("p, <b> / . x")
    assert said(page).startswith("Pass 1 of 5, first chunk: 4 queries over 4 keys, 0 of them")
    field.fill(" / ")
    assert said(page) == "Type some prompts, with / between them."


def test_keys_and_handles_change_window_and_chunk(open_piece):
    page = open_piece(piece("requests", "A claim"))
    window, chunk = (page.locator(".grip").nth(n) for n in (0, 1))
    window.focus()
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("ArrowUp")
    assert window.get_attribute("aria-valuenow") == "5"
    box = chunk.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(2000, box["y"], steps=4)
    page.mouse.up()
    assert chunk.get_attribute("aria-valuenow") == "8"
    assert "of 5, decoding" in said(page)


def test_a_key_is_one_node_for_life_and_flies_into_its_column(open_piece):
    page = open_piece(piece("requests", "A claim", step=1), motion="no-preference")
    page.evaluate("window.key = document.querySelectorAll('.key')[4]")  # mouse, read in pass 2
    assert page.evaluate("key.style.opacity") == "0"
    places = [page.evaluate("key.style.transform")]
    page.locator(".row").first.focus()
    page.keyboard.press(".")
    hold(page, 400)
    places.append(page.evaluate("key.style.transform"))
    finish(page)
    places.append(page.evaluate("key.style.transform"))
    assert len({*places}) == 3
    assert page.evaluate("key === document.querySelectorAll('.key')[4] && key.style.opacity") == "1"


def test_prompts_have_the_colours_of_the_chapter_s_figures():
    style = host.style("requests")
    for prompt in range(5):
        assert f'[data-prompt="{prompt}"] {{ --own: {prompt_color(prompt)};' in style
