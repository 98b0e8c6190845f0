"""Scans replayed, scheduled and drawn: what the frames show is what the trace says."""

import numpy as np
import pytest

from mixlab.chapters.parallel_scan import figures
from mixlab.chapters.parallel_scan.traces import borders, racers, schedule, trace_scan, winner

HOW = [("sequential", None), ("hillis_steele", None), ("blelloch", None), ("chunked", 5)]


def join(earlier, later):
    return earlier + later


@pytest.mark.parametrize(("method", "chunk_size"), HOW)
@pytest.mark.parametrize("length", [1, 2, 7, 16, 33])
def test_a_replay_on_letters_keeps_the_order(method, chunk_size, length):
    letters = [chr(97 + t) for t in range(length)]
    rows = trace_scan(method, length, chunk_size).replay(join, letters)
    assert rows[-1] == ["".join(letters[: t + 1]) for t in range(length)]


def test_a_replay_refuses_another_number_of_items():
    with pytest.raises(ValueError, match="of 4 items: got 3"):
        trace_scan("blelloch", 4).replay(join, "abc")


@pytest.mark.parametrize(("method", "chunk_size"), HOW)
@pytest.mark.parametrize("length", [1, 2, 13, 64])
def test_schedules_do_all_the_work_within_brents_bounds(method, chunk_size, length):
    trace = trace_scan(method, length, chunk_size)
    assert len(schedule(trace, 1)) == trace.work
    chain = len(schedule(trace, 10**6))
    assert chain <= trace.depth
    for processors in (2, 3, 8):
        busy = schedule(trace, processors)
        assert sum(busy) == trace.work
        assert max(busy, default=0) <= processors
        assert max(trace.work / processors, chain) <= len(busy) <= trace.work / processors + chain


def test_a_schedule_needs_a_processor():
    with pytest.raises(ValueError, match="at least one processor: got 0"):
        schedule(trace_scan("blelloch", 4), 0)


def test_every_border_is_where_the_winner_changes():
    for length, chunk_size in [(16, 4), (40, 7), (64, 8)]:
        traces = racers(length, chunk_size)
        found = borders(traces, length)
        assert found[0] == (1, winner(traces, 1))
        for processors, who in found[1:]:
            assert winner(traces, processors - 1) != winner(traces, processors) == who


def test_each_panel_has_its_own_round_ticks():
    values = {"one": {"a": [0.3, 4.0], "b": [0.7, 8.1]}, "many": {"a": [3, 100], "b": [4, 60]}}
    shown = figures.panels(
        [64, 128], values, title="A claim", x_title="length", y_titles=["ms", ""]
    )
    assert shown.layout.yaxis.ticktext == ("0.2", "0.5", "1", "2", "5", "10")
    assert shown.layout.yaxis2.ticktext == ("2", "5", "10", "20", "50", "100")


def test_a_row_and_a_column_are_outlined():
    shown = figures.reach(np.tril(np.ones((4, 4))), 2, 1, ("row", "column"), "A claim")
    across, down = shown.layout.shapes
    assert (across.x1, across.y0, across.y1) == (2.5, 1.5, 2.5)
    assert (down.x0, down.x1, down.y1) == (0.5, 1.5, 3.5)
