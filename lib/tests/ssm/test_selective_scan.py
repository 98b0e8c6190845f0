"""Every path of the selective scan against the loop: values, gradients, states, boundaries."""

import math

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mixlab.ssm.chunked_scan import selective_scan_chunked
from mixlab.ssm.discretize import discretize_diagonal
from mixlab.ssm.packing import segment_starts
from mixlab.ssm.scan import linear_recurrence
from mixlab.ssm.selective_scan import selective_scan, selective_scan_reference, selective_step

NAMES = "u delta A B C D z state delta_bias".split()


def inputs(batch=2, seq=13, d_inner=6, d_state=4, dtype=torch.float32, seed=0) -> dict:
    """Everything a scan can be given, of the sizes that a trained Mamba shows."""
    torch.manual_seed(seed)
    tensors = {
        "u": torch.randn(batch, seq, d_inner),
        "delta": torch.randn(batch, seq, d_inner),
        "A": -torch.rand(d_inner, d_state) * d_state - 0.1,
        "B": torch.randn(batch, seq, d_state),
        "C": torch.randn(batch, seq, d_state),
        "D": torch.randn(d_inner),
        "z": torch.randn(batch, seq, d_inner),
        "state": torch.randn(batch, d_inner, d_state),
        "delta_bias": torch.randn(d_inner) - 2,
    }
    return {name: tensor.to(dtype) for name, tensor in tensors.items()} | {"delta_softplus": True}


def close(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("seq", [1, 2, 3, 31, 128, 1000])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_chunked_is_the_loop(seq, dtype, tolerance):
    given = inputs(seq=seq, dtype=dtype)
    expected = selective_scan_reference(**given)
    for chunk_size in (None, 1, 2, 7, 64, seq):
        close(selective_scan_chunked(**given, chunk_size=chunk_size), expected, tolerance)


def test_chunked_is_the_loop_for_5000_tokens():
    given = inputs(batch=1, seq=5000, dtype=torch.float64)
    close(selective_scan(**given), selective_scan_reference(**given), 1e-10)


def test_both_are_the_linear_recurrence_of_any_scan():
    """Discretise by hand, scan by Blelloch, read out: the definition from its parts."""
    given = inputs(seq=77, dtype=torch.float64)
    delta = F.softplus(given["delta"] + given["delta_bias"])[..., None]
    A_bar, B_bar = discretize_diagonal(given["A"], given["B"][:, :, None], delta, "mamba")
    driven = (B_bar * given["u"][..., None]).expand_as(A_bar)
    h = linear_recurrence(A_bar, driven, given["state"], "blelloch")
    y = (h * given["C"][:, :, None]).sum(-1) + given["D"] * given["u"]
    y = y * given["z"] * torch.sigmoid(given["z"])
    close(selective_scan(**given), (y, h[:, -1]), 1e-10)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 4),
    seq=st.integers(1, 40),
    d_inner=st.integers(1, 9),
    d_state=st.integers(1, 5),
    chunk_size=st.integers(1, 45),
    seed=st.integers(0, 99),
    options=st.sets(st.sampled_from(["D", "z", "state", "delta_bias"])),
)
def test_any_shape_chunk_and_option(batch, seq, d_inner, d_state, chunk_size, seed, options):
    given = inputs(batch, seq, d_inner, d_state, torch.float64, seed)
    given = {k: v for k, v in given.items() if k in {*NAMES[:5], "delta_softplus"} | options}
    given["starts"] = torch.rand(batch, seq) < 0.2
    close(
        selective_scan_chunked(**given, chunk_size=chunk_size),
        selective_scan_reference(**given),
        1e-11,
    )


def test_a_batch_that_is_split_into_rows_is_whole_again(monkeypatch):
    given = inputs(batch=5, dtype=torch.float64)
    expected = selective_scan_reference(**given)
    for numbers in (1, 24 * 2, 24 * 3):  # one, two and three rows of 6 × 4 at a time
        monkeypatch.setattr("mixlab.ssm.chunked_scan.STEP_NUMBERS", numbers)
        close(selective_scan_chunked(**given, chunk_size=4), expected, 1e-11)


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 9, None])
def test_gradients_by_hand_against_finite_differences(chunk_size):
    given = inputs(batch=2, seq=5, d_inner=2, d_state=3, dtype=torch.float64)
    starts = torch.tensor([[False, False, True, False, True], [True, False, False, False, False]])
    leaves = [given[name].requires_grad_() for name in NAMES]

    def scan(*leaves):
        named = dict(zip(NAMES, leaves, strict=True))
        return selective_scan_chunked(
            **named, delta_softplus=True, starts=starts, chunk_size=chunk_size
        )

    assert torch.autograd.gradcheck(scan, leaves)


