"""Cached = uncached, rolling = growing, for every window, chunk, length, layer and batch."""

import inspect
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.growing_cache import GrowingCache
from mixlab.transformer.packing import pack
from mixlab.transformer.rolling_cache import RollingCache, cache_bytes
from mixlab.transformer.rolling_layer import RollingLayer, unrotate
from tests.thorough import THOROUGH, often
from tests.transformer.caching import CHUNK_SIZES, batches, build_model, shapes, uncached

bounded = settings(max_examples=often(60), deadline=None, derandomize=True)


@bounded
@given(shapes(), batches(), CHUNK_SIZES, st.integers(1, 12))
def test_cached_equals_uncached(shape, prompts, chunk_size, n_steps):
    model = build_model(**shape)
    logits, cache = model.prefill(pack(prompts), chunk_size=chunk_size)
    sequences, cached = [list(prompt) for prompt in prompts], [logits]
    for _ in range(n_steps):
        tokens = logits.argmax(dim=-1)
        for sequence, token in zip(sequences, tokens.tolist(), strict=True):
            sequence.append(token)
        logits, cache = model.step(tokens, cache)
        cached.append(logits)
    assert cache.lengths == [len(sequence) for sequence in sequences]
    for row, (sequence, prompt) in enumerate(zip(sequences, prompts, strict=True)):
        expected = model(torch.tensor([sequence]))[0, len(prompt) - 1 :]
        got = torch.stack([logits[row] for logits in cached])
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)


@bounded
@given(shapes(), st.data())
def test_rolling_equals_growing_over_any_passes(shape, data):
    """Passes of any sizes, ragged, some sequences resting, steps among them."""
    model = build_model(**shape)
    batch = data.draw(st.integers(1, 3))
    rolling = model.init_state(batch)
    growing = GrowingCache(model.config, batch, dtype=torch.float64)
    for _ in range(data.draw(st.integers(1, 6))):
        one_each = st.just([1] * batch)
        ragged = st.lists(st.integers(0, 12), min_size=batch, max_size=batch)
        lengths = data.draw(st.one_of(one_each, ragged.filter(any)))
        tokens = torch.randint(32, (sum(lengths),))
        torch.testing.assert_close(
            model.extend(tokens, rolling, lengths),
            model.extend(tokens, growing, lengths),
            rtol=0,
            atol=1e-9,
        )
    assert rolling.lengths == growing.lengths == rolling.positions.tolist()


@bounded
@given(shapes(), batches(), st.booleans(), st.integers(1, 8))
def test_a_step_equals_a_chunk_of_one_token_each(shape, prompts, static, n_steps):
    """Write, then read in any order = read in order, then write: full rings or not."""
    model = build_model(**shape)
    capacity = max(map(len, prompts)) + n_steps
    caches = [model.init_state(len(prompts), capacity, static) for _ in range(2)]
    logits, _ = model.prefill(prompts, caches[0])
    model.prefill(prompts, caches[1])
    for _ in range(n_steps):
        tokens = logits.argmax(dim=-1)
        logits, _ = model.step(tokens, caches[0])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RollingLayer, "attend_step", RollingLayer.attend_chunk)
            expected, _ = model.step(tokens, caches[1])
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
        for fast, readable in zip(*(cache.layers for cache in caches), strict=True):
            torch.testing.assert_close(fast.keys, readable.keys, rtol=0, atol=1e-9)
            torch.testing.assert_close(fast.values, readable.values, rtol=0, atol=1e-9)


@bounded
@given(shapes(), batches(), st.integers(1, 8))
def test_static_shapes_change_nothing(shape, prompts, n_steps):
    model = build_model(**shape)
    capacity = max(map(len, prompts)) + n_steps
    logits, growing = model.prefill(pack(prompts))
    _, static = model.prefill(pack(prompts), model.init_state(len(prompts), capacity, static=True))
    for _ in range(n_steps):
        tokens = logits.argmax(dim=-1)
        logits, growing = model.step(tokens, growing)
        torch.testing.assert_close(model.step(tokens, static)[0], logits, rtol=0, atol=1e-9)


@bounded
@given(shapes(), batches(), st.integers(0, 30))
def test_memory_never_passes_the_window(shape, prompts, n_steps):
    model = build_model(**shape)
    _, cache = model.prefill(pack(prompts))
    for _ in range(n_steps):
        model.step(torch.zeros(len(prompts), dtype=torch.long), cache)
    config, longest = model.config, max(cache.lengths)
    token = 2 * len(prompts) * config.n_kv_heads * config.head_dim * 8  # bytes, float64
    for layer in cache.layers:
        held = (layer.keys.nbytes + layer.values.nbytes) // token
        bound = 2 * longest if layer.window is None else min(2 * longest, layer.window)
        assert held <= bound  # without a window it may have doubled just now


