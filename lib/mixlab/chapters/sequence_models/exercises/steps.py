"""12.1 Euler's steps of any equation."""

import torch

from mixlab.chapters.sequence_models.exercises.equations import SLOPES, posed
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import read_reals


def draw(rng):
    """Every equation, one and many numbers, no step, many steps."""
    drawn = [posed("t - x", [0.5], 0.1, 0), posed("t - x", [2.0, -1.0, 0.0], 0.05, 150)]
    for equation in SLOPES:
        size = 2 if "flip" in equation else int(rng.integers(1, 5))
        start = rng.normal(size=size).round(2).tolist()
        drawn.append(posed(equation, start, float(rng.uniform(0.05, 0.4)), int(rng.integers(1, 9))))
    return drawn


def call(answer, slope, start, h, n):
    """The states; whoever changes `start` is told."""
    before = start.clone()
    states = answer(slope, start, h, n)
    if not torch.equal(start, before):
        raise Unreadable("`start` has been changed: `x += …` changes the tensor that was handed in")
    return states


ASKED = Asked(
    draw=draw,
    call=call,
    read=read_reals(2),
    examples=(
        posed("2 * x + t", [5.0], 0.5, 2),
        posed("t - x", [1.0], 0.1, 3),
        posed("x.flip(0) * torch.tensor([1, -1])", [1.0, 0.0], 0.5, 2),
        posed("x.sum() - x", [1.0, 2.0, 4.0], 0.25, 3),
        posed("x * (1 - x)", [0.5], 1.0, 1),
    ),
    hints=(
        "One step: how fast does x change at the time and in the state where the step begins? For "
        "how long does it go on so?",
        "Step k begins at time k * h. The new state is the old one plus h times the slope there.",
        "Collect the states in a list that begins with `start`, make each from the last by "
        "`states[-1] + h * slope(k * h, states[-1])`, and `torch.stack` them.",
    ),
)

# --- kept back while grading ---


def collected(slope, start, h, n):
    states = [start]
    for k in range(n):
        states.append(states[-1] + h * slope(k * h, states[-1]))
    return torch.stack(states)


def filled(slope, start, h, n):
    states = start.repeat(n + 1, 1)
    for k in range(n):
        states[k + 1] = states[k] + slope(k * h, states[k]) * h
    return states


def stepping(step):
    """All states, one step after the other, under another idea of a step that begins at t."""

    def euler(slope, start, h, n):
        states = [start]
        for k in range(n):
            states.append(step(slope, states[-1], h, k * h, start))
        return torch.stack(states)

    return euler


def heun(f, x, h, t, start):
    first = f(t, x)
    return x + h / 2 * (first + f(t + h, x + h * first))


def runge_kutta(f, x, h, t, start):
    first = f(t, x)
    second = f(t + h / 2, x + h / 2 * first)
    third = f(t + h / 2, x + h / 2 * second)
    return x + h / 6 * (first + 2 * second + 2 * third + f(t + h, x + h * third))


def one_by_one(f, x, h, t, start):
    x = x.clone()
    for n in range(len(x)):
        x[n] = x[n] + h * f(t, x)[n]
    return x


def shared(slope, start, h, n):
    x = start.clone()
    states = [x]
    for k in range(n):
        x += h * slope(k * h, x)
        states.append(x)
    return torch.stack(states)


MISTAKES = {
    "you take the slope at the time where the step ends. Euler's rule takes the time where it "
    "begins.": stepping(lambda f, x, h, t, start: x + h * f(t + h, x)),
    "you hand the number of the step to `slope`, and not the time.": (
        stepping(lambda f, x, h, t, start: x + h * f(t / h, x)),
        stepping(lambda f, x, h, t, start: x + h * f(t / h + 1, x)),
    ),
    "your time stands still: `slope` is asked at the same time in every step.": (
        stepping(lambda f, x, h, t, start: x + h * f(0.0, x)),
        stepping(lambda f, x, h, t, start: x + h * f(h, x)),
    ),
    "you hand the state to `slope` first, and then the time. It takes the time first.": stepping(
        lambda f, x, h, t, start: x + h * f(x, x * 0 + t)
    ),
    "you use the slope of `start` in every step. It changes with the state.": (
        stepping(lambda f, x, h, t, start: x + h * f(t, start)),
        stepping(lambda f, x, h, t, start: x + h * f(0.0, start)),
    ),
    "you begin every step at `start`. A step begins where the last one ended.": (
        stepping(lambda f, x, h, t, start: start + h * f(t, x)),
        stepping(lambda f, x, h, t, start: start + (t + h) * f(t + h, start)),
    ),
    "you add the slope as it is. It is a speed, and a step lasts for h.": stepping(
        lambda f, x, h, t, start: x + f(t, x)
    ),
    "you multiply the slope by h twice.": stepping(lambda f, x, h, t, start: x + h * h * f(t, x)),
    "your states run backwards: the first is `start`.": (
        lambda f, x, h, n: collected(f, x, h, n).flip(0)
    ),
    "your new state is the change alone: the old state is missing.": stepping(
        lambda f, x, h, t, start: h * f(t, x)
    ),
    "you multiply the state by 1 + h · slope. The slope is what is added, not a rate.": stepping(
        lambda f, x, h, t, start: x * (1 + h * f(t, x))
    ),
    "you go backwards: the slope is subtracted.": stepping(
        lambda f, x, h, t, start: x - h * f(t, x)
    ),
    "you average slopes from both ends of a step, or take some from its middle. That is better "
    "than Euler's rule, and another one.": (
        stepping(heun),
        stepping(runge_kutta),
        stepping(lambda f, x, h, t, start: x + h * f(t + h / 2, x + h / 2 * f(t, x))),
    ),
    "you change the numbers of a state one after the other, and ask for the slope in between: all "
    "must move from the same state.": stepping(one_by_one),
    "all your states are the last one: the list holds the same tensor many times, and `+=` changes "
    "it.": shared,
    "the first state is missing: `start` belongs to the states.": (
        lambda f, x, h, n: collected(f, x, h, n)[1:]
    ),
    "you count time in floats, where 3 · 0.1 is above 0.3: sometimes that is a step too many.": (
        lambda f, x, h, n: collected(f, x, h, int(-(-n * h // h)))
    ),
    "one step too many.": lambda f, x, h, n: collected(f, x, h, n + 1),
    "the last state is missing: n steps lead to n + 1 states.": (
        lambda f, x, h, n: collected(f, x, h, n)[:-1],
        lambda f, x, h, n: collected(lambda t, x: f(t + h, x), x, h, n - 1),
    ),
    "your states are columns. Asked is one row for each time.": (
        lambda f, x, h, n: collected(f, x, h, n).T
    ),
    "you divide h by n. `h` is one step, not the whole time.": (
        lambda f, x, h, n: collected(f, x, h / n, n)
    ),
}


def show(slope, start, h, n):
    name = next((text for text, known in SLOPES.items() if known is slope), "…")
    return f"euler(lambda t, x: {name}, torch.tensor({start.tolist()}), {h:.3g}, {n})"


KNOWN = Known(
    right=(collected, filled),
    mistakes=MISTAKES,
    slips={
        "`start` has been changed": lambda f, x, h, n: collected(f, x.mul_(2), h, n),
        "expected real numbers in 2 axes": lambda *given: collected(*given)[-1],
    },
    show=show,
    place=lambda at: f"state {at[0]}, number {at[1]}" if len(at) == 2 else "",
    name="{:.5g}".format,
)
