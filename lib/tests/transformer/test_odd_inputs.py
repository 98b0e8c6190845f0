"""Odd shapes against transformers, odd histories of a cache, and what users type by mistake."""

import inspect

import jaxtyping
import numpy as np
import pytest
import torch

import mixlab
from mixlab.common.norm import RMSNorm, rms_norm
from mixlab.common.sampling import sample
from mixlab.transformer.attention import attention, dense_attention
from mixlab.transformer.growing_cache import GrowingCache
from mixlab.transformer.model import next_token_loss
from mixlab.transformer.packing import pack_rows
from mixlab.transformer.sparse_moe import experts_grouped, experts_loop
from tests.transformer.caching import build_model, uncached
from tests.weights.transformers_models import logits, reference

ODD = dict(
    hidden_size=11, num_attention_heads=3, num_key_value_heads=1, head_dim=6, intermediate_size=13
)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("mistral", ODD | dict(vocab_size=3, sliding_window=2)),
        ("mistral", ODD | dict(num_attention_heads=1, head_dim=2, sliding_window=39)),
        ("mistral", ODD | dict(num_attention_heads=7, num_key_value_heads=7, vocab_size=1)),
        ("mistral", ODD | dict(sliding_window=500, intermediate_size=1, tie_word_embeddings=True)),
        ("mixtral", ODD | dict(num_experts_per_tok=1, num_local_experts=3, sliding_window=5)),
        ("mixtral", ODD | dict(num_experts_per_tok=7, num_local_experts=7, vocab_size=5)),
    ],
)
def test_odd_shapes_equal_transformers(tmp_path, family, changes):
    """Whole, and as a prompt, a second prompt on the used cache, and a step."""
    theirs = reference(family, **changes)
    if family == "mixtral":
        theirs.set_experts_implementation("eager")  # its grouped product wants even widths
    theirs.save_pretrained(tmp_path)
    ours = mixlab.load(tmp_path)
    tokens = torch.randint(changes.get("vocab_size", 128), (2, 40))
    expected = logits(theirs, tokens)
    torch.testing.assert_close(logits(ours, tokens), expected, rtol=0, atol=1e-4)
    _, cache = ours.prefill(tokens[:, :17])
    _, cache = ours.prefill(tokens[:, 17:39], cache)
    stepped, _ = ours.step(tokens[:, 39], cache)
    torch.testing.assert_close(stepped, expected[:, -1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["mistral", "mixtral"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_checkpoints_are_as_near_as_transformers(tmp_path, family, dtype):
    """Rounded weights in float32 are the truth; neither library may stray much further from it."""
    theirs = reference(family).to(dtype)
    theirs.save_pretrained(tmp_path)
    tokens = torch.randint(128, (2, 40))
    truth = logits(mixlab.load(tmp_path, dtype=torch.float32), tokens)
    ours = (logits(mixlab.load(tmp_path), tokens).float() - truth).abs()
    their = (logits(theirs, tokens).float() - truth).abs()
    # The mean: one token that rounding sends to another expert moves the maximum at will.
    assert ours.mean() < 1.5 * their.mean()


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_means_what_transformers_attention_mask_means(tmp_path, side):
    theirs = reference(sliding_window=4)
    theirs.save_pretrained(tmp_path)
    tokens, mask = torch.randint(128, (3, 12)), torch.zeros(3, 12, dtype=torch.bool)
    for row, n in enumerate((12, 5, 1)):
        mask[row, 12 - n if side == "left" else 0 : 12 if side == "left" else n] = True
    with torch.no_grad():
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)
        every = theirs(tokens, attention_mask=mask.long(), position_ids=positions).logits
    last = [int(row.nonzero()[-1]) for row in mask]
    packed, _ = mixlab.load(tmp_path).prefill(pack_rows(tokens, mask), chunk_size=3)
    torch.testing.assert_close(packed, every[range(3), last], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("length", "cuts"), [(8, [7, 6]), (5, [4, 2]), (6, [5, 4]), (9, [8, 8, 7])]
)
@pytest.mark.parametrize("through_rows", [False, True])
def test_a_ring_cut_twice_refuses_what_it_lost(length, cuts, through_rows):
    """The first cut doesn't bring back what the longest sequence overwrote."""
    model = build_model(window=4)
    _, cache = model.prefill(torch.arange(length)[None])
    for cut in cuts[:-1]:
        cache.truncate([cut])
    cache = cache.rows(torch.tensor([0])) if through_rows else cache
    with pytest.raises(ValueError, match="no longer holds position"):
        cache.truncate(cuts[-1:])


@pytest.mark.parametrize("again", [1, 3, 9])
def test_a_cut_that_is_allowed_can_be_repeated(again):
    """Back by one and on again, as in speculative decoding; and anew from nothing."""
    model, tokens = build_model(window=(4, None)), list(range(8))
    _, cache = model.prefill(torch.tensor([tokens]))
    for token in range(20, 20 + again):
        cache.truncate([7])
        got, cache = model.step(torch.tensor([token]), cache)
        expected = uncached(model, [*tokens[:7], token])
        torch.testing.assert_close(got[0], expected, rtol=0, atol=1e-9)
    cache.truncate([0])
    model.prefill(torch.tensor([[1, 2, 3]]), cache)
    cache.truncate([1])
    got, _ = model.step(torch.tensor([5]), cache)
    torch.testing.assert_close(got[0], uncached(model, [1, 5]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", [1, 3, 100])
def test_prompts_steps_and_prompts_again(window):
    """Any order of passes over one cache, with the growing cache beside it."""
    model, tokens = build_model(window=window), torch.randint(32, (2, 30))
    for cache in (model.init_state(2), GrowingCache(model.config, 2, dtype=torch.float64)):
        model.prefill(tokens[:, :4], cache)
        model.step(tokens[:, 4], cache)
        model.prefill(tokens[:, 5:20], cache, chunk_size=1)
        model.step(tokens[:, 20], cache)
        got, _ = model.prefill(tokens[:, 21:], cache, chunk_size=10**6)
        torch.testing.assert_close(got, model(tokens)[:, -1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", [None, 1, 5, 70])
def test_gradients_through_the_band_equal_the_dense_ones(window):
    parts = [torch.randn(2, heads, 130, 6, dtype=torch.float64) for heads in (4, 2, 2)]
    weight = torch.randn(2, 4, 130, 6, dtype=torch.float64)
    gradients = []
    for path in (attention, dense_attention):
        q, k, v = (x.clone().requires_grad_() for x in parts)
        (path(q, k, v, window) * weight).sum().backward()
        gradients.append((q.grad, k.grad, v.grad))
    for fast, dense in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, dense, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_two_norms_compute_in_the_same_precision(dtype):
    x, norm = torch.randn(5, 40, dtype=dtype) * 3, RMSNorm(40).to(dtype)
    atol = {torch.float64: 1e-14, torch.bfloat16: 0.0}[dtype]
    torch.testing.assert_close(norm(x), rms_norm(x, norm.weight), rtol=0, atol=atol)


def test_no_tokens_are_no_output_for_both_dispatches():
    x, w = torch.zeros(0, 4), torch.randn(3, 4, 4)
    nobody = torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, 2)
    assert experts_grouped(x, *nobody, w, w, w).equal(experts_loop(x, *nobody, w, w, w))


def test_tokens_of_other_types_and_layouts():
    model, tokens = build_model(window=3), torch.arange(12).reshape(3, 4)
    expected = model(tokens.T.contiguous())
    assert model(tokens.T).equal(expected)
    assert model(tokens.T.int()).equal(expected)
    assert next_token_loss(expected, tokens.T.int()).equal(next_token_loss(expected, tokens.T))
    assert model.prefill(tokens.T.int())[0].equal(model.prefill(tokens.T)[0])


def test_mistakes_in_tokens_are_named(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # what users meet, not tests
    model = build_model(window=3)
    for tokens in (torch.tensor([[1, 32]]), torch.tensor([[-1, 4]])):
        for use in (model, model.prefill):
            with pytest.raises(ValueError, match="this model knows tokens 0 to 31"):
                use(tokens)
    cache = model.init_state(1)
    with pytest.raises(ValueError, match="knows tokens"):
        model.step(torch.tensor([99]), cache)
    model.step(torch.tensor([9]), cache)  # and the cache is none the worse
    for use in (model, model.prefill):
        with pytest.raises(ValueError, match=r"tokens\[None\]"):
            use(torch.tensor([1, 2]))
    with pytest.raises(ValueError, match=r"\.bool\(\)"):
        pack_rows(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 1], [1, 0]]))
    with pytest.raises(ValueError, match="at least 2 tokens"):
        next_token_loss(torch.zeros(1, 1, 4), torch.tensor([[0]]))


@pytest.mark.parametrize(
    "prompts",
    [
        torch.tensor([1, 2]),
        [torch.tensor([[1, 2]])],
        [torch.tensor([1.5])],
        [[1.7]],
        [["1"]],
        [None],
    ],
)
def test_prompts_that_are_no_token_ids(prompts):
    with pytest.raises(ValueError, match="prompts must be a list of lists"):
        inspect.unwrap(mixlab.generate)(build_model(), prompts, 2)


def test_numbers_that_generate_takes_and_refuses(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    model, generate = build_model(), inspect.unwrap(mixlab.generate)
    expected = generate(model, [[1, 2]], 3)
    assert generate(model, np.array([[1, 2]]), np.int64(3), chunk_size=10**9) == expected
    assert generate(model, [range(1, 3)], 3, temperature=1e-320) == expected
    assert generate(model, [[1, 2]], 3, temperature=1.0, top_p=1e-12) == expected
    assert generate(model, [[1], [2]], 5, stop=range(32)) == [[], []]
    for options in (dict(max_tokens=2.5), dict(max_tokens=2, chunk_size=1.5)):
        with pytest.raises(ValueError, match="must be"):
            generate(model, [[1]], **options)
    with pytest.raises(ValueError, match="stop must be a collection"):
        generate(model, [[1]], 2, stop="</s>")


@pytest.mark.parametrize("temperature", [1e-320, 1e-45, 1e30, 1e300])
def test_temperatures_beyond_float32(temperature):
    banned = torch.tensor([[0.0, 5.0, -torch.inf]])
    drawn = {sample(banned, temperature).item() for _ in range(50)}
    assert drawn == ({1} if temperature < 1 else {0, 1})


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_without_a_finite_maximum(temperature):
    for row in ([0.0, torch.inf], [-torch.inf, -torch.inf]):
        with pytest.raises(ValueError, match="no finite maximum"):
            sample(torch.tensor([row]), temperature)
