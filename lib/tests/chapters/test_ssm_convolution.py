"""What chapter 14 traces and draws."""

import numpy as np
import pytest
import torch

from mixlab.chapters.ssm_convolution import figures, traces
from mixlab.ssm.convolution import circular_convolve, fft_convolve, recurrence


@pytest.mark.parametrize("n", [6, 7, 8, 9, 10, 12])
def test_a_circle_gives_numpy_s_convolution_folded(n):
    draw = np.random.default_rng(n)
    x, K = draw.integers(1, 10, 6), draw.integers(1, 10, 4)
    trace, line = traces.trace_kernel(x.tolist(), K.tolist(), n), np.convolve(x, K)
    folded = np.zeros(n)
    np.add.at(folded, np.arange(len(line)) % n, line)
    np.testing.assert_allclose(trace.outputs, folded, atol=1e-9)
    np.testing.assert_allclose(trace.truth[:6], line[:6], atol=1e-12)
    assert trace.wrong == list(range(max(0, 9 - n)))


@pytest.mark.parametrize("n", [1, 2, 5, 6, 9])
def test_the_waves_add_up_to_the_outputs_and_each_is_a_product(n):
    trace = traces.trace_kernel([2.0] * min(n, 4), [1.0, -3.0][: min(n, 2)], n)
    np.testing.assert_allclose(trace.partial[-1], trace.outputs, atol=1e-12)
    np.testing.assert_allclose(trace.partial[0], trace.outputs.mean(), atol=1e-12)
    np.testing.assert_allclose(trace.product, np.fft.rfft(trace.outputs), atol=1e-12)


def test_what_does_not_fit_on_a_circle_is_told():
    for x, K, n in (([1, 2], [1, 2, 3], 5), ([1, 2, 3], [1], 2)):
        with pytest.raises(ValueError, match="a place for each input"):
            traces.trace_kernel(x, K, n)


def test_the_matrix_of_steps_does_what_the_recurrence_does():
    torch.manual_seed(0)
    A_bar, B_bar, C = torch.rand(3, 7, 2, dtype=torch.float64)
    x, h, y = torch.randn(7, dtype=torch.float64), torch.zeros(2), []
    for a, b, c, x_t in zip(A_bar, B_bar, C, x, strict=True):
        h = a * h + b * x_t
        y.append(c @ h)
    torch.testing.assert_close(traces.matrix_of_steps(A_bar, B_bar, C) @ x, torch.stack(y))
    fixed = [part[:1].expand(7, 2) for part in (A_bar, B_bar, C)]
    system = [torch.diag(A_bar[0])[None], B_bar[:1], C[:1]]
    out, _ = recurrence(*system, x[None, :, None])
    torch.testing.assert_close(traces.matrix_of_steps(*fixed) @ x, out[0, :, 0])


def test_only_a_layer_that_reads_its_future_foretells_coins():
    whole, begun = traces.foretold(circular_convolve, seed=9)
    assert whole > 0.99
    assert abs(begun - 0.5) < 0.05
    assert all(abs(share - 0.5) < 0.05 for share in traces.foretold(fft_convolve, seed=9))


def test_figures_draw_what_they_are_given():
    points = np.exp(2j * np.pi * np.arange(8) / 8)
    shown = figures.squared(points, "A claim")
    drawn = shown.data[3].x + 1j * np.array(shown.data[3].y)
    np.testing.assert_allclose(drawn, points**2, atol=1e-4)
    matrix = np.arange(16.0).reshape(4, 4)
    shown = figures.matrices({"one": matrix, "two": 2 * matrix}, 2, "rank 1", "A claim")
    assert np.isnan(shown.data[0].z[0, 1])
    assert shown.data[1].z[3, 0] == 24
    assert (shown.data[0].zmin, shown.data[0].zmax) == (0, 30)
    shown = figures.silence({"one": [1e-3, 2e-3, 5.0, 9.0]}, 20, "A claim")
    assert list(shown.data[0].x) == [0, 10, 20, 30]
    shown = figures.leaks([1.0, 10.0], [0.1, 1.0], [5.0, 50.0], "A claim")
    assert [list(line.y) for line in shown.data[:2]] == [[0.1, 1.0], [5.0, 50.0]]
    shown = figures.costs([16, 32], {"matrix": [1.0, 4.0], "FFT": [2.0, 3.0]}, "A claim")
    assert list(shown.data[1].y) == [2.0, 3.0]


def test_the_leak_stays_below_its_bound_and_is_none_in_float64():
    torch.manual_seed(0)
    for seq, silent in ((64, 10), (1024, 700), (4096, 4095)):
        kernel = torch.randn(1, seq, dtype=torch.float64)
        x = (
            1e4
            * torch.randn(1, seq, 1, dtype=torch.float64)
            * (torch.arange(seq) >= silent)[:, None]
        )
        said, most = traces.leak(x, kernel, silent)
        assert 0 < said < most
        assert fft_convolve(x, kernel)[0, :silent].abs().max() < 1e-7 * said * 100
