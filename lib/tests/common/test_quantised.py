"""Products of 8-bit weights: how exact, that vectors don't meddle, and the twin."""

import copy

import jaxtyping
import pytest
import torch
from torch.nn import functional as F

from mixlab.common import quantised
from mixlab.common.quantised import (
    QuantisedEmbedding,
    QuantisedLinear,
    products,
    products_of_few,
    round_rows,
)


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
    assert relative(QuantisedLinear(weight)(x), exact) < 1e-6
    assert relative(QuantisedLinear(weight)(x), F.linear(x, weight)) < 0.03


@pytest.mark.parametrize("n_tokens", [1, 3, 8])
def test_few_tokens_give_what_the_twin_gives(weight, n_tokens):
    torch.manual_seed(1)
    x, (numbers, scale) = torch.randn(n_tokens, 160), round_rows(weight)
    expected = products(x, numbers, scale)
    torch.testing.assert_close(products_of_few(x, numbers, scale), expected, rtol=1e-5, atol=1e-5)
    turned = torch.randn(160, n_tokens).T  # rows that don't lie in one piece
    expected = products(turned, numbers, scale)
    got = products_of_few(turned, numbers, scale)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_gradients_and_other_types_go_the_readable_way(weight):
    layer, x = QuantisedLinear(weight), torch.randn(3, 160, requires_grad=True)
    layer(x).sum().backward()
    numbers, scale = round_rows(weight)
    expected = (numbers * scale[:, None]).sum(0).expand(3, -1)
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-4)
    assert layer(x.detach().bfloat16()).isfinite().all()


def test_vectors_of_another_size_are_refused(monkeypatch, weight):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"vectors of 160 numbers: got 60"):
        products_of_few(torch.ones(1, 60), *round_rows(weight))


def test_a_weight_is_made_float_in_pieces(monkeypatch, weight):
    torch.manual_seed(1)
    x, (numbers, scale) = torch.randn(12, 160), round_rows(weight)
    whole = products(x, numbers, scale)
    monkeypatch.setattr(quantised, "_IN_CACHE", 7 * 160)
    torch.testing.assert_close(products(x, numbers, scale), whole, rtol=1e-5, atol=1e-5)


def test_a_vector_gets_what_it_would_get_alone(weight):
    torch.manual_seed(1)
    layer, x = QuantisedLinear(weight), torch.randn(12, 160) * torch.logspace(-3, 3, 12)[:, None]
    together = layer(x)
    for row in range(12):
        torch.testing.assert_close(layer(x[row]), together[row], rtol=1e-4, atol=1e-6)


def test_zeros_give_zeros(weight):
    weight[5] = 0
    got = QuantisedLinear(weight)(torch.stack((torch.zeros(160), torch.ones(160))))
    assert (got[0] == 0).all()
    assert got[1, 5] == 0
    assert torch.isfinite(got).all()


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
