"""Schedules: orders that PyTorch has too."""

import pytest

from mixlab.parallel.schedules import forward_only, gpipe, one_f_one_b


@pytest.mark.parametrize("size", [(2, 2), (4, 4), (4, 9), (5, 7)], ids=str)
def test_pytorch_goes_forward_and_back_in_the_same_order(size):
    """By kinds: its own chart counts 1F1B's microbatches from 1 at the last stage."""
    visualizer = pytest.importorskip("torch.distributed.pipelining._schedule_visualizer")
    for name, make in {"GPipe": gpipe, "1F1B": one_f_one_b}.items():
        theirs = [
            [kind for one in actions if one and (kind := one.computation_type.value) in ("F", "B")]
            for actions in visualizer.get_schedule_ops(name, *size)
        ]
        assert theirs == [[action.kind for action in actions] for actions in make(*size)]


@pytest.mark.parametrize("make", [gpipe, one_f_one_b, forward_only])
@pytest.mark.parametrize("size", [(0, 1), (1, 0)])
def test_nothing_is_no_pipeline(make, size):
    with pytest.raises(ValueError, match="at least one stage and one microbatch"):
        make(*size)
