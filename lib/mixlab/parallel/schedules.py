"""Pipeline schedules: what each stage does, in which order, and what waits for what.

A *stage* is a run of a model's layers on a device of its own. A schedule is a list of actions for
each stage: F3 carries microbatch 3 forward, B3 carries its gradient back. A stage does one thing at
a time, in the order of its list, and an action waits for those that make what it takes in
(`waits_for`). When each can begin follows from these two rules, and `simulator` computes it.

P is the number of stages, M of microbatches.

| schedule | steps if F and B take one each | activations that stage s keeps, at most |
|---|---|---|
| all at once, M = 1 | 2P, each M times as long | 1 batch |
| gpipe | 2(M + P - 1) | M |
| one_f_one_b | 2(M + P - 1) | min(M, P - s) |
| forward_only | M + P - 1 | none |

Sources: Huang et al., "GPipe" (2019), section 2.3 and figure 2; Narayanan et al., "PipeDream"
(2019), section 3.2, for the order one forward, one backward; Narayanan et al., "Efficient
Large-Scale Language Model Training on GPU Clusters" (2021), section 2.2, for that order with a
flush, which is meant by 1F1B here. Left out: stages in several parts a device (interleaved), and
the backward pass split in two (zero bubble).
"""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

FORWARD, BACKWARD = "F", "B"


class Action(NamedTuple):
    """What one stage does with one microbatch.

    >>> str(Action(stage=2, kind="F", microbatch=3))
    'F3'
    """

    stage: int
    kind: str
    microbatch: int

    def __str__(self) -> str:
        return f"{self.kind}{self.microbatch}"


Schedule = list[list[Action]]  # for each stage what it does, in order


def gpipe(n_stages: int, n_microbatches: int) -> Schedule:
    """All forward, then all backward.

    Raises:
        ValueError: for less than one stage or microbatch.

    >>> print(*gpipe(2, 3)[0])
    F0 F1 F2 B0 B1 B2
    """
    _check(n_stages, n_microbatches)
    forth_and_back = (FORWARD * n_microbatches, BACKWARD * n_microbatches)
    return [_numbered(stage, chain(*forth_and_back)) for stage in range(n_stages)]


def one_f_one_b(n_stages: int, n_microbatches: int) -> Schedule:
    """Stage s carries P - s forward, then one back and one forward in turns, then the rest back.

    Raises:
        ValueError: for less than one stage or microbatch.

    >>> for actions in one_f_one_b(3, 4):
    ...     print(*actions)
    F0 F1 F2 B0 F3 B1 B2 B3
    F0 F1 B0 F2 B1 F3 B2 B3
    F0 B0 F1 B1 F2 B2 F3 B3
    """
    _check(n_stages, n_microbatches)
    schedule = []
    for stage in range(n_stages):
        ahead = min(n_microbatches, n_stages - stage)
        turns = (BACKWARD + FORWARD) * (n_microbatches - ahead)
        schedule.append(_numbered(stage, FORWARD * ahead + turns + BACKWARD * ahead))
    return schedule


def forward_only(n_stages: int, n_microbatches: int) -> Schedule:
    """Nothing is learnt: the chunks of a prompt, or the tokens of requests in turns.

    Raises:
        ValueError: for less than one stage or microbatch.

    >>> print(*forward_only(3, 4)[2])
    F0 F1 F2 F3
    """
    _check(n_stages, n_microbatches)
    return [_numbered(stage, FORWARD * n_microbatches) for stage in range(n_stages)]


def _numbered(stage: int, kinds: Iterable[str]) -> list[Action]:
    """Actions of these kinds, each kind's microbatches counted from 0."""
    done = {FORWARD: 0, BACKWARD: 0}
    actions = []
    for kind in kinds:
        actions.append(Action(stage, kind, done[kind]))
        done[kind] += 1
    return actions


def _check(n_stages: int, n_microbatches: int) -> None:
    if n_stages < 1 or n_microbatches < 1:
        raise ValueError(
            "a pipeline needs at least one stage and one microbatch: got "
            f"{n_stages} stages and {n_microbatches} microbatches"
        )


def waits_for(action: Action, n_stages: int, n_requests: int | None = None) -> list[Action]:
    """The actions whose results an action takes in.

    Args:
        action: of a schedule.
        n_stages: in all.
        n_requests: where requests are answered, each a token at a time in turns: microbatch m is a
            token of request m % n_requests, and its first stage waits for the token before.

    >>> waits_for(Action(1, "F", 0), n_stages=3)
    [Action(stage=0, kind='F', microbatch=0)]
    >>> print(*waits_for(Action(1, "B", 0), n_stages=3))  # its own activations, and a gradient
    F0 B0
    >>> waits_for(Action(0, "F", 5), n_stages=3, n_requests=2)
    [Action(stage=2, kind='F', microbatch=3)]
    """
    stage, kind, microbatch = action
    if kind == BACKWARD:
        above = [Action(stage + 1, BACKWARD, microbatch)] if stage + 1 < n_stages else []
        return [Action(stage, FORWARD, microbatch), *above]
    if stage:
        return [Action(stage - 1, FORWARD, microbatch)]
    if n_requests is not None and microbatch >= n_requests:
        return [Action(n_stages - 1, FORWARD, microbatch - n_requests)]
    return []


def kept_after(actions: Iterable[Action]) -> list[int]:
    """How many microbatches' activations a stage keeps after each of its actions.

    >>> kept_after(one_f_one_b(2, 3)[0])  # F0 F1 B0 F2 B1 B2
    [1, 2, 1, 2, 1, 0]
    """
    kept, counts = 0, []
    for action in actions:
        kept += 1 if action.kind == FORWARD else -1
        counts.append(kept)
    return counts
