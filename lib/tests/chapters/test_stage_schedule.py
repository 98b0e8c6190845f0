"""Schedules as a page shows them, in Chromium with no network, held against the simulator."""

import random
from collections.abc import Iterator
from functools import partial

import pytest

from mixlab.chapters.stage import host
from mixlab.parallel.schedules import (
    Action,
    forward_only,
    gpipe,
    kept_after,
    one_f_one_b,
    waits_for,
)
from mixlab.parallel.simulator import simulate
from mixlab.parallel.timeline import Timeline
from tests.chapters.stage_page import AS_WIDGET, finish, said
from tests.thorough import often

pytestmark = pytest.mark.browser

TITLE = "An action begins when its stage is free and what it takes in is there"
TOKENS = 3  # that each request gets, in the piece
NAMES = {"gpipe": "GPipe", "1f1b": "1F1B", "writing": "Answers", "reading": "One prompt"}

# What is drawn in each state: in which row each action's box lies and where on the axis of time,
# whether it is shown, and what the module's own simulator says. From attributes, without layout.
LOOK = """(states) => states.map((state) => {
  model.tell(state);
  const at = (node) => node.style.transform.match(/-?[\\d.]+/g).map(Number);
  const size = (node) =>
    ["x", "y", "width", "height"].map((name) => Number(node.getAttribute(name)));
  const here = (node) => !node.hasAttribute("display");
  const wide = el.querySelector("svg").viewBox.baseVal.width > 500, time = wide ? 0 : 1;
  const rows = [...el.querySelectorAll(".row")].filter(here).map((node) => size(node.firstChild));
  const boxes = [...el.querySelectorAll(".action")].filter(here);
  const { spans, length } = module.timelineOf(state);
  const step = rows[0][2 + time] / length, across = 1 - time;
  const drawn = boxes.map((node) => {
    const place = at(node), box = size(node.firstChild);
    const start = (place[time] - rows[0][time]) / step, end = start + (box[2 + time] + 2) / step;
    const middle = place[across] + box[2 + across] / 2;
    const within = (row) => middle > row[across] && middle < row[across] + row[2 + across];
    const away = node.style.opacity === "0";
    return [rows.findIndex(within), node.dataset.kind, node.dataset.when, start, end, away];
  });
  return {
    drawn,
    spans: spans.map((some) => some.map(({ action: { stage, kind, microbatch }, start, end }) =>
      [stage, kind, microbatch, start, end])),
    keeps: [...el.querySelectorAll(".keeps")].filter(here).map((node) => node.textContent),
    said: el.querySelector(".stage-said").textContent,
    told: Object.fromEntries(Object.keys(state).map((name) => [name, model.get(name)])),
  };
})"""


@pytest.fixture
def opened(open_piece):
    return partial(open_piece, host.piece("schedule", TITLE))


def schedule_of(state) -> list[list[Action]]:
    kind, stages, parts = state["kind"], state["stages"], state["parts"]
    if kind == "writing":
        return forward_only(stages, TOKENS * parts)
    return {"gpipe": gpipe, "1f1b": one_f_one_b, "reading": forward_only}[kind](stages, parts)


def timeline_of(state) -> Timeline:
    requests = state["parts"] if state["kind"] == "writing" else None
    return simulate(schedule_of(state), 1, 1 + state["dear"], n_requests=requests)


def random_states(count: int, seed: int) -> Iterator[dict]:
    draw = random.Random(seed)
    for _ in range(count):
        state = dict(kind=draw.choice(list(NAMES)), stages=draw.randint(1, 6))
        state["parts"] = draw.randint(1, 12)
        state["dear"] = state["kind"] in ("gpipe", "1f1b") and draw.random() < 0.5
        length = timeline_of(state).length
        yield state | dict(step=draw.choice([length, draw.randint(0, length)]))


def short(action, state) -> str:
    if state["kind"] != "writing":
        return str(action)
    turn, request = divmod(action.microbatch, state["parts"])
    return f"{chr(65 + request)}{turn}"


def percent(share) -> str:
    return f"{int(100 * share + 0.5)}%"


def counted(n, word) -> str:
    return f"{n} {word}" + ("" if n == 1 else "es" if word.endswith("tch") else "s")


