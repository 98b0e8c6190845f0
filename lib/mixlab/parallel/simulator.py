"""The times of a schedule's actions, computed from what each takes.

An action begins when its stage is free and what it waits for is there. `simulate` applies these two
rules and nothing else, so that a schedule's time, its idle share and what it keeps in memory are
computed, not assumed. Source: Huang et al., "GPipe" (2019), section 2.3 and figure 2. Left out: the
time of messages.
"""

from collections.abc import Sequence
from numbers import Real

from mixlab.parallel.schedules import BACKWARD, FORWARD, Action, Schedule, waits_for
from mixlab.parallel.timeline import Span, Timeline


def simulate(
    schedule: Schedule,
    forward: Real | Sequence[Real] = 1,
    backward: Real | Sequence[Real] = 1,
    n_requests: int | None = None,
) -> Timeline:
    """Start every action as soon as its stage is free and what it waits for is there.

    Args:
        schedule: for each stage its actions, in order.
        forward, backward: what an action takes, in any unit of time; one number for all stages, or
            one a stage.
        n_requests: as in `waits_for`.

    Raises:
        ValueError: if the schedule stands still before its end, each stage waiting for another.

    >>> from mixlab.parallel.schedules import gpipe
    >>> simulate(gpipe(4, 1)).length, simulate(gpipe(4, 4)).length
    (8, 14)
    """
    n_stages = len(schedule)
    takes = {FORWARD: _each(forward, n_stages), BACKWARD: _each(backward, n_stages)}
    ends: dict[Action, Real] = {}
    spans: list[list[Span]] = [[] for _ in schedule]
    moved = True
    while moved:
        moved = False
        for stage, actions in enumerate(schedule):
            while len(spans[stage]) < len(actions):
                action = actions[len(spans[stage])]
                needed = waits_for(action, n_stages, n_requests)
                if not all(one in ends for one in needed):
                    break
                free = spans[stage][-1].end if spans[stage] else 0
                start = max([free, *(ends[one] for one in needed)])
                ends[action] = start + takes[action.kind][stage]
                spans[stage].append(Span(action, start, ends[action]))
                moved = True
    _check_finished(schedule, spans, ends, n_requests)
    return Timeline(spans)


def _each(durations: Real | Sequence[Real], n_stages: int) -> Sequence[Real]:
    return durations if isinstance(durations, Sequence) else [durations] * n_stages


def _check_finished(schedule, spans, ends, n_requests) -> None:
    waiting = []
    for stage, (actions, done) in enumerate(zip(schedule, spans, strict=True)):
        if len(done) < len(actions):
            action = actions[len(done)]
            needed = waits_for(action, len(schedule), n_requests)
            missing = next(one for one in needed if one not in ends)
            waiting.append(f"stage {stage} can't do {action} before {missing} of {missing.stage}")
    if waiting:
        raise ValueError(f"this schedule stands still: {'; '.join(waiting)}")
