"""What chapter 15 traces and draws."""

import numpy as np
import pytest
import torch

from mixlab.chapters.hippo import figures, traces
from mixlab.ssm.hippo import project, recall


@pytest.mark.parametrize("name", traces.SHAPES)
def test_ready_made_signals_stay_in_the_plot(name):
    signal = traces.shape(name)
    assert len(signal) == traces.SAMPLES
    assert max(map(abs, signal)) <= 1


@pytest.mark.parametrize(("d_state", "heard"), [(1, 1), (5, 7), (24, 64)])
def test_the_whole_memory_is_the_best_polynomial(d_state, heard):
    signal = torch.tensor(traces.shape("hill"), dtype=torch.float64)[:heard]
    memory = traces.trace_memory(traces.shape("hill"), d_state, heard)["whole"]
    best = project(signal, d_state)
    np.testing.assert_allclose(memory.numbers, best, atol=1e-9)
    middles = (torch.arange(heard, dtype=torch.float64) + 0.5) / heard
    np.testing.assert_allclose(memory.recalled, recall(best, middles), atol=1e-8)


def test_errors_are_those_of_the_halves():
    memory = traces.trace_memory(traces.shape("steps"), 4, 33)["fading"]
    off = (memory.recalled - np.array(traces.shape("steps")[:33])) ** 2
    expected = [off[:16].mean() ** 0.5, off[16:].mean() ** 0.5]
    np.testing.assert_allclose(memory.errors, expected)
    assert traces.trace_memory([0.5], 3, 1)["whole"].errors[0] == 0.0


def test_a_past_is_drawn_as_stairs_under_its_curves():
    shown = figures.approximations([1, 2], [0, 1], {"one": [1.5, 1.5], "two": [1, 2]}, "A claim")
    stairs, one, two = shown.data
    assert (stairs.x, stairs.y, stairs.line.shape) == ((0, 0.5, 1), (1, 2, 2), "hv")
    assert (one.y, two.y) == ((1.5, 1.5), (1, 2))
    assert two.line.dash == "solid"  # the best


def test_each_spectrum_is_named_where_it_is():
    shown = figures.spectra({"flat": [-1, -5], "upright": [-0.5 + 9j, -0.5 - 9j]}, "A claim")
    flat, upright = shown.layout.annotations
    assert (flat.text, flat.x, flat.y) == ("flat", -5, 0)
    assert (upright.text, upright.x, upright.y) == ("upright", -0.5, 9)
