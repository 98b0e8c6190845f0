"""Bytes between memory and chip as a page shows them, held against the trace in Python."""

import random
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from mixlab.chapters.kernel_fusion.traces import WAYS, row_bytes, trace_traffic
from mixlab.chapters.stage import host
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "What nobody else wants need not leave the chip"
SHOWN = {"A": "A", "delta": "Δ", "x": "x", "B": "B", "C": "C"}
SHOWN |= {"A_bar": "Ā", "Bx": "B̄x", "h": "h", "y": "y"}
WORDS = {"three": "three kernels", "fused": "one kernel"}

# What the page computes, and what it draws: cells by row, what is in registers, bars in bytes.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const { way, tokens, d_inner, d_state } = state;
  const trace = module.trace_traffic(way, tokens, d_inner, d_state);
  const rows = [...el.querySelectorAll(".row")];
  const cells = (mark) => rows.map((row) =>
    [...row.querySelectorAll("rect")].map((cell) => cell.hasAttribute(mark)));
  const wide = (bar, kind) => Number(bar.querySelector(kind).getAttribute("width"));
  const bars = [...el.querySelectorAll(".bar")], unit = wide(bars[0], ".whole");
  return {
    trace, sizes: module.row_bytes(d_inner, d_state),
    there: cells("data-there"), now: cells("data-now"),
    unused: rows.map((row) => row.hasAttribute("data-unused")),
    loads: [...el.querySelectorAll(".load:not([display])")].map((node) => node.textContent),
    whole: bars.map((bar) => wide(bar, ".whole") / unit),
    sofar: bars.map((bar) => wide(bar, ".sofar") / unit),
    said: el.querySelector(".stage-said").textContent,
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("traffic", TITLE))


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        way, tokens = draw.choice([*WAYS]), draw.randint(1, 6)
        shape = dict(d_inner=draw.randint(1, 64), d_state=draw.choice((1, 2, 4, 8, 16)))
        yield dict(way=way, tokens=tokens, step=draw.randint(0, tokens * len(WAYS[way])), **shape)


def totals(state: dict) -> dict[str, int]:
    shape = (state["tokens"], state["d_inner"], state["d_state"])
    return {way: trace_traffic(way, *shape)[-1].moved for way in WAYS}


def sentence(state: dict, steps: list) -> str:
    """What the piece says of a state, worded from the trace."""
    way, moved = state["way"], totals(state)
    other = next(name for name in WAYS if name != way)
    against = f"{WORDS[other]} would move {moved[other]:,}."
    if not state["step"]:
        does = "move" if way == "three" else "moves"
        whole = f"{WORDS[way].capitalize()} {does} {moved[way]:,} bytes in all"
        return f"Nothing has moved yet. {whole}; {against}"
    now = steps[state["step"] - 1]
    reads, writes = (", ".join(SHOWN[name] for name in side) for side in (now.reads, now.writes))
    here = f"Token {now.token}, {now.kernel}: reads {reads}, writes {writes}."
    return f"{here} {now.moved:,} of {moved[way]:,} bytes have moved; {against}"


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_trace_moves(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("traffic"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        way, tokens, step = state["way"], state["tokens"], state["step"]
        steps = trace_traffic(way, tokens, state["d_inner"], state["d_state"])
        assert shown["told"] == state
        assert shown["sizes"] == row_bytes(state["d_inner"], state["d_state"])
        assert shown["trace"] == [vars(one) for one in steps]
        now = steps[step - 1] if step else None
        made = {(name, one.token) for one in steps[:step] for name in one.writes}
        moving = set() if now is None else {*now.reads, *now.writes}
        used = {name for sides in WAYS[way].values() for side in sides for name in side}
        for row, name in enumerate(SHOWN):
            n_cells = 1 if name == "A" else tokens
            given = name in ("A", "delta", "x", "B", "C")
            assert shown["there"][row] == [given or (name, t) in made for t in range(n_cells)]
            assert shown["now"][row] == [name in moving and t == now.token for t in range(n_cells)]
            assert shown["unused"][row] == (name not in used)
        held = {"A"} if now and now.kernel in ("discretise", "fused") else set()
        assert sorted(shown["loads"]) == sorted(SHOWN[name] for name in moving | held)
        moved = totals(state)
        np.testing.assert_allclose(
            shown["whole"], [moved[one] / moved["three"] for one in WAYS], atol=1e-9
        )
        done = now.moved if now else 0
        np.testing.assert_allclose(
            shown["sofar"], [done / moved["three"] * (one == way) for one in WAYS], atol=1e-9
        )
        assert shown["said"] == sentence(state, steps)


def test_it_opens_on_its_claim(opened):
    assert said(opened()) == (
        "Token 5, read out: reads h, C, writes y. 42,688 of 42,688 bytes have moved; "
        "one kernel would move 5,824."
    )


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".stage-bar button").first.focus()
    for key, words in {
        "e": "Token 5, fused: reads Δ, x, B, C, writes y. 5,824 of 5,824",
        "Shift+ArrowUp": "7,040 of 7,040 bytes",
        "Shift+ArrowDown": "5,824 of 5,824 bytes",
        ",": "Token 4, fused",
        "Shift+ArrowRight": "Token 5, fused",
        "E": "Token 5, read out",
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    for _ in range(9):
        page.keyboard.press("Shift+ArrowUp")
    assert "three" not in said(page)
    assert page.locator(".stage-bar button").last.is_disabled()


def test_an_array_says_what_becomes_of_it(opened):
    page = opened()
    page.locator(".row").nth(7).focus()
    assert said(page) == "h is written by recur, 6,144 bytes, and read by read out, 6,144 bytes."
    page.locator(".row").nth(0).focus()
    assert said(page) == "A is read by discretise, 1,024 bytes."
    page.keyboard.press("e")
    page.locator(".row").nth(8).focus()
    page.locator(".row").nth(7).focus()
    assert said(page) == "h never leaves the chip."


def test_what_is_read_travels_first_and_what_is_written_after(opened):
    page = opened(motion="no-preference")
    page.locator(".stage-bar button").first.focus()
    page.keyboard.press("e")
    page.keyboard.press(",")
    finish(page)
    at = (
        "(name) => [...document.querySelectorAll('.load')]"
        ".find((node) => node.textContent === name).style.transform"
    )
    before = {name: page.evaluate(at, name) for name in "xy"}
    page.keyboard.press(".")
    hold(page, 480)
    half = {name: page.evaluate(at, name) for name in "xy"}
    assert "Token 5" in said(page)  # what is true holds at once
    finish(page)
    after = {name: page.evaluate(at, name) for name in "xy"}
    assert half["x"] == after["x"] == before["x"]  # in its register
    assert len({before["y"], half["y"], after["y"]}) == 3  # from cell to register to the next
