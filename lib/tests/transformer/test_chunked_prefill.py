"""Chunked = whole: any chunk size, prompts that end in different chunks, chunks over the wrap."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixlab.traces.rolling_cache import EMPTY, trace_decode, trace_prefill
from mixlab.transformer.growing_cache import GrowingCache
from mixlab.transformer.packing import pack, pack_rows
from mixlab.transformer.rolling_cache import RollingCache
from mixlab.transformer.window import window_mask
from tests.thorough import often
from tests.transformer.caching import batches, build_model, shapes

bounded = settings(max_examples=often(60), deadline=None, derandomize=True)


@bounded
@given(shapes(), batches(), st.integers(1, 30))
def test_every_token_of_every_chunk_equals_the_whole(shape, prompts, chunk_size):
    model, packed = build_model(**shape), pack(prompts)
    whole = model.extend(packed.tokens, model.init_state(len(prompts)), packed.lengths)
    cache, parts = model.init_state(len(prompts)), [[] for _ in prompts]
    for chunk in packed.chunks(chunk_size):
        x = model.extend(chunk.tokens, cache, chunk.lengths)
        for row, part in enumerate(x.split(chunk.lengths)):
            parts[row].append(part)
    chunked = torch.cat([part for row in parts for part in row])
    torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-9)
    for row, part in enumerate(whole.split(packed.lengths)):
        alone = model.hidden(torch.tensor([prompts[row]]))[0]
        torch.testing.assert_close(part, alone, rtol=0, atol=1e-9)


@bounded
@given(shapes(), batches(), st.integers(1, 30))
def test_last_only_equals_the_last_of_all(shape, prompts, chunk_size):
    """For both caches, and prompts that ended in an earlier chunk."""
    model = build_model(**shape)
    for cache_type in (RollingCache, GrowingCache):
        caches = [cache_type(model.config, len(prompts), dtype=torch.float64) for _ in range(2)]
        for chunk in pack(prompts).chunks(chunk_size):
            parts = model.extend(chunk.tokens, caches[0], chunk.lengths).split(chunk.lengths)
            last = model.extend(chunk.tokens, caches[1], chunk.lengths, last_only=True)
            expected = torch.stack([part[-1] for part in parts if len(part)])
            torch.testing.assert_close(last, expected, rtol=0, atol=1e-9)


@bounded
@given(shapes(), batches(), st.integers(1, 30), st.integers(1, 30))
def test_the_cache_afterwards_does_not_depend_on_chunks(shape, prompts, chunk_size, other):
    model = build_model(**shape)
    _, one = model.prefill(pack(prompts), chunk_size=chunk_size)
    _, two = model.prefill(pack(prompts), chunk_size=other)
    tokens = torch.arange(len(prompts))
    for _ in range(3):
        expected, _ = model.step(tokens, one)
        torch.testing.assert_close(model.step(tokens, two)[0], expected, rtol=0, atol=1e-9)
    for a, b in zip(one.layers, two.layers, strict=True):
        for row, length in enumerate(one.lengths):
            for held_a, held_b in zip(a.held(row, length), b.held(row, length), strict=True):
                torch.testing.assert_close(held_a, held_b, rtol=0, atol=1e-9)


def test_the_batch_that_mistrals_reference_refuses():
    """4 and 9 tokens in chunks of 5: the prompts need one and two chunks."""
    model = build_model(window=4)
    prompts = [[1, 2, 3, 4], [5, 6, 7, 8, 9, 10, 11, 12, 13]]
    whole, _ = model.prefill(pack(prompts))
    chunked, cache = model.prefill(pack(prompts), chunk_size=5)
    assert cache.lengths == [4, 9]
    torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("padding", ["left", "right", "middle"])
def test_masked_rows_are_packed(padding):
    model = build_model(window=3)
    short, long = [1, 2, 3], [4, 5, 6, 7, 8]
    places = dict(left=[2, 3, 4], right=[0, 1, 2], middle=[0, 2, 4])[padding]
    tokens, mask = torch.tensor([[31] * 5, long]), torch.ones(2, 5, dtype=torch.bool)
    mask[0] = False
    mask[0, places] = True
    tokens[0, places] = torch.tensor(short)
    expected, _ = model.prefill(pack([short, long]))
    logits, cache = model.prefill(pack_rows(tokens, mask), chunk_size=2)
    assert cache.lengths == [3, 5]
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="mask must have the shape"):
        inspect.unwrap(pack_rows)(tokens, mask[:, 1:])


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_a_chunk_has_at_least_one_token(chunk_size):
    with pytest.raises(ValueError, match="chunk_size must be at least 1"):
        build_model().prefill(pack([[1, 2]]), chunk_size=chunk_size)
    with pytest.raises(ValueError, match="chunk_size must be at least 1"):
        trace_prefill(4, window=2, chunk_size=chunk_size)


@bounded
@given(st.integers(1, 20), st.integers(1, 8), st.integers(1, 25))
def test_trace_of_chunks(n_tokens, window, chunk_size):
    chunks = trace_prefill(n_tokens, window, chunk_size)
    sees = np.concatenate([chunk.sees for chunk in chunks])
    assert (sees == window_mask(n_tokens, window=window).numpy()).all()
    for chunk in chunks:
        start = chunk.positions[0]
        assert chunk.unrotated == tuple(range(max(0, start - window + 1), start))
        seen = chunk.sees.any(axis=0).nonzero()[0].tolist()
        assert set(seen) <= {*chunk.unrotated, *chunk.positions}
        end = chunk.positions[-1]
        assert sorted(p for p in chunk.held if p != EMPTY) == list(
            range(max(0, end - window + 1), end + 1)
        )
        assert all(
            p in (EMPTY, slot + (p - slot) // window * window) for slot, p in enumerate(chunk.held)
        )
    assert [c.held_before for c in chunks[1:]] == [c.held for c in chunks[:-1]]


@bounded
@given(st.integers(1, 20), st.integers(1, 8))
def test_trace_of_steps(n_tokens, window):
    steps = trace_decode(range(100, 100 + n_tokens), window)
    for position, step in enumerate(steps):
        assert (step.position, step.token) == (position, 100 + position)
        assert step.slot == position % window
        assert step.evicted == (position - window if position >= window else EMPTY)
        assert step.seen == tuple(range(max(0, position - window + 1), position + 1))
        assert {step.held[slot] for slot in step.seen_slots} == set(step.seen)
    assert steps[-1].held == trace_prefill(n_tokens, window, n_tokens)[-1].held


def test_traces_need_tokens():
    with pytest.raises(ValueError, match="at least one token"):
        trace_decode([], window=2)
    with pytest.raises(ValueError, match="at least one token"):
        trace_prefill(0, window=2, chunk_size=1)
    with pytest.raises(ValueError, match="window must be at least 1"):
        trace_decode([1], window=0)
