"""Euler, bilinear, zero-order hold: their errors, their stability, their agreement."""

import math
from itertools import pairwise

import pytest
import torch

from mixlab.ssm.discretize import METHODS, discretize_dense, discretize_diagonal, trapezoid
from mixlab.ssm.ode import exact_linear, growth_factor, integrate, is_stable, observed_order


def state_at_one(method: str, n_steps: int) -> torch.Tensor:
    """x(1) of a damped, driven oscillator, stepped with one discretisation."""
    A = torch.tensor([[0.0, 1.0], [-4.0, -0.5]], dtype=torch.float64)
    B = torch.tensor([0.0, 1.0], dtype=torch.float64)
    A_bar, B_bar = discretize_dense(A, B, 1 / n_steps, method)
    x = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for _ in range(n_steps):
        x = A_bar @ x + B_bar * 3.0
    return (x - exact_linear(A, B, torch.tensor([1.0, 0.0], dtype=torch.float64), 3.0, 1.0)).norm()


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("backward_euler", 1), ("bilinear", 2), ("mamba", 1)]
)
def test_error_falls_with_the_order_of_the_method(method, order):
    steps = torch.tensor([1 / 64, 1 / 128, 1 / 256], dtype=torch.float64)
    errors = torch.stack([state_at_one(method, round(1 / step.item())) for step in steps])
    assert observed_order(errors, steps) == pytest.approx(order, abs=0.05)


def test_zero_order_hold_has_no_error_for_an_input_that_holds_still():
    assert state_at_one("zoh", 3) < 1e-12


def error_at_two(weights) -> torch.Tensor:
    """Of h' = −h + cos t from h(0) = ½, at t = 2, where h = (cos t + sin t) / 2.

    Args:
        weights: maps Δ to what a step takes of the state, the input before and the input now.
    """

    def error(n_steps):
        alpha, beta, gamma = (float(part) for part in weights(2 / n_steps))
        h, x = 0.5, torch.linspace(0, 2, n_steps + 1, dtype=torch.float64).cos()
        for before, now in pairwise(x):
            h = alpha * h + beta * before + gamma * now
        return (h - (math.cos(2) + math.sin(2)) / 2).abs()

    return torch.stack([error(n) for n in (64, 128, 256)])


STEPS = torch.tensor([2 / 64, 2 / 128, 2 / 256], dtype=torch.float64)
RATE, ONE = torch.tensor(-1.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)


@pytest.mark.parametrize("method", METHODS)
def test_a_held_input_costs_every_rule_an_order(method):
    def weights(delta):
        A_bar, B_bar = discretize_diagonal(RATE, ONE, torch.tensor(delta).double(), method)
        return A_bar, 0, B_bar

    assert observed_order(error_at_two(weights), STEPS) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("now", "order"), [(0.5, 2), (1.0, 1), (0.0, 1), (0.7, 1)])
def test_mamba_3_s_trapezoid_is_of_second_order_at_equal_weights_only(now, order):
    errors = error_at_two(lambda delta: trapezoid(RATE, delta, now))
    assert observed_order(errors, STEPS) == pytest.approx(order, abs=0.05)


def test_the_trapezoid_of_weight_one_is_mamba_s_step():
    A, delta = -torch.rand(5) - 0.1 + 2j * torch.randn(5), torch.rand(5) + 0.01
    alpha, beta, gamma = trapezoid(A, delta, 1.0)
    torch.testing.assert_close(
        (alpha, gamma), discretize_diagonal(A, torch.ones(5), delta, "mamba")
    )
    assert (beta == 0).all()


@pytest.mark.parametrize("now", [-0.1, 1.5, float("nan"), torch.tensor([0.5, 3.0])])
def test_a_trapezoid_s_weight_is_a_share(now):
    with pytest.raises(ValueError, match="sigmoid"):
        trapezoid(torch.tensor(-1.0), 0.1, now)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("runge_kutta_4", 4)])
def test_integrators_reach_their_order(method, order):
    def error(n_steps):
        path = integrate(
            lambda t, x: -x * math.cos(t), torch.ones(1).double(), 2.0, n_steps, method
        )
        return (path[-1, 0] - math.exp(-math.sin(2.0))).abs()

    steps = torch.tensor([2 / 40, 2 / 80, 2 / 160], dtype=torch.float64)
    errors = torch.stack([error(n) for n in (40, 80, 160)])
    assert observed_order(errors, steps) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("complex_rates", [False, True])
