"""Timelines: the bubble by both definitions, and what stages keep, as formulas have them."""

from itertools import product

import pytest

from mixlab.parallel.schedules import gpipe, kept_after, one_f_one_b
from mixlab.parallel.simulator import simulate

SIZES = list(product(range(1, 7), range(1, 10)))  # stages, microbatches


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_both_schedules_have_the_bubble_of_the_formulas_and_keep_what_they_say(size):
    n_stages, n_microbatches = size
    idle = n_stages - 1
    for make, backward in product((gpipe, one_f_one_b), (1, 2)):
        timeline = simulate(make(n_stages, n_microbatches), 1, backward)
        assert timeline.length == (1 + backward) * (n_microbatches + idle)
        assert timeline.bubble == pytest.approx(idle / (n_microbatches + idle))
        assert timeline.bubble_to_work == pytest.approx(idle / n_microbatches)
    kept = [min(n_microbatches, n_stages - stage) for stage in range(n_stages)]
    assert simulate(one_f_one_b(*size)).in_flight() == kept
    assert simulate(gpipe(*size)).in_flight() == [n_microbatches] * n_stages
    assert kept_after(gpipe(*size)[0])[-1] == 0
