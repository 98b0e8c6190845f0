"""What doesn't fit together is an error that says so; nothing is broadcast into a wrong answer."""

import jaxtyping
import numpy as np
import pytest
import torch
from torch import randn

from mixlab.ssm import convolution, discretize, hippo, s4, s4d
from mixlab.ssm.chunked_scan import selective_scan_chunked
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.ssm.packing import segment_starts
from mixlab.ssm.scan import METHODS, scan
from mixlab.ssm.selective_scan import selective_scan_reference, selective_step
from mixlab.ssm.short_convolution import short_convolution


@pytest.fixture(autouse=True)
def as_users_meet_it(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def refuses(match, use, *args, **options):
    with pytest.raises(ValueError, match=match):
        use(*args, **options)


def scanned(**changes):
    """Arguments of a scan over 3 rows, 5 tokens, 4 channels and 2 states."""
    given = dict(u=randn(3, 5, 4), delta=torch.rand(3, 5, 4), A=-torch.rand(4, 2))
    return given | dict(B=randn(3, 5, 2), C=randn(3, 5, 2)) | changes


@pytest.mark.parametrize("path", [selective_scan_reference, selective_scan_chunked])
def test_every_path_of_the_scan_looks_at_its_input(path):
    path(**scanned())
    refuses("B must have shape", path, **scanned(B=randn(1, 5, 2)))
    refuses("C must have shape", path, **scanned(C=randn(3, 1, 2)))
    refuses("delta must have shape", path, **scanned(delta=torch.rand(3, 5, 1)))
    refuses("delta must have shape", path, **scanned(delta=torch.rand(3, 9, 4)))
    refuses("D must have shape", path, **scanned(D=randn(1)))
    refuses("z must have shape", path, **scanned(z=randn(1, 5, 4)))
    refuses("another batch", path, **scanned(state=randn(1, 4, 2)))
    refuses("starts must have shape", path, **scanned(starts=torch.ones(1, 5, dtype=torch.bool)))
    refuses("boolean", path, **scanned(starts=torch.ones(3, 5, dtype=torch.long)))
    refuses("can't be negative", path, **scanned(delta=-torch.rand(3, 5, 4)))
    refuses("at least one row", path, **{n: x if n == "A" else x[:0] for n, x in scanned().items()})
    refuses("real floating-point", path, **scanned(u=torch.ones(3, 5, 4, dtype=torch.long)))


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_chunks_have_tokens(chunk_size):
    refuses("chunk_size must be", selective_scan_chunked, **scanned(), chunk_size=chunk_size)


@pytest.mark.parametrize(
    "change",
    [
        dict(state=randn(1, 4, 2)),
        dict(B=randn(1, 2)),
        dict(C=randn(1, 2)),
        dict(delta=torch.rand(3, 1)),
    ],
)
def test_a_step_of_one_batch_and_a_state_of_another(change):
    given = {name: x if name == "A" else x[:, 0] for name, x in scanned().items()}
    given |= dict(D=None, z=None, state=randn(3, 4, 2))
    selective_step(**given)
    refuses("a step with u of", selective_step, **given | change)


@pytest.mark.parametrize("d_conv", [1, 2])
def test_the_state_of_a_model_with_a_shorter_convolution(d_conv):
    """With no history at all, the one input was read under all four taps."""
    state = Mamba(MambaConfig.tiny(d_conv=d_conv)).init_state(1)
    model = Mamba(MambaConfig.tiny(d_conv=4))
    refuses("d_conv = 4 remembers 3", model.step, torch.tensor([1]), state)
    refuses("d_conv = 4 remembers 3", model.prefill, torch.tensor([[1, 2]]), state)
    refuses("must be a MambaState", model.step, torch.tensor([1]), None)


def test_convolutions_of_other_channels():
    u, kernel = randn(2, 5, 3), randn(3, 5)
    for use in (convolution.convolve, convolution.fft_convolve, convolution.circular_convolve):
        refuses("for each channel", use, u, kernel[:1])
        refuses("for each channel", use, u[..., :1], kernel)
        refuses("for each channel", use, u[0], kernel)
    refuses("factor D", convolution.fft_convolve, u, kernel, randn(5, 1))
    for layer in (s4.S4(3, 8), s4d.S4D(3, 8)):
        refuses("for each channel", layer, u[..., :1])
    layer = s4d.S4D(3, 8)
    refuses(r"u must be \(batch, 3\)", layer.step, u[:, 0, :1], layer.init_state(2))
    refuses("another batch", layer.step, u[:, 0], layer.init_state(1))
    x = randn(3, 5, 4)
    refuses("weight must have shape", short_convolution, x, randn(1, 4))
    refuses("bias must have shape", short_convolution, x, randn(4, 4), randn(1))
    starts = torch.ones(1, 5, dtype=torch.bool)
    refuses("starts must have shape", short_convolution, x, randn(4, 4), starts=starts)


def test_systems_that_are_not_one_a_channel():
    A, B, u = randn(3, 2, 2), randn(3, 2), randn(2, 5, 3)
    for wrong in [(A, B[:, :1], B), (A, B, B[:1]), (A[:1], B, B), (A[..., :1], B, B)]:
        refuses("a system of its own", convolution.recurrence, *wrong, u)
    refuses("a system of its own", convolution.recurrence, A, B, B, u[..., :1])
    refuses("a system of its own", convolution.ssm_kernel, A, B, B[:1], 3)


@pytest.mark.parametrize("length", [0, -1])
def test_kernels_have_taps(length):
    one = torch.ones(1, 1)
    refuses("at least one tap", convolution.ssm_kernel, one[None], one, one, length)
    refuses("at least one tap", s4d.s4d_kernel, -one, one, one, torch.ones(1), length)


@pytest.mark.parametrize("d_state", [0, -2, 2.5])
def test_states_are_counted_in_whole_numbers(d_state):
    for kind in ("real", "lin"):
        refuses("d_state must be", s4d.s4d_rates, d_state, kind)
    refuses("d_state must be", hippo.legs, d_state)
    refuses("d_state must be", hippo.legendre, torch.ones(3), d_state)
    refuses("d_state must be", hippo.project, torch.ones(3), d_state)


@pytest.mark.parametrize("layer", [s4.S4, s4d.S4D])
@pytest.mark.parametrize("ends", [(0.0, 0.1), (-1.0, 0.1), (0.1, 0.01)])
def test_steps_are_drawn_between_two_ends(layer, ends):
    refuses("0 < dt_min <= dt_max", layer, 3, 8, dt_min=ends[0], dt_max=ends[1])


def test_signals_to_remember():
    refuses("length 0", hippo.project, torch.zeros(0), 3)
    for use in (hippo.project, hippo.remember):
        refuses("real numbers", use, torch.tensor([3, 3]), 3)


def test_matrices_to_discretize():
    whole, column = torch.tensor([[0, 1], [0, 0]]), torch.tensor([0, 1])
    refuses("real or complex", discretize.discretize_dense, whole, column, 1.5, "euler")
    refuses("real or complex", discretize.discretize_diagonal, column, column, 0.5)
    for A, B in [(randn(2, 2), randn(3)), (randn(2, 2), randn(1)), (randn(2, 3), randn(3))]:
        refuses("A must be square", discretize.discretize_dense, A, B, 0.1, "euler")


def test_a_step_length_may_be_a_plain_number():
    """Taken in A's precision: 0.1 in float32 is another number."""
    A = torch.tensor([-1.0, -2.0], dtype=torch.float64)
    plain = discretize.discretize_diagonal(A, torch.ones_like(A), 0.1)
    tensor = discretize.discretize_diagonal(A, torch.ones_like(A), torch.full_like(A, 0.1))
    assert all(x.equal(y) for x, y in zip(plain, tensor, strict=True))


def test_lengths_in_an_array():
    expected = segment_starts([2, 3])
    assert segment_starts(np.array([2, 3])).equal(expected)


@pytest.mark.parametrize("a", [0.0, -1e-3, 0.7])
def test_the_gradient_of_zero_order_hold_where_nothing_decays(a):
    """∂B̄/∂A is Δ²B/2 at A = 0, the limit of its neighbours."""
    given = [torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in (a, 2.0, 0.3)]
    assert torch.autograd.gradcheck(discretize.discretize_diagonal, given)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", range(1, 6))
def test_an_operator_may_change_the_dtype(method, length):
    whole = torch.tensor([1, 2, 4, 8, 16])[:length]
    halves, size = lambda x, y: ((x[0] + y[0]) / 2,), 2 if method == "chunked" else None
    # Not associative, but the first two prefixes are the same for every method.
    found, expected = (
        scan(halves, (whole,), m, s)[0] for m, s in [(method, size), ("sequential", None)]
    )
    assert found.dtype == expected.dtype
    assert found[:2].equal(expected[:2])
