"""The short convolution against its loop and PyTorch's; packing and padding around it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mixlab.ssm.packing import lookback, real_ends, segment_starts
from mixlab.ssm.short_convolution import (
    next_history,
    short_convolution,
    short_convolution_reference,
)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3),
    seq=st.integers(1, 9),
    d_conv=st.integers(1, 5),
    seed=st.integers(0, 99),
    options=st.sets(st.sampled_from(["bias", "history", "starts"])),
)
def test_shifted_copies_are_the_loop(batch, seq, d_conv, seed, options):
    torch.manual_seed(seed)
    x, weight = torch.randn(batch, seq, 3).double(), torch.randn(3, d_conv).double()
    all_options = {
        "bias": torch.randn(3).double(),
        "history": torch.randn(batch, d_conv - 1, 3).double(),
        "starts": torch.rand(batch, seq) < 0.3,
    }
    chosen = {name: all_options[name] for name in options}
    torch.testing.assert_close(
        short_convolution(x, weight, **chosen),
        short_convolution_reference(x, weight, **chosen),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("seq", [1, 2, 50])
def test_it_is_pytorchs_depthwise_convolution(seq):
    torch.manual_seed(0)
    x, weight, bias = torch.randn(2, seq, 7), torch.randn(7, 4), torch.randn(7)
    theirs = F.conv1d(x.mT, weight[:, None], bias, padding=3, groups=7)[..., :seq].mT
    torch.testing.assert_close(short_convolution(x, weight, bias), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("d_conv", [1, 2, 4])
def test_history_carries_a_sequence_over_any_cut(d_conv):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 8, 3).double(), torch.randn(3, d_conv).double()
    whole = short_convolution(x, weight)
    for cut in range(1, 8):
        history = next_history(x[:, :cut], torch.zeros(2, d_conv - 1, 3).double())
        rest = short_convolution(x[:, cut:], weight, history=history)
        torch.testing.assert_close(rest, whole[:, cut:], rtol=0, atol=1e-12)


def test_history_of_padded_rows_is_that_of_their_real_tokens():
    torch.manual_seed(0)
    x, history = torch.randn(4, 6, 2), torch.randn(4, 3, 2)
    mask = torch.tensor([[True] * n + [False] * (6 - n) for n in (6, 4, 1, 0)])
    padded = next_history(x, history, mask)
    for row, n in enumerate((6, 4, 1)):
        alone = next_history(x[row : row + 1, :n], history[row : row + 1])
        assert torch.equal(padded[row], alone[0])
    assert torch.equal(padded[3], history[3])


@settings(max_examples=30, deadline=None)
@given(seqlens=st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_lookback_counts_from_each_start(seqlens):
    counted = lookback(segment_starts(seqlens))[0].tolist()
    assert counted == [t for seqlen in seqlens for t in range(seqlen)]


def test_before_the_first_start_a_sequence_goes_on():
    assert lookback(torch.tensor([[False, False, True]]))[0, :2].min() > 1_000_000


def test_bad_input_is_told():
    with pytest.raises(ValueError, match=r"history must have shape \(1, 3, 2\)"):
        short_convolution(torch.zeros(1, 5, 2), torch.zeros(2, 4), history=torch.zeros(1, 2, 2))
    with pytest.raises(ValueError, match="mask with a gap"):
        real_ends(torch.tensor([[True, False, True]]))
    for seqlens in ([], [3, 0]):
        with pytest.raises(ValueError, match="at least 1"):
            segment_starts(seqlens)
