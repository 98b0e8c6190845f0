"""The simulator: everything as early as it can be, and times that formulas give."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixlab.parallel.schedules import Action, forward_only, gpipe, one_f_one_b, waits_for
from mixlab.parallel.simulator import simulate
from mixlab.parallel.timeline import Timeline

SIZES = list(product(range(1, 7), range(1, 10)))  # stages, microbatches


def ends_of(timeline: Timeline) -> dict[Action, int]:
    return {span.action: span.end for spans in timeline.stages for span in spans}


@pytest.mark.parametrize("make", [gpipe, one_f_one_b])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_stage_does_everything_once_and_nothing_before_its_time(make, size):
    n_stages, n_microbatches = size
    schedule = make(n_stages, n_microbatches)
    timeline = simulate(schedule, forward=2, backward=3)
    ends = ends_of(timeline)
    for stage, spans in enumerate(timeline.stages):
        assert [span.action for span in spans] == schedule[stage]
        done = sorted((span.action.kind, span.action.microbatch) for span in spans)
        assert done == [(kind, m) for kind in "BF" for m in range(n_microbatches)]
        for before, span in zip([None, *spans], spans, strict=False):
            free = before.end if before else 0
            needed = [ends[one] for one in waits_for(span.action, n_stages)]
            assert span.start == max([free, *needed])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 8))
def test_uneven_stages_go_at_the_pace_of_the_slowest_above(times, n_microbatches):
    timeline = simulate(forward_only(len(times), n_microbatches), forward=times)
    for stage, spans in enumerate(timeline.stages):
        slowest = max(times[: stage + 1])
        starts = [sum(times[:stage]) + m * slowest for m in range(n_microbatches)]
        assert [span.start for span in spans] == starts


def test_times_are_as_exact_as_what_they_are_made_of():
    timeline = simulate(gpipe(3, 5), forward=Fraction(1, 3), backward=Fraction(2, 3))
    assert timeline.length == 7
    assert timeline.bubble == Fraction(2, 7)


@pytest.mark.parametrize(("n_stages", "n_requests"), SIZES)
def test_requests_wait_for_their_own_tokens(n_stages, n_requests):
    """Tokens come every max(P, R) steps, as long as no stage has to wait for itself."""
    schedule = forward_only(n_stages, 6 * n_requests)
    timeline = simulate(schedule, n_requests=n_requests)
    ends = [span.end for span in timeline.stages[-1]][::n_requests]
    apart = max(n_stages, n_requests)
    assert ends == [n_stages + turn * apart for turn in range(6)]


def test_one_request_is_never_at_two_places():
    timeline = simulate(forward_only(3, 4), n_requests=1)
    assert timeline.length == 3 * 4
    assert simulate(forward_only(3, 4)).length == 3 + 4 - 1


def test_a_schedule_that_stands_still_is_told_who_waits_for_whom():
    thrifty = [Action(0, kind, m) for m in range(2) for kind in "FB"]
    greedy = [Action(1, kind, m) for kind in "FB" for m in range(2)]
    words = "stage 0 can't do B0 before B0 of 1; stage 1 can't do F1 before F1 of 0"
    with pytest.raises(ValueError, match=words):
        simulate([thrifty, greedy])
