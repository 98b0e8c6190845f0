"""A linear time-invariant SSM is a convolution: unroll it, and use the FFT.

x_t = Ā x_{t-1} + B̄ u_t, y_t = C x_t unrolls to y_t = Σ_j K_j u_{t-j} with the kernel
K = (C B̄, C Ā B̄, C Ā² B̄, …). The recurrence needs one small state and as many steps as tokens;
the convolution needs every token at once and, by the FFT, L log L operations. Each channel has a
system of its own. D·u, the skip, is added outside.

The FFT multiplies *periodic* sequences: a kernel as long as the input would wrap around and let
late tokens act on early ones. Zeros up to 2L keep the two ends apart.

Source: Gu, Goel and Ré, "Efficiently Modeling Long Sequences with Structured State Spaces" (2022),
equations 3–5.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def recurrence(
    A_bar: Float[Tensor, "channels n n"] | Complex[Tensor, "channels n n"],
    B_bar: Float[Tensor, "channels n"] | Complex[Tensor, "channels n"],
    C: Float[Tensor, "channels n"] | Complex[Tensor, "channels n"],
    u: Float[Tensor, "batch seq channels"],
    D: Float[Tensor, " channels"] | None = None,
    state: Tensor | None = None,
) -> tuple[Float[Tensor, "batch seq channels"], Tensor]:
    """The recurrent view: walk the tokens, one state a channel.

    Args:
        A_bar, B_bar, C: the discrete system of each channel. A complex system must describe a real
            one, as a diagonalised real matrix does: the imaginary part of y is dropped.
        u: input.
        D: skip, a factor a channel.
        state: (batch, channels, n), what earlier tokens left; zero by default.

    Returns:
        y like u, and the state after the last token, to go on from.

    Raises:
        ValueError: for an empty sequence, the state of another batch, or shapes that don't fit
            together.

    A state that halves at each step, an impulse, and its echo:

    >>> y, _ = recurrence(torch.tensor([[[0.5]]]), torch.ones(1, 1), torch.ones(1, 1),
    ...                   torch.tensor([[[1.0], [0.0], [0.0]]]))
    >>> y.flatten()
    tensor([1.0000, 0.5000, 0.2500])
    """
    batch, seq, channels = u.shape
    shape = (batch, channels, A_bar.shape[-1])
    if seq == 0:
        raise ValueError("a recurrence needs at least one token: got u of shape (…, 0, …)")
    _check_system(A_bar, B_bar, C, channels)
    if state is None:
        state = A_bar.new_zeros(shape)
    elif state.shape != shape:
        raise ValueError(
            f"the state must have shape (batch, channels, n) = {shape}: got {tuple(state.shape)}. "
            "Does it belong to another batch or model?"
        )
    outputs = []
    for u_t in u.unbind(dim=1):
        state = torch.einsum("cmn,bcn->bcm", A_bar, state) + B_bar * u_t[..., None]
        outputs.append(torch.einsum("cn,bcn->bc", C, state).real)
    return _skip(torch.stack(outputs, dim=1), u, D), state


def ssm_kernel(
    A_bar: Float[Tensor, "channels n n"] | Complex[Tensor, "channels n n"],
    B_bar: Float[Tensor, "channels n"] | Complex[Tensor, "channels n"],
    C: Float[Tensor, "channels n"] | Complex[Tensor, "channels n"],
    length: int,
) -> Float[Tensor, "channels length"]:
    """K = (C B̄, C Ā B̄, …, C Ā^(length−1) B̄) of each channel: what an impulse does to the output.

    Raises:
        ValueError: for a length below 1, or shapes that don't fit together.

    >>> ssm_kernel(torch.tensor([[[0.5]]]), torch.ones(1, 1), torch.ones(1, 1), 3)
    tensor([[1.0000, 0.5000, 0.2500]])
    """
    check_taps(length)
    _check_system(A_bar, B_bar, C, len(A_bar))
    column, taps = B_bar, []
    for _ in range(length):
        taps.append(torch.einsum("cn,cn->c", C, column).real)
        column = torch.einsum("cmn,cn->cm", A_bar, column)
    return torch.stack(taps, dim=-1)


def convolve(
    u: Float[Tensor, "batch seq channels"],
    kernel: Float[Tensor, "channels length"],
    D: Float[Tensor, " channels"] | None = None,
) -> Float[Tensor, "batch seq channels"]:
    """The convolutional view, by the definition: y_t = Σ_j K_j u_{t-j}. L² multiplications.

    The readable twin of `fft_convolve`, with the same arguments.

    >>> convolve(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[1.0, 0.5]])).flatten()
    tensor([1.0000, 2.5000])
    """
    seq = u.shape[1]
    _check(u, kernel, D)
    y = torch.zeros_like(u)
    for lag in range(min(seq, kernel.shape[-1])):
        y[:, lag:] += kernel[:, lag] * u[:, : seq - lag]
    return _skip(y, u, D)


def fft_convolve(
    u: Float[Tensor, "batch seq channels"],
    kernel: Float[Tensor, "channels length"],
    D: Float[Tensor, " channels"] | None = None,
) -> Float[Tensor, "batch seq channels"]:
    """The same by the FFT, with zeros up to twice the sequence, so that nothing wraps.

    Args:
        u: input.
        kernel: one kernel a channel; taps beyond the sequence act on nothing.
        D: skip, a factor a channel.

    Raises:
        ValueError: for an empty sequence or kernel, or other channels than the kernel's.

    >>> fft_convolve(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[1.0, 0.5]])).flatten()
    tensor([1.0000, 2.5000])
    """
    seq = u.shape[1]
    _check(u, kernel, D)
    y = _circular(u, kernel[:, :seq], period=2 * seq)[:, :seq]
    return _skip(y, u, D)


def circular_convolve(
    u: Float[Tensor, "batch seq channels"], kernel: Float[Tensor, "channels length"]
) -> Float[Tensor, "batch seq channels"]:
    """The same *without* the zeros: wrong for a language model, and shown to see why.

    The second token reaches round the end and adds 0.5 · 2 to the first:

    >>> circular_convolve(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[1.0, 0.5]])).flatten()
    tensor([2.0000, 2.5000])
    """
    seq = u.shape[1]
    _check(u, kernel)
    return _circular(u, kernel[:, :seq], period=seq)


def _circular(u: Tensor, kernel: Tensor, period: int) -> Tensor:
    """Multiply the spectra of two sequences, both read as one period of a periodic one."""
    spectrum = torch.fft.rfft(u, n=period, dim=1)  # (batch, frequency, channels)
    response = torch.fft.rfft(kernel, n=period, dim=-1).transpose(0, 1)  # (frequency, channels)
    return torch.fft.irfft(spectrum * response, n=period, dim=1)


def _skip(y: Tensor, u: Tensor, D: Tensor | None) -> Tensor:
    return y if D is None else y + D * u


def check_taps(length: int) -> None:
    """Raise ValueError unless a kernel's `length` is at least 1."""
    if length < 1:
        raise ValueError(f"a kernel needs at least one tap: got length={length}")


def _check(u: Tensor, kernel: Tensor, D: Tensor | None = None) -> None:
    if u.shape[1] == 0 or kernel.shape[-1] == 0:
        raise ValueError(
            "a convolution needs at least one token and one tap: "
            f"got {u.shape[1]} tokens and {kernel.shape[-1]} taps"
        )
    channels = u.shape[-1]
    if u.dim() != 3 or len(kernel) != channels or (D is not None and D.shape != (channels,)):
        raise ValueError(
            "u must have the axes (batch, seq, channels), and a kernel and a factor D for each "
            f"channel: got u of {tuple(u.shape)}, {len(kernel)} kernels"
            + ("" if D is None else f" and D of {tuple(D.shape)}")
        )


def _check_system(A_bar: Tensor, B_bar: Tensor, C: Tensor, channels: int) -> None:
    n = A_bar.shape[-1]
    if (A_bar.shape, B_bar.shape, C.shape) != ((channels, n, n), (channels, n), (channels, n)):
        raise ValueError(
            f"each of {channels} channels needs a system of its own, A_bar (channels, n, n), B_bar "
            f"and C (channels, n): got {tuple(A_bar.shape)}, {tuple(B_bar.shape)} and "
            f"{tuple(C.shape)}"
        )
