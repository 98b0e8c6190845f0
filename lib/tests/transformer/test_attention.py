"""Banded attention is dense attention under the window's mask, values and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixlab.transformer.attention import (
    attention,
    attention_weights,
    banded_attention,
    dense_attention,
)
from mixlab.transformer.window import window_mask

L = 37  # prime: no multiple of any window or block


def qkv(n_queries, n_keys, n_heads=4, n_kv_heads=2, batch=1, head_dim=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(batch, n_heads, n_queries, head_dim, generator=generator)
    k, v = torch.randn(2, batch, n_kv_heads, n_keys, head_dim, generator=generator)
    return q, k, v


def outcome(path, q, k, v, *settings):
    """What a path returns, and the gradients of a fixed mix of it."""
    q, k, v = (x.clone().requires_grad_() for x in (q, k, v))
    out = path(q, k, v, *settings)
    mix = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
    return out, *torch.autograd.grad((out * mix).sum(), (q, k, v))


@pytest.mark.parametrize("block", [1, 4, 16, 64])
@pytest.mark.parametrize("n_queries", [1, 5, 30, L])
def test_banded_equals_dense_for_every_window(n_queries, block):
    q, k, v = qkv(n_queries, L)
    for window in [*range(1, L + 1), L + 1, 10 * L, None]:
        expected = outcome(dense_attention, q, k, v, window)
        got = outcome(banded_attention, q, k, v, window, block)
        for ours, theirs in zip(got, expected, strict=True):
            torch.testing.assert_close(
                ours, theirs, rtol=0, atol=1e-5, msg=lambda m, w=window: f"window {w}: {m}"
            )


@settings(max_examples=60, deadline=None)
@given(
    n_keys=st.integers(1, 150),
    fewer=st.integers(0, 149),
    window=st.none() | st.integers(1, 160),
    block=st.integers(1, 70),
    group=st.integers(1, 4),
    n_kv_heads=st.integers(1, 3),
    batch=st.integers(1, 3),
)
def test_banded_equals_dense(n_keys, fewer, window, block, group, n_kv_heads, batch):
    n_queries = max(1, n_keys - fewer)
    q, k, v = qkv(n_queries, n_keys, group * n_kv_heads, n_kv_heads, batch)
    expected = dense_attention(q, k, v, window)
    got = banded_attention(q, k, v, window, block)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(attention(q, k, v, window), expected, rtol=0, atol=1e-5)


def test_inputs_need_not_be_contiguous():
    q, k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in qkv(L, L))
    assert not q.is_contiguous()
    torch.testing.assert_close(
        banded_attention(q, k, v, 9, 8), dense_attention(q, k, v, 9), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("window", [1, 3, L, None])
def test_weights_are_probabilities_of_visible_keys(window):
    q, k, _ = qkv(20, L)
    weights = attention_weights(q, k, window)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(1, 4, 20), rtol=0, atol=1e-6)
    assert torch.equal(weights > 0, window_mask(20, L, window).expand_as(weights))


def test_a_token_outside_the_window_changes_nothing():
    q, k, v = qkv(L, L)
    before = banded_attention(q, k, v, 5, 8)
    k[:, :, 10], v[:, :, 10] = 100.0, -100.0
    after = banded_attention(q, k, v, 5, 8)
    changed = (before != after).any(dim=-1).any(dim=1)[0]
    assert changed.nonzero().flatten().tolist() == [10, 11, 12, 13, 14]


def test_window_one_returns_each_token_s_own_value():
    q, k, v = qkv(L, L, n_kv_heads=4)
    torch.testing.assert_close(banded_attention(q, k, v, 1), v, rtol=0, atol=1e-6)


@pytest.mark.parametrize("path", [dense_attention, banded_attention, attention])
@pytest.mark.parametrize(
    ("shapes", "window", "message"),
    [
        (((1, 4, 5, 8), (1, 2, 5, 8), (1, 2, 5, 8)), 0, "window must be at least 1"),
        (((1, 4, 5, 8), (1, 2, 5, 8), (1, 2, 5, 8)), -2, "window must be at least 1"),
        (((1, 4, 5, 8), (1, 2, 5, 8), (1, 2, 5, 8)), True, "whole number of keys"),
        (((1, 4, 6, 8), (1, 2, 5, 8), (1, 2, 5, 8)), 2, "at least as many keys as queries"),
        (((1, 3, 5, 8), (1, 2, 5, 8), (1, 2, 5, 8)), 2, "multiple of the key/value heads"),
    ],
)
def test_bad_input_is_told(path, shapes, window, message):
    q, k, v = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=message):
        path(q, k, v, window)


def test_shapes_that_disagree_are_told():
    """The type checker of the tests would speak first, so the rules are called without it."""
    from mixlab.transformer.attention import _check

    q, k = torch.zeros(1, 4, 5, 8), torch.zeros(1, 2, 5, 8)
    for bad_q, bad_k, bad_v, message in [
        (q, k, k[..., :4], "must have one shape"),
        (q[..., :4], k, k, "agree in batch and head_dim"),
        (q.repeat(2, 1, 1, 1), k, k, "agree in batch and head_dim"),
    ]:
        with pytest.raises(ValueError, match=message):
            _check(bad_q, bad_k, bad_v, 2)