@pytest.mark.parametrize("seq", [1, 64, 333])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-10)])
def test_gradients_by_hand_against_autograd_through_the_loop(seq, dtype, tolerance):
    given = inputs(batch=3, seq=seq, dtype=dtype)
    leaves = [given[name].requires_grad_() for name in NAMES]
    towards = torch.randn(3, seq, 6, dtype=dtype), torch.randn(3, 6, 4, dtype=dtype)
    expected = torch.autograd.grad(selective_scan_reference(**given), leaves, towards)
    for chunk_size in (None, 3, 50):
        got = torch.autograd.grad(
            selective_scan_chunked(**given, chunk_size=chunk_size), leaves, towards
        )
        for ours, theirs in zip(got, expected, strict=True):
            size = theirs.abs().max().item()
            torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * size)


def test_training_stores_boundaries_and_inputs_and_nothing_else():
    """Saved numbers: u, Δ, B, C, A once, and one state a chunk; never one a token."""
    batch, seq, d_inner, d_state, chunk_size = 2, 100, 8, 4, 16
    given = inputs(batch, seq, d_inner, d_state)
    saved = {}

    def store(tensor):
        saved[tensor.data_ptr(), tensor.shape] = tensor.numel()
        return tensor

    given["delta"] = given["delta"].abs()
    given = {name: given[name].requires_grad_() for name in "u delta A B C".split()}
    with torch.autograd.graph.saved_tensors_hooks(store, lambda tensor: tensor):
        selective_scan_chunked(**given, chunk_size=chunk_size)
    per_token = 2 * d_inner + 2 * d_state
    expected = batch * seq * per_token + d_inner * d_state
    expected += math.ceil(seq / chunk_size) * batch * d_inner * d_state
    assert sum(saved.values()) == expected


@pytest.mark.parametrize("path", ["reference", "chunked"])
def test_a_prompt_split_anywhere(path):
    given = inputs(seq=12, dtype=torch.float64)
    y, last = selective_scan(**given, path=path)
    for cut in range(1, 12):
        first = {k: v[:, :cut] if k in "u delta B C z".split() else v for k, v in given.items()}
        second = {k: v[:, cut:] if k in "u delta B C z".split() else v for k, v in given.items()}
        y_first, state = selective_scan(**first, path=path)
        y_second, end = selective_scan(**second | {"state": state}, path=path)
        close((torch.cat((y_first, y_second), 1), end), (y, last), 1e-12)


def test_step_by_step():
    given = inputs(seq=9, dtype=torch.float64)
    y, last = selective_scan(**given)
    state, outputs = given["state"], []
    for t in range(9):
        token = {k: v[:, t] if k in "u delta B C z".split() else v for k, v in given.items()}
        y_t, state = selective_step(**token | {"state": state})
        outputs.append(y_t)
    close((torch.stack(outputs, 1), state), (y, last), 1e-12)


