"""Packed = separate, and every block mask equals xformers' cell for cell."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import flex_attention as torch_flex_attention
from xformers.ops.fmha import attn_bias

from mixlab.chapters.packed_prompts.traces import PADDING, trace_request
from mixlab.kernels import flex_attention, xformers_attention
from mixlab.transformer.attention import dense_attention
from mixlab.transformer.packed_masks import (
    block_mask,
    block_positions,
    causal_block_mask,
    padded_keys_mask,
)
from mixlab.transformer.packing import (
    Packed,
    masked_attention,
    pack,
    packed_attention,
    packed_attention_dense,
)
from mixlab.transformer.window import visible
from tests.thorough import often

bounded = settings(max_examples=often(80), deadline=None, derandomize=True)
BLOCKS = st.lists(  # queries, and how many keys came before them
    st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=4
)
WINDOWS = st.one_of(st.none(), st.integers(1, 12))


def split(blocks):
    """Query lengths and key lengths."""
    return [n for n, _ in blocks], [n + cached for n, cached in blocks]


def cells(bias, n_queries, n_keys):
    """xformers' mask as booleans: it holds 0 where a query sees and -inf elsewhere."""
    return bias.materialize((n_queries, n_keys)) == 0


def tensors(q_lengths, k_lengths, n_heads=4, n_kv_heads=2, head_dim=8):
    torch.manual_seed(0)
    q = torch.randn(sum(q_lengths), n_heads, head_dim, dtype=torch.float64)
    k, v = torch.randn(2, sum(k_lengths), n_kv_heads, head_dim, dtype=torch.float64)
    return q, k, v


@bounded
@given(BLOCKS, WINDOWS)
def test_first_chunk_masks_equal_xformers(blocks, window):
    lengths, _ = split(blocks)
    bias = attn_bias.BlockDiagonalCausalMask.from_seqlens(lengths)
    if window is not None:
        bias = bias.make_local_attention(window)
    n = sum(lengths)
    assert cells(bias, n, n).equal(causal_block_mask(lengths, window=window))


@bounded
@given(BLOCKS, WINDOWS)
def test_later_chunk_masks_equal_xformers(blocks, window):
    q_lengths, k_lengths = split(blocks)
    bias = attn_bias.BlockDiagonalMask.from_seqlens(q_lengths, k_lengths)
    assert cells(bias, sum(q_lengths), sum(k_lengths)).equal(block_mask(q_lengths, k_lengths))
    bias = xformers_attention.packed_bias(q_lengths, k_lengths, window)
    expected = causal_block_mask(q_lengths, k_lengths, window)
    assert cells(bias, sum(q_lengths), sum(k_lengths)).equal(expected)


@bounded
@given(BLOCKS, st.integers(1, 12))
def test_the_alignment_trap(blocks, window):
    """make_local_attention counts from the top left: with cached keys it hides the newest."""
    q_lengths, k_lengths = split(blocks)
    bias = attn_bias.BlockDiagonalMask.from_seqlens(q_lengths, k_lengths)
    trapped = cells(bias.make_local_attention(window), sum(q_lengths), sum(k_lengths))
    assert trapped.equal(causal_block_mask(q_lengths, k_lengths, window, align="top_left"))
    right = causal_block_mask(q_lengths, k_lengths, window)
    assert trapped.equal(right) == (q_lengths == k_lengths)


@bounded
@given(BLOCKS, st.integers(0, 5), WINDOWS)
def test_decode_masks_equal_xformers(blocks, spare, window):
    q_lengths, k_lengths = split(blocks)
    padding = max(k_lengths) + spare
    if window is None:
        bias = attn_bias.BlockDiagonalCausalWithOffsetPaddedKeysMask.from_seqlens(
            q_lengths, padding, k_lengths
        )
    else:
        bias = attn_bias.BlockDiagonalCausalLocalAttentionPaddedKeysMask.from_seqlens_local(
            q_lengths, padding, k_lengths, window
        )
    expected = padded_keys_mask(q_lengths, k_lengths, padding, window)
    assert cells(bias, sum(q_lengths), len(blocks) * padding).equal(expected)


