"""The fast product equals `F.linear` wherever it is taken, and steps aside where it must."""

import pytest
import torch
from torch.nn import functional as F

from mixlab.common import linear as linear_module
from mixlab.common.linear import Linear, gated_linear, linear
from mixlab.transformer.feed_forward import swiglu, swiglu_fused

# Large enough for the second library: 2**22 products and 16 rows.
BIG = (512, 600)


@pytest.mark.parametrize("shape", [(16,), (3, 7), (2, 3, 40), (1, 200)])
def test_equals_float64(shape):
    torch.manual_seed(0)
    x, weight = torch.randn(*shape, 600), torch.randn(*BIG) / 600**0.5
    exact = F.linear(x.double(), weight.double()).float()
    torch.testing.assert_close(linear(x, weight), exact, rtol=0, atol=5e-6)


@pytest.mark.parametrize("shape", [(3,), (40,), (2, 3, 40)])
def test_gated_equals_its_formula(shape):
    torch.manual_seed(0)
    x, (gate, weight) = torch.randn(*shape, 600), torch.randn(2, *BIG) / 600**0.5
    exact = F.silu(x.double() @ gate.double().t()) * (x.double() @ weight.double().t())
    torch.testing.assert_close(gated_linear(x, gate, weight), exact.float(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("shape", [(600,), (3, 600), (40, 600)])
def test_the_fused_feed_forward_equals_its_formula(shape):
    torch.manual_seed(0)
    x, (w1, w3) = torch.randn(shape), torch.randn(2, *BIG) / 600**0.5
    w2 = torch.randn(BIG[1], BIG[0]) / 512**0.5
    fast, readable = swiglu_fused(x, w1, w2, w3), swiglu(x, w1, w2, w3)
    torch.testing.assert_close(fast, readable, rtol=0, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_keeps_dtype(dtype):
    x, weight = torch.randn(32, 600, dtype=dtype), torch.randn(*BIG, dtype=dtype)
    out = linear(x, weight)
    assert out.dtype == dtype
    torch.testing.assert_close(out, F.linear(x, weight), rtol=1e-4, atol=1e-4)


def test_strided_operands():
    torch.manual_seed(1)
    stack = torch.randn(2, 512, 1200)
    x = torch.randn(600, 50).t()
    for weight in (stack[1, :, 300:900], stack[0, :, ::2], torch.randn(600, 512).t()):
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight), rtol=0, atol=5e-4)


def test_gradients_flow():
    torch.manual_seed(2)
    layer = Linear(600, 512)
    x = torch.randn(32, 600, requires_grad=True)
    layer(x).square().sum().backward()
    expected = 2 * (x.detach() @ layer.weight.detach().t()) @ layer.weight.detach()
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-4)
    assert layer.weight.grad is not None


def test_autocast_is_obeyed():
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.randn(32, 600), torch.randn(*BIG)).dtype == torch.bfloat16


def test_module_carries_the_name_and_shape_of_nn_linear():
    layer = Linear(3, 5)
    assert {name: p.shape for name, p in layer.named_parameters()} == {"weight": (5, 3)}


def test_slices_never_reach_onednn(monkeypatch):
    """A slice of a matrix takes oneDNN a thousand times as long."""
    taken = []
    onednn = lambda x, w, *_: taken.append(w) or F.linear(x, w)  # noqa: E731
    monkeypatch.setattr(linear_module, "_ONEDNN", onednn)
    x, stack = torch.randn(64, 600), torch.randn(512, 1200)
    assert linear(x, stack[:, 300:900]).shape == (64, 512)
    assert not taken
    linear(x, stack[:, :600].contiguous())
    linear(x, stack[:, :600].t().contiguous().t())
    assert len(taken) == 2


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    """That many threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(600,), (1, 600), (1, 1, 600)])
@pytest.mark.parametrize("layout", ["rows", "columns", "slice"])
def test_a_single_token(threads, shape, layout):
    torch.manual_seed(4)
    x, (gate, weight) = torch.randn(shape), torch.randn(2, 2046, 600) / 600**0.5
    exact = F.linear(x.double(), weight.double()).float()
    gated = F.silu(F.linear(x, gate)) * exact
    if layout == "columns":
        gate, weight = (w.t().contiguous().t() for w in (gate, weight))
    if layout == "slice":
        gate, weight = (torch.cat((w, w), dim=1)[:, :600] for w in (gate, weight))
    out = linear(x, weight)
    assert out.shape == exact.shape
    torch.testing.assert_close(out, exact, rtol=0, atol=5e-6)
    torch.testing.assert_close(gated_linear(x, gate, weight), gated, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("dim_out", "dim_in"), [(2047, 600), (2046, 601)])
def test_a_single_token_whose_weight_does_not_divide(threads, dim_out, dim_in):
    torch.manual_seed(5)
    x, weight = torch.randn(1, dim_in), torch.randn(dim_out, dim_in) / dim_in**0.5
    for laid in (weight, weight.t().contiguous().t()):
        torch.testing.assert_close(linear(x, laid), F.linear(x, weight), rtol=0, atol=5e-6)


def test_a_single_token_shares_a_large_weight_among_threads(threads, monkeypatch):
    taken = []
    monkeypatch.setattr(torch, "bmm", lambda x, w, bmm=torch.bmm: taken.append(len(w)) or bmm(x, w))
    large, small = torch.randn(2046, 600), torch.randn(90, 600)
    for weight in (large, small, large.t().contiguous().t()):
        linear(torch.randn(1, 1, 600), weight)
    assert taken == ([] if threads == 1 else [threads])


def test_gradients_of_a_single_token(threads):
    torch.manual_seed(6)
    x, weight = torch.randn(1, 600, requires_grad=True), torch.randn(2046, 600, requires_grad=True)
    linear(x, weight).square().sum().backward()
    expected = 2 * (x.detach() @ weight.detach().t()) @ weight.detach()
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-2)
    assert weight.grad.shape == weight.shape
