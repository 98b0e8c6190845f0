"""A model in 8 bits does all that the model in float32 does, and nearly the same."""

import copy

import pytest
import torch
from torch import nn

from mixlab.generate import generate
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.quantised import quantise

KINDS = {
    "dense": {},
    "tied": {"tie_embeddings": True},
    "experts": {"n_experts": 4, "experts_per_token": 2},
}


def pair(**changes):
    torch.manual_seed(0)
    model = Transformer(TransformerConfig.tiny(window=6, **changes)).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return model, quantise(copy.deepcopy(model))


def tokens(*shape):
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_logits_are_near_those_of_float32(changes):
    model, small = pair(**changes)
    exact, got = model(tokens(2, 20)), small(tokens(2, 20))
    assert got.dtype == torch.float32
    assert (got - exact).norm() < 0.1 * exact.norm()
    assert not torch.equal(got, exact)  # or nothing was rounded


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_only_norms_and_routers_stay_float(changes):
    _, small = pair(**changes)
    kept = {name.rpartition(".")[0].rpartition(".")[2] for name, _ in small.named_parameters()}
    assert kept <= {"attention_norm", "ffn_norm", "norm", "gate"}


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("chunk", [1, 4, None])
def test_cache_and_chunks_give_what_one_pass_gives(changes, chunk):
    _, small = pair(**changes)
    rows = tokens(2, 15)
    whole = small(rows)
    logits, cache = small.prefill(rows[:, :12], chunk_size=chunk)
    torch.testing.assert_close(logits, whole[:, 11], rtol=0, atol=2e-3)
    for position in (12, 13, 14):
        logits, cache = small.step(rows[:, position], cache)
        torch.testing.assert_close(logits, whole[:, position], rtol=0, atol=2e-3)


def test_each_prompt_gets_what_it_gets_alone():
    _, small = pair()
    prompts = [[1, 2, 3], [200, 7], [5, 5, 5, 5, 5, 5, 5, 5, 5]]
    together = generate(small, prompts, max_tokens=12)
    assert together == [generate(small, [prompt], max_tokens=12)[0] for prompt in prompts]


def test_twice_is_once():
    _, small = pair()
    before = small(tokens(1, 9))
    assert quantise(small)(tokens(1, 9)).equal(before)


def test_unknown_tokens_are_refused():
    _, small = pair()
    with pytest.raises(ValueError, match="this model knows tokens 0 to 255"):
        small(torch.tensor([[256]]))


def test_other_types_are_refused():
    model, _ = pair()
    with pytest.raises(ValueError, match=r"got a model in torch.bfloat16 on cpu"):
        quantise(model.bfloat16())


def test_a_quantised_model_is_not_saved(tmp_path):
    from mixlab.weights import save

    _, small = pair()
    with pytest.raises(ValueError, match="8 bits"):
        save(small, tmp_path)
    assert isinstance(small, nn.Module)