@pytest.mark.parametrize("path", ["reference", "chunked"])
def test_packed_sequences_are_separate_sequences(path):
    given = inputs(batch=1, seq=20, dtype=torch.float64)
    seqlens = [3, 1, 9, 7]
    y, last = selective_scan(**given, starts=segment_starts(seqlens), path=path)
    begin = 0
    for seqlen in seqlens:
        part = slice(begin, begin + seqlen)
        alone = {k: v[:, part] if k in "u delta B C z".split() else v for k, v in given.items()}
        y_alone, last_alone = selective_scan(**alone | {"state": None}, path=path)
        torch.testing.assert_close(y[:, part], y_alone, rtol=0, atol=1e-12)
        begin += seqlen
    torch.testing.assert_close(last, last_alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("path", ["reference", "chunked"])
def test_a_delta_of_zero_holds_the_state(path):
    given = inputs(seq=8, dtype=torch.float64)
    given["delta"][:, 5:] = -torch.inf
    _, last = selective_scan(**given, path=path)
    five = {k: v[:, :5] if k in "u delta B C z".split() else v for k, v in given.items()}
    torch.testing.assert_close(last, selective_scan(**five, path=path)[1], rtol=0, atol=1e-14)


def test_no_gradient_passes_a_start():
    given = inputs(batch=1, seq=6, dtype=torch.float64)
    leaves = [given[name].requires_grad_() for name in ("u", "state")]
    y, _ = selective_scan(**given, starts=segment_starts([4, 2]))
    grad_u, grad_state = torch.autograd.grad(y[:, 4:].sum(), leaves)
    assert not grad_u[:, :4].any()
    assert not grad_state.any()
    assert grad_u[:, 4:].all()


@pytest.mark.parametrize("path", ["reference", "chunked"])
def test_low_precision_inputs_keep_a_precise_state(path):
    given = inputs(seq=200)
    exact, exact_last = selective_scan(**given, path=path)
    low = {k: v.bfloat16() if k in "u delta B C z".split() else v for k, v in given.items()}
    y, last = selective_scan(**low, path=path)
    assert y.dtype == torch.bfloat16
    assert last.dtype == torch.float32
    assert (y.float() - exact).norm() < 0.02 * exact.norm()
    assert (last - exact_last).norm() < 0.02 * exact_last.norm()


@pytest.mark.parametrize("path", ["reference", "chunked"])
def test_views_work_as_well_as_copies(path):
    given = inputs(seq=10)
    views = {k: v for k, v in given.items() if k == "delta_softplus"}
    for name in NAMES:
        x = given[name]
        views[name] = torch.stack((x, x), dim=1)[:, 0] if x.dim() == 1 else x.mT.contiguous().mT
        assert not views[name].is_contiguous()
    close(selective_scan(**views, path=path), selective_scan(**given, path=path), 1e-6)


def test_long_sequences_stay_finite():
    given = inputs(batch=1, seq=30_000, d_inner=2, d_state=2)
    given["A"] = torch.tensor([[-1e-4, -1.0], [-50.0, -1e4]])
    y, last = selective_scan(**given)
    assert torch.isfinite(y).all()
    assert torch.isfinite(last).all()


def test_theorem_1_holds_for_zero_order_hold_and_fails_for_the_released_code():
    """A = −1, B = 1 and Δ = softplus(z) make the paper's gate g = sigmoid(z): h ← (1−g) h + g u.

    Both discretisations keep 1 − g of the state. Zero-order hold lets in g of the input; Euler's
    B̄ = Δ lets in softplus(z), which at z = 6 is 6.0 against 0.9975.
    """
    one = torch.ones(1, dtype=torch.float64)
    z = torch.tensor([6.0], dtype=torch.float64)
    gate, delta = torch.sigmoid(z), F.softplus(z)
    A_bar, B_bar = discretize_diagonal(-one, one, delta, "zoh")
    torch.testing.assert_close(A_bar, 1 - gate, rtol=0, atol=1e-15)
    torch.testing.assert_close(B_bar, gate, rtol=0, atol=1e-15)
    assert B_bar.item() == pytest.approx(0.9975, abs=5e-5)
    cell = one.reshape(1, 1, 1)
    _, written = selective_scan(cell, z.reshape(1, 1, 1), -cell[0], cell, cell, delta_softplus=True)
    assert written.item() == pytest.approx(6.0025, abs=5e-5)
    _, kept = selective_scan(
        0 * cell, z.reshape(1, 1, 1), -cell[0], cell, cell, state=cell, delta_softplus=True
    )
    torch.testing.assert_close(kept.flatten(), 1 - gate, rtol=0, atol=1e-15)


def test_euler_writes_twice_too_much_at_the_largest_initial_step():
    """Δ = 0.1 and A = −16 are the extremes of Mamba's initialisation: Δ|A| = 1.6."""
    A, one = torch.tensor([-16.0]).double(), torch.ones(1).double()
    euler = discretize_diagonal(A, one, 0.1 * one, "mamba")[1]
    held = discretize_diagonal(A, one, 0.1 * one, "zoh")[1]
    assert (euler / held).item() == pytest.approx(2.0, abs=0.01)


def test_bad_input_is_told(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # what users meet, not tests
    given = inputs()

    def told(match, **changes):
        with pytest.raises(ValueError, match=match):
            selective_scan(**given | changes)

    told("can't be negative.*softplus", delta_softplus=False)
    told("another batch", state=torch.zeros(3, 6, 4))
    told("delta must have shape", delta=torch.zeros(2, 12, 6))
    told("B must have shape \\(2, 13, 4\\)", B=torch.zeros(2, 13, 6))
    told("A of \\(4, 6\\)", A=given["A"].T)
    told("at least one row, token", **{k: given[k][:, :0] for k in "u delta B C z".split()})
    told("axes \\(batch, seq, d_inner\\)", u=torch.zeros(13, 6))
    told("C must be a real floating-point tensor: got torch.int64", C=given["C"].long())
    told("A must be a real floating-point tensor: got torch.complex64", A=given["A"] + 0j)
    told("starts must be a boolean", starts=torch.zeros(2, 13))
    told("z is on meta", z=given["z"].to("meta"))
    told("auto, reference, chunked or triton", path="cuda")
