"""10.2 When does each forward begin? Uneven stages, and messages that take their time."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    """One stage, one microbatch, a slow stage first, last and between; no time on the way."""
    drawn = [([2], 4, 3), ([1, 1, 1], 1, 2), ([9, 1, 1], 5, 1), ([1, 1, 9], 5, 4), ([1, 9], 4, 0)]
    for _ in range(7):
        n_stages = int(rng.integers(1, 7))
        times = rng.integers(1, 9, size=n_stages).tolist()
        drawn.append((times, int(rng.integers(1, 9)), int(rng.integers(0, 5))))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_reals(2),
    examples=(
        ([1, 1], 3, 0),
        ([2, 3], 3, 1),
        ([3, 2], 3, 1),
        ([1, 4, 2], 3, 2),
        ([5, 1, 2], 2, 1),
        ([2], 3, 4),
    ),
    hints=(
        "Draw two stages that take 3 and 1, with 2 on the way. When can stage 1 begin with "
        "microbatch 0, when with microbatch 1? Which of the two has to wait for the other?",
        "Two things must be there: the input (the stage above has ended, and the message has "
        "arrived) and the stage itself (it has ended with the microbatch before).",
        "begin[s][m] = max(begin[s-1][m] + times[s-1] + passing, begin[s][m-1] + times[s]), each "
        "where it exists, and 0 for the first of all.",
    ),
)

# --- kept back while grading ---


def recurrence(times, n_microbatches, passing, join=max, above=None, before=None, first=0):
    """The table, or under another idea of how two times join, of either, of what comes first."""
    above = above or (lambda begin, s, m: begin[s - 1, m] + times[s - 1] + passing)
    before = before or (lambda begin, s, m: begin[s, m - 1] + times[s])
    begin = np.zeros((len(times), n_microbatches))
    for s in range(len(times)):
        for m in range(n_microbatches):
            parts = [above(begin, s, m)] * (s > first) + [before(begin, s, m)] * (m > first)
            begin[s, m] = join(parts) if parts else 0
    return begin


def longest_way(times, n_microbatches, passing):
    """Down costs each stage's time and a message; m times across, best at the slowest so far."""
    return [
        [sum(times[:s]) + s * passing + m * max(times[: s + 1]) for m in range(n_microbatches)]
        for s in range(len(times))
    ]


def but(**changes):
    """The recurrence, changed: each change is told the times and what a message takes."""

    def begins(times, n_microbatches, passing):
        made = {name: make(times, passing) for name, make in changes.items()}
        return recurrence(times, n_microbatches, passing, **made)

    return begins


def passing_at_first(times, n_microbatches, passing):
    """As if every microbatch came to stage 0 by a message that it waits for."""

    def before(begin, s, m):
        return begin[s, m - 1] + times[s] + passing * (s == 0)

    return recurrence(times, n_microbatches, passing, before=before)


def at_own_pace(late):
    """As if no stage ever waited for another; begun by mistake, or ended."""
    return lambda times, m, passing: [
        [sum(times[: s + late]) + s * passing + k * own for k in range(m)]
        for s, own in enumerate(times)
    ]


def of(after):
    return lambda *given: after(recurrence(*given), *given)


MISTAKES = {
    "you return when each one ends. Asked is when it begins.": of(
        lambda begin, times, m, passing: begin + np.array(times)[:, None]
    ),
    "your rows are microbatches. A row is a stage, a column a microbatch.": of(
        lambda begin, *given: begin.T
    ),
    "your times count from 1. The first of all begins at 0.": of(lambda begin, *given: begin + 1),
    "you let a stage take several microbatches at once: it has to be free too.": (
        but(before=lambda times, passing: lambda begin, s, m: 0),
        but(before=lambda times, passing: lambda begin, s, m: begin[s, m - 1]),
        but(
            before=lambda times, passing: lambda begin, s, m: 0 if s else begin[s, m - 1] + times[0]
        ),
    ),
    "you don't wait for the input: a stage is free long before its microbatch is there.": but(
        above=lambda times, passing: lambda begin, s, m: 0
    ),
    "you add up the two waiting times. They pass side by side: the later one counts.": but(
        join=lambda times, passing: sum
    ),
    "you take the earlier of the two. Both must be there, so the later one counts.": but(
        join=lambda times, passing: min
    ),
    "your messages take no time.": but(
        above=lambda times, passing: lambda begin, s, m: begin[s - 1, m] + times[s - 1]
    ),
    "you let the input take as long as this stage does. It is the stage above that makes it.": but(
        above=lambda times, passing: lambda begin, s, m: begin[s - 1, m] + times[s] + passing
    ),
    "you let the stage be free when the one above would be: this stage's own time counts.": but(
        before=lambda times, passing: lambda begin, s, m: begin[s, m - 1] + times[s - 1]
    ),
    "your stage waits for a message before it takes the next microbatch. It sends, and goes on.": (
        but(before=lambda times, passing: lambda begin, s, m: begin[s, m - 1] + times[s] + passing),
        but(
            before=lambda times, passing: (
                lambda begin, s, m: begin[s, m - 1] + times[s] + passing * (s > 0)
            )
        ),
    ),
    "your first stage waits for messages. It takes its microbatches from the batch.": (
        of(lambda begin, times, m, passing: begin + passing),
        lambda *given: passing_at_first(*given) + given[-1],
    ),
    "you take the input of the microbatch before. Each waits for its own.": but(
        above=lambda times, passing: (
            lambda begin, s, m: begin[s - 1, m - 1] + times[s - 1] + passing if m else 0
        )
    ),
    "you leave out the stage above's own time: a message leaves when it has ended.": (
        but(above=lambda times, passing: lambda begin, s, m: begin[s - 1, m] + passing),
        lambda times, m, passing: [
            [s * passing + k * own for k in range(m)] for s, own in enumerate(times)
        ],
    ),
    "all of your stages begin in step, each by the slowest one's time. A fast stage begins as soon "
    "as it can.": (
        lambda times, m, passing: recurrence([max(times)] * len(times), m, passing),
        but(before=lambda times, passing: lambda begin, s, m: begin[s, m - 1] + max(times)),
        lambda times, m, passing: [
            [(s + k) * (max(times) + passing) for k in range(m)] for s in range(len(times))
        ],
    ),
    "you let microbatch m come m · times[s] after the first. It may wait for a slower one above.": (
        at_own_pace(0),
        at_own_pace(1),
    ),
    "you let every microbatch wait until the one before is through the last stage.": (
        lambda times, m, passing: [
            [
                k * (sum(times) + (len(times) - 1) * passing) + sum(times[:s]) + s * passing
                for k in range(m)
            ]
            for s in range(len(times))
        ]
    ),
    "your index falls below 0, where Python counts from the end: stage 0 has none above it, and "
    "microbatch 0 none before it.": lambda *given: recurrence(*given, first=-1),
    "all rows are one list: `[[0] * m] * n` is n times the same.": of(
        lambda begin, *given: begin[-1:].repeat(len(begin), 0)
    ),
    "you begin with s + m, as if every stage took 1 and messages nothing.": (
        lambda times, m, passing: np.add.outer(range(len(times)), range(m))
    ),
}

KNOWN = Known(
    right=(recurrence, longest_way),
    mistakes=MISTAKES,
    slips={"expected real numbers in 2 axes": lambda times, m, passing: [0.0] * m},
    show=lambda times, n_microbatches, passing: (
        f"begins({times}, n_microbatches={n_microbatches}, passing={passing})"
    ),
    place=lambda at: f"stage {at[0]}, microbatch {at[1]}" if at else "",
    name="{:g}".format,
)
