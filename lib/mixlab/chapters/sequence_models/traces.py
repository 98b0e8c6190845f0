"""What chapter 12 draws: who reads whom in three kinds of model, and Euler's steps and the truth.

Three problems are stepped, all of the form x' = A x: a growth, a decay and a spring. The figure in
the page computes the same under the same names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mixlab.ssm.ode import integrate

Needs = dict[tuple[int, int], list[tuple[int, int]]]  # (token, layer) → what it reads


def who_reads_whom(kind: str, n: int) -> Needs:
    """Results of a model over n tokens, and what each reads; inputs, layer 0, read nothing.

    Args:
        kind: "recurrent", one layer in which each state reads the one before; "convolution", layers
            that look back 1, 2, 4, … until the last token sees all; or "attention", one layer in
            which each token reads every one up to itself.
        n: tokens.

    Raises:
        ValueError: for an unknown kind, or no token.

    >>> who_reads_whom("recurrent", 2)[1, 1]
    [(1, 0), (0, 1)]
    """
    if n < 1:
        raise ValueError(f"a text has at least one token: got {n}")
    if kind == "recurrent":
        layers = [lambda t: [(t, 0), (t - 1, 1)]]
    elif kind == "attention":
        layers = [lambda t: [(s, 0) for s in range(t + 1)]]
    elif kind == "convolution":
        looks = range((n - 1).bit_length())
        layers = [lambda t, look=look: [(t, look), (t - 2**look, look)] for look in looks]
    else:
        raise ValueError(f"kind must be recurrent, convolution or attention: got {kind!r}")
    needs: Needs = {(t, 0): [] for t in range(n)}
    for layer, reads in enumerate(layers, start=1):
        needs |= {(t, layer): [place for place in reads(t) if place[0] >= 0] for t in range(n)}
    return needs


def rounds(needs: Mapping) -> dict:
    """The round in which each result can be made: one after the last that it reads.

    Args:
        needs: result to those that it reads; whoever is read stands before its reader.

    >>> rounds({"a": [], "b": [], "c": ["a", "b"], "d": ["c", "a"]})
    {'a': 0, 'b': 0, 'c': 1, 'd': 2}
    """
    made: dict = {}
    for result, reads in needs.items():
        made[result] = 1 + max(made[read] for read in reads) if reads else 0
    return made


@dataclass(frozen=True)
class Problem:
    """x' = A x from `start`.

    Attributes:
        A: the matrix, as rows.
        start: x(0).
        duration: how long it is followed.
        notches: steps h come in parts of 1/notches.
        most: the greatest step.
    """

    A: Sequence[Sequence[float]]
    start: Sequence[float]
    duration: float
    notches: int
    most: float


PROBLEMS = {
    "growth": Problem([[2]], [5], duration=1, notches=20, most=0.4),
    "decay": Problem([[-10]], [1], duration=1.5, notches=100, most=0.3),
    "spring": Problem([[0, 1], [-1, 0]], [1, 0], duration=12.5, notches=20, most=1),
}


@dataclass(frozen=True)
class EulerTrace:
    """Euler's steps and the truth.

    Attributes:
        times: (n + 1,), 0, h, 2h, … up to the problem's duration.
        states: (n + 1, size), Euler's.
        exact: (n + 1, size), the solution at the same times.
        fate: what becomes of the states: "holds", "rings", "swings", "blows up", "falls behind",
            "runs ahead", "spirals outwards" or "spirals inwards".
    """

    times: np.ndarray
    states: np.ndarray
    exact: np.ndarray
    fate: str


def trace_euler(problem: str, h: float, method: str) -> EulerTrace:
    """Step one of the `PROBLEMS` by Euler's rule.

    Args:
        problem: its name.
        h: the step, positive.
        method: "explicit", the speed at a step's start, or "implicit", at its end.

    Raises:
        ValueError: for an unknown problem or method, or a step that isn't positive.

    >>> trace_euler("growth", 0.4, "explicit").states.tolist()
    [[5.0], [9.0], [16.2]]
    """
    if problem not in PROBLEMS or method not in ("explicit", "implicit") or h <= 0:
        raise ValueError(
            f"expected one of {', '.join(PROBLEMS)}, a positive step, and explicit or implicit: "
            f"got {problem!r}, {h} and {method!r}"
        )
    posed = PROBLEMS[problem]
    A = torch.tensor(posed.A, dtype=torch.float64)
    start = torch.tensor(posed.start, dtype=torch.float64)
    n = int(posed.duration / h + 1e-9)
    if method == "explicit":
        states = integrate(lambda t, x: A @ x, start, n * h, n)
    else:
        step = torch.linalg.inv(torch.eye(len(A), dtype=torch.float64) - h * A)
        states = torch.stack([torch.linalg.matrix_power(step, k) @ start for k in range(n + 1)])
    times = np.arange(n + 1) * h
    exact = torch.stack([torch.matrix_exp(t * A) @ start for t in times])
    return EulerTrace(times, states.numpy(), exact.numpy(), fate(problem, h, method))


def fate(problem: str, h: float, method: str) -> str:
    """What becomes of Euler's states with steps of h, from what one step multiplies them by.

    >>> [fate("decay", h, "explicit") for h in (0.1, 0.19, 0.2, 0.21)]
    ['holds', 'rings', 'swings', 'blows up']
    """
    explicit = method == "explicit"
    if problem == "growth":
        return "falls behind" if explicit else "runs ahead"
    if problem == "spring":
        return "spirals outwards" if explicit else "spirals inwards"
    notches = PROBLEMS[problem].notches
    whole = round(h * notches)  # so that borders are met exactly
    if not explicit or 10 * whole <= notches:
        return "holds"
    if 5 * whole == notches:
        return "swings"
    return "rings" if 5 * whole < notches else "blows up"


def joined_steps(n: int) -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
    """What n steps of a state of two numbers make of starting states along a line.

    The tanh steps are those of a recurrent network, h ↦ tanh(h W + b), whose weights were chosen to
    fold the line; the linear ones h ↦ h A. Read is the difference of the two numbers.

    Args:
        n: steps.

    Returns:
        Places on the line, from -1 to 1, and for "linear" and "tanh" the state after 1 … n steps.
    """
    place = np.linspace(-1, 1, 4001)
    W, b = np.array([[3.1, 3.1], [-3.1, -3.1]]), np.array([-1.72, -3.72])
    A = np.array([[0.9, 0.5], [-0.4, 0.8]])
    found: dict[str, list[np.ndarray]] = {}
    for kind, step in {"linear": lambda h: h @ A, "tanh": lambda h: np.tanh(h @ W + b)}.items():
        h, found[kind] = np.stack((0.88 + 0.64 * place, 0 * place), axis=1), []
        for _ in range(n):
            h = step(h)
            found[kind].append(h[:, 0] - h[:, 1])
    return place, found


def hills(curve: np.ndarray) -> int:
    """How often a curve turns from rising to falling.

    >>> hills(np.array([0, 2, 1, 3, 0]))
    2
    """
    rises = np.diff(curve) > 0
    return int((rises[:-1] & ~rises[1:]).sum())
