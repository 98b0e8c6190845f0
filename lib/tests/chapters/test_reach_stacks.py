"""The stacks of exercises 03.4 and 03.5 are what their makers say, and tell it by results alone."""

import inspect

import numpy as np
import pytest
import torch

from mixlab.checks.cases.reach_stacks import DIM, FILE, LONGEST, hand_out, hiding, visible
from mixlab.checks.oracles import reach_makers as makers


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def inside(stack) -> dict:
    return makers.inside(stack)


def test_the_file_holds_what_the_makers_make():
    with np.load(FILE) as file:
        fresh = makers.packed()
        assert file.files == list(fresh)
        assert all((file[name] == fresh[name]).all() for name in fresh)


def test_every_stack_is_handed_out_once():
    handed = [makers.described(*drawn).split(" with ", 1)[1] for drawn in hand_out(rng())]
    made = [maker.__doc__ for all_made in makers.SIZES.values() for maker in all_made]
    assert sorted(handed) == sorted(made)


def test_nothing_but_the_tables_tells_one_stack_from_another():
    drawn = hand_out(rng())
    codes = {inspect.unwrap(stack).__code__ for stack, _, _ in drawn}
    told = {(stack.__name__, stack.__qualname__, stack.__doc__) for stack, _, _ in drawn}
    assert len(codes) == len(told) == 1
    for size in makers.SIZES:
        shapes = {inside(stack)["tables"].shape for stack, *given in drawn if tuple(given) == size}
        assert len(shapes) == 1  # a layer too few or too many doesn't show
    assert {type(value) for value in inside(drawn[0][0]).values()} <= {
        int,
        torch.Tensor,
        type(hand_out),
    }


@pytest.mark.parametrize("seq", [1, 2, 5, 9])
def test_a_first_layer_that_wraps_around_reads_from_the_end(seq):
    masks = visible(makers.wraps_around(2, 4), seq)
    distance = torch.arange(seq)[:, None] - torch.arange(seq)
    assert torch.equal(masks[0], (distance % seq < 4))
    assert torch.equal(masks[1], (distance >= 0) & (distance < 4))


@pytest.mark.parametrize("size", makers.SIZES)
def test_every_wrong_stack_shows_itself_from_three_tokens_beyond_the_reach_on(size):
    """As the exercise says."""
    n_layers, window = size
    reach = n_layers * (window - 1)
    for maker in makers.SIZES[size]:
        for seq in range(reach + 3, reach + 12):
            known = np.eye(seq, dtype=bool)
            for mask in visible(makers.padded(maker(n_layers, window), n_layers), seq).numpy():
                known = known | (mask.astype(int) @ known.astype(int) > 0)
            distance = np.subtract.outer(np.arange(seq), np.arange(seq))
            should = (distance >= 0) & (distance <= reach)
            assert (known == should).all() == (maker is makers.right), (maker.__name__, seq)


def test_only_the_last_token_keeps_its_window():
    last = visible(makers.only_the_last(2, 3), 6)[-1]
    assert last.sum(dim=1).tolist() == [1, 2, 3, 4, 5, 3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_out_of_reach_changes_nothing_and_all_else_does(dtype):
    """In either precision, for stacks of every kind, so that an honest test is never fooled."""
    for stack, n_layers, window in hand_out(rng()):
        seq = n_layers * (window - 1) + 3
        known = np.eye(seq, dtype=bool)
        for mask in visible(inside(stack)["tables"], seq).numpy():
            known = known | (mask.astype(int) @ known.astype(int) > 0)
        x = torch.randn(seq, DIM, dtype=dtype, generator=torch.Generator().manual_seed(1))
        for j in (0, seq // 2, seq - 1):
            other = x.clone()
            other[j] += 1
            changed = (stack(other) != stack(x)).any(dim=1).numpy()
            assert (changed == known[:, j]).all(), makers.described(stack, n_layers, window)


def test_a_text_without_a_table_is_named():
    stack = hiding(rng())[0]
    with pytest.raises(ValueError, match=r"at most 100 tokens: got \(101, 4\)"):
        stack(torch.zeros(LONGEST + 1, DIM))
    with pytest.raises(ValueError, match="got list"):
        stack([[0.0] * DIM])
