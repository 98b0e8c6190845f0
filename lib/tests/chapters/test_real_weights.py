"""What chapter 11 traces and draws, on small models: masks, recomputing, places, learning."""

import numpy as np
import pytest
import torch

from mixlab.chapters.real_weights import figures, traces, upcycling
from mixlab.common.perplexity import surprise
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.window import window_mask


@pytest.fixture
def model():
    torch.manual_seed(0)
    built = Transformer(TransformerConfig.tiny(dim=32, head_dim=8, vocab_size=40, n_layers=3))
    with torch.no_grad():
        for parameter in built.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.4)
    return built.requires_grad_(False).eval()


@pytest.fixture
def tokens():
    return torch.randint(40, (2, 20), generator=torch.Generator().manual_seed(1))


def test_watching_changes_nothing_and_sees_every_layer(model, tokens):
    seen = traces.watch(model, tokens)
    torch.testing.assert_close(seen.stream, model.hidden(tokens), rtol=0, atol=1e-4)
    assert seen.attention.shape == (3, 2, 20, 20)
    torch.testing.assert_close(seen.attention.sum(-1), torch.ones(3, 2, 20))
    assert seen.attention.triu(1).abs().max() == 0
    torch.testing.assert_close(seen.lengths[-1], seen.stream.norm(dim=-1))
    assert seen.values.shape == (3, 2, 20)
    again = model.layers[-1]
    assert not again._forward_hooks
    model.set_window(4)
    with pytest.raises(ValueError, match="wants no window"):
        traces.watch(model, tokens)


@pytest.mark.parametrize("sinks", [0, 2])
def test_a_rule_and_pinned_slots_see_alike(model, tokens, sinks):
    model.set_window(6)
    rule = traces.RuleCache(model.config, 2, window_mask(20, window=6, sinks=sinks))
    found = traces.surprises(model, tokens, start=5, sinks=sinks)
    assert found.shape == (2, 15)
    torch.testing.assert_close(
        found, traces.surprises(model, tokens, start=5, cache=rule), rtol=0, atol=1e-3
    )


def test_places_differ_from_positions_once_the_window_is_full(model, tokens):
    model.set_window(6)
    placed = traces.surprises(model, tokens, 1, cache=traces.PlacedCache(model.config, 2, 20, 2))
    pinned = traces.surprises(model, tokens, 1, sinks=2)
    torch.testing.assert_close(placed[:, :6], pinned[:, :6], rtol=0, atol=1e-3)
    assert (placed - pinned)[:, 6:].abs().max() > 1e-2


def test_recomputed_is_the_piece_by_itself(model, tokens):
    at = torch.tensor([6, 19])
    found = traces.recomputed(model, tokens, at, window=6)
    for column, position in enumerate(at.tolist()):
        piece = tokens[:, position - 6 : position + 1]
        alone = surprise(model(piece), piece)[:, -1]
        torch.testing.assert_close(found[:, column], alone, rtol=0, atol=1e-4)


def test_copies_learn_though_the_router_cannot_at_first(model, tokens):
    used = tokens.unique()
    before = traces.watch(model, tokens).before_last
    given = upcycling.task(model, tokens, before, [0, 1], used)
    layer, dense = upcycling.copies(model, seed=0), model.layers[-1].feed_forward
    torch.testing.assert_close(layer(given.x), dense(given.x), rtol=0, atol=1e-4)
    whole = model(tokens)[:, :-1].flatten(0, 1)[:, used]
    expected = torch.nn.functional.cross_entropy(whole, given.targets)
    born = upcycling.loss(model, layer, given)
    torch.testing.assert_close(born.detach(), expected, rtol=0, atol=1e-4)
    born.backward()
    assert layer.gate.weight.grad.norm() < 1e-4 * layer.w1.grad.norm()
    history = upcycling.learn(model, layer, given, given, steps=4, every=2, seed=0)
    assert len(history) == 3
    assert history[-1][0] < history[0][0]
    assert 0 <= history[-1][1] <= 1
    single = upcycling.learn(
        model, upcycling.dense_copy(model), given, given, steps=2, every=2, seed=0
    )
    assert [bits for _, bits in single] == [0, 0]


def test_figures_draw_the_arrays_that_they_are_given():
    rungs = figures.rungs([0, 15, 3], -1.0, 0.5, "A claim").data[0]
    assert list(rungs.y) == [-1.0, 6.5, 0.5]
    drawn = figures.by_position([8, 24], {"no window": [1, 2], "W": [1, 5]}, 16, "A claim")
    assert [list(line.y) for line in drawn.data] == [[1, 2], [1, 5]]
    cells = figures.attention_map(np.eye(2), ["a", "b"], "A claim").data[0].z
    assert np.isnan(cells[0][1])
    assert cells[1][0] == 0
    both = figures.through_layers(
        ["a"], np.array([[0.1], [0.2]]), np.array([[1.0], [9.0]]), "A claim"
    )
    assert [list(line.y) for line in both.data] == [[0.1, 0.2], [1.0, 9.0]]
    panels = figures.budgets([16, 32], ["a"], [[9], [8]], [[3], [2]], [1], "A claim")
    assert [list(line.y) for line in panels.data] == [[9, 8], [3, 2], [1, 1]]
    ways = {"none": [1.0], "masked": [900.0], "kept": [2.0], "again": [2.0]}
    assert figures.bars(["a"], ways, "A claim").data[1].text == ("900",)