@bounded
@given(BLOCKS, WINDOWS)
def test_packed_equals_separate(blocks, window):
    q_lengths, k_lengths = split(blocks)
    q, k, v = tensors(q_lengths, k_lengths)
    separate = [
        dense_attention(*(x.transpose(0, 1)[None] for x in parts), window)[0].transpose(0, 1)
        for parts in zip(q.split(q_lengths), k.split(k_lengths), v.split(k_lengths), strict=True)
    ]
    for attend in (packed_attention, packed_attention_dense):
        mixed = attend(q, k, v, q_lengths, k_lengths, window)
        torch.testing.assert_close(mixed, torch.cat(separate), rtol=0, atol=1e-12)


@settings(bounded, max_examples=often(25))
@given(BLOCKS, WINDOWS)
def test_flex_attention_equals_dense(blocks, window):
    q_lengths, k_lengths = split(blocks)
    rule = flex_attention.packed_rule(q_lengths, k_lengths, window)
    query, key = torch.arange(sum(q_lengths)), torch.arange(sum(k_lengths))
    cells = rule(0, 0, query[:, None], key[None, :])
    assert cells.equal(causal_block_mask(q_lengths, k_lengths, window))
    q, k, v = tensors(q_lengths, k_lengths)
    with pytest.MonkeyPatch.context() as patch:
        # PyTorch traces the rule even on a CPU, and can't trace the tests' shape checks in it.
        patch.setattr(torch_flex_attention, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
        mixed = flex_attention.packed_attention(q, k, v, q_lengths, k_lengths, window)
    expected = packed_attention_dense(q, k, v, q_lengths, k_lengths, window)
    torch.testing.assert_close(mixed, expected, rtol=0, atol=1e-6)


def test_flex_attention_skips_what_no_query_sees():
    from torch.nn.attention.flex_attention import create_block_mask

    rule = flex_attention.packed_rule([512, 512], [512, 512], window=100)
    blocks = create_block_mask(rule, None, None, 1024, 1024, device="cpu")
    # Of 64 blocks of 128 x 128, the diagonal and the one left of it, inside each prompt.
    assert int(blocks.to_dense().sum()) == 8 + 6


def test_a_prompt_without_a_token_is_left_out():
    q, k, v = tensors([2, 0, 3], [4, 5, 3])
    mixed = packed_attention(q, k, v, [2, 0, 3], [4, 5, 3], window=2)
    dense = packed_attention_dense(q, k, v, [2, 0, 3], [4, 5, 3], window=2)
    torch.testing.assert_close(mixed, dense, rtol=0, atol=1e-12)
    empty = q[:0]
    assert packed_attention(empty, empty, empty, [0, 0], [0, 0]).shape == empty.shape


def test_rows_that_see_nothing_give_zeros():
    """A sequence without a key, and queries before the first key: known to yield NaN elsewhere."""
    mask = padded_keys_mask([1, 3, 1], [0, 2, 2], padding=2)
    assert mask.any(dim=1).tolist() == [False, False, True, True, True]
    q, k, v = tensors([1, 3, 1], [2, 2, 2])
    mixed = masked_attention(q, k, v, mask)
    assert mixed.isfinite().all()
    assert (mixed[:2] == 0).all()
    assert (mixed[2:] != 0).all()
    bias = attn_bias.BlockDiagonalCausalWithOffsetPaddedKeysMask.from_seqlens(
        [1, 3, 1], 2, [0, 2, 2]
    )
    assert cells(bias, 5, 6).equal(mask)


def test_gradients_pass_through_rows_that_see_nothing():
    q, k, v = (x.requires_grad_() for x in tensors([2], [2]))
    mask = torch.tensor([[False, False], [True, True]])
    masked_attention(q, k, v, mask).sum().backward()
    assert all(x.grad.isfinite().all() for x in (q, k, v))


@bounded
@given(BLOCKS)
def test_positions_inside_blocks(blocks):
    lengths, _ = split(blocks)
    block, place = block_positions(lengths)
    expected = [(b, p) for b, length in enumerate(lengths) for p in range(length)]
    assert list(zip(block.tolist(), place.tolist(), strict=True)) == expected


@bounded
@given(
    st.lists(st.lists(st.integers(0, 9), max_size=9), min_size=1, max_size=4), st.integers(1, 10)
)
def test_chunks_bring_every_token_once(prompts, chunk_size):
    packed = pack(prompts)
    rebuilt = [[] for _ in prompts]
    for chunk in packed.chunks(chunk_size):
        assert max(chunk.lengths) <= chunk_size
        for row, part in enumerate(chunk.tokens.split(chunk.lengths)):
            rebuilt[row] += part.tolist()
    assert rebuilt == prompts


@bounded
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.integers(1, 6),
    st.one_of(st.none(), st.integers(1, 10)),
)
def test_trace_of_a_request(lengths, window, chunk_size):
    """Each cell: same prompt, a key, and within the window by the positions beside the mask."""
    passes = trace_request(lengths, window, chunk_size, n_decode=3)
    assert passes[0].stage == "first chunk"
    assert [p.stage for p in passes][-3:] == ["decode"] * 3
    queries = []
    for one in passes:
        same = one.query_prompt[:, None] == one.key_prompt[None, :]
        in_use = one.key_position != PADDING
        query, key = (torch.tensor(x) for x in (one.query_position, one.key_position))
        sees = visible(query[:, None], key[None, :], window).numpy()
        assert (one.mask == (same & in_use & sees)).all()
        queries += zip(one.query_prompt.tolist(), one.query_position.tolist(), strict=True)
        # Nothing that a query should see is missing from its keys.
        expected = [min(position + 1, window) for position in one.query_position]
        assert one.mask.sum(axis=1).tolist() == expected
    assert sorted(queries) == [(b, p) for b, n in enumerate(lengths) for p in range(n + 3)]