def test_slots_of_the_papers_figure():
    words = "The cat sat on the mat".split()
    model = build_model(window=4, n_layers=1)
    _, cache = model.prefill(torch.arange(len(words))[None])
    _, single = model.prefill(torch.arange(len(words))[None, :1])
    for token in range(1, len(words)):
        model.step(torch.tensor([token]), single)
    torch.testing.assert_close(cache.layers[0].keys, single.layers[0].keys)
    # In layer 0 a value depends on its token alone: find whose value lies in each slot.
    alone = [model.prefill(torch.tensor([[token]]))[1].layers[0].values[0, 0] for token in range(6)]
    slots = cache.layers[0].values[0]
    owner = [int(torch.stack([(held - v).norm() for v in alone]).argmin()) for held in slots]
    assert [words[token] for token in owner] == ["the", "mat", "sat", "on"]


@pytest.mark.parametrize("slots", [1, 2, 5])
@pytest.mark.parametrize("length", range(12))
def test_unrotate_gives_the_last_tokens_in_order(slots, length):
    ring = torch.full((slots,), -1.0)
    for position in range(length):
        ring[position % slots] = position
    assert unrotate(ring, length).tolist() == list(range(max(0, length - slots), length))


def test_rows_leave_the_original_alone():
    model = build_model(window=(4, None))
    prompts = [[1, 2, 3, 4, 5, 6], [7], [8, 9, 10]]
    _, cache = model.prefill(pack(prompts))
    some = cache.rows(torch.tensor([2, 0]))
    assert some.lengths == [3, 6]
    logits, _ = model.step(torch.tensor([11, 12]), some)
    assert cache.lengths == [6, 1, 3]
    expected = torch.stack([uncached(model, [8, 9, 10, 11]), uncached(model, [*prompts[0], 12])])
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
    logits, _ = model.step(torch.tensor([0, 0, 0]), cache)
    torch.testing.assert_close(logits[1], uncached(model, [7, 0]), rtol=0, atol=1e-9)
    growing = GrowingCache(model.config, 3, dtype=torch.float64)
    model.prefill(pack(prompts), growing)
    logits, _ = model.step(torch.tensor([11, 12]), growing.rows(torch.tensor([2, 0])))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)


