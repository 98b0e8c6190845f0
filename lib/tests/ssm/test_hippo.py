"""HiPPO: a memory of fixed size, its error, its rate, and the two forms of the equation."""

import pytest
import torch

from mixlab.ssm.hippo import (
    legendre,
    legs,
    legs_step,
    project,
    recall,
    recall_fading,
    remember,
    remember_fading,
)
from mixlab.ssm.ode import observed_order

POINTS = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000


def samples(function, seq: int) -> torch.Tensor:
    """A function on [0, 1] at the middle of each of `seq` samples."""
    return function((torch.arange(seq, dtype=torch.float64) + 0.5) / seq)


def kink(x: torch.Tensor) -> torch.Tensor:
    return (x - 0.4).abs()


def wave(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(9 * x) + 0.5 * torch.cos(23 * x)


def recall_error(function, d_state: int) -> torch.Tensor:
    """Root-mean-square error of what 4,000 samples leave in `d_state` coefficients."""
    c = project(samples(function, 4000), d_state)
    return (recall(c, POINTS) - function(POINTS)).square().mean().sqrt()


@pytest.mark.parametrize("d_state", [1, 2, 16, 64])
def test_eigenvalues_are_minus_one_to_minus_n(d_state):
    A, _ = legs(d_state)
    values = torch.linalg.eigvals(A).real.sort(descending=True).values
    expected = -torch.arange(1, d_state + 1, dtype=torch.float64)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-9)


def test_the_matrix_entry_by_entry():
    A, B = legs(12)
    for n in range(12):
        assert B[n] == pytest.approx((2 * n + 1) ** 0.5, abs=1e-15)
        for k in range(12):
            below = -(((2 * n + 1) * (2 * k + 1)) ** 0.5)
            entry = below if n > k else -(n + 1) if n == k else 0
            assert A[n, k] == pytest.approx(entry, abs=1e-14)


def test_polynomials_are_orthonormal():
    points = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    basis = legendre(points, 10)
    torch.testing.assert_close(
        basis.T @ basis / len(points), torch.eye(10).double(), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("function", [kink, wave, torch.sign])
@pytest.mark.parametrize("d_state", [1, 2, 8, 32])
def test_sample_by_sample_equals_all_at_once(function, d_state):
    """The differential equation, stepped exactly, ends with the projection's coefficients."""
    signal = samples(function, 300)
    states = remember(signal, d_state, "zoh")
    for heard in (1, 2, 7, 300):
        expected = project(signal[:heard], d_state)
        torch.testing.assert_close(states[heard - 1], expected, rtol=0, atol=1e-10)


def test_the_bilinear_rule_comes_close():
    signal = samples(wave, 1000)
    error = (remember(signal, 16)[-1] - project(signal, 16)).abs().max()
    assert error < 1e-4


def test_time_can_be_stretched():
    """LegS doesn't know the sampling rate: each sample heard twice leaves the same memory."""
    signal = samples(wave, 150)
    slow = remember(signal.repeat_interleave(2), 12, "zoh")[-1]
    torch.testing.assert_close(slow, remember(signal, 12, "zoh")[-1], rtol=0, atol=1e-10)


def test_error_of_a_kink_falls_as_n_to_the_minus_three_halves():
    """Order-1 smoothness: HiPPO's proposition 6 promises N^(−1/2), a kink does N^(−3/2)."""
    sizes = torch.tensor([8, 16, 32, 64, 128])
    errors = torch.stack([recall_error(kink, n) for n in sizes.tolist()])
    assert observed_order(errors, 1 / sizes.double()) == pytest.approx(1.5, abs=0.15)
    assert (errors[1:] < errors[:-1]).all()


def test_error_of_a_smooth_signal_falls_faster_than_any_power():
    errors = [recall_error(wave, n).item() for n in (8, 16, 24)]
    assert errors[1] < 0.2 * errors[0]
    assert errors[2] < 1e-3 * errors[1]


def test_no_step_starts_at_time_zero():
    A, B = legs(4)
    with pytest.raises(ValueError, match="divides by 0"):
        legs_step(A, B, 0)
    signal = torch.tensor([3.0, -1.0], dtype=torch.float64)
    first = remember(signal, 4)[0]
    assert first.tolist() == [3.0, 0.0, 0.0, 0.0]  # what the limit t → 0 gives: −A⁻¹ B f
    torch.testing.assert_close(-torch.linalg.solve(A, B) * 3.0, first)


def test_without_one_over_t_the_recent_past_is_remembered_best():
    seq, delta = 2000, 0.005
    signal = samples(wave, seq)
    c = remember_fading(signal, 24, delta)[-1]
    lags = (torch.arange(seq, dtype=torch.float64) + 0.5) * delta
    error = (recall_fading(c, lags) - signal.flip(0)).abs()
    recent, far = error[lags < 1].max(), error[lags > 6].max()
    assert recent < 0.05
    assert far > 10 * recent


def test_the_two_forms_are_different_memories():
    signal = samples(kink, 400)
    even, fading = remember(signal, 8)[-1], remember_fading(signal, 8, 1 / 400)[-1]
    assert (recall(even, POINTS) - kink(POINTS)).abs().max() < 0.05
    assert (recall(fading, POINTS) - kink(POINTS)).abs().max() > 0.1


def test_batches_of_signals():
    signals = torch.randn(3, 2, 40, dtype=torch.float64)
    together = remember(signals, 5)
    assert together.shape == (3, 2, 40, 5)
    torch.testing.assert_close(together[1, 0], remember(signals[1, 0], 5))
    torch.testing.assert_close(project(signals, 5)[2, 1], project(signals[2, 1], 5))


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="nothing to remember"):
        remember(torch.zeros(0), 4)
    with pytest.raises(ValueError, match="nothing to remember"):
        remember_fading(torch.zeros(0), 4, 0.1)
    with pytest.raises(ValueError, match="d_state"):
        legs(0)
    with pytest.raises(ValueError, match="bilinear or zoh"):
        remember(torch.zeros(3), 4, "euler")
