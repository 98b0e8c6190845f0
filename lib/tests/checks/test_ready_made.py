"""An answer that stands on a package which holds what is asked is told so by its own check."""

from functools import partial

import pytest
import torch
from torch._higher_order_ops import associative_scan

import mixlab
from mixlab.checks import CheckFailed, check
from mixlab.checks.ready_made import ready_made_in
from mixlab.transformer import window
from mixlab.transformer.rolling_cache import RollingCache

xformers = pytest.importorskip("xformers", reason="xformers isn't made for this system")
attn_bias = pytest.importorskip("xformers.ops.fmha.attn_bias")
Mask = attn_bias.BlockDiagonalMask


def imports_inside(seq, window):
    from xformers.ops.fmha.attn_bias import BlockDiagonalMask as Inner

    return Inner


def names_a_class(seq, window):
    return Mask.from_seqlens([seq])


def reaches_through_a_module(seq, window):
    return attn_bias.LowerTriangularMask()


def calls_who_calls(seq, window):
    return names_a_class(seq, window)


def hides_it_in_a_lambda(seq, window):
    return (lambda: xformers.ops)()


def _closes_over(mask):
    return lambda seq, window: mask.from_seqlens([seq])


class Called:
    def __call__(self, seq, window):
        return names_a_class(seq, window)

    def method(self, seq, window):
        return calls_who_calls(seq, window)


@pytest.mark.parametrize(
    "answer",
    [
        *(imports_inside, names_a_class, reaches_through_a_module, calls_who_calls),
        *(hides_it_in_a_lambda, _closes_over(Mask), Called(), Called().method, Mask),
        partial(calls_who_calls, window=3),
    ],
)
def test_a_package_is_found_however_it_is_reached(answer):
    assert ready_made_in(answer).partition(".")[0] == "xformers"
    with pytest.raises(CheckFailed, match=r"02\.1: the answer calls xformers.*compare with"):
        check("02.1", answer)


TOOLS = {"mask": window.window_mask}


@pytest.mark.parametrize(
    "answer",
    [
        *(window.window_mask, partial(window.window_mask, window=3), RollingCache),
        *(lambda seq, w: window.window_mask(seq, w), lambda seq, w: TOOLS["mask"](seq, w)),
        *(
            _closes_over(RollingCache),
            lambda seq, w: mixlab.load("x"),
            lambda *a: associative_scan(*a),
        ),
        lambda *a: torch._higher_order_ops.associative_scan(*a),
    ],
)
def test_so_is_the_library_and_what_torch_has_of_a_scan(answer):
    assert ready_made_in(answer).startswith(("mixlab", "torch.", "_higher_order_ops"))
    with pytest.raises(CheckFailed, match=r"02\.1: the answer calls (mixlab|torch|_higher)"):
        check("02.1", answer)


def honest(seq, window):
    i = torch.arange(seq)
    return (i[:, None] >= i) & (i[:, None] - i < window)


def recursive(seq, window):
    return recursive(seq, window - 1) if window > 9 else honest(seq, window)


@pytest.mark.parametrize("answer", [honest, recursive, partial(honest, window=2), 7, None, print])
def test_nothing_else_is(answer):
    assert ready_made_in(answer) is None


class Settings(dict):
    """A dictionary whose entries are attributes, and nothing else is."""

    __getattr__ = dict.__getitem__


def test_an_object_that_answers_to_no_name_is_no_error():
    settings = Settings(steps=3)

    def answer(x):
        return x + settings.steps

    assert ready_made_in(answer) is None
    assert ready_made_in(settings) is None
