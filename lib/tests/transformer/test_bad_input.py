"""What doesn't fit together is an error that says so; nothing is broadcast into a wrong answer."""

import inspect

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn, randn

import mixlab
from mixlab.common.linear import gated_linear
from mixlab.common.sampling import nucleus, sample
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.transformer import packed_masks, packing, rope, sparse_moe, window
from mixlab.transformer.attention import attention, banded_attention, dense_attention
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import next_token_loss
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.rolling_layer import unrotate
from mixlab.transformer.router_losses import load_balancing_loss, router_z_loss
from tests.transformer.caching import build_model


@pytest.fixture(autouse=True)
def as_users_meet_it(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def refuses(match, use, *args, **options):
    with pytest.raises(ValueError, match=match):
        use(*args, **options)


@pytest.mark.parametrize("shape", [(3, 4, 5, 8), (5, 8)])
def test_router_logits_with_other_axes(shape):
    """Stacked without flattening, the loss was taken token by token; without layers, per expert."""
    refuses(r"flatten\(1, 2\)", load_balancing_loss, randn(shape), 2)


def test_router_losses_and_gates_in_double_precision():
    logits = randn(2, 6, 5, dtype=torch.float64, requires_grad=True)
    assert sparse_moe.route(logits, 2).gates.dtype == torch.float64
    for use in (
        lambda x: sparse_moe.route(x, 3).gates,
        lambda x: load_balancing_loss(x, 2),
        router_z_loss,
    ):
        assert torch.autograd.gradcheck(use, logits)
    near = torch.tensor([[0.0, 1e-12]], dtype=torch.float64)  # equal in float32
    assert sparse_moe.route(near, 1).chosen.item() == 1


@pytest.mark.parametrize("path", [sparse_moe.experts_loop, sparse_moe.experts_grouped])
def test_choices_that_are_no_experts(path):
    x, up, down = randn(3, 4), randn(5, 6, 4), randn(5, 4, 6)
    chosen, gates = torch.tensor([[0, 1], [1, 2], [3, 4]]), torch.ones(3, 2)
    path(x, chosen, gates, up, down, up)
    refuses("one column a rank", path, x, chosen, gates[:, :1], up, down, up)
    refuses("one row a token", path, x, chosen[:2], gates[:2], up, down, up)
    for n in (1, 3):
        for shift in (-1, 9):
            given = x[:n], chosen[:n] + shift, gates[:n]
            refuses("numbered 0 to 4", path, *given, up, down, up)


@pytest.mark.parametrize("stop", [["</s>"], (None,), (9999,), (2.5,), (-1,)])
def test_a_stop_that_would_never_stop(stop):
    """A token that the tokenizer doesn't know has the id None, and nothing equals that."""
    refuses("stop must hold token ids", mixlab.generate, build_model(), [[1]], 2, stop=stop)


def test_what_generate_is_given():
    generate, model = inspect.unwrap(mixlab.generate), build_model()
    refuses("prompts must be a list", generate, model, None, 2)
    refuses("prompts must be a list", generate, model, 5, 2)
    for no_model in (nn.Linear(2, 2), "SmolLM2"):
        refuses("init_state, prefill and step", generate, no_model, [[1]], 2)
    refuses("temperature must be a number", generate, model, [[1]], 2, temperature=None)
    refuses("top_p must be a number", generate, model, [[1]], 2, temperature=1.0, top_p="1")


@pytest.mark.parametrize("top_p", [0.0, -1.0, 1.5])
def test_shares_of_nothing(top_p):
    refuses("top_p must be above 0", nucleus, torch.tensor([[0.5, 0.5]]), top_p)


def test_logits_that_are_no_rows():
    for temperature in (0.0, 1.0):
        refuses(r"logits\[None\]", sample, torch.tensor([0.5, 0.2]), temperature)
        refuses("must be rows", sample, torch.zeros(2, 0), temperature)


def test_losses_of_other_tokens():
    """Both are four predictions: 2 x 2 and 1 x 4."""
    tokens = torch.zeros(1, 5, dtype=torch.long)
    refuses("batch and seq of the tokens", next_token_loss, randn(2, 3, 8), tokens)


def test_counts_that_are_none():
    refuses("as many keys as queries", window.window_mask_loop, 5, 3)
    for use in (window.window_mask, window.window_mask_loop):
        refuses("whole and not negative", use, -2)
        refuses("whole and not negative", use, 2.5)
    refuses("whole and not negative", window.n_visible_pairs, -3, None)
    refuses(r"int\(window\)", window.window_mask, 5, window=np.int64(3))
    refuses("whole", packed_masks.causal_block_mask, [2.5, 1])
    refuses("whole", packed_masks.padded_keys_mask, [1], [2], 2.5)
    assert window.window_mask(np.int64(3)).shape == (3, 3)
    assert packed_masks.block_mask(torch.tensor([2, 1])).shape == (3, 3)


@pytest.mark.parametrize("prompts", [[[1.7]], ["12"], [[None]]])
def test_packs_of_no_token_ids(prompts):
    refuses("lists of token ids", packing.pack, prompts)


def test_masks_of_other_sizes():
    q, k = randn(3, 2, 4), randn(3, 1, 4)
    mask = torch.ones(1, 3, dtype=torch.bool)
    refuses("a row for each of 3 queries", packing.masked_attention, q, k, k, mask)


def test_attention_over_other_axes():
    q, k = randn(1, 4, 5, 8), randn(1, 2, 5, 8)
    for use in (attention, dense_attention, banded_attention):
        refuses("must have the axes", use, q[0], k[0], k[0])
        refuses("must have the axes", use, q, k[:, :0], k[:, :0])
        assert use(q[:, :, :0], k, k, 2).shape == (1, 4, 0, 8)
    for block in (0, -4):
        refuses("block must be at least 1", banded_attention, q, k, k, 2, block)


@pytest.mark.parametrize("turn", [rope.rotate, rope.rotate_interleaved])
def test_tables_of_other_positions(turn):
    x = randn(2, 5, 4)
    refuses("a row for each position", turn, x, *rope.rope_table(torch.tensor([3]), 4))
    refuses("a column for each pair", turn, x, *rope.rope_table(torch.arange(5), 2))
    refuses("a column for each pair", turn, x[..., :3], *rope.rope_table(torch.arange(5), 4))


@pytest.mark.parametrize("theta", [0.0, -1.0, float("nan"), float("inf")])
def test_bases_that_give_no_angle(theta):
    refuses("theta must be a positive number", rope.rope_table, torch.arange(3), 4, theta)


def test_gates_of_other_channels():
    x, weight = randn(4, 8), randn(8, 8)
    refuses("one shape", gated_linear, x, weight[:1], weight)


@pytest.mark.parametrize("batch", [0, 2.0, True])
def test_caches_of_whole_sequences(batch):
    config = TransformerConfig.tiny(window=4)
    refuses("at least 1, whole", RollingCache, config, batch)
    refuses("at least 1, whole", RollingCache, config, 1, capacity=batch)


def test_rings_of_negative_length():
    refuses("can't hold a sequence of -1", unrotate, torch.arange(4.0), -1)
    refuses("can't hold a sequence of 3", unrotate, torch.zeros(0), 3)
    _, cache = build_model(window=4).prefill(torch.tensor([[1, 2, 3]]))
    refuses("can't truncate to 1.5", cache.truncate, [1.5])
    assert cache.lengths == [3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.int16])
def test_tokens_that_are_no_ids(dtype):
    for model in (build_model(), Mamba(MambaConfig.tiny())):
        refuses(r"tokens\.long\(\)", model, torch.ones(1, 3, dtype=dtype))


@pytest.mark.parametrize(
    "changes", [dict(tie_embeddings="no"), dict(tie_embeddings=1), dict(rope_theta=True)]
)
def test_configurations_that_would_read_as_yes(changes):
    refuses("must be", TransformerConfig.tiny, **changes)


@pytest.mark.parametrize("changes", [dict(bias="no"), dict(conv_bias=1), dict(norm_eps="1")])
def test_mamba_configurations_that_would_read_as_yes(changes):
    refuses("must be", MambaConfig.tiny, **changes)