def test_diagonal_equals_dense_on_a_diagonal_matrix(method, complex_rates):
    torch.manual_seed(0)
    A = -torch.rand(5, dtype=torch.float64) - 0.1
    B = torch.randn(5, dtype=torch.float64)
    if complex_rates:
        A, B = A + 3j * torch.randn(5), B + 1j * torch.randn(5)
    # torch.matrix_exp is good to about 1e-10 for complex128, against 1e-15 for float64.
    tolerance = 1e-9 if complex_rates else 1e-12
    for delta in (0.01, 0.7):
        dense_A, dense_B = discretize_dense(torch.diag(A), B, delta, method)
        A_bar, B_bar = discretize_diagonal(A, B, torch.tensor(delta, dtype=torch.float64), method)
        torch.testing.assert_close(torch.diag(A_bar), dense_A, rtol=0, atol=tolerance)
        torch.testing.assert_close(B_bar, dense_B, rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_many_systems_at_once(method):
    torch.manual_seed(0)
    A, B = torch.randn(3, 2, 4, 4, dtype=torch.float64), torch.randn(3, 2, 4, dtype=torch.float64)
    delta = torch.rand(3, 2, dtype=torch.float64) + 0.01
    A_bar, B_bar = discretize_dense(A, B, delta, method)
    alone = discretize_dense(A[2, 1], B[2, 1], delta[2, 1], method)
    torch.testing.assert_close((A_bar[2, 1], B_bar[2, 1]), alone, rtol=0, atol=1e-12)


def test_zero_order_hold_where_the_rate_is_zero():
    """A = 0 integrates its input: B̄ = ΔB, by the dense rule, the diagonal one, and the limit."""
    delta = torch.tensor(0.3, dtype=torch.float64)
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    assert discretize_diagonal(zero, one, delta)[1] == delta
    assert discretize_dense(zero[:, None], one, delta)[1] == delta
    near = discretize_diagonal(torch.tensor([-1e-12]).double(), one, delta)[1]
    torch.testing.assert_close(near, delta[None], rtol=1e-11, atol=0)


def test_zero_order_hold_keeps_its_digits_for_small_steps_in_float32():
    """(e^z − 1)/z computed as written loses half its digits at z = −1e-4; expm1 keeps them."""
    B_bar = discretize_diagonal(torch.tensor(-1.0), torch.tensor(1.0), torch.tensor(1e-4))[1]
    assert B_bar.item() == pytest.approx(-math.expm1(-1e-4), rel=2e-7)


def test_gradient_of_zero_order_hold_at_a_zero_rate_is_finite():
    A = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    discretize_diagonal(A, torch.ones(3).double(), torch.tensor(0.5).double())[1].sum().backward()
    assert torch.isfinite(A.grad).all()


@pytest.mark.parametrize("method", ["euler", "backward_euler", "bilinear", "zoh"])
def test_growth_factor_is_what_discretize_multiplies_the_state_by(method):
    z = torch.complex(torch.linspace(-5, 1, 7), torch.linspace(-3, 3, 7))
    A_bar, _ = discretize_diagonal(z, torch.ones(7), torch.tensor(1.0), method)
    torch.testing.assert_close(growth_factor(z, method), A_bar)


def test_only_euler_blows_up_on_a_decaying_equation():
    decaying = torch.linspace(-50, -0.01, 500)
    assert is_stable(decaying, "bilinear").all()
    assert is_stable(decaying, "backward_euler").all()
    assert is_stable(decaying, "zoh").all()
    assert torch.equal(is_stable(decaying, "euler"), decaying >= -2)


@pytest.mark.parametrize("delta", [0.0, -0.1, float("nan")])
def test_a_step_must_be_positive(delta):
    A, B = torch.tensor([-1.0]), torch.tensor([1.0])
    with pytest.raises(ValueError, match="softplus"):
        discretize_diagonal(A, B, torch.tensor([delta]))
    with pytest.raises(ValueError, match="positive"):
        discretize_dense(A[None], B, delta)


def test_unknown_names_are_told():
    one = torch.ones(1)
    with pytest.raises(ValueError, match="euler, backward_euler, bilinear, zoh, mamba"):
        discretize_diagonal(-one, one, one, "exact")
    with pytest.raises(ValueError, match="runge_kutta_4"):
        integrate(lambda t, x: x, one, 1.0, 1, "midpoint")
    with pytest.raises(ValueError, match="backward_euler"):
        growth_factor(one, "leapfrog")
    with pytest.raises(ValueError, match="positive duration"):
        integrate(lambda t, x: x, one, 0.0, 1)
    with pytest.raises(ValueError, match="without error"):
        observed_order(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.5]))
    with pytest.raises(ValueError, match="two or more"):
        observed_order(torch.tensor([1.0]), torch.tensor([1.0]))