def sentence(state, timeline) -> str:
    """What the piece says of a state, worded from the simulator."""
    kind, step = state["kind"], state["step"]
    if step == 0:
        return f"Nothing has begun; {timeline.length} steps to go."
    if step < timeline.length:
        doing = []
        for stage, spans in enumerate(timeline.stages):
            busy = [short(s.action, state) for s in spans if s.start < step <= s.end]
            doing.append(f"stage {stage} {busy[0] if busy else 'idle'}")
        return f"Step {step} of {timeline.length}: {', '.join(doing)}."
    part = {"writing": "request", "reading": "chunk"}.get(kind, "microbatch")
    keeps = ""
    if kind in ("gpipe", "1f1b"):
        keeps = f"; stage 0 keeps {counted(timeline.in_flight()[0], 'microbatch')}"
    return (
        f"{NAMES[kind]}, {counted(state['stages'], 'stage')}, {counted(state['parts'], part)}: "
        f"{counted(timeline.length, 'step')}, {percent(timeline.bubble)} of all time idle, "
        f"{percent(timeline.bubble_to_work)} of the useful{keeps}."
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_drawn_and_said_is_what_the_simulator_says(opened, width):
    page = opened(width=width)
    page.evaluate(AS_WIDGET, host.module("schedule"))
    states = list(random_states(often(100, 4), seed=width))
    for state, shown in zip(states, page.evaluate(LOOK, states), strict=True):
        timeline, step = timeline_of(state), state["step"]
        spans = [span for stage in timeline.stages for span in stage]
        assert shown["told"] == state
        assert shown["spans"] == [
            [[*s.action, s.start, s.end] for s in one] for one in timeline.stages
        ]
        for span, (row, kind, when, start, end, away) in zip(spans, shown["drawn"], strict=True):
            assert kind == span.action.kind
            assert when == (
                "later" if span.start >= step else "now" if span.end >= step else "done"
            )
            assert away == (span.start >= step)
            if not away:
                assert row == span.action.stage
                assert (start, end) == pytest.approx((span.start, span.end), abs=0.2)
        trains = state["kind"] in ("gpipe", "1f1b") and width > 500
        kept = [max(kept_after(actions)) for actions in schedule_of(state)]
        assert shown["keeps"] == [f"keeps {n}" for n in kept] * trains
        assert shown["said"] == sentence(state, timeline)


def test_it_opens_on_a_whole_schedule(opened):
    page = opened()
    assert said(page) == (
        "1F1B, 4 stages, 8 microbatches: 22 steps, 27% of all time idle, 38% of the useful; "
        "stage 0 keeps 4 microbatches."
    )
    assert page.locator(".stage-title").inner_text() == TITLE


def test_keys_do_everything(opened):
    page = opened()
    page.locator(".stage-bar button").first.focus()
    for key, words in {
        "m": "Answers, 4 stages, 8 requests: 27 steps",
        "-": "Answers, 4 stages, 7 requests: 24 steps",
        "Shift+ArrowDown": "Answers, 3 stages, 7 requests",
        ",": "Step 22 of 23: stage 0 idle, stage 1 G2, stage 2 F2.",
        "+": "Answers, 3 stages, 8 requests: 26 steps",
        "Shift+ArrowUp": "Answers, 4 stages, 8 requests: 27 steps",
    }.items():
        page.keyboard.press(key)
        assert words in said(page)
    for _ in range(2):
        page.keyboard.press("m")
    assert said(page).startswith("GPipe, 4 stages, 8 microbatches: 22 steps, 27% of all time")
    page.keyboard.press("t")
    assert said(page).startswith("GPipe, 4 stages, 8 microbatches: 33 steps, 27% of all time")
    for grip, value in ((0, "5"), (1, "9")):
        page.locator(".grip").nth(grip).focus()
        page.keyboard.press("ArrowUp")
        assert page.locator(".grip").nth(grip).get_attribute("aria-valuenow") == value


@pytest.mark.parametrize("width", [1280, 390])
def test_stages_and_microbatches_are_dragged(opened, width):
    page = opened(width=width, height=844)
    sizes = {0: ("ArrowDown", "ArrowUp", "4"), 1: ("ArrowDown", "ArrowUp", "8")}
    for grip, (_, _, rest) in sizes.items():
        node = page.locator(".grip").nth(grip)
        assert node.get_attribute("aria-valuenow") == rest
        box = node.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        far = -60 if grip else (-110 if width > 500 else 80)
        page.mouse.move(
            x + (0 if grip == 0 and width > 500 else far), y + far * (grip == 0), steps=6
        )
        page.mouse.up()
        assert node.get_attribute("aria-valuenow") != rest


def test_a_microbatch_is_one_node_for_life_and_comes_down(opened):
    page = opened(motion="no-preference")
    page.locator(".stage-bar button").first.focus()
    page.evaluate("window.f0 = document.querySelectorAll('.action')[36]")  # F0 of stage 1
    for _ in range(21):
        page.keyboard.press(",")
    finish(page)
    above = page.evaluate("document.querySelectorAll('.action')[0].style.transform")
    assert page.evaluate("f0.style.transform") == above  # where it comes from
    page.keyboard.press(".")
    finish(page)
    assert page.evaluate("f0.style.transform") != above
    assert page.evaluate("f0 === document.querySelectorAll('.action')[36]")


def test_an_action_lights_up_with_what_it_waits_for(opened):
    page = opened()
    lit = "[...document.querySelectorAll('.action[data-lit]')].map((node) => [node.dataset.lit,"
    lit += " node.dataset.kind, node.textContent])"
    page.locator(".action").nth(2 * 36 + 5).hover()  # F3 of stage 2
    assert said(page) == "F3 at stage 2 begins at 8: F3 of stage 1 ends at 8, stage 2 is free at 8."
    needed = waits_for(Action(2, "F", 3), n_stages=4)
    assert needed == [Action(1, "F", 3)]
    assert page.evaluate(lit) == [["near", "F", "3"], ["near", "B", "1"], ["it", "F", "3"]]
    page.locator(".part").nth(5).hover()
    assert said(page) == "Microbatch 5 is under way from 10 to 18."
    assert len(page.evaluate(lit)) == 2 * 4
    page.locator(".row").nth(3).focus()
    assert said(page).startswith("B7 at stage 3 begins at 18: stage 3 is free at 18.")
