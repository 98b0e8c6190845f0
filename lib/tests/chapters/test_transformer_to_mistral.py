"""Chapter 01's block in all its forms, and its figures."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from mixlab.chapters.transformer_to_mistral import block, figures, forms, traces
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer

TINY = TransformerConfig.tiny(hidden_dim=96, n_experts=4, experts_per_token=2, window=3)
CHANGED = [
    {},
    dict(norm_first=True),
    dict(norm=block.rms_norm),
    dict(turn=block.rope),
    {},  # queries share keys where the weights say so
    dict(feed_forward=block.swiglu_layer),
    dict(window=3),
    dict(feed_forward=block.experts_layer, window=None),
]


def form_of(number: int) -> block.Form:
    form = block.Form(head_dim=TINY.head_dim)
    for change in CHANGED[: number + 1]:
        form = replace(form, **change)
    return form


@pytest.mark.parametrize("number", range(8))
def test_every_tensor_of_a_form_is_used_and_no_other(number):
    """So what is counted is what runs."""
    torch.manual_seed(number)
    w = {name: t.requires_grad_() for name, t in forms.weights(number, TINY).items()}
    assert {name: tuple(t.shape) for name, t in w.items()} == forms.shapes(number, TINY)
    block.block(torch.randn(20, TINY.dim), w, form_of(number)).square().sum().backward()
    assert all(t.grad is not None and t.grad.any() for t in w.values())


@pytest.mark.parametrize("window", [None, 3])
def test_mistrals_form_is_a_layer_of_the_library(window):
    torch.manual_seed(0)
    config = TransformerConfig.tiny(n_layers=1, window=window)
    model, tokens = Transformer(config), torch.randint(256, (1, 12))
    form = replace(form_of(6), window=window)
    with torch.no_grad():
        x = model.tok_embeddings(tokens)[0]
        ours = block.block(x, forms.of_layer(model.layers[0]), form)
        assert torch.allclose(ours, model.hidden(tokens)[0], atol=1e-5)


def test_published_sizes_are_what_the_forms_add_up_to():
    for number, config in (
        (6, TransformerConfig.mistral_7b()),
        (7, TransformerConfig.mixtral_8x7b()),
    ):
        tables = 2 * config.vocab_size * config.dim
        layers = config.n_layers * forms.costs(number, config, 1).parameters
        assert layers + tables + config.dim == config.n_parameters
        assert sum(forms.parts(config).values()) == config.n_parameters


def test_a_form_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="how many of the 7 changes"):
        forms.shapes(8, TINY)


def test_swaps_that_are_copies_change_nothing():
    torch.manual_seed(0)
    w, x, form = forms.weights(5, TINY), torch.randn(9, TINY.dim), form_of(5)
    grown = traces.own_keys(w, TINY.n_kv_heads, TINY.n_heads // TINY.n_kv_heads)
    assert grown["wk"].shape == w["wq"].shape
    assert torch.allclose(block.block(x, w, form), block.block(x, grown, form), atol=1e-5)


def test_neighbours_are_paired_by_putting_even_numbers_first():
    x = torch.randn(1, 1, 8, dtype=torch.float64)
    turned = block.rope(traces.evens_first(x), first=3)
    pairs = torch.view_as_complex(x.view(4, 2)) * torch.exp(1j * block.angles(torch.tensor([3]), 8))
    assert torch.allclose(turned.flatten(), torch.view_as_real(pairs[0]).T.flatten())


def test_best_distances_are_where_a_loop_finds_them():
    found = traces.best_distances(3, head_dim=8, longest=50, seed=1)
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 3, 4, dtype=torch.complex128, generator=generator)
    angle = block.angles(torch.arange(51), 8)
    for pair, best in enumerate(found):
        scores = (q[pair] * k[pair].conj() * torch.exp(1j * angle)).real.sum(1)
        assert scores.argmax() == best


def test_five_relus_touch_the_parabola_at_five_points():
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert torch.equal(traces.five_relus(x), x * x)


def test_own_share_falls_faster_with_norms_on_the_stream():
    post, pre = (
        traces.own_share(TINY, replace(form_of(0), norm_first=first), seed=0, n_blocks=3)
        for first in (False, True)
    )
    assert post[0] == pre[0] == 1
    assert post[-1] < pre[-1] < 1


def test_areas_of_the_two_models_are_on_one_scale():
    configs = TransformerConfig.mistral_7b(), TransformerConfig.mixtral_8x7b()
    models = {
        name: (forms.parts(c), n) for name, c, n in zip("ab", configs, (32, 256), strict=True)
    }
    shown = figures.sizes(models, run=[0, 1], title="t")
    areas = []
    for trace, config in zip(shown.data, configs, strict=True):
        x, y = trace.domain.x, trace.domain.y
        areas.append((x[1] - x[0]) * (y[1] - y[0]) / config.n_parameters)
        assert trace.values[0] == config.n_parameters == sum(trace.values[1:])
    assert areas[0] == pytest.approx(areas[1])


def test_dials_keep_the_angle_and_bars_their_numbers():
    speed = partial(lambda start, p: start + 0.4 * p, 0.2)
    dials = figures.dials({"a": (speed(3), speed(0)), "b": (speed(8), speed(5))}, "same", "t")
    assert len(dials.data) == 8
    bars = figures.swaps({"own": [1.0, 3.0], "other": [4.0, 6.0]}, blind=9.0, title="t")
    assert list(bars.data[0].x) == [5.0, 2.0]
