"""Shards on real ranks against the whole model, and the plan against both."""

import pytest
import torch

from mixlab.parallel.expert_sharding import ExpertShard
from mixlab.parallel.plan import CUTS, plan, token_numbers
from mixlab.parallel.processes import Ranks
from mixlab.parallel.sharding import LayerShard, TensorShard, spans
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer
from mixlab.transformer.sparse_moe import router_logits

SHARDS = dict(layers=LayerShard, tensors=TensorShard, experts=ExpertShard)


@pytest.fixture(scope="module")
def three():
    with Ranks(3) as ranks:
        yield ranks


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a rank has: another number may round otherwise
    yield
    torch.set_num_threads(threads)


def small(**changes) -> Transformer:
    torch.manual_seed(0)
    shape = dict(n_layers=5, n_heads=6, n_kv_heads=3, hidden_dim=100, vocab_size=50)
    return Transformer(TransformerConfig.tiny(**(shape | changes)))


def run(communicator, model, make, texts, options):
    """Two prompts in one pass, then a step each: logits, bytes of the cache, parameters."""
    shard = make(model, communicator.world_size, communicator.rank, **options)
    cache = shard.init_state(len(texts))
    lengths = [len(text) for text in texts]
    first = shard(communicator, torch.cat(texts), cache, lengths)
    ones = torch.tensor([7] * len(texts))
    second = shard(communicator, ones, cache, [1] * len(texts))
    n_bytes = 0 if cache is None else cache.n_bytes
    return first, second, n_bytes, sum(weight.numel() for weight in shard.parameters())


def whole(model, texts):
    cache = model.init_state(len(texts))
    first = model.extend(torch.cat(texts), cache, [len(text) for text in texts])
    second = model.extend(torch.tensor([7] * len(texts)), cache, [1] * len(texts))
    return [model.output(model.norm(x)) for x in (first, second)]


TEXTS = [torch.randint(50, (n,), generator=torch.manual_seed(1)) for n in (9, 4)]


@pytest.mark.parametrize("ceiling", [False, True])
@pytest.mark.parametrize("experts", [1, 4])
def test_layers_on_other_ranks_are_exact_to_the_last_bit(three, ceiling, experts):
    windows = (4, None, 3, None, 4)
    model = small(window=windows, n_experts=experts, experts_per_token=min(2, experts))
    got = three.run(run, model, LayerShard, TEXTS, dict(ceiling=ceiling))
    assert [first for first, *_ in got[:2]] == [None, None]
    for ours, theirs in zip(got[2][:2], whole(model, TEXTS), strict=True):
        assert torch.equal(ours, theirs)
    state = 4 * model.config.dim  # bytes of a hidden state
    assert [sum(s.bytes for s in sent.values()) for sent in three.sent] == [15 * state] * 2 + [0]


def test_a_rank_without_layers_passes_on_what_it_gets(three):
    model = small(n_layers=2)
    got = three.run(run, model, LayerShard, TEXTS, dict(ceiling=True))
    assert [n_bytes > 0 for _, _, n_bytes, _ in got] == [True, True, False]
    assert torch.equal(got[2][0], whole(model, TEXTS)[0])


@pytest.mark.parametrize("experts", [1, 4])
def test_tensors_are_exact_to_rounding_and_alike_on_every_rank(three, experts):
    model = small(window=4, n_experts=experts, experts_per_token=min(2, experts))
    got = three.run(run, model, TensorShard, TEXTS, {})
    for place, theirs in enumerate(whole(model, TEXTS)):
        assert all(torch.equal(one[place], got[0][place]) for one in got[1:])
        torch.testing.assert_close(got[0][place], theirs, atol=1e-5, rtol=1e-4)
    sent = sum(sent["all_reduce"].bytes for sent in three.sent)
    assert sent == 15 * 4 * token_numbers(model.config, "tensors", 3)


def test_experts_give_each_rank_s_texts_what_the_whole_model_gives(three):
    model = small(n_experts=4, experts_per_token=2)

    def own(communicator, model, texts):
        some = [text[communicator.rank :] for text in texts]  # other texts on every rank
        return run(communicator, model, ExpertShard, some, {})

    got = three.run(own, model, TEXTS)
    leaving = 0
    held = [rank for rank, span in enumerate(spans(4, 3)) for _ in span]
    for rank, (first, second, *_) in enumerate(got):
        texts = [text[rank:] for text in TEXTS]
        with router_logits(model) as logits:
            expected = whole(model, texts)
        for ours, theirs in zip((first, second), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
        chosen = torch.cat([one.topk(2).indices.flatten() for one in logits])
        leaving += sum(held[expert] != rank for expert in chosen.tolist())
    # A row there and one back, the expert's number; and three times how many, in 2 passes.
    counts = 3 * 2 * 2 * 5 * 3 * 8
    sent = sum(sent["all_to_all"].bytes for sent in three.sent)
    assert sent == leaving * (2 * 4 * model.config.dim + 8) + counts


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("tied", [False, True])
def test_the_plan_counts_what_shards_hold(cut, tied):
    for n_ranks in (1, 2, 3):
        model = small(n_experts=4, experts_per_token=2, tie_embeddings=tied)
        shares = plan(model.config, cut, n_ranks)
        for rank, share in enumerate(shares):
            model = small(n_experts=4, experts_per_token=2, tie_embeddings=tied)
            shard = SHARDS[cut](model, n_ranks, rank)
            assert share.parameters == sum(weight.numel() for weight in shard.parameters())
            cache = shard.init_state(1)
            config = cache.config
            assert share.cached == 2 * config.n_layers * config.n_kv_heads * config.head_dim
    assert sum(share.parameters for share in plan(model.config, cut, 1)) == (
        model.config.n_parameters
    )


def test_published_numbers():
    mistral = TransformerConfig.mistral_7b()
    layers = plan(mistral, "layers", 4)
    assert sum(share.parameters for share in layers) == mistral.n_parameters
    assert 2 * token_numbers(mistral, "tensors", 4) / 4 == 786_432
    mixtral = TransformerConfig.mixtral_8x7b()
    assert 2 * token_numbers(mixtral, "experts", 8) == 0.875 * 2**20


def test_spans_hold_everything_once():
    for n_ranks in range(1, 12):
        for count in range(30):
            for ceiling in (False, True):
                held = [number for span in spans(count, n_ranks, ceiling) for number in span]
                assert held == list(range(count))
            sizes = [len(span) for span in spans(count, n_ranks)]
            assert max(sizes) - min(sizes) <= 1


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="at least 1 rank"):
        spans(4, 0)
    with pytest.raises(ValueError, match="key/value head of its own"):
        TensorShard(small(), 4, 0)
    with pytest.raises(ValueError, match="an expert of its own"):
        ExpertShard(small(), 2, 0)
    with pytest.raises(ValueError, match="cut by layers"):
        plan(small().config, "rows", 2)
    with pytest.raises(ValueError, match="1 to 3 ranks"):
        plan(small().config, "tensors", 4)
