"""The race of four scans as a page draws it, held against the library's schedules."""

import random

import pytest

from mixlab.chapters.parallel_scan.traces import borders, racers, schedule, winner
from mixlab.chapters.stage import host
from mixlab.chapters.stage.host import piece
from tests.chapters.stage_page import AS_WIDGET, finish, hold, said
from tests.thorough import often

pytestmark = pytest.mark.browser
NAMES = ["loop", "Blelloch", "chunks", "Hillis–Steele"]

# What is drawn: each lane's outline as numbers busy in each round, and the axis below.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const processors = Math.round(2 ** state.step);
  const lanes = [...el.querySelectorAll(".lane")].map((node) => ({
    rounds: Number(node.dataset.rounds), work: Number(node.dataset.work),
    wins: node.hasAttribute("data-wins"), path: node.querySelector("path").getAttribute("d"),
    width: Number(node.querySelector("rect").getAttribute("width")),
    high: Number(node.querySelector("rect").getAttribute("height")),
  }));
  const spans = [...el.querySelectorAll(".span")].filter((node) => node.hasAttribute("data-from"))
    .filter((node) => node.getAttribute("display") !== "none")
    .map((node) => [Number(node.dataset.from), node.children[1].textContent]);
  const all = module.racers(state.tokens, state.chunk);
  return { lanes, spans, said: el.querySelector(".stage-said").textContent,
    busy: all.map(({ busy }) => busy(processors)),
    borders: module.borders(all, state.tokens), winner: module.winner(all, processors),
    grip: Number(el.querySelector(".grip").getAttribute("aria-valuenow")) };
})"""


def area(path: str, high: float) -> float:
    """Of an outline of level and upright lines: width times height over its floor."""
    x, y, filled = 0.0, high, 0.0
    for move in (
        path.removeprefix(f"M0 {high:g}").removesuffix("Z").replace("V", " V").split("H")[1:]
    ):
        right, *level = move.split(" V")
        filled += (float(right) - x) * (high - y)
        x, y = float(right), float(level[0]) if level else y
    return filled


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_is_the_schedule(open_piece, width):
    page = open_piece(piece("race", "A claim"), width=width)
    page.evaluate(AS_WIDGET, host.module("race"))
    draw, states = random.Random(width), []
    for _ in range(often(100, 4)):
        tokens = draw.randint(2, 128)
        step, chunk = draw.random() * 7, draw.randint(1, tokens)
        states.append(dict(tokens=tokens, chunk=chunk, step=min(step, 0.999 * (tokens**0.5))))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        tokens, processors = state["tokens"], min(round(2 ** state["step"]), state["tokens"])
        traces = racers(tokens, state["chunk"])
        busy = [list(schedule(trace, processors)) for trace in traces.values()]
        assert shown["grip"] == processors
        if processors == round(2 ** state["step"]):
            assert shown["busy"] == busy
            assert list(traces)[shown["winner"]] == winner(traces, processors)
        order = list(traces)
        ours = borders(traces, tokens)
        assert [(at, order[who]) for at, who in shown["borders"]] == ours
        who = [NAMES[order.index(name)] for _, name in ours]
        assert [at for at, _ in shown["spans"]] == [at for at, _ in ours]
        assert all(name.startswith(n) for (_, name), n in zip(shown["spans"], who, strict=True))
        longest = max(map(len, busy[1:]))
        scale = max(lane["width"] for lane in shown["lanes"]) / max(
            min(len(one), longest) for one in busy
        )
        for lane, trace, one in zip(shown["lanes"], traces.values(), busy, strict=True):
            assert (lane["rounds"], lane["work"]) == (len(one), trace.work)
            assert lane["width"] == pytest.approx(min(len(one), longest) * scale)
            seen = sum(one[:longest]) / processors  # filled is work
            assert area(lane["path"], lane["high"]) == pytest.approx(seen * scale * lane["high"])
        wins = order.index(winner(traces, processors))
        assert [lane["wins"] for lane in shown["lanes"]] == [n == wins for n in range(4)]
        assert f"wins with {len(busy[wins])} round" in shown["said"]


def test_it_opens_where_the_winner_changes(open_piece):
    page = open_piece(piece("race", "A claim"))
    assert said(page) == (
        "1,024 tokens, 545 processors: Hillis–Steele wins with 17 rounds; "
        "Blelloch 18, chunks of 64 21, loop 1,023."
    )
    page.locator(".grip").focus()
    page.keyboard.press("ArrowDown")
    assert "544 processors: Blelloch wins with 18 rounds and the least work" in said(page)


def test_keys_and_buttons_change_the_chunks(open_piece):
    page = open_piece(piece("race", "A claim", step=8))
    page.locator(".grip").focus()
    page.keyboard.press("Shift+ArrowUp")
    assert "256 processors: chunks of 128 wins with 14 rounds" in said(page)
    page.get_by_label("shorter chunks").click()
    assert "256 processors: Blelloch wins with 18 rounds; chunks of 64 21" in said(page)
    page.locator(".lane").nth(1).hover()
    assert said(page) == (
        "Blelloch: 2,036 joins, 18 of them one after the other at best; "
        "with 256 processors 18 rounds."
    )


def test_processors_are_dragged(open_piece):
    page = open_piece(piece("race", "A claim"))
    grip, span = (page.locator(s).bounding_box() for s in (".grip", ".span >> nth=1"))
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    page.mouse.down()
    for x, start in (
        (span["x"] + span["width"], "1,024 tokens, "),
        (0, "1,024 tokens, 1 processor:"),
    ):
        page.mouse.move(x, grip["y"], steps=5)
        assert said(page).startswith(start)
    page.mouse.up()
    assert "loop wins with 1,023 rounds" in said(page)


def test_a_step_runs_the_race_from_the_start(open_piece):
    page = open_piece(piece("race", "A claim", step=5), motion="no-preference")
    width = "document.querySelectorAll('.lane path')[3].getBBox().width"
    whole = page.evaluate(width)
    page.locator(".grip").focus()
    page.keyboard.press(".")
    hold(page, 500)
    assert 0 < page.evaluate(width) < 0.6 * whole
    finish(page)
    assert page.evaluate(width) == pytest.approx(whole, rel=0.01)
