"""Experts: grouped equals loop, gradients too, whatever the router does; losses; upcycling."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixlab.kernels import grouped_experts
from mixlab.traces.router import repetition, trace_router
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.router_losses import load_balancing_loss, router_z_loss
from mixlab.transformer.sparse_moe import (
    SparseMoE,
    experts_grouped,
    experts_loop,
    route,
    router_logits,
)
from mixlab.transformer.upcycle import upcycle

PATHS = [experts_grouped, grouped_experts.experts_grouped]


def operands(tokens, n_experts, k, dim=16, hidden_dim=24, seed=0):
    """Random x, chosen, gates, w1, w2, w3; every tensor that learns wants a gradient."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return (torch.randn(*shape, generator=generator) / shape[-1] ** 0.5).requires_grad_()

    chosen, gates = route(torch.randn(tokens, n_experts, generator=generator), k)
    x = torch.randn(tokens, dim, generator=generator).requires_grad_()
    up, down = (n_experts, hidden_dim, dim), (n_experts, dim, hidden_dim)
    return [x, chosen, gates.requires_grad_(), draw(*up), draw(*down), draw(*up)]


def outcome(path, operands):
    """The output of one path, and the gradient of a fixed mix of it to every operand."""
    learning = [tensor for tensor in operands if tensor.requires_grad]
    out = path(*operands)
    mix = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
    gradients = torch.autograd.grad((out * mix).sum(), learning)
    return out, *gradients


def assert_paths_agree(given):
    expected = outcome(experts_loop, given)
    for path in PATHS:
        for ours, theirs in zip(outcome(path, given), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), tokens=st.integers(1, 70), n_experts=st.integers(1, 9))
def test_grouped_equals_loop(data, tokens, n_experts):
    k = data.draw(st.integers(1, n_experts))
    assert_paths_agree(operands(tokens, n_experts, k, seed=data.draw(st.integers(0, 99))))


@pytest.mark.parametrize("tokens", [1, 2, 33])
@pytest.mark.parametrize("favourite", [[0], [7], [3, 4], list(range(8))])
def test_extreme_routing(tokens, favourite):
    """All tokens on one expert, on two, on all of them; the rest get none."""
    given = operands(tokens, 8, 1)
    k = len(favourite)
    given[1] = torch.tensor(favourite).expand(tokens, k).contiguous()
    given[2] = torch.full((tokens, k), 1 / k).requires_grad_()
    assert_paths_agree(given)
    idle = set(range(8)) - set(favourite)
    assert all(outcome(experts_grouped, given)[3][expert].eq(0).all() for expert in idle)


def test_large_experts_take_the_fast_product_and_agree():
    given = operands(80, 4, 2, dim=512, hidden_dim=640)
    with torch.no_grad():
        for path in PATHS:
            torch.testing.assert_close(path(*given), experts_loop(*given), rtol=0, atol=1e-5)


def test_one_token_alone_equals_the_token_in_a_batch():
    torch.manual_seed(0)
    layer = SparseMoE(TransformerConfig.tiny(n_experts=8, experts_per_token=2))
    x = torch.randn(3, 5, 64)
    alone = torch.stack([layer(token[None]) for token in x.flatten(0, 1)]).view(3, 5, 64)
    torch.testing.assert_close(layer(x), alone, rtol=0, atol=1e-6)


def test_bfloat16_stays_near_float32():
    given = [t.detach() for t in operands(40, 4, 2)]
    exact = experts_loop(*given)
    half = [t.bfloat16() if t.is_floating_point() and t is not given[2] else t for t in given]
    for path in [experts_loop, *PATHS]:
        assert path(*half).dtype == torch.bfloat16
        torch.testing.assert_close(path(*half).float(), exact, rtol=0.05, atol=0.02)


def test_no_tokens_is_an_error():
    layer = SparseMoE(TransformerConfig.tiny(n_experts=4, experts_per_token=2))
    with pytest.raises(ValueError, match="at least one token"):
        layer(torch.zeros(2, 0, 64))


