"""Chapter 19's traces agree with the model, its figures with what they are given."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mixlab.chapters.mamba import figures
from mixlab.chapters.mamba.traces import trace_layers
from mixlab.chapters.mamba.wiring import wiring
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.mamba import Mamba
from mixlab.traces import recall
from mixlab.traces.timing import reading_and_writing


@pytest.fixture(scope="module")
def model() -> Mamba:
    torch.manual_seed(0)
    return Mamba(MambaConfig.tiny(dim=16, vocab_size=7, d_state=4, d_conv=3)).requires_grad_(False)


TOKENS = torch.tensor([3, 1, 4, 1, 5, 6])


def test_a_trace_is_what_the_model_computes(model):
    layers = trace_layers(model, TOKENS)
    _, state = model.prefill(TOKENS[None])
    for layer, kept, block in zip(layers, state.layers, model.layers, strict=True):
        np.testing.assert_allclose(layer.states[-1], kept.scan[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(layer.window[-1, 1:], kept.history[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(layer.output, (layer.read + layer.skip) * layer.gate, atol=1e-5)
        taps, bias = block.mixer.conv1d.weight[:, 0].T.numpy(), block.mixer.conv1d.bias.numpy()
        before = torch.from_numpy((layer.window * taps).sum(1) + bias)
        np.testing.assert_allclose(layer.u, F.silu(before).numpy(), atol=1e-5)


def test_a_traced_state_follows_the_recurrence(model):
    layer = trace_layers(model, TOKENS)[0]
    before = np.concatenate([np.zeros_like(layer.states[:1]), layer.states[:-1]])
    written = (layer.delta * layer.u)[:, :, None] * layer.B[:, None]
    np.testing.assert_allclose(layer.states, layer.kept * before + written, atol=1e-6)
    assert (layer.delta > 0).all()
    assert layer.moved.shape == (len(TOKENS),)
    np.testing.assert_allclose(layer.moved[0], np.sqrt(np.square(layer.states[0]).mean()))


def test_a_trace_wants_one_sequence(model):
    with pytest.raises(ValueError, match="at least one token"):
        trace_layers(model, TOKENS[:0])


def test_answers_and_ages_point_at_the_same_capital():
    tokens = recall.texts(20, 30, torch.Generator().manual_seed(0))
    answers, ages = recall.answers(tokens), recall.ages(tokens)
    for row in range(20):
        for now in range(30):
            capitals = [t for t in range(now + 1) if tokens[row, t] != recall.DOT]
            if len(capitals) < 2:
                assert answers[row, now] == recall.NOTHING
                assert ages[row, now] == -1
            else:
                assert answers[row, now] == tokens[row, capitals[-2]]
                assert ages[row, now] == now - capitals[-2]


def test_scores_are_those_of_a_model_that_knows_and_of_one_that_does_not():
    def knows(tokens):
        return F.one_hot(recall.answers(tokens).clamp(min=0), 7).float()

    tokens = recall.texts(20, 30, torch.Generator().manual_seed(0))
    assert recall.scores(knows, tokens, [1, 5, 9]) == (1.0, [1.0, 1.0])
    overall, _ = recall.scores(lambda tokens: -knows(tokens), tokens, [1, 5])
    assert overall == 0
    with pytest.raises(ValueError, match="made of ABCDEF"):
        recall.encode("·X")


def test_timing_leaves_the_number_of_threads_alone_and_names_bad_lengths(model):
    threads = torch.get_num_threads()
    reading, writing = reading_and_writing(model, [3, 5], steps=2)
    assert len(reading) == len(writing) == 2
    assert min(reading + writing) >= 0
    assert torch.get_num_threads() == threads
    with pytest.raises(ValueError, match="at least 1"):
        reading_and_writing(model, [0])


def test_each_token_has_one_bar_of_one_width():
    kinds = {"a": [True, False, False], "b": [False, True, True]}
    shown = figures.by_token("xyz", {"": [1.0, 2.0, 3.0]}, kinds, title="A claim", y_title="y")
    assert sorted(x for bar in shown.data for x in bar.x) == [0, 1, 2]
    assert {bar.width for bar in shown.data} == {0.85}
    assert list(shown.data[1].y) == [2, 3]


def test_stepping_shows_a_frame_a_token_and_only_the_past(model):
    layer = trace_layers(model, TOKENS)[0]
    marked = np.array([True, False, True, False, False, False])
    kinds = {"to remember": marked, "noise": ~marked}
    parts = (list("abcdef"), kinds, layer.moved, layer.window, layer.states)
    shown = figures.stepping(*parts, title="A claim")
    assert len(shown.frames) == 6
    orange, blue, pointer, window, words, state = shown.frames[2].data
    assert [orange.y[1] > 0, blue.y[0] > 0, blue.y[1]] == [True, True, 0]  # tokens 2, 1 and 3
    assert list(pointer.x) == [2]
    assert list(words.text) == ["<b>a</b>", "<b>b</b>", "<b>c</b>"]
    np.testing.assert_allclose(window.z, layer.window[2].round(2))
    np.testing.assert_allclose(state.z, layer.states[2].T.round(2))


def test_memory_draws_constants_flat():
    growing = {"grows": [1.0, 8.0], "has a window": [None, 4.0]}
    shown = figures.memory([8, 64], growing, {"small": 2.0, "large": 3.0}, title="A")
    assert [list(line.y) for line in shown.data] == [[2, 2], [3, 3], [1, 8], [None, 4]]


def test_first_steps_shares_add_up():
    draws = {"a": 10 ** np.linspace(-2.9, -1.1, 50)}
    shown = figures.first_steps(draws, {"a": 0.01}, title="A claim")
    assert abs(sum(shown.data[0].y[:-1]) - 1) < 1e-6


def test_the_wiring_grows_by_a_piece_a_frame():
    shown = wiring(dict(dim=8, d_inner=16, d_state=4, dt_rank=1, d_conv=4), "A claim")
    visible = [sum(part.opacity == 1 for part in frame.data[:-1]) for frame in shown.frames]
    assert visible == sorted(visible)
    assert visible[-1] == len(shown.data) - 1
    assert all(len(frame.data) == len(shown.data) for frame in shown.frames)
    assert "16" in shown.frames[1].data[-1].text[0]
