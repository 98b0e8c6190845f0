"""The window's rule: who sees whom, counted, and one statement behind every form of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixlab.transformer.window import (
    check_window,
    first_visible,
    n_visible_pairs,
    visible,
    window_mask,
    window_mask_loop,
)

SIZES = dict(
    n_queries=st.integers(0, 20),
    earlier=st.integers(0, 20),
    window=st.none() | st.integers(1, 45),
)


@given(**SIZES)
def test_mask_equals_its_loop(n_queries, earlier, window):
    n_keys = n_queries + earlier
    mask = window_mask(n_queries, n_keys, window)
    assert torch.equal(mask, window_mask_loop(n_queries, n_keys, window))


@given(**SIZES)
def test_every_query_sees_itself_and_at_most_window_keys(n_queries, earlier, window):
    n_keys = n_queries + earlier
    mask = window_mask(n_queries, n_keys, window)
    assert mask.diagonal(offset=earlier).all()
    positions = torch.arange(earlier, n_keys) + 1
    expected = positions if window is None else positions.clamp(max=window)
    assert torch.equal(mask.sum(dim=1), expected)


@given(query=st.integers(0, 60), window=st.none() | st.integers(1, 70))
def test_keys_begin_where_the_mask_does(query, window):
    seen = visible(torch.tensor(query), torch.arange(query + 1), window)
    assert first_visible(query, window) == int(seen.int().argmax())


@given(seq=st.integers(0, 60), window=st.none() | st.integers(1, 70))
def test_pairs_are_counted(seq, window):
    assert n_visible_pairs(seq, window) == window_mask(seq, window=window).sum()


def test_the_field_s_other_conventions_differ_where_they_should():
    """Hugging Face's rule of 2025 is ours; masking with triu(diagonal=-W) keeps one key more."""
    seq, window = 12, 4
    i, j = torch.arange(seq)[:, None], torch.arange(seq)[None, :]
    assert torch.equal(window_mask(seq, window=window), (j <= i) & (j > i - window))
    causal = torch.ones(seq, seq, dtype=torch.bool).tril()
    one_more = causal & torch.ones(seq, seq, dtype=torch.bool).triu(diagonal=-window)
    assert torch.equal(one_more, window_mask(seq, window=window + 1))


def test_transformers_masks_the_same_keys():
    from transformers.masking_utils import sliding_window_causal_mask_function

    position = torch.arange(14)
    rule = sliding_window_causal_mask_function(5)
    theirs = rule(0, 0, position[:, None], position[None, :])
    assert torch.equal(window_mask(14, window=5), theirs)


def test_xformers_masks_the_same_keys():
    bias = pytest.importorskip("xformers.ops.fmha.attn_bias")
    mask = bias.LowerTriangularFromBottomRightLocalAttentionMask(_window_size=5)
    theirs = mask.materialize((6, 14)) == 0
    assert torch.equal(window_mask(6, 14, window=5), theirs)


@pytest.mark.parametrize("window", [0, -1, True, False])
def test_windows_that_mean_nothing(window):
    for call in (
        lambda: check_window(window),
        lambda: visible(torch.tensor(1), torch.tensor(0), window),
        lambda: window_mask(3, window=window),
        lambda: window_mask_loop(3, window=window),
        lambda: n_visible_pairs(3, window),
    ):
        with pytest.raises(ValueError, match="window must be"):
            call()


def test_fewer_keys_than_queries():
    with pytest.raises(ValueError, match="got 5 queries and 4 keys"):
        window_mask(5, 4)
