"""What chapter 14 draws: a kernel on a circle, a matrix of changing steps, foretold coins.

The figure in the page computes `trace_kernel` under the same name.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mixlab.ssm.convolution import circular_convolve, convolve, fft_convolve


@dataclass(frozen=True)
class KernelTrace:
    """Inputs and a kernel on a circle of n places.

    Attributes:
        outputs: (n,), what the circle gives.
        truth: (n,), y_t = Σ_j K_j x_{t−j} with nothing before the first input.
        wrong: places of the inputs at which the two differ.
        kernel, inputs, product: (n // 2 + 1,), the spectra; the product is that of the first two.
        partial: (n // 2 + 1, n), row f the sum of the product's waves of frequency 0 to f.
    """

    outputs: np.ndarray
    truth: np.ndarray
    wrong: list[int]
    kernel: np.ndarray
    inputs: np.ndarray
    product: np.ndarray
    partial: np.ndarray


def trace_kernel(inputs: Sequence[float], kernel: Sequence[float], n: int) -> KernelTrace:
    """Convolve on a circle, by the library, and find the waves that its outputs are made of.

    Args:
        inputs: x.
        kernel: K, not longer than the inputs.
        n: places on the circle, at least as many as inputs.

    Raises:
        ValueError: for a kernel longer than the inputs, or a circle shorter.

    The third output would be 2 on a line, too; on a circle of two places it falls on the first:

    >>> trace = trace_kernel([3, 1], [1, 2], 2)
    >>> trace.outputs.tolist(), trace.truth.tolist(), trace.wrong
    ([5.0, 7.0], [3.0, 7.0], [0])
    """
    if not len(kernel) <= len(inputs) <= n:
        raise ValueError(
            "a circle needs a place for each input, and a kernel no more taps than there are "
            f"inputs: got {len(kernel)} taps, {len(inputs)} inputs, {n} places"
        )
    x, K = (torch.zeros(n, dtype=torch.float64) for _ in range(2))
    x[: len(inputs)] = torch.tensor(inputs, dtype=torch.float64)
    K[: len(kernel)] = torch.tensor(kernel, dtype=torch.float64)
    outputs = circular_convolve(x[None, :, None], K[None])[0, :, 0].numpy()
    truth = convolve(x[None, :, None], K[None])[0, :, 0].numpy()
    ours = len(inputs)
    wrong = np.flatnonzero(~np.isclose(outputs[:ours], truth[:ours], atol=1e-9)).tolist()
    spectra = np.fft.rfft(K.numpy()), np.fft.rfft(x.numpy())
    product = spectra[0] * spectra[1]
    upto = np.tril(np.ones((len(product), len(product)))) * product
    return KernelTrace(outputs, truth, wrong, *spectra, product, np.fft.irfft(upto, n=n, axis=1))


def matrix_of_steps(A_bar: Tensor, B_bar: Tensor, C: Tensor) -> Tensor:
    """What each input does to each output, with steps that may differ: (seq, seq).

    Args:
        A_bar, B_bar, C: (seq, n), a diagonal system for each step.

    >>> half, one = torch.full((2, 1), 0.5), torch.ones(2, 1)
    >>> matrix_of_steps(half, one, one)
    tensor([[1.0000, 0.0000],
            [0.5000, 1.0000]])
    """
    seq = len(A_bar)
    matrix = A_bar.new_zeros(seq, seq)
    for s in range(seq):
        column = B_bar[s]
        for t in range(s, seq):
            column = column * A_bar[t] if t > s else column
            matrix[t, s] = C[t] @ column
    return matrix


def foretold(convolution: Callable, seed: int, seq: int = 16) -> tuple[float, float]:
    """Train a kernel to say the next of `seq` coin tosses, which nobody can know.

    Args:
        convolution: maps tosses (batch, seq, 1) and a kernel (1, seq) to (batch, seq, 1).
        seed: of the tosses.

    Returns:
        The share of tosses foretold where the whole row is there, and where it isn't tossed yet.
    """
    draw = torch.Generator().manual_seed(seed)

    def tossed(rows: int) -> Tensor:
        return torch.randint(0, 2, (rows, seq, 1), generator=draw) * 2.0 - 1

    kernel = torch.zeros(1, seq, requires_grad=True)
    optimizer = torch.optim.Adam([kernel], lr=0.1)
    for _ in range(80):
        x = tossed(16)
        loss = (convolution(x, kernel)[:, :-1] - x[:, 1:]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = tossed(500)
    with torch.no_grad():
        whole = convolution(x, kernel)[:, :-1, 0]
        begun = [
            convolution(x * (torch.arange(seq) < n)[:, None], kernel)[:, n - 1, 0]
            for n in range(1, seq)
        ]
    said = torch.stack((whole, torch.stack(begun, dim=1)))
    return tuple((said.sign() == x[:, 1:, 0]).float().mean(dim=(1, 2)).tolist())


def leak(x: Tensor, kernel: Tensor, silent: int) -> tuple[float, float]:
    """What an FFT in float32 says before anything has come, and the most that it may err by.

    Args:
        x: (1, seq, 1) in float64, 0 before token `silent`; seq a power of 2.
        kernel: (1, seq) in float64.

    Returns:
        The largest output before `silent`, and 7 ε log₂ n (2 ‖K‖ ‖x‖ + ‖y‖), n = 2 seq. Source:
        Higham, "Accuracy and Stability of Numerical Algorithms" (2002), theorem 24.2.
    """
    n = 2 * x.shape[1]
    said = fft_convolve(x.float(), kernel.float())[0, :silent].abs().max().item()
    circle = torch.cat((x, torch.zeros_like(x)), dim=1)
    y = fft_convolve(circle, kernel)  # all of it, in float64
    rounding = torch.finfo(torch.float32).eps / 2
    size = 2 * kernel.norm() * x.norm() + y.norm()
    return said, 7 * rounding * math.log2(n) * size.item()