# --- the router --------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(0, 999))
def test_top_k_then_softmax_is_softmax_top_k_renormalised(k, seed):
    """Mistral's order equals Hugging Face's, and only because Hugging Face renormalises."""
    logits = 3 * torch.randn(20, 8, generator=torch.Generator().manual_seed(seed))
    chosen, gates = route(logits, k)
    best = logits.softmax(dim=-1).topk(k, dim=-1)
    assert torch.equal(chosen, best.indices)
    renormalised = best.values / best.values.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(gates, renormalised, rtol=0, atol=1e-6)
    if k < 8:
        assert (gates.sum(dim=-1) - best.values.sum(dim=-1)).max() > 1e-4


def test_gates_sum_to_one_and_come_best_first():
    _, gates = route(torch.randn(50, 8), 3)
    torch.testing.assert_close(gates.sum(dim=-1), torch.ones(50), rtol=0, atol=1e-6)
    assert (gates.diff(dim=-1) <= 0).all()


@pytest.mark.parametrize("rows", [1, 7, 5000])
def test_ties_go_to_the_lower_number(rows):
    chosen, _ = route(torch.zeros(rows, 64), 3)
    assert torch.equal(chosen, torch.tensor([0, 1, 2]).expand(rows, 3))


@pytest.mark.parametrize("k", [0, -1, 9])
def test_k_out_of_range(k):
    with pytest.raises(ValueError, match="between 1 and the number of experts"):
        route(torch.zeros(3, 8), k)


def test_equals_transformers_block():
    from transformers import MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    torch.manual_seed(0)
    theirs = MixtralSparseMoeBlock(
        MixtralConfig(hidden_size=64, intermediate_size=128, num_local_experts=8)
    )
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours = SparseMoE(TransformerConfig.tiny(n_experts=8, experts_per_token=2))
    w1, w3 = theirs.experts.gate_up_proj.detach().chunk(2, dim=1)
    ours.w1.data, ours.w3.data, ours.w2.data = w1, w3, theirs.experts.down_proj.detach()
    ours.gate.weight.data = theirs.gate.weight.detach()
    x = torch.randn(2, 30, 64) / 8
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


# --- names -------------------------------------------------------------------------------------


def test_state_dict_carries_mistral_s_names_and_returns():
    config = TransformerConfig.tiny(n_layers=1, n_experts=3, experts_per_token=2)
    torch.manual_seed(0)
    first, second = Transformer(config), Transformer(config)
    state = first.state_dict()
    prefix = "layers.0.feed_forward."
    assert {name.removeprefix(prefix) for name in state if name.startswith(prefix)} == {
        "gate.weight"
    } | {f"experts.{e}.w{i}.weight" for e in range(3) for i in (1, 2, 3)}
    assert state[prefix + "experts.2.w2.weight"].shape == (64, 128)
    second.load_state_dict(state)
    tokens = torch.arange(20)[None]
    assert torch.equal(first(tokens), second(tokens))


def test_a_state_dict_without_one_expert_is_refused():
    config = TransformerConfig.tiny(n_experts=3, experts_per_token=2)
    model = Transformer(config)
    state = model.state_dict()
    del state["layers.1.feed_forward.experts.2.w3.weight"]
    with pytest.raises(RuntimeError, match=r"layers\.1\.feed_forward"):
        model.load_state_dict(state)


# --- losses ------------------------------------------------------------------------------------


def even_logits(layers=3, tokens=64, n_experts=8):
    """Each token likes the next two experts of a round robin a little: perfectly even top-2."""
    token = torch.arange(tokens)
    liked = torch.zeros(tokens, n_experts)
    liked[token, (2 * token) % n_experts] = 0.2
    liked[token, (2 * token + 1) % n_experts] = 0.1
    return liked.expand(layers, -1, -1)


def test_even_routing_gives_k():
    for pooled in (False, True):
        assert load_balancing_loss(even_logits(), 2, pooled).item() == pytest.approx(2, abs=1e-5)
    assert load_balancing_loss(even_logits(), 8).item() == pytest.approx(8, abs=1e-5)


