"""Products of 8-bit weights: how exact, that vectors don't meddle with each other, and the twin."""

import copy

import pytest
import torch
from torch.nn import functional as F

from mixlab.common import quantised
from mixlab.common.quantised import QuantisedEmbedding, QuantisedLinear, round_rows, split


def relative(got, exact):
    return ((got - exact).norm() / exact.norm()).item()


@pytest.fixture
def weight():
    torch.manual_seed(0)
    return torch.randn(96, 160) * torch.rand(96, 1)


def test_rows_are_rounded_to_half_a_step(weight):
    numbers, scale = round_rows(weight)
    assert numbers.dtype == torch.int8
    assert numbers.abs().max() == 127
    error = (numbers * scale[:, None] - weight).abs()
    assert (error <= scale[:, None] * 0.501).all()


def test_many_rows_are_rounded_in_pieces(monkeypatch, weight):
    whole = round_rows(weight)
    monkeypatch.setattr(quantised, "_ROWS", 7)
    for piecewise, at_once in zip(round_rows(weight), whole, strict=True):
        assert piecewise.equal(at_once)


@pytest.mark.parametrize("outlier", [1, 50, 3000])
def test_the_product_is_that_of_the_rounded_weights(weight, outlier):
    """One number far above the others, as language models have them, spoils nothing."""
    torch.manual_seed(1)
    x = torch.randn(2, 5, 160)
    x[..., 3] *= outlier
    numbers, scale = round_rows(weight)
    exact = F.linear(x.double(), numbers.double() * scale[:, None])
    assert relative(QuantisedLinear(weight)(x), exact) < 2e-3
    assert relative(QuantisedLinear(weight)(x), F.linear(x, weight)) < 0.03


def test_a_vector_counts_as_if_it_had_13_bits():
    torch.manual_seed(1)
    x = torch.randn(100, 160)
    numbers, unit = split(x)
    coarse, fine = numbers.round().chunk(2)
    assert coarse.abs().max() == 63
    assert fine.abs().max() <= 63
    error = (coarse + fine / 126) * unit - x
    assert (error.abs() <= x.abs().amax(1, keepdim=True) / 2**13).all()
    coarse_alone = coarse * unit - x
    assert coarse_alone.norm() > 100 * error.norm()


def test_the_largest_sums_do_not_overflow():
    """All weights and inputs at their ends: what 16 bits have to hold is largest."""
    for sign in (1, -1):
        layer = QuantisedLinear(torch.full((8, 256), 2.0))
        got = layer(torch.full((3, 256), sign * 5.0))
        torch.testing.assert_close(got, torch.full((3, 8), sign * 2560.0), rtol=1e-3, atol=0)


def test_a_vector_gets_what_it_would_get_alone(weight):
    torch.manual_seed(1)
    layer, x = QuantisedLinear(weight), torch.randn(7, 160) * torch.logspace(-3, 3, 7)[:, None]
    together = layer(x)
    for row in range(7):
        assert torch.equal(layer(x[row]), together[row])


def test_zeros_give_zeros(weight):
    weight[5] = 0
    got = QuantisedLinear(weight)(torch.stack((torch.zeros(160), torch.ones(160))))
    assert (got[0] == 0).all()
    assert got[1, 5] == 0
    assert torch.isfinite(got).all()


@pytest.mark.skipif(not quantised._HAS_FBGEMM, reason="needs FBGEMM, which is for x86 processors")
def test_the_twin_equals_fbgemm(monkeypatch, weight):
    torch.manual_seed(1)
    x, fast = torch.randn(9, 160), QuantisedLinear(weight)
    monkeypatch.setattr(quantised, "_HAS_FBGEMM", False)
    readable = QuantisedLinear(weight)
    assert readable.packed is None
    torch.testing.assert_close(fast(x), readable(x), rtol=0, atol=1e-5)


def test_a_layer_can_be_copied(weight):
    layer, x = QuantisedLinear(weight), torch.ones(160)
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))


def test_an_embedding_gives_its_rows(weight):
    table, tokens = QuantisedEmbedding(weight), torch.tensor([[0, 95], [7, 7]])
    numbers, scale = round_rows(weight)
    assert table(tokens).equal((numbers * scale[:, None])[tokens])
    assert table(tokens.int()).equal(table(tokens))
    with pytest.raises(IndexError):
        table(torch.tensor([96]))