@bounded
@given(shapes(), st.integers(1, 25), st.data())
def test_truncated_goes_on_as_the_prefix_or_refuses(shape, length, data):
    """A prefix trimmed while rotated: right, or an error that says why; never silently wrong."""
    model = build_model(**shape)
    new = data.draw(st.integers(0, length))
    tokens = torch.randint(32, (1, length))
    _, cache = model.prefill(tokens)
    windows = [window for window in model.config.layer_windows if window not in (None, 1)]
    lost = 0 < new < length - 1 and any(length > window for window in windows)
    if lost:
        with pytest.raises(ValueError, match="no longer holds position"):
            cache.truncate([new])
        assert cache.lengths == [length]
        return
    cache.truncate([new])
    more = torch.randint(32, (1, data.draw(st.integers(1, 12))))
    logits, _ = model.prefill(more, cache, chunk_size=data.draw(CHUNK_SIZES))
    expected = uncached(model, [*tokens[0, :new].tolist(), *more[0].tolist()])
    torch.testing.assert_close(logits[0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_cache_has_the_models_dtype(dtype):
    model = build_model(dtype=dtype, window=3)
    _, cache = model.prefill(torch.randint(32, (2, 7)))
    assert {layer.keys.dtype for layer in cache.layers} == {dtype}
    logits, _ = model.step(torch.tensor([1, 2]), cache)
    assert logits.dtype == dtype
    assert logits.isfinite().all()


def test_a_capacity_is_a_promise():
    model = build_model(window=(None, 4))
    cache = model.init_state(1, capacity=6)
    before = cache.n_bytes
    model.prefill(torch.ones(1, 5, dtype=torch.long), cache)
    model.step(torch.tensor([1]), cache)
    assert cache.n_bytes == before
    with pytest.raises(ValueError, match=r"declared with a capacity of 6.*an earlier prompt"):
        model.step(torch.tensor([1]), cache)
    # Layers with a window no larger than the capacity go on for ever.
    windowed = build_model(window=4)
    cache = windowed.init_state(1, capacity=6)
    for _ in range(20):
        windowed.step(torch.tensor([1]), cache)
    assert cache.lengths == [20]


def test_mistakes_are_named():
    model = build_model(window=4)
    cache = model.init_state(2)
    with pytest.raises(ValueError, match=r"holds 2 sequences, and 3 came.*an earlier prompt"):
        model.prefill(pack([[1], [2], [3]]), cache)
    with pytest.raises(ValueError, match="2 sequences, and 1 came"):
        model.step(torch.tensor([1]), cache)
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        model.prefill(pack([[1], []]), cache)
    with pytest.raises(ValueError, match="at least one new token"):
        model.extend(torch.zeros(0, dtype=torch.long), cache, [0, 0])
    with pytest.raises(ValueError, match="one axis of tokens"):
        inspect.unwrap(type(model).extend)(model, torch.ones(2, 1, dtype=torch.long), cache, [1, 1])
    with pytest.raises(ValueError, match=r"holds torch.float64.*float32"):
        build_model(dtype=torch.float32, window=4).step(torch.tensor([1, 1]), model.init_state(2))
    with pytest.raises(ValueError, match="add up to"):
        model.extend(torch.zeros(3, dtype=torch.long), cache, [1, 1])
    for other, name in [
        (build_model(window=5), "layer_windows"),
        (build_model(window=4, n_layers=3), "n_layers"),
        (build_model(window=4, n_kv_heads=4), "n_kv_heads"),
        (build_model(window=4, head_dim=8), "head_dim"),
    ]:
        with pytest.raises(ValueError, match=f"made for a model with {name}"):
            other.step(torch.tensor([1, 1]), cache)
    model.set_window(None)
    with pytest.raises(ValueError, match="after set_window"):
        model.step(torch.tensor([1, 1]), cache)
    with pytest.raises(ValueError, match="at least 1"):
        model.init_state(0)
    with pytest.raises(ValueError, match="at least 1"):
        model.init_state(1, capacity=0)
    with pytest.raises(ValueError, match="static cache needs a capacity"):
        model.init_state(1, static=True)
    with pytest.raises(ValueError, match="can't truncate to 1"):
        cache.truncate([0, 1])


def test_an_interrupted_pass_spoils_the_cache_loudly(monkeypatch):
    model = build_model(window=2)
    _, cache = model.prefill(torch.tensor([[1, 2, 3]]))

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(model.layers[1], "forward", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.step(torch.tensor([4]), cache)
    with pytest.raises(ValueError, match="interrupted"):
        model.step(torch.tensor([4]), cache)


def test_hidden_slots_hold_nothing_that_spreads():
    """A hidden slot has weight 0, and 0 x NaN is NaN: unused memory must be finite."""
    cache = RollingCache(TransformerConfig.tiny(window=64), batch=3, capacity=64)
    assert all(layer.keys.count_nonzero() == 0 for layer in cache.layers)
    model = build_model(window=64)
    _, cache = model.prefill(pack([[1], [2] * 20, [3] * 5]))
    for layer in cache.layers:
        layer.keys[0, 1:], layer.values[0, 1:] = 1e30, 1e30  # the past of another, if it leaked
    logits, _ = model.step(torch.tensor([4, 5, 6]), cache)
    torch.testing.assert_close(logits[0], uncached(model, [1, 4]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("window", [None, 5, (3, None)])
def test_cache_bytes_counts_what_is_allocated(window):
    model = build_model(window=window)
    for length in (1, 4, 20):
        _, cache = model.prefill(torch.ones(2, length, dtype=torch.long))
        assert cache.n_bytes == cache_bytes(model.config, length, torch.float64, batch=2)


def test_gradients_are_not_kept():
    model = build_model(window=4).requires_grad_(True)
    logits, cache = model.prefill(torch.tensor([[1, 2, 3]]))
    assert not logits.requires_grad
    assert not cache.layers[0].keys.requires_grad


_LONG_RUN = """
import gc, sys, torch
from mixlab.generate import generate
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.model import Transformer

def resident_bytes():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096

torch.set_num_threads(1)
config = TransformerConfig.tiny(window=128, n_layers=1, dim=16, hidden_dim=16, vocab_size=32)
model, states, resident = Transformer(config).eval(), [], {}
first = model.init_state
model.init_state = lambda batch: states.append(first(batch)) or states[0]

count = 0
def watch(prompt, token):
    global count
    count += 1
    if count in (4_000, TOKENS):
        resident[count] = (resident_bytes(), states[0].n_bytes)

new = generate(model, [[1, 2, 3]], TOKENS, on_token=watch)
held = 2 * 128 * config.n_kv_heads * config.head_dim * 4
assert len(new[0]) == TOKENS and len(states) == 1 and states[0].lengths == [2 + TOKENS]
assert resident[4_000][1] == resident[TOKENS][1] == held, (resident, held)
print(resident[TOKENS][0] - resident[4_000][0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
def test_a_long_text_holds_memory_flat():
    """In a process of its own, where no test machinery allocates: the whole process stays flat.

    A thorough run reads 65,536 tokens.
    """
    tokens = 65_536 if THOROUGH else 16_000
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"TOKENS = {tokens}\n{_LONG_RUN}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    # Without the ring the keys and values alone would grow by 256 bytes a token; the returned list
    # takes 8.
    assert int(run.stdout) < (tokens - 4_000) * 256 / 5