@pytest.mark.parametrize("layers", [1, 4])
def test_pooled_form_is_transformers(layers):
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    torch.manual_seed(0)
    logits = 2 * torch.randn(layers, 50, 8)
    theirs = load_balancing_loss_func(tuple(logits), num_experts=8, top_k=2)
    torch.testing.assert_close(load_balancing_loss(logits, 2, pooled=True), theirs)
    each = [load_balancing_loss_func((layer,), num_experts=8, top_k=2) for layer in logits]
    torch.testing.assert_close(load_balancing_loss(logits, 2), torch.stack(each).mean())


def test_pooling_hides_collapsed_layers_and_the_layered_form_does_not():
    """Four layers, each stuck on its own pair of experts: pooled, they look perfectly even."""
    logits = torch.full((4, 32, 8), -9.0)
    for layer in range(4):
        logits[layer, :, 2 * layer : 2 * layer + 2] = 9.0
    assert load_balancing_loss(logits, 2, pooled=True).item() == pytest.approx(2, abs=1e-4)
    assert load_balancing_loss(logits, 2).item() == pytest.approx(8, abs=1e-4)


def test_balance_loss_pushes_logits_of_favourites_down():
    logits = torch.zeros(1, 32, 4)
    logits[..., 0] = 1.0
    logits.requires_grad_()
    load_balancing_loss(logits, 1).backward()
    assert (logits.grad[..., 0] > 0).all()
    assert (logits.grad[..., 1:] < 0).all()


def test_z_loss_is_the_mean_squared_logsumexp():
    logits = torch.randn(3, 5, 8)
    expected = torch.stack([row.exp().sum().log() ** 2 for row in logits.flatten(0, 1)]).mean()
    torch.testing.assert_close(router_z_loss(logits), expected)
    assert router_z_loss(logits + 50) > router_z_loss(logits)
    assert torch.equal(route(logits + 50, 2).chosen, route(logits, 2).chosen)


def test_losses_refuse_no_tokens():
    for loss in (router_z_loss, lambda empty: load_balancing_loss(empty, 2)):
        with pytest.raises(ValueError, match="at least one token"):
            loss(torch.zeros(2, 0, 8))


def test_router_logits_carry_gradients_and_leave_no_hook():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig.tiny(n_experts=4, experts_per_token=2))
    tokens = torch.randint(256, (2, 9))
    with router_logits(model) as logits:
        model(tokens)
    assert [layer.shape for layer in logits] == [(2, 9, 4)] * 2
    load_balancing_loss(torch.stack(logits).flatten(1, 2), 2).backward()
    assert all(layer.feed_forward.gate.weight.grad.abs().sum() > 0 for layer in model.layers)
    model(tokens)
    assert len(logits) == 2
    with (
        pytest.raises(ValueError, match="no experts"),
        router_logits(Transformer(TransformerConfig.tiny())),
    ):
        pass


# --- upcycling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tie_embeddings", [False, True])
@pytest.mark.parametrize(("n_experts", "k"), [(2, 1), (4, 2), (3, 3)])
def test_upcycled_equals_dense(n_experts, k, tie_embeddings):
    torch.manual_seed(0)
    dense = Transformer(TransformerConfig.tiny(window=7, tie_embeddings=tie_embeddings))
    sparse = upcycle(dense, n_experts, k)
    tokens = torch.randint(256, (2, 30))
    torch.testing.assert_close(sparse(tokens), dense(tokens), rtol=0, atol=1e-5)
    assert sum(p.numel() for p in sparse.parameters()) == sparse.config.n_parameters
    assert (sparse.output.weight is sparse.tok_embeddings.weight) == tie_embeddings
    with router_logits(sparse) as logits:
        sparse(tokens)
    used = {e for layer in logits for e in route(layer, k).chosen.flatten().tolist()}
    assert used == set(range(n_experts))


def test_upcycled_experts_learn_apart():
    torch.manual_seed(0)
    dense = Transformer(TransformerConfig.tiny())
    sparse = upcycle(dense, 4, 2, torch.Generator().manual_seed(1))
    before = dense.layers[0].feed_forward.w1.weight.clone()
    sparse(torch.arange(40)[None]).square().mean().backward()
    with torch.no_grad():
        for layer in sparse.layers:
            layer.feed_forward.w1 -= layer.feed_forward.w1.grad
    w1 = sparse.layers[0].feed_forward.w1
    assert not torch.equal(w1[0], w1[1])
    assert torch.equal(dense.layers[0].feed_forward.w1.weight, before)


