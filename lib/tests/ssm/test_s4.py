"""S4 and S4D: the structured kernels against the plain ones, and both views of each layer."""

import pytest
import torch

from mixlab.ssm.convolution import fft_convolve, recurrence, ssm_kernel
from mixlab.ssm.discretize import discretize_dense, discretize_diagonal
from mixlab.ssm.hippo import legs
from mixlab.ssm.s4 import S4, dense_system, nplr_legs, s4_kernel
from mixlab.ssm.s4d import S4D, s4d_kernel, s4d_rates

LENGTHS = [1, 2, 3, 16, 17, 100, 1000]


def structured(channels: int, d_state: int, dtype=torch.complex128):
    """HiPPO-LegS in each channel, with random C and different Δ."""
    torch.manual_seed(0)
    Lambda, P, B = (x.expand(channels, -1).to(dtype) for x in nplr_legs(d_state))
    C = torch.randn(channels, d_state // 2, dtype=dtype)
    delta = torch.logspace(-3, -1, channels, dtype=Lambda.real.dtype)
    return Lambda, P, B, C, delta


def plain(Lambda, P, B, C, delta, length):
    """The kernel of the dense system, tap by tap."""
    A, B, C = dense_system(Lambda, P, B, C)
    pairs = [discretize_dense(*x, "bilinear") for x in zip(A, B, delta, strict=True)]
    A_bar, B_bar = (torch.stack(part) for part in zip(*pairs, strict=True))
    return ssm_kernel(A_bar, B_bar, C, length)


@pytest.mark.parametrize("d_state", [2, 8, 64])
def test_hippo_is_normal_plus_rank_one(d_state):
    """Back in the old basis, diag(Λ) − P P* has LegS's eigenvalues and LegS's kernel."""
    A, B = legs(d_state)
    Lambda, P, B_new = nplr_legs(d_state)
    C = torch.randn(d_state // 2, dtype=torch.complex128)
    dense, dense_B, _ = dense_system(Lambda, P, B_new, C)
    assert (Lambda.imag > 0).all()
    torch.testing.assert_close(torch.trace(dense).real, torch.trace(A), rtol=1e-12, atol=0)
    # Markov parameters Bᵀ A^k B don't depend on the basis, which is unitary.
    left, left_new = B.clone(), dense_B.clone()
    for _ in range(4):
        new = (dense_B.conj() @ left_new).real
        torch.testing.assert_close(new, B @ left, rtol=1e-9, atol=0)
        left, left_new = A @ left, dense @ left_new


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("d_state", [2, 16, 64])
def test_the_cauchy_kernel_is_the_plain_kernel(length, d_state):
    system = structured(3, d_state)
    expected = plain(*system, length)
    size = expected.abs().max().item()
    torch.testing.assert_close(s4_kernel(*system, length), expected, rtol=0, atol=1e-11 * size)


@pytest.mark.parametrize("length", [16, 1000])
def test_the_cauchy_kernel_in_single_precision(length):
    system = structured(3, 16)
    single = [x.to(torch.complex64 if x.is_complex() else torch.float32) for x in system]
    expected = plain(*system, length)
    error = (s4_kernel(*single, length) - expected).abs().max() / expected.abs().max()
    assert error < 1e-4


def test_without_the_truncation_the_kernel_would_wrap(monkeypatch):
    system = structured(1, 8)
    C, length = system[3], 64  # at Δ = 0.001 far shorter than the memory
    endless = torch.cat((C, C.conj()), dim=-1)
    monkeypatch.setattr("mixlab.ssm.s4.C_tilde", lambda *_: endless)
    wrapped = s4_kernel(*system, length)
    long = plain(*system, length * 400)
    torch.testing.assert_close(wrapped[0], long.reshape(-1, length).sum(0), rtol=1e-5, atol=1e-5)
    assert (wrapped - long[:, :length]).abs().max() > 0.3 * long.abs().max()


def test_gradients_pass_through_the_cauchy_kernel():
    leaves = tuple(x.clone().requires_grad_() for x in structured(2, 4))
    assert torch.autograd.gradcheck(lambda *x: s4_kernel(*x, 7), leaves)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", ["real", "lin"])
@pytest.mark.parametrize("method", ["zoh", "bilinear"])
def test_the_vandermonde_kernel_is_the_plain_kernel(length, kind, method):
    torch.manual_seed(0)
    rates = s4d_rates(8, kind)
    Lambda = rates.to(torch.complex128 if rates.is_complex() else torch.float64).expand(3, -1)
    B, C = torch.randn_like(Lambda), torch.randn_like(Lambda)
    delta = torch.tensor([0.01, 0.1, 0.5], dtype=torch.float64)
    if rates.is_complex():  # write out both partners of each pair
        pairs = [torch.cat((x, x.conj()), dim=-1) for x in (Lambda, B, C)]
    else:
        pairs = [Lambda, B, C]
    A_bar, B_bar = discretize_diagonal(pairs[0], pairs[1], delta[:, None], method)
    expected = ssm_kernel(torch.diag_embed(A_bar), B_bar, pairs[2], length)
    kernel = s4d_kernel(Lambda, B, C, delta, length, method)
    torch.testing.assert_close(kernel, expected, rtol=0, atol=1e-12)


def test_s4d_real_is_the_diagonal_of_hippo():
    torch.testing.assert_close(s4d_rates(16, "real").double(), torch.diagonal(legs(16)[0]))


@pytest.mark.parametrize("kind", ["real", "lin"])
@torch.no_grad()
def test_s4d_steps_are_its_convolution(kind):
    torch.manual_seed(0)
    layer, u = S4D(channels=4, d_state=8, kind=kind), torch.randn(2, 60, 4)
    state, outputs = layer.init_state(2), []
    for u_t in u.unbind(1):
        y_t, state = layer.step(u_t, state)
        outputs.append(y_t)
    torch.testing.assert_close(torch.stack(outputs, 1), layer(u), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_s4_recurrence_is_its_convolution():
    torch.manual_seed(0)
    layer, u = S4(channels=3, d_state=16), torch.randn(2, 80, 3)
    stepped, _ = recurrence(*layer.recurrent(), u, layer.D)
    convolved = layer(u)
    size = stepped.abs().max().item()
    torch.testing.assert_close(convolved, stepped, rtol=0, atol=1e-4 * size)


@pytest.mark.parametrize(("kind", "share"), [("s4", 0.3), ("lin", 0.3), ("real", 0.5)])
def test_layers_learn_a_delay(kind, share):
    """Echo the input of five steps ago; decays that don't oscillate can only smear it."""
    torch.manual_seed(0)
    layer = S4(2, 8) if kind == "s4" else S4D(2, 8, kind)
    with torch.no_grad():
        layer.log_delta.fill_(-1.5)
    kernel = torch.zeros(2, 32)
    kernel[:, 5] = 1.0
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    losses = []
    for _ in range(150):
        u = torch.randn(8, 32, 2)
        loss = (layer(u) - fft_convolve(u, kernel)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < share * losses[0]


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="even d_state"):
        nplr_legs(5)
    with pytest.raises(ValueError, match="even d_state"):
        s4d_rates(5, "lin")
    with pytest.raises(ValueError, match="real or lin"):
        s4d_rates(4, "legs")
    with pytest.raises(ValueError, match="at least one tap"):
        s4_kernel(*structured(1, 4), 0)
    Lambda, P, B, C, delta = structured(1, 4)
    with pytest.raises(ValueError, match="positive"):
        s4_kernel(Lambda, P, B, C, -delta, 8)
