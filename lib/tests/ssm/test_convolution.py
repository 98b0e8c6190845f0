"""Recurrence = convolution by definition = convolution by FFT, for every length."""

import pytest
import torch

from mixlab.ssm.convolution import (
    circular_convolve,
    convolve,
    fft_convolve,
    recurrence,
    ssm_kernel,
)
from mixlab.ssm.discretize import discretize_dense

LENGTHS = [1, 2, 3, 17, 64, 1000, 2048, 5000]


def system(channels: int, n: int, dtype: torch.dtype):
    """A random stable system a channel, discretised exactly."""
    noise = torch.randn(channels, n, n, dtype=torch.float64)
    A = noise / n**0.5 - 1.5 * torch.eye(n, dtype=torch.float64)
    B, C = torch.randn(2, channels, n, dtype=torch.float64)
    pairs = [discretize_dense(a, b, 0.1) for a, b in zip(A, B, strict=True)]
    A_bar, B_bar = (torch.stack(part) for part in zip(*pairs, strict=True))
    return A_bar.to(dtype), B_bar.to(dtype), C.to(dtype)


@pytest.mark.parametrize("seq", LENGTHS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_recurrence_equals_convolution_equals_fft(seq, dtype, tolerance):
    torch.manual_seed(seq)
    A_bar, B_bar, C = system(channels=3, n=4, dtype=dtype)
    u, D = torch.randn(2, seq, 3, dtype=dtype), torch.randn(3, dtype=dtype)
    stepped, _ = recurrence(A_bar, B_bar, C, u, D)
    kernel = ssm_kernel(A_bar, B_bar, C, seq)
    scale = stepped.abs().max().item()
    torch.testing.assert_close(fft_convolve(u, kernel, D), stepped, rtol=0, atol=tolerance * scale)
    if seq <= 1000:
        torch.testing.assert_close(convolve(u, kernel, D), stepped, rtol=0, atol=tolerance * scale)


def test_recurrence_goes_on_from_its_state():
    torch.manual_seed(0)
    A_bar, B_bar, C = system(channels=2, n=3, dtype=torch.float64)
    u = torch.randn(4, 11, 2, dtype=torch.float64)
    whole, last = recurrence(A_bar, B_bar, C, u)
    for cut in range(1, 11):
        first, state = recurrence(A_bar, B_bar, C, u[:, :cut])
        second, end = recurrence(A_bar, B_bar, C, u[:, cut:], state=state)
        torch.testing.assert_close(torch.cat((first, second), 1), whole, rtol=0, atol=1e-13)
        torch.testing.assert_close(end, last, rtol=0, atol=1e-13)


def test_a_diagonalised_system_has_the_same_kernel():
    """Eigenvectors are a change of basis: the kernel, being input to output, doesn't notice."""
    torch.manual_seed(1)
    A_bar, B_bar, C = system(channels=1, n=4, dtype=torch.float64)
    values, vectors = torch.linalg.eig(A_bar)
    B_diagonal = torch.linalg.solve(vectors, B_bar[..., None].to(vectors.dtype))[..., 0]
    C_diagonal = (C[:, None].to(vectors.dtype) @ vectors)[:, 0]
    torch.testing.assert_close(
        ssm_kernel(torch.diag_embed(values), B_diagonal, C_diagonal, 50),
        ssm_kernel(A_bar, B_bar, C, 50),
        rtol=0,
        atol=1e-12,
    )


def test_without_zeros_late_tokens_act_on_early_ones():
    torch.manual_seed(0)
    u, kernel = torch.randn(1, 16, 1), torch.randn(1, 16)
    changed = u.clone()
    changed[:, -1] += 1
    moved = circular_convolve(changed, kernel) - circular_convolve(u, kernel)
    assert moved[:, :-1].abs().min() > 1e-3  # every earlier output saw the future
    moved = fft_convolve(changed, kernel) - fft_convolve(u, kernel)
    assert moved[:, :-1].abs().max() < 1e-5


def test_the_wrap_is_the_tail_of_the_longer_convolution():
    torch.manual_seed(0)
    u, kernel = torch.randn(2, 9, 3, dtype=torch.float64), torch.randn(3, 9, dtype=torch.float64)
    padded = torch.cat((u, torch.zeros_like(u)), dim=1)
    long = convolve(padded, kernel)
    torch.testing.assert_close(circular_convolve(u, kernel), long[:, :9] + long[:, 9:])


def test_a_kernel_shorter_or_longer_than_the_sequence():
    torch.manual_seed(0)
    u = torch.randn(1, 10, 2, dtype=torch.float64)
    for length in (1, 3, 10, 25):
        kernel = torch.randn(2, length, dtype=torch.float64)
        torch.testing.assert_close(fft_convolve(u, kernel), convolve(u, kernel))


def test_bad_shapes_are_told():
    A_bar, B_bar, C = system(channels=2, n=3, dtype=torch.float32)
    with pytest.raises(ValueError, match="at least one token"):
        recurrence(A_bar, B_bar, C, torch.zeros(1, 0, 2))
    with pytest.raises(ValueError, match="another batch"):
        recurrence(A_bar, B_bar, C, torch.zeros(2, 4, 2), state=torch.zeros(1, 2, 3))
    with pytest.raises(ValueError, match="one tap"):
        fft_convolve(torch.zeros(1, 4, 2), torch.zeros(2, 0))
