"""Differential equations in one sitting: step a state forward in time, and know the error.

A state space model is a linear differential equation, x'(t) = A x(t) + B u(t). A computer holds it
at instants `step` apart, and the rule that carries it from one instant to the next decides two
things: how fast the error falls as the step shrinks (its *order*), and whether the numbers stay
finite when it doesn't (its *stability*).

Sources: Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I" (1993), section
II.1; Hairer and Wanner, "II" (1996), section IV.2 (the scalar test equation x' = λx).

Symbols: x the state, f its slope, λ (`rate`) the scalar A, z = step · λ.
Left out: adaptive steps, and methods that need more than one evaluation except Runge-Kutta 4.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

Slope = Callable[[float, Tensor], Tensor]

# What one step multiplies x by when x' = λx and z = step · λ.
GROWTH: dict[str, Callable[[Tensor], Tensor]] = {
    "euler": lambda z: 1 + z,
    "backward_euler": lambda z: 1 / (1 - z),
    "bilinear": lambda z: (1 + z / 2) / (1 - z / 2),
    "zoh": torch.exp,
}


def _euler(slope: Slope, t: float, x: Tensor, step: float) -> Tensor:
    """Follow the slope at the start of the step."""
    return x + step * slope(t, x)


def _runge_kutta_4(slope: Slope, t: float, x: Tensor, step: float) -> Tensor:
    """Average four slopes: one at the start, two at the middle, one at the end."""
    k1 = slope(t, x)
    k2 = slope(t + step / 2, x + step / 2 * k1)
    k3 = slope(t + step / 2, x + step / 2 * k2)
    k4 = slope(t + step, x + step * k3)
    return x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


STEPPERS = {"euler": _euler, "runge_kutta_4": _runge_kutta_4}


def integrate(
    slope: Slope,
    start: Float[Tensor, "*state"],
    duration: float,
    n_steps: int,
    method: str = "euler",
) -> Float[Tensor, "times *state"]:
    """Solve x'(t) = slope(t, x) from t = 0, in equal steps.

    Args:
        slope: maps (t, x) to x'.
        start: x(0), of any shape.
        duration: the last time, in the equation's own unit; positive.
        n_steps: how many steps lead there.
        method: "euler" or "runge_kutta_4".

    Returns:
        x at times 0, step, …, duration: n_steps + 1 of them.

    Raises:
        ValueError: for an unknown method, a duration or number of steps that isn't positive.

    Growth at rate 1 doubles a little less than the true e = 2.718… in two Euler steps:

    >>> integrate(lambda t, x: x, torch.tensor(1.0), duration=1.0, n_steps=2)
    tensor([1.0000, 1.5000, 2.2500])
    """
    if method not in STEPPERS:
        raise ValueError(f"method must be one of {', '.join(STEPPERS)}: got {method!r}")
    if duration <= 0 or n_steps < 1:
        raise ValueError(
            "integration needs a positive duration and at least one step: "
            f"got duration={duration}, n_steps={n_steps}"
        )
    step = duration / n_steps
    states = [start]
    for number in range(n_steps):
        states.append(STEPPERS[method](slope, number * step, states[-1], step))
    return torch.stack(states)


def exact_linear(
    A: Float[Tensor, "n n"],
    B: Float[Tensor, " n"],
    start: Float[Tensor, " n"],
    u: float,
    t: float,
) -> Float[Tensor, " n"]:
    """x(t) of x' = A x + B u for a constant input u, exactly, even where A has no inverse.

    Append the input to the state as one more number that never changes: the pair (x, u) then
    follows a linear equation without input, and a matrix exponential solves it (Van Loan 1978).

    >>> exact_linear(torch.zeros(1, 1), torch.ones(1), torch.ones(1), u=2.0, t=3.0)  # 1 + 2 · 3
    tensor([7.])
    """
    n = A.shape[0]
    extended = A.new_zeros(n + 1, n + 1)
    extended[:n, :n], extended[:n, n] = A, B
    solution = torch.matrix_exp(t * extended) @ torch.cat((start, start.new_tensor([u])))
    return solution[:n]


def growth_factor(
    z: Float[Tensor, "*shape"] | Complex[Tensor, "*shape"], method: str
) -> Float[Tensor, "*shape"] | Complex[Tensor, "*shape"]:
    """What one step multiplies the state by, for x' = λx and z = step · λ.

    Above 1 in size the numbers grow without end, although the true x decays wherever Re λ < 0.
    The bilinear rule and zero-order hold stay below 1 on that whole half plane; Euler only inside
    the circle |1 + z| < 1.

    Args:
        z: step times rate, real or complex.
        method: "euler", "backward_euler", "bilinear" or "zoh".

    Raises:
        ValueError: for an unknown method.

    >>> growth_factor(torch.tensor(-3.0), "euler"), growth_factor(torch.tensor(-3.0), "bilinear")
    (tensor(-2.), tensor(-0.2000))
    """
    if method not in GROWTH:
        raise ValueError(f"method must be one of {', '.join(GROWTH)}: got {method!r}")
    return GROWTH[method](z)


def is_stable(
    z: Float[Tensor, "*shape"] | Complex[Tensor, "*shape"], method: str
) -> Bool[Tensor, "*shape"]:
    """Whether a step with z = step · λ keeps the state from growing: |growth factor| <= 1.

    >>> is_stable(torch.tensor([-1.0, -2.5]), "euler")
    tensor([ True, False])
    """
    return growth_factor(z, method).abs() <= 1


def observed_order(errors: Float[Tensor, " n"], steps: Float[Tensor, " n"]) -> float:
    """The order p of a method, read off errors that behave like step ** p.

    The slope of a straight line through (log step, log error), by least squares: halving the step
    divides the error by 2 ** p.

    Args:
        errors: positive errors, one a step size.
        steps: the step sizes, at least two different ones.

    Raises:
        ValueError: if a logarithm or a slope can't be taken.

    >>> observed_order(torch.tensor([0.04, 0.01]), torch.tensor([0.2, 0.1]))
    2.0
    """
    if len(steps) < 2 or steps.min() == steps.max():
        raise ValueError("a slope needs errors at two or more different steps")
    if (errors <= 0).any() or (steps <= 0).any():
        raise ValueError(
            "orders are slopes of logarithms, so errors and steps must be positive; an error of "
            "exactly 0 means that the method solves this equation without error"
        )
    x, y = steps.double().log(), errors.double().log()
    x, y = x - x.mean(), y - y.mean()
    return round((x @ y / (x @ x)).item(), 6)
