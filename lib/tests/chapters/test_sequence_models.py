"""What chapter 12 traces and draws."""

import math

import numpy as np
import pytest
import torch

from mixlab.chapters.sequence_models import figures, last_capital, traces
from mixlab.ssm.ode import growth_factor


@pytest.mark.parametrize("n", [1, 2, 5, 8, 30])
def test_a_recurrent_network_waits_n_rounds_and_a_convolution_their_logarithm(n):
    def high(kind):
        return max(traces.rounds(traces.who_reads_whom(kind, n)).values())

    assert high("recurrent") == n
    assert high("attention") == 1
    assert high("convolution") == math.ceil(math.log2(n))


def test_the_last_token_sees_every_token_in_each_model():
    for kind in ("recurrent", "convolution", "attention"):
        needs, sees = traces.who_reads_whom(kind, 13), {}
        for place, reads in needs.items():
            sees[place] = {place[0]}.union(*(sees[read] for read in reads))
        assert sees[list(needs)[-1]] == set(range(13))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="recurrent, convolution or attention"):
        traces.who_reads_whom("mamba", 3)
    with pytest.raises(ValueError, match="at least one token"):
        traces.who_reads_whom("recurrent", 0)
    for problem, h, method in (
        ("tide", 0.1, "explicit"),
        ("decay", 0, "explicit"),
        ("decay", 1, ""),
    ):
        with pytest.raises(ValueError, match="explicit or implicit"):
            traces.trace_euler(problem, h, method)


@pytest.mark.parametrize(
    ("method", "name"), [("explicit", "euler"), ("implicit", "backward_euler")]
)
def test_a_step_multiplies_by_the_library_s_growth_factor(method, name):
    for problem, rate in (("growth", 2.0), ("decay", -10.0)):
        states = traces.trace_euler(problem, 0.05, method).states[:, 0]
        factor = growth_factor(torch.tensor(0.05 * rate, dtype=torch.float64), name).item()
        np.testing.assert_allclose(states[1:] / states[:-1], factor, rtol=1e-12)


def test_answers_ages_and_gaps_are_those_of_a_loop():
    tokens = last_capital.texts(20, torch.Generator().manual_seed(0), seq=30, share=0.2)
    found = [f(tokens) for f in (last_capital.answers, last_capital.ages, last_capital.gaps)]
    for n, row in enumerate(tokens):
        seen = []
        for t, token in enumerate(row.tolist()):
            seen += [t] * (token < last_capital.DOT)
            gap = seen[-1] - seen[-2] if len(seen) > 1 else 0
            assert [one[n, t].item() for one in found] == [row[seen[-1]], t - seen[-1], gap]


def test_a_picture_shows_the_chain_that_the_last_result_waits_for():
    needs = traces.who_reads_whom("recurrent", 4)
    shown = figures.waiting({"recurrent": (needs, traces.rounds(needs))}, "A claim")
    _, chain, inputs, results = shown.data
    assert chain.y.count(None) == 4  # one stroke a round
    assert (len(inputs.x), results.y) == (4, (1, 2, 3, 4))
    assert shown.layout.annotations[0].text == "<b>recurrent</b>: 4 rounds"
