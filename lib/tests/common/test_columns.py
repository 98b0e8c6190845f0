"""Turning the layout of weights changes where numbers lie, and no number."""

import pytest
import torch

from mixlab.common.columns import by_columns
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("n_experts", [1, 4])
def test_by_columns_changes_nothing_but_the_layout(tie_embeddings, n_experts):
    torch.manual_seed(3)
    config = TransformerConfig.tiny(
        tie_embeddings=tie_embeddings, n_experts=n_experts, experts_per_token=min(2, n_experts)
    )
    model = Transformer(config).eval()
    tokens = torch.randint(config.vocab_size, (1, 30))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.no_grad():
        expected = model(tokens)
        torch.testing.assert_close(by_columns(model)(tokens), expected, rtol=0, atol=1e-5)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (model.output.weight is model.tok_embeddings.weight) == tie_embeddings
    assert model.output.weight.stride() == (1, config.vocab_size)
    assert tie_embeddings or model.tok_embeddings.weight.is_contiguous()
    up = after["layers.0.feed_forward." + ("experts.1." if n_experts > 1 else "") + "w3.weight"]
    assert up.stride() == (1, config.hidden_dim)
    assert model.layers[0].attention.wo.weight.is_contiguous()


def test_gradients_still_flow():
    model = by_columns(Transformer(TransformerConfig.tiny()))
    model(torch.zeros(1, 4, dtype=torch.long)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
