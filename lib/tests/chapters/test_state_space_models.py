"""What chapter 13 traces and draws."""

import numpy as np
import pytest
import torch

from mixlab.chapters.state_space_models import figures, traces
from mixlab.ssm.discretize import trapezoid
from mixlab.ssm.ode import integrate


@pytest.mark.parametrize("frequency", [0.5, 1.0, 3.0])
def test_the_truth_is_what_runge_and_kutta_find(frequency):
    def slope(t, h):
        push = torch.sin(torch.tensor(frequency * t, dtype=torch.float64))
        return traces.SPRING @ h + traces.PUSH * push

    start = torch.tensor([0.4, -0.3], dtype=torch.float64)
    path = integrate(slope, start, 4.0, 200, "runge_kutta_4")
    times = torch.linspace(0, 4, 201, dtype=torch.float64)
    torch.testing.assert_close(traces.pushed(times, start, frequency), path, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", traces.RULES)
def test_both_samples_weigh_as_much_as_one(rule):
    """But for Mamba-3, whose older push has decayed."""
    A_bar, before, now = traces.step_weights(traces.SPRING, traces.PUSH, 0.3, rule, "both")
    _, _, held = traces.step_weights(traces.SPRING, traces.PUSH, 0.3, rule, "now")
    older = A_bar @ now if rule == "mamba" else now
    torch.testing.assert_close(before, older)
    torch.testing.assert_close(2 * now, held)


def test_a_share_of_the_samples_is_the_library_s_trapezoid():
    rate, one = torch.tensor([[-1.5]]).double(), torch.ones(1).double()
    found = traces.step_weights(rate, one, 0.2, "mamba", 0.7)
    for mine, its in zip(found, trapezoid(rate[0, 0], 0.2, 0.7), strict=True):
        assert mine.item() == pytest.approx(its.item(), abs=1e-12)


def test_a_held_trace_begins_at_rest_and_knows_its_eigenvalue():
    run = traces.trace_hold("bilinear", "before", 0.7)
    assert len(run.times) == len(run.inputs) == len(run.states) == len(run.exact) == 18
    assert not run.states[:2].any()  # the first old token is 0
    rates = np.linalg.eigvals(run.weights[0])
    assert abs(rates - complex(*run.turn)).min() < 1e-12


def test_unknown_names_are_refused():
    for rule, sample in (("heun", "now"), ("zoh", "later")):
        with pytest.raises(ValueError, match="before, now, both"):
            traces.trace_hold(rule, sample, 0.5)
    with pytest.raises(ValueError, match="positive"):
        traces.trace_hold("zoh", "now", -1.0)


def test_a_bundle_has_its_colour_its_guide_and_its_names_in_the_order_of_the_curves():
    curves = {"low": [1.0, 0.25], "high": [2.0, 0.5]}
    shown = figures.orders([0.5, 0.25], {2: curves}, "A claim")
    guide, *lines = shown.data
    assert guide.y[0] / guide.y[1] == 4
    assert {line.line.color for line in lines} == {figures.theme.BLUE}
    slope, low, high = shown.layout.annotations
    assert (slope.text, low.text, high.text) == ("slope 2", "<b>low</b>", "<b>high</b>")
    assert low.yshift < high.yshift
