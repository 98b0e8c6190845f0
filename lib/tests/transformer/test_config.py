"""A configuration is right when it is written down: published sizes, and every contradiction."""

import re
import subprocess
import sys

import pytest
import torch

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer


def test_published_sizes():
    assert TransformerConfig.mistral_7b().n_parameters == 7_241_732_096
    mixtral = TransformerConfig.mixtral_8x7b()
    assert mixtral.n_parameters == 46_702_792_704
    assert mixtral.n_active_parameters == 12_879_925_248
    assert mixtral.layer_windows == (None,) * 32
    assert TransformerConfig.mistral_7b().layer_windows == (4096,) * 32


@pytest.mark.parametrize("tie_embeddings", [False, True])
@pytest.mark.parametrize("n_experts", [1, 4])
def test_counted_parameters_are_the_model_s(n_experts, tie_embeddings):
    config = TransformerConfig.tiny(
        n_experts=n_experts, experts_per_token=1, tie_embeddings=tie_embeddings
    )
    with torch.device("meta"):
        model = Transformer(config)
    assert sum(p.numel() for p in model.parameters()) == config.n_parameters
    expert = 3 * config.dim * config.hidden_dim
    idle = config.n_layers * (n_experts - 1) * expert
    assert config.n_parameters - config.n_active_parameters == idle


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(dim=0), "dim must be a positive whole number: got 0"),
        (dict(n_layers=True), "n_layers must be a positive whole number: got True"),
        (dict(n_heads=5, n_kv_heads=2), "n_heads must be a multiple of n_kv_heads"),
        (dict(n_heads=2, n_kv_heads=4), "n_heads must be a multiple of n_kv_heads"),
        (dict(head_dim=15), "head_dim must be even"),
        (dict(experts_per_token=2), "between 1 and n_experts"),
        (dict(n_experts=4, experts_per_token=0), "experts_per_token must be a positive"),
        (dict(n_experts=4, experts_per_token=5), "between 1 and n_experts"),
        (dict(rope_theta=0.0), "rope_theta must be a positive number"),
        (dict(norm_eps=-1e-5), "norm_eps must be a positive number"),
        (dict(norm_eps=float("nan")), "norm_eps must be a positive number"),
        (dict(window=0), "window must be at least 1"),
        (dict(window=-3), "window must be at least 1"),
        (dict(window=True), "whole number of keys or None: got True"),
        (dict(window=(4, 4, 4)), "one for each of the 2 layers"),
        (dict(window=(4, 0)), "window must be at least 1"),
    ],
)
def test_contradictions_are_told(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        TransformerConfig.tiny(**changes)


def test_wrong_types_are_told_without_the_shape_checker():
    """Under pytest the type checker speaks first, so these run as a user would run them."""
    script = """
from mixlab.transformer.config import TransformerConfig
for changes in [dict(dim=64.0), dict(vocab_size=None), dict(window=4.0), dict(window="4")]:
    try:
        TransformerConfig.tiny(**changes)
    except ValueError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "dim must be a positive whole number: got 64.0",
        "vocab_size must be a positive whole number: got None",
        "window must be a whole number of keys or None: got 4.0. A whole number of another type "
        "becomes one by int(window)",
        "window must be a whole number of keys or None: got '4'. A whole number of another type "
        "becomes one by int(window)",
    ]


def test_set_window_checks_and_reaches_every_layer():
    model, tokens = Transformer(TransformerConfig.tiny()), torch.arange(12)[None]
    free = model(tokens)
    model.set_window((3, None))
    made_so = Transformer(TransformerConfig.tiny(window=(3, None)))
    made_so.load_state_dict(model.state_dict())
    assert model(tokens).equal(made_so(tokens))
    assert not model(tokens).allclose(free)
    assert [layer.window for layer in model.init_state(1).layers] == [3, None]
    assert model.config.window == (3, None)
    with pytest.raises(ValueError, match="at least 1"):
        model.set_window(0)
    assert model.config.window == (3, None)
