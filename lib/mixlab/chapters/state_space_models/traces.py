"""What chapter 13 steps: a pushed spring, by every rule in use, from every choice of sample.

A rule says what A and B become over a step; the sample says which input a step is given: the one
at its start ("before"), the one at its end ("now"), or "both", half of each. Mamba's rule from both
samples is Mamba-3's trapezoid at equal weights. The figure in the page computes the same under the
same names.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mixlab.ssm.discretize import discretize_dense
from mixlab.ssm.ode import observed_order

RULES = {
    "euler": "Euler",
    "backward_euler": "backward Euler",
    "bilinear": "bilinear",
    "zoh": "zero-order hold",
    "mamba": "Mamba",
}
SAMPLES = {"before": 0.0, "now": 1.0, "both": 0.5}  # the share of the sample at the end

# A weight of 1 on a spring of stiffness 1 with friction ½, pushed by sin(frequency · t).
SPRING = torch.tensor([[0.0, 1.0], [-1.0, -0.5]], dtype=torch.float64)
PUSH = torch.tensor([0.0, 1.0], dtype=torch.float64)
STEPS = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128]  # seconds, for orders
DURATION, NOTCHES, MOST = 12, 10, 20  # of the figure in the page; steps come in tenths, up to 2


def step_weights(
    A: Tensor, B: Tensor, delta: float, rule: str, sample: str | float
) -> tuple[Tensor, Tensor, Tensor]:
    """(Ā, before, now) of h_t = Ā h_{t-1} + before · x_{t-1} + now · x_t.

    Args:
        A, B: of h' = A h + B x.
        delta: Δ, positive.
        rule: one of `RULES`.
        sample: one of `SAMPLES`, or the share of the sample at the step's end.

    Raises:
        ValueError: for an unknown rule or sample.

    >>> step_weights(torch.zeros(1, 1), torch.ones(1), 0.5, "zoh", "both")
    (tensor([[1.]]), tensor([0.2500]), tensor([0.2500]))
    """
    if rule not in RULES or (isinstance(sample, str) and sample not in SAMPLES):
        raise ValueError(
            f"expected one of {', '.join(RULES)} and one of {', '.join(SAMPLES)}: got {rule!r} and "
            f"{sample!r}"
        )
    A_bar, B_bar = discretize_dense(A, B, delta, rule)
    share = SAMPLES.get(sample, sample)
    # Mamba-3: what was pushed at the start of the step has decayed by its end.
    both_ends = rule == "mamba" and sample not in ("before", "now")
    return A_bar, (1 - share) * (A_bar @ B_bar if both_ends else B_bar), share * B_bar


def stepped(weights: tuple[Tensor, Tensor, Tensor], x: Tensor, start: Tensor) -> Tensor:
    """The states of h_t = Ā h_{t-1} + before · x_{t-1} + now · x_t.

    Args:
        weights: (Ā, before, now).
        x: (n + 1,), the input's samples; the first belongs to the start.
        start: (size,), the first state.

    Returns:
        (n + 1, size), the first is `start`.
    """
    A_bar, before, now = weights
    states = [start]
    for old, new in zip(x[:-1].tolist(), x[1:].tolist(), strict=True):
        states.append(A_bar @ states[-1] + before * old + now * new)
    return torch.stack(states)


def pushed(times: Tensor, start: Tensor, frequency: float) -> Tensor:
    """(times, size): the spring's true states under x(t) = sin(frequency · t).

    A sine is a spring's motion itself: its two numbers, appended to the state, make one larger
    equation without input, and a matrix exponential solves it.
    """
    whole = torch.zeros(4, 4, dtype=torch.float64)
    whole[:2, :2], whole[:2, 2] = SPRING, PUSH
    whole[2, 3], whole[3, 2] = frequency, -frequency
    begin = torch.cat((start, torch.tensor([0.0, 1.0], dtype=torch.float64)))
    return (torch.matrix_exp(times[:, None, None] * whole) @ begin)[:, :2]


def errors(rule: str, sample: str | float, frequency: float, late: float = 0.0) -> list[float]:
    """How far from the truth the spring is after 4 seconds, for each of the `STEPS`.

    Args:
        rule, sample: of the steps; see `step_weights`.
        frequency: of the push; 0 leaves the spring to itself, drawn out by 1.
        late: compares with the truth so many steps before the last moment.
    """
    found = []
    start = torch.tensor([0.0 if frequency else 1.0, 0.0], dtype=torch.float64)
    for delta in STEPS:
        times = torch.arange(round(4 / delta) + 1, dtype=torch.float64) * delta
        weights = step_weights(SPRING, PUSH, delta, rule, sample)
        last = stepped(weights, torch.sin(frequency * times), start)[-1]
        truth = pushed(times[-1:] - late * delta, start, frequency)[0]
        found.append((last - truth).norm().item())
    return found


def bundle(rules: Sequence[str], sample: str | float, frequency: float) -> dict[str, list[float]]:
    """The errors of some rules, by the rules' names."""
    return {RULES[rule]: errors(rule, sample, frequency) for rule in rules}


def order(found: Sequence[float]) -> float:
    """The order seen in the last three of the errors, to a tenth."""
    steps = torch.tensor(STEPS[-3:], dtype=torch.float64)
    return round(observed_order(torch.tensor(found[-3:], dtype=torch.float64), steps), 1)


@dataclass(frozen=True)
class HoldTrace:
    """A spring pushed by sin t, stepped from rest, and the truth.

    Attributes:
        times: (n + 1,), 0, Δ, 2Δ, … up to `DURATION`.
        inputs: (n + 1,), sin t at these times.
        states, exact: (n + 1, 2), place and speed by the rule, and true.
        weights: Ā, before and now, the numbers of a step.
        turn: real and imaginary part of Ā's eigenvalue in the upper half plane.
    """

    times: np.ndarray
    inputs: np.ndarray
    states: np.ndarray
    exact: np.ndarray
    weights: tuple[np.ndarray, ...]
    turn: tuple[float, float]


def trace_hold(rule: str, sample: str, delta: float) -> HoldTrace:
    """Step the spring under sin t by a rule, from a choice of sample.

    Raises:
        ValueError: for an unknown rule or sample, or a step that isn't positive.

    >>> trace_hold("zoh", "now", 0.5).states.shape
    (25, 2)
    """
    weights = step_weights(SPRING, PUSH, delta, rule, sample)
    times = torch.arange(int(DURATION / delta + 1e-9) + 1, dtype=torch.float64) * delta
    rest = torch.zeros(2, dtype=torch.float64)
    states, exact = stepped(weights, times.sin(), rest), pushed(times, rest, 1.0)
    half, whole = weights[0].trace().item() / 2, torch.linalg.det(weights[0]).item()
    turn = (half, math.sqrt(max(0.0, whole - half * half)))
    shown = tuple(part.numpy() for part in weights)
    return HoldTrace(times.numpy(), times.sin().numpy(), states.numpy(), exact.numpy(), shown, turn)
