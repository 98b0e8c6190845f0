"""Chapter 18: bytes counted in three ways, the scans that are measured, its figures' data."""

import pytest
import torch

from mixlab.chapters.kernel_fusion import figures, published
from mixlab.chapters.kernel_fusion.chip import Memory
from mixlab.chapters.kernel_fusion.traces import (
    kept_for_backward,
    reference,
    row_bytes,
    scan_inputs,
    trace_traffic,
    unfused,
)
from mixlab.chapters.kernel_fusion.triton_here import INTERPRETED, counted


def test_memory_counts_what_is_touched_and_hands_out_copies():
    memory = Memory(x=torch.arange(6.0).reshape(2, 3), y=torch.zeros(3, dtype=torch.float64))
    row = memory["x", 1]
    row += 1
    memory["y", 0] = row.sum()
    assert memory.arrays["x"].sum() == 15
    assert (memory.read["x"], memory.written["y"], memory.moved) == (12, 8, 20)
    assert memory["x"].shape == (2, 3)
    assert memory.read["x"] == 36


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (40, 64, 16)])
def test_a_trace_adds_up_to_the_formula(shape):
    tokens, D, N = shape
    fused, three = (trace_traffic(way, *shape)[-1].moved for way in ("fused", "three"))
    assert fused == 4 * (tokens * (3 * D + 2 * N) + D * N)
    assert three == 4 * (tokens * (3 * D + 6 * D * N + 2 * N) + D * N)
    assert trace_traffic("three", *shape)[0].reads["A"] == row_bytes(D, N)["A"] == 4 * D * N


def test_bad_traces_are_refused():
    with pytest.raises(ValueError, match="three, fused: got 'two'"):
        trace_traffic("two", 1, 1, 1)
    with pytest.raises(ValueError, match="at least one token"):
        trace_traffic("fused", 3, 0, 1)


def test_the_unfused_scan_is_the_library_s():
    torch.manual_seed(0)
    given = scan_inputs(30, 6, 4)
    y = unfused(**given, room=torch.ones(3, 30, 6, 4))
    torch.testing.assert_close(y, reference(**given), rtol=1e-4, atol=1e-5)


def test_what_autograd_keeps_is_counted_once():
    x = torch.ones(100, requires_grad=True)
    n_bytes, result = kept_for_backward(lambda: x * x)
    assert (n_bytes, result.shape) == (400, x.shape)
    assert kept_for_backward(lambda: x.detach() * 2)[0] == 0


@pytest.mark.skipif(INTERPRETED, reason="Triton interprets")
def test_kernels_of_a_gpu_are_not_counted():
    with pytest.raises(ValueError, match="TRITON_INTERPRET=1"), counted():
        pass


def test_a_roof_bends_at_its_ridge():
    shown = figures.roofs(published.ROOFS, {"here": (1, 1e12)}, {}, title="t", least=0.1, most=100)
    for line, (rate, top) in zip(shown.data, published.ROOFS.values(), strict=False):
        assert list(line.x) == [0.1, top / rate, 100]
        assert list(line.y) == pytest.approx([0.1 * rate, top, top])
    assert list(shown.data[-1].text) == ["here"]


def test_stairs_go_down():
    shown = figures.stairs([2**14, 2**28], [8e10, 1e10], published.LEVELS, "t")
    stair = shown.data[1]
    assert list(stair.y) == [19e12, 19e12, 1.5e12, 1.5e12]
    assert list(stair.x) == [2**14, 20e6, 20e6, 40e9]


def test_the_least_bar_is_marked():
    shown = figures.kept([1, 4, 16], {"kept": [8, 2, 1], "chunk": [1, 2, 9]}, 4, "t")
    assert (shown.layout.annotations[0].x, shown.layout.annotations[0].y) == (1, 4)
