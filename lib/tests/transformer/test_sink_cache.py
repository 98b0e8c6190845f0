"""Pinned slots: the ring equals the mask, in steps, in chunks and mixed, for every budget."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixlab.common.tokens import embed
from mixlab.transformer.attention import dense_attention
from mixlab.transformer.rope import rope_table, widen
from mixlab.transformer.sink_cache import SinkCache, sink_slot
from mixlab.transformer.window import visible, window_mask
from tests.transformer.caching import build_model, shapes

bounded = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def budgets(draw) -> tuple[int, int]:
    """A window, and how many of its keys are the text's first."""
    window = draw(st.integers(1, 9))
    return window, draw(st.integers(0, window - 1))


def masked(model, tokens: torch.Tensor, window: int, sinks: int) -> torch.Tensor:
    """The residual stream of a text under the mask, by the readable attention and no cache."""
    mask = window_mask(len(tokens), window=window, sinks=sinks)
    cos, sin = widen(*rope_table(torch.arange(len(tokens)), model.config.head_dim), torch.float64)

    def attend(q, k, v):
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))
        k, v = (x.repeat_interleave(len(q) // len(k), dim=0) for x in (k, v))
        scores = q @ k.transpose(1, 2) * q.shape[-1] ** -0.5
        return (scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v).transpose(0, 1)

    x = embed(model.tok_embeddings, tokens)
    for layer in model.layers:
        x = layer(x, cos, sin, attend)
    return x


@bounded
@given(shapes(), budgets(), st.data())
def test_over_any_passes_the_ring_equals_the_mask(shape, budget, data):
    """Passes of any sizes, ragged, some sequences resting, steps among them."""
    window, sinks = budget
    model = build_model(**(shape | dict(window=window)))
    batch = data.draw(st.integers(1, 3))
    cache = SinkCache(model.config, batch, sinks, dtype=torch.float64)
    texts, got = [[] for _ in range(batch)], [[] for _ in range(batch)]
    for _ in range(data.draw(st.integers(1, 6))):
        one_each = st.just([1] * batch)
        ragged = st.lists(st.integers(0, 12), min_size=batch, max_size=batch)
        lengths = data.draw(st.one_of(one_each, ragged.filter(any)))
        tokens = torch.randint(32, (sum(lengths),))
        states = model.extend(tokens, cache, lengths)
        for row, (new, x) in enumerate(
            zip(tokens.split(lengths), states.split(lengths), strict=True)
        ):
            texts[row].append(new)
            got[row].append(x)
    for text, states in zip(texts, got, strict=True):
        if len(text := torch.cat(text)):
            expected = masked(model, text, window, sinks)
            torch.testing.assert_close(torch.cat(states), expected, rtol=0, atol=1e-9)


def test_prefill_asks_for_the_last_token_alone():
    model = build_model(window=5)
    text = torch.randint(32, (17,))
    expected = model.output(model.norm(masked(model, text, 5, 2)[-1]))
    for chunk_size in (None, 1, 3, 5, 8):
        cache = SinkCache(model.config, 1, sinks=2, dtype=torch.float64)
        logits, _ = model.prefill(text[None], cache, chunk_size=chunk_size)
        torch.testing.assert_close(logits[0], expected, rtol=0, atol=1e-9)


def test_a_sequence_taken_out_of_the_batch_goes_on():
    model = build_model(window=4)
    texts = torch.randint(32, (3, 9))
    cache = SinkCache(model.config, 3, sinks=1, dtype=torch.float64)
    _, cache = model.prefill(texts, cache)
    logits, _ = model.step(torch.tensor([5]), cache.rows(torch.tensor([False, True, False])))
    expected = masked(model, torch.tensor([*texts[1].tolist(), 5]), 4, 1)[-1]
    torch.testing.assert_close(logits[0], model.output(model.norm(expected)), rtol=0, atol=1e-9)


@bounded
@given(budgets(), st.integers(0, 40))
def test_slots_hold_what_the_mask_shows(budget, newest):
    window, sinks = budget
    positions = torch.arange(newest + 1)
    held = {}
    for position, slot in zip(positions.tolist(), sink_slot(positions, window, sinks), strict=True):
        held[int(slot)] = position
    seen = visible(torch.tensor(newest), positions, window, sinks).nonzero().squeeze(1)
    assert sorted(held.values()) == seen.tolist()
    assert set(held) == set(range(min(window, newest + 1)))


def test_without_sinks_it_is_the_window():
    assert torch.equal(window_mask(9, window=4, sinks=0), window_mask(9, window=4))
    q, k, v = torch.randn(3, 1, 1, 9, 4, dtype=torch.float64)
    mask = window_mask(9, window=4, sinks=0)
    scores = (q @ k.transpose(-1, -2) / 2).masked_fill(~mask, -torch.inf)
    torch.testing.assert_close(scores.softmax(-1) @ v, dense_attention(q, k, v, 4))


@pytest.mark.parametrize(
    ("window", "sinks", "says"),
    [
        (4, 4, "must still see itself"),
        (4, 9, "must still see itself"),
        (4, -1, "0 or more"),
        (4, True, "0 or more"),
        (None, 1, "every key is kept"),
    ],
)
def test_a_budget_must_leave_room(window, sinks, says):
    model = build_model(window=window)
    with pytest.raises(ValueError, match=says):
        SinkCache(model.config, 1, sinks)
    with pytest.raises(ValueError, match=says):
        window_mask(3, window=window, sinks=sinks)


def test_going_back_is_refused():
    model = build_model(window=4)
    _, cache = model.prefill([[1, 2, 3]], SinkCache(model.config, 1, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match="can't go back to"):
        cache.truncate([1])
