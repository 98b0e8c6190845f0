"""A scan's tree and its tiles as a page draws them, held against the library's scan."""

import random
from collections.abc import Iterator
from itertools import groupby
from operator import add

import pytest

from mixlab.chapters.parallel_scan.traces import made_of, trace_scan
from mixlab.chapters.stage import host
from mixlab.chapters.stage.host import piece
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser
METHODS = {
    "sequential": "Loop",
    "hillis_steele": "Hillis–Steele",
    "blelloch": "Blelloch",
    "chunked": "Chunks",
}

# What is drawn: the row and the column in which each visible tile's point lies, and its letters.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const shown = (node) => node.getAttribute("display") !== "none";
  const at = (node) => node.style.transform.match(/-?[\\d.]+/g).map(Number);
  const number = (node, name) => Number(node.getAttribute(name));
  const rows = [...el.querySelectorAll(".row")].filter(shown).map(({ firstChild }) =>
    [number(firstChild, "y"), number(firstChild, "y") + number(firstChild, "height")]);
  const tiles = [...el.querySelectorAll(".tile")].filter(shown)
    .filter(({ style }) => style.opacity === "1").map((node) => {
      const [x, y] = at(node);
      const row = rows.findIndex(([top, bottom]) => top < y && y < bottom);
      return { x: Math.round(x), row, text: node.textContent, kind: node.dataset.kind };
    });
  const balls = [...el.querySelectorAll(".ball")].filter(shown).map((node) =>
    ({ at: at(node), kind: node.dataset.kind, text: node.textContent }));
  const reads = [...el.querySelectorAll(".read")].filter(shown).map((node) =>
    ({ grown: parseFloat(node.getAttribute("stroke-dasharray")), kind: node.dataset.kind }));
  const place = state.lit;
  const row = [...el.querySelectorAll(".row")][place];
  row.dispatchEvent(new Event("pointerenter"));
  const lit = {
    reads: [...el.querySelectorAll(".read")].filter(shown)
      .map((node) => node.hasAttribute("data-lit")),
    said: el.querySelector(".stage-said").textContent,
  };
  row.dispatchEvent(new Event("pointerleave"));
  const trace = module.trace_scan(state.method, rows.length, state.chunk);
  return {
    tiles, balls, reads, lit,
    said: el.querySelector(".stage-said").textContent,
    trace, made: module.made_of(trace, place, state.step),
    sums: [...el.querySelectorAll(".sum")].filter(shown).map((node) => node.textContent),
  };
})"""


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        length, method = draw.randint(1, 16), draw.choice(list(METHODS))
        numbers = draw.random() < 0.5
        items = [draw.randint(0, 99) if numbers else draw.choice("abcxyz") for _ in range(length)]
        text = (" " if numbers else "").join(map(str, items))
        chunk = draw.randint(1, 16)
        trace = trace_scan(method, length, chunk if method == "chunked" else None)
        step, lit = draw.randint(0, trace.depth), draw.randrange(length)
        yield dict(text=text, method=method, chunk=chunk, step=step, lit=lit)


def plural(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_is_what_the_scan_does(open_piece, width):
    page = open_piece(piece("scan", "A claim"), width=width)
    page.evaluate(AS_WIDGET, host.module("scan"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        text, method, step = state["text"], state["method"], state["step"]
        items = [int(part) for part in text.split()] if text[0].isdigit() else list(text)
        trace = trace_scan(method, len(items), state["chunk"] if method == "chunked" else None)
        values = trace.replay(add, items)
        for name in ("work", "depth"):
            assert shown["trace"][name] == getattr(trace, name)
        assert shown["trace"]["coverage"] == trace.coverage.tolist()
        for theirs, ours in zip(shown["trace"]["steps"], trace.steps, strict=True):
            assert theirs == {name: list(getattr(ours, name)) for name in theirs}

        columns = sorted({tile["x"] for tile in shown["tiles"]})
        assert len(columns) == len(items)
        before, now = trace.coverage[max(0, step - 1)], trace.coverage[step]
        drawn = {(tile["row"], columns.index(tile["x"])): tile for tile in shown["tiles"]}
        assert sorted(drawn) == [(p, s) for p, start in enumerate(now) for s in range(start, p + 1)]
        for (place, item), tile in drawn.items():
            assert tile["text"] == str(items[item])
            old = "part" if now[place] else "final"
            assert tile["kind"] == ("now" if item < before[place] else old)
        if text[0].isdigit():
            assert [int(one.strip("= ")) for one in shown["sums"]] == values[step]

        joins = [(n, p) for n, one in enumerate(trace.steps, start=1) for p in one.later]
        assert [read["grown"] for read in shown["reads"]] == [float(n <= step) for n, _ in joins]
        for ball, (n, place) in zip(
            shown["balls"], [*((0, p) for p in range(len(items))), *joins], strict=True
        ):
            old = "part" if trace.coverage[n][place] else "final"
            assert ball["kind"] == ("later" if n > step else "now" if n and n == step else old)
            assert ball["text"] in ("", str(values[n][place]))

        made = made_of(trace, state["lit"], step)
        assert shown["made"] == made
        assert shown["lit"]["reads"] == [n <= step and p in made[n - 1] for n, p in joins]
        held = f": {values[step][state['lit']]}, made by {plural(sum(map(len, made)), 'join')}."
        assert shown["lit"]["said"].endswith(held)
        final = f"{(now == 0).sum()} of {len(items)} places are final. {METHODS[method]}"
        assert final in shown["said"]
        cost = f": {plural(trace.work, 'join')} in {plural(trace.depth, 'round')}."
        assert shown["said"].endswith(cost)


def test_it_opens_on_all_prefixes(open_piece):
    page = open_piece(piece("scan", "Five rounds, 11 joins"))
    assert said(page) == (
        "Round 5: place 2 reads 1, 4 reads 3, 6 reads 5; 8 of 8 places are final. "
        "Blelloch: 11 joins in 5 rounds."
    )


def test_keys_choose_the_method_and_the_chunk(open_piece):
    page = open_piece(piece("scan", "A claim"))
    page.locator(".row").first.focus()
    for key, words in {
        "m": "Chunks of 3: 10 joins in 7 rounds.",
        "Shift+ArrowUp": "Chunks of 4: 12 joins in 7 rounds.",
        "Shift+ArrowDown": "Chunks of 3: 10 joins",
        "M": "Loop: 7 joins in 7 rounds.",
        ",": "Round 6: place 6 reads 5; 7 of 8 places are final.",
    }.items():
        page.keyboard.press(key)
        page.locator(".row").first.blur()
        assert words in said(page)
        page.locator(".row").first.focus()


def test_letters_are_joined_and_numbers_added(open_piece):
    page = open_piece(piece("scan", "A claim"))
    field = page.locator(".stage-bar input[type=text]")
    field.fill("mp,<b>")
    page.locator(".row").nth(5).hover()
    assert said(page) == "After round 4 place 5 holds items 0 to 5: mp,<b>, made by 5 joins."
    field.fill("7 70")
    page.locator(".row").nth(1).hover()
    assert said(page) == "After round 1 place 1 holds items 0 to 1: 77, made by 1 join."
    field.fill("")
    assert said(page) == "Type some letters, or numbers."


def test_the_chunk_is_dragged(open_piece):
    page = open_piece(piece("scan", "A claim", method="chunked", chunk=2))
    grip, row = (page.locator(s).bounding_box() for s in (".grip", ".row >> nth=4"))
    page.mouse.move(grip["x"] + 9, grip["y"] + grip["height"] / 2)
    page.mouse.down()
    page.mouse.move(grip["x"] + 9, row["y"] + row["height"], steps=5)
    page.mouse.up()
    assert page.locator(".grip").get_attribute("aria-valuenow") == "5"


def test_a_copy_travels_from_the_row_that_is_read(open_piece):
    page = open_piece(piece("scan", "A claim", step=3), motion="no-preference")
    page.evaluate("window.tile = document.querySelectorAll('.tile')[15]")  # item 0 at place 5
    heights = [page.evaluate("tile.style.transform")]
    page.locator(".row").first.focus()
    page.keyboard.press(".")
    hold(page, 500)
    heights.append(page.evaluate("tile.style.transform"))
    assert page.evaluate("tile.style.opacity") == "1"
    finish(page)
    heights.append(page.evaluate("tile.style.transform"))
    x, y = zip(*([float(n[:-2]) for n in one[10:-1].split(",")] for one in heights), strict=True)
    assert len({*x}) == 1
    assert y[0] < y[1] < y[2]
    assert [number for number, _ in groupby(y)] == list(y)
    assert page.evaluate("tile === document.querySelectorAll('.tile')[15]")
