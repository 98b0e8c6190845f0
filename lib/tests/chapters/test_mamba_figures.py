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
    for layer, kept in zip(layers, state.layers, strict=True):
        np.testing.assert_allclose(layer.states[-1], kept.scan[0].numpy(), atol=1e-5)
        np.testing.assert_allclose(layer.output, (layer.read + layer.skip) * layer.gate, atol=1e-5)


def test_a_traced_state_follows_the_recurrence(model):
    layer = trace_layers(model, TOKENS)[0]
    before = np.concatenate([np.zeros_like(layer.states[:1]), layer.states[:-1]])
    written = (layer.delta * layer.u)[:, :, None] * layer.B[:, None]
    np.testing.assert_allclose(layer.states, layer.kept * before + written, atol=1e-6)
    assert (layer.delta > 0).all()


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


def test_shares_are_stacked_on_one_scale():
    panels = {"left": {"a": [1, 2], "b": [3, 0]}, "right": {"a": [4, 4], "b": [0, 0]}}
    shown = figures.held("xy", panels, title="A claim", y_title="y")
    assert [list(bar.y) for bar in shown.data] == [[1, 2], [3, 0], [4, 4], [0, 0]]
    assert [bar.showlegend for bar in shown.data] == [True, True, False, False]
    assert shown.layout.barmode == "stack"
    assert shown.layout.yaxis2.matches == "y"


def test_a_name_stands_at_the_peak_of_its_runs():
    shown = figures.after_capital({"slow": [[0, 1, 3], [0, 2, 1]], "fast": [[5, 0]]}, title="A")
    assert [list(line.y) for line in shown.data] == [[0, 1, 3], [0, 2, 1], [5, 0]]
    said = {note.text: (note.x, note.y) for note in shown.layout.annotations}
    assert said == {"<b>slow</b>": (2, 3), "<b>fast</b>": (0, 5)}


def test_memory_draws_constants_flat():
    growing = {"grows": [1.0, 8.0], "has a window": [None, 4.0]}
    crossings = {"16 tokens": (16, 2.0)}
    shown = figures.memory([8, 64], growing, {"small": 2.0, "large": 3.0}, crossings, title="A")
    assert [list(line.y) for line in shown.data] == [[2, 2], [3, 3], [1, 8], [None, 4]]
    marked = shown.layout.annotations[0]
    assert (marked.text, 10**marked.x, 10**marked.y) == ("<b>16 tokens</b>", 16, 2)


def test_the_wiring_grows_by_a_piece_a_frame():
    shown = wiring(dict(dim=8, d_inner=16, d_state=4, dt_rank=1, d_conv=4), "A claim")
    visible = [sum(part.opacity == 1 for part in frame.data[:-1]) for frame in shown.frames]
    assert visible == sorted(visible)
    assert visible[-1] == len(shown.data) - 1
    assert all(len(frame.data) == len(shown.data) for frame in shown.frames)
    assert "16" in shown.frames[1].data[-1].text[0]
