"""Every scan is the loop: any operator, any length; work and depth; the hand-made backward."""

import math

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixlab.chapters.parallel_scan.traces import trace_scan
from mixlab.ssm.scan import affine, linear_recurrence, scan

HOW = [("sequential", None), ("hillis_steele", None), ("blelloch", None)]
HOW += [("chunked", 1), ("chunked", 7), ("chunked", 64)]
LENGTHS = [1, 2, 3, 4, 5, 31, 32, 33, 127, 1000, 2048, 5000]


def loop(a: torch.Tensor, b: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """h_t = a_t h_{t−1} + b_t, as written; time along axis 1."""
    states = []
    for t in range(a.shape[1]):
        state = a[:, t] * state + b[:, t]
        states.append(state)
    return torch.stack(states, dim=1)


@pytest.mark.parametrize(("method", "chunk_size"), HOW)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_every_scan_is_the_loop(method, chunk_size, length, dtype, tolerance):
    torch.manual_seed(length)
    a = torch.rand(2, length, 3, dtype=dtype)
    b = torch.randn(2, length, 3, dtype=dtype)
    state = torch.randn(2, 3, dtype=dtype)
    h = linear_recurrence(a, b, state, method, chunk_size)
    torch.testing.assert_close(h, loop(a, b, state), rtol=tolerance, atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 300), chunk_size=st.integers(1, 310), seed=st.integers(0, 99))
def test_any_length_and_any_chunk(length, chunk_size, seed):
    torch.manual_seed(seed)
    a, b = torch.rand(2, 1, length, 2, dtype=torch.float64)
    expected = loop(a, b, torch.zeros(1, 2, dtype=torch.float64))
    for method, size in [("hillis_steele", None), ("blelloch", None), ("chunked", chunk_size)]:
        h = linear_recurrence(a, b, None, method, size)
        torch.testing.assert_close(h, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("method", "chunk_size"), HOW)
@pytest.mark.parametrize("length", [1, 2, 3, 8, 13, 100])
def test_the_operator_need_not_commute(method, chunk_size, length):
    """Products of 2 × 2 matrices: any two in the wrong order would give another result."""
    torch.manual_seed(0)
    matrices = torch.linalg.qr(torch.randn(length, 2, 2, dtype=torch.float64)).Q
    (prefixes,) = scan(lambda x, y: (y[0] @ x[0],), (matrices,), method, chunk_size)
    product = torch.eye(2, dtype=torch.float64)
    for t in range(length):
        product = matrices[t] @ product
        torch.testing.assert_close(prefixes[t], product, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("method", "chunk_size"), HOW)
def test_integers_and_other_operators(method, chunk_size):
    numbers = torch.randint(-9, 9, (77,))
    (sums,) = scan(lambda x, y: (x[0] + y[0],), (numbers,), method, chunk_size)
    assert torch.equal(sums, numbers.cumsum(0))
    (largest,) = scan(lambda x, y: (torch.maximum(x[0], y[0]),), (numbers,), method, chunk_size)
    assert torch.equal(largest, numbers.cummax(0).values)


@pytest.mark.parametrize("k", range(1, 11))
def test_work_and_depth_of_powers_of_two(k):
    length = 2**k
    sequential = trace_scan("sequential", length)
    assert (sequential.work, sequential.depth) == (length - 1, length - 1)
    hillis_steele = trace_scan("hillis_steele", length)
    assert (hillis_steele.work, hillis_steele.depth) == (length * k - length + 1, k)
    blelloch = trace_scan("blelloch", length)
    assert (blelloch.work, blelloch.depth) == (2 * length - k - 2, 2 * k - 1)
    if k >= 3:
        chunked, chunk = trace_scan("chunked", length, 4), trace_scan("blelloch", 4)
        chunks = length // 4
        assert chunked.work == chunks * chunk.work + length - 4
        assert chunked.depth == chunks * chunk.depth + chunks - 1


