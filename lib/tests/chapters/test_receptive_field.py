"""Chapter 03's traces against the theorem and each other, and what its figures draw."""

import numpy as np
import pytest
import torch

from mixlab.chapters.receptive_field import effective_field, figures, traces
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer


def band(seq: int, reach: int) -> np.ndarray:
    distance = np.subtract.outer(np.arange(seq), np.arange(seq))
    return (distance >= 0) & (distance <= reach)


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_reach_grows_by_a_window_less_one_a_layer(window):
    reach = traces.reach([window] * 5, seq=12)
    for n_layers in range(6):
        assert (reach[n_layers] == band(12, n_layers * (window - 1))).all()


def test_reach_of_mixed_windows_adds_their_steps():
    assert (traces.reach([3, 1, 4], 12)[-1] == band(12, 5)).all()
    assert (traces.reach([2, None], 12)[-1] == band(12, 12)).all()
    with pytest.raises(ValueError, match="at least 1"):
        traces.reach([0], 4)


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_a_cone_narrows_by_a_window_less_one_a_layer(window):
    cone = traces.cone(window, 4, query=11)
    for layer in range(5):
        assert (cone[layer] == band(12, (4 - layer) * (window - 1))[11]).all()


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_a_relay_takes_the_widest_step_there_is_until_it_arrives(window):
    for key in range(10):
        relay = traces.relay(window, 5, key, query=9)
        assert relay == [min(9, key + layer * (window - 1)) for layer in range(6)]


@pytest.mark.parametrize("windows", [(3, 3, 3), (2, None, 1), (1, 1, 4)])
@pytest.mark.parametrize("n_experts", [1, 4])
def test_every_road_to_the_reach_agrees(windows, n_experts):
    """Counting, derivatives of all states, of one prediction, and an exchanged token."""
    torch.manual_seed(0)
    config = TransformerConfig.tiny(
        n_layers=3, window=windows, n_experts=n_experts, experts_per_token=min(2, n_experts)
    )
    model, tokens = Transformer(config).double(), torch.randint(1, 256, (11,))
    reach = traces.reach(windows, 11)
    norms = traces.jacobian_norms(model, tokens, torch.Generator().manual_seed(1))
    assert ((norms > 0) == reach).all()
    used = traces.influence(model, tokens[None])[0]
    assert ((used > 0) == reach[-1, -1, ::-1]).all()
    assert np.isclose(used.sum(), 1)
    for position in (0, 5, 10):
        changed = traces.ripple(model, tokens, position, replacement=0)
        if n_experts == 1:
            assert ((changed > 0) == reach[-1, :, position]).all()
        # Experts batch tokens anew when routes change, and another batch may round differently.
        assert changed[~reach[-1, :, position]].max(initial=0) < 1e-14


def test_single_precision_reaches_as_far():
    """Squares of small gradients vanish in float32: lengths are taken in double."""
    torch.manual_seed(0)
    model = Transformer(TransformerConfig.tiny(n_layers=3, window=3))
    with torch.no_grad():
        for layer in model.layers:
            layer.attention.wo.weight.mul_(1e-9)
    tokens = torch.arange(10)[None]
    gradient = traces.prediction_gradient(model, tokens)[0]
    assert (gradient.square().sum(-1).sqrt() > 0).sum() < 7
    assert (traces.influence(model, tokens)[0] > 0).sum() == 7


def test_a_model_is_left_as_it_was():
    model = Transformer(TransformerConfig.tiny(window=3))
    tokens = torch.arange(6)[None]
    before = model(tokens)
    traces.influence(model, tokens)
    traces.jacobian_norms(model, tokens[0], torch.Generator())
    assert torch.equal(model(tokens), before)
    assert not model.tok_embeddings._forward_hooks
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_ripple_needs_another_token_at_a_position_of_the_text():
    model = Transformer(TransformerConfig.tiny())
    with pytest.raises(ValueError, match="between 0 and 3: got 4"):
        traces.ripple(model, torch.arange(4), 4, 9)
    with pytest.raises(ValueError, match="another token"):
        traces.ripple(model, torch.arange(4), 2, 2)


def test_the_filling_tells_new_from_old():
    shown = figures.filling(traces.reach([2, 2], seq=3), "A claim")
    assert [frame.name for frame in shown.frames] == ["0", "1", "2"]
    assert np.array(shown.frames[2].data[0].z).tolist() == [[1, 0, 0], [1, 1, 0], [2, 1, 1]]


def test_the_jacobians_panel_is_blank_where_there_is_no_derivative():
    norms = np.array([np.eye(2), [[1.0, 0.0], [1e-3, 1.0]]])
    shown = figures.support(norms > 0, norms, "A claim")
    assert list(shown.frames[1].data[1].z) == [[0, None], [-3, 0]]


def test_the_used_part_s_number_stands_behind_its_texts():
    shown = effective_field.used({"a": (0.1, [0.05, 0.3]), "b": (0.6, [])}, "A claim")
    assert [(bar.x[0], bar.x[1]) for bar in shown.data[:2]] == [(0.1, 0.6), (0.9, 0.4)]
    assert list(shown.data[2].x) == [0.05, 0.3]
    words = [(name.text, name.x) for name in shown.layout.annotations]
    assert words == [("<b>10%</b>", 0.3), ("<b>60%</b>", 0.6)]


def test_the_ripple_leaves_unchanged_tokens_blank():
    bits = {"4": np.array([0.0, 1.0, 1e-9, 0.0])}
    shown = effective_field.ripple(bits, list("abcd"), 1, "A claim", columns=3)
    assert list(shown.data[0].z) == [[None, 0, -8], [None, None, None]]
    assert shown.data[1].text[0] == "a"
    assert "FFF" in shown.data[1].text[2]