def test_mistakes_are_named():
    q, k, v = tensors([2, 3], [4, 3])
    for lengths, message in [
        (([2, 2], [4, 3]), "add up to the packed tokens"),
        (([2, 3], [7]), "same number of blocks"),
        (([3, 2], [2, 5]), "block 0 has 3 queries and 2 keys"),
        (([6, -1], [6, 1]), "0 or more"),
    ]:
        for attend in (packed_attention, packed_attention_dense):
            with pytest.raises(ValueError, match=message):
                attend(q, k, v, *lengths)
    untyped = inspect.unwrap(packed_attention)  # as outside the tests, where no one checks shapes
    with pytest.raises(ValueError, match="one shape"):
        untyped(q, k, v[:, :1], [2, 3], [4, 3])
    with pytest.raises(ValueError, match="multiple of the keys' heads"):
        untyped(q[:, :3], k, v, [2, 3], [4, 3])
    with pytest.raises(ValueError, match="window must be at least 1"):
        packed_attention(q, k, v, [2, 3], [4, 3], window=0)
    with pytest.raises(ValueError, match="align must be"):
        inspect.unwrap(causal_block_mask)([1], align="left")
    with pytest.raises(ValueError, match="must fit into the 2 slots"):
        padded_keys_mask([1], [3], padding=2)
    with pytest.raises(ValueError, match="same number of blocks"):
        padded_keys_mask([1, 1], [3], padding=4)
    with pytest.raises(ValueError, match="same number of blocks"):
        block_mask([1, 1], [3])
    with pytest.raises(ValueError, match="add up to the 2 packed tokens"):
        Packed(torch.tensor([1, 2]), (1, 2))
    with pytest.raises(ValueError, match="at least one token"):
        trace_request([2, 0], window=2)
    with pytest.raises(RuntimeError, match="CUDA only"):
        xformers_attention.packed_attention(q, k, v, [2, 3], [4, 3], window=2)