@pytest.mark.parametrize(("method", "chunk_size"), HOW)
def test_traces_of_every_length_are_sound(method, chunk_size):
    """The trace's own assertions prove each scan; here its record is replayed."""
    for length in range(1, 70):
        trace = trace_scan(method, length, chunk_size)
        total = list(range(length))
        for step in trace.steps:
            assert len(set(step.later)) == len(step.later)  # no two write to one place
            before = list(total)
            for earlier, later, start in zip(step.earlier, step.later, step.start, strict=True):
                total[later] = before[earlier] + before[later]
                assert trace.length > later > earlier >= start >= 0
        assert total == [t * (t + 1) // 2 for t in range(length)]
        assert not trace.coverage[-1].any()
        if method == "blelloch":
            assert trace.work <= 2 * length
            assert trace.depth <= max(0, 2 * math.ceil(math.log2(length)) - 1)


@pytest.mark.parametrize(("method", "chunk_size"), HOW)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_backward_by_hand(method, chunk_size, dtype):
    torch.manual_seed(0)
    for length in (1, 2, 9):
        a, b = torch.randn(2, 2, length, 2, dtype=dtype, requires_grad=True).unbind(0)
        state = torch.randn(2, 2, dtype=dtype, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda a, b, state: linear_recurrence(a, b, state, method, chunk_size), (a, b, state)
        )


@pytest.mark.parametrize(("method", "chunk_size"), HOW)
def test_backward_by_hand_is_autograd_through_the_loop(method, chunk_size):
    torch.manual_seed(0)
    length = 333
    leaves = [torch.rand(2, length, 3, dtype=torch.float64), torch.randn(2, length, 3).double()]
    leaves = [leaf.requires_grad_() for leaf in [*leaves, torch.randn(2, 3).double()]]
    weights = torch.randn(2, length, 3, dtype=torch.float64)
    expected = torch.autograd.grad((loop(*leaves) * weights).sum(), leaves)
    h = linear_recurrence(*leaves, method=method, chunk_size=chunk_size)
    got = torch.autograd.grad((h * weights).sum(), leaves)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_a_scan_itself_can_be_differentiated():
    a, b = torch.rand(2, 6, 3, dtype=torch.float64, requires_grad=True).unbind(0)
    for method, chunk_size in HOW:
        assert torch.autograd.gradcheck(
            lambda a, b, how=(method, chunk_size): scan(affine, (a, b), *how), (a, b)
        )


def test_long_sequences_stay_finite_and_accurate():
    """100,000 steps of strong and weak decay: products underflow to 0, and nothing overflows."""
    torch.manual_seed(0)
    decay = torch.tensor([1e-3, 0.5, 0.999, 1.0])
    a = decay.expand(1, 100_000, 4)
    b = torch.randn(1, 100_000, 4)
    exact = loop(a.double(), b.double(), torch.zeros(1, 4).double())
    for method, chunk_size in [("hillis_steele", None), ("blelloch", None), ("chunked", 1024)]:
        h = linear_recurrence(a, b, None, method, chunk_size).double()
        assert ((h - exact).abs().amax(1) / exact.abs().amax(1)).max() < 1e-5


def test_views_work_as_well_as_copies():
    torch.manual_seed(0)
    a, b = torch.rand(2, 3, 50, 4).transpose(2, 3).contiguous().transpose(2, 3)
    state = torch.randn(4, 3).T
    h = linear_recurrence(a, b, state)
    torch.testing.assert_close(h, loop(a, b, state), rtol=1e-5, atol=1e-5)


def test_bad_input_is_told(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # what users meet, not tests
    one = torch.ones(1, 1, 1)
    with pytest.raises(ValueError, match="at least 1"):
        linear_recurrence(torch.ones(1, 0, 1), torch.ones(1, 0, 1))
    with pytest.raises(ValueError, match="lengths \\[2, 3\\]"):
        scan(affine, (torch.ones(2), torch.ones(3)))
    with pytest.raises(ValueError, match="blelloch"):
        linear_recurrence(one, one, method="brent_kung")
    with pytest.raises(ValueError, match="needs a chunk_size"):
        linear_recurrence(one, one, method="chunked")
    with pytest.raises(ValueError, match="belongs to the method chunked"):
        linear_recurrence(one, one, method="blelloch", chunk_size=4)
    with pytest.raises(ValueError, match="one shape"):
        linear_recurrence(one, torch.ones(1, 2, 1))
    with pytest.raises(ValueError, match="one dtype"):
        linear_recurrence(one, one.double())
    with pytest.raises(ValueError, match="another batch"):
        linear_recurrence(one, one, state=torch.ones(2, 1))