def test_upcycle_refuses_what_has_experts_and_too_few():
    dense = Transformer(TransformerConfig.tiny())
    with pytest.raises(ValueError, match="starts from a dense model"):
        upcycle(upcycle(dense, 2, 1), 2, 1)
    with pytest.raises(ValueError, match="at least 2 experts"):
        upcycle(dense, 1, 1)
    with pytest.raises(ValueError, match="between 1 and n_experts"):
        upcycle(dense, 4, 5)


# --- the trace ---------------------------------------------------------------------------------


def traced(**changes):
    torch.manual_seed(0)
    config = TransformerConfig.tiny(n_experts=8, experts_per_token=2, **changes)
    model = Transformer(config)
    for layer in model.layers:
        torch.nn.init.normal_(layer.feed_forward.gate.weight)
    tokens = torch.randint(256, (3, 40))
    return model, tokens, trace_router(model, tokens)


def test_trace_is_what_the_layers_did():
    """Experts that the trace doesn't name could be anything; those it names make the output."""
    model, tokens, trace = traced(n_layers=1)
    expected = model(tokens)
    hidden = []
    moe = model.layers[0].feed_forward
    hook = moe.register_forward_hook(lambda _m, args, out: hidden.append((args[0], out)))
    model(tokens)
    hook.remove()
    ((x, out),) = hidden
    again = experts_loop(
        x.flatten(0, 1),
        torch.from_numpy(trace.chosen[0]).flatten(0, 1),
        torch.from_numpy(trace.gates[0]).flatten(0, 1),
        moe.w1,
        moe.w2,
        moe.w3,
    )
    torch.testing.assert_close(again.view_as(out), out, rtol=0, atol=1e-5)
    for expert in set(range(8)) - set(trace.chosen.flatten().tolist()):
        moe.w1.data[expert] = float("nan")
    torch.testing.assert_close(model(tokens), expected)


def test_trace_is_plain_and_consistent():
    _, tokens, trace = traced()
    assert all(isinstance(getattr(trace, f.name), np.ndarray) for f in fields(trace))
    assert trace.logits.shape == trace.probabilities.shape == (2, 3, 40, 8)
    assert trace.chosen.shape == trace.gates.shape == (2, 3, 40, 2)
    assert (trace.tokens == tokens.numpy()).all()
    np.testing.assert_allclose(trace.gates.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(trace.probabilities.sum(-1), 1, atol=1e-6)
    best = np.take_along_axis(trace.probabilities, trace.chosen, axis=-1)
    np.testing.assert_allclose(trace.gates, best / best.sum(-1, keepdims=True), atol=1e-6)
    counted = [np.bincount(layer.ravel(), minlength=8) / layer.size for layer in trace.chosen]
    np.testing.assert_allclose(trace.load, counted)
    with pytest.raises(AttributeError):
        trace.gates = None


def test_repetition_by_chance():
    """Pairs of distinct experts drawn at random: 1/8 and 13/28, as in the paper's table 5."""
    generator = np.random.default_rng(0)
    chosen = generator.random((1, 200_000, 8)).argsort(axis=-1)[..., :2]
    assert repetition(chosen) == pytest.approx(1 / 8, abs=0.005)
    assert repetition(chosen, first_only=False) == pytest.approx(13 / 28, abs=0.005)


def test_repetition_counts_pairs():
    chosen = np.array([[[0, 1], [1, 0], [2, 3]], [[4, 5], [4, 6], [7, 6]]])
    assert repetition(chosen) == 1 / 4
    assert repetition(chosen, first_only=False) == 3 / 4
    with pytest.raises(ValueError, match="two tokens or more"):
        repetition(chosen[:, :1])


def test_dense_models_have_no_router_to_trace():
    with pytest.raises(ValueError, match="no experts"):
        trace_router(Transformer(TransformerConfig.tiny()), torch.zeros(1, 3, dtype=torch.long))
