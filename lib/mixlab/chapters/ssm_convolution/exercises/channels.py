"""14.3 Find the bugs: many channels by FFT."""

import torch
from torch.nn.functional import conv1d, pad

from mixlab.chapters.ssm_convolution.exercises import unchanged
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def layer(x, kernel, D):
    return torch.tensor(x), torch.tensor(kernel), torch.tensor(D)


def draw(rng):
    """One token, one tap, one channel; odd and even lengths; more taps than tokens, and fewer."""
    drawn = []
    for seq, taps, channels in (
        *((1, 1, 1), (1, 5, 2), (2, 9, 3), (7, 1, 2), (9, 9, 1), (10, 3, 4)),
        *((8, 8, 3), (3, 12, 2), (15, 20, 2), (33, 6, 5)),
    ):
        x = rng.normal(size=(seq, channels)).astype("float32")
        kernel = rng.normal(size=(channels, taps)).astype("float32")
        D = rng.normal(size=channels).astype("float32")
        drawn.append(layer(x.tolist(), kernel.tolist(), D.tolist()))
    return drawn


ASKED = Asked(
    draw=draw,
    call=unchanged,
    read=read_reals(2),
    examples=(
        layer([[1.0], [2.0], [0.0], [3.0]], [[1.0, 10.0]], [0.0]),
        layer([[1.0], [2.0], [3.0]], [[4.0, 2.0, 1.0]], [100.0]),
        layer([[1.0, 2.0], [3.0, 0.0], [2.0, 5.0]], [[1.0, 2.0], [3.0, 4.0]], [10.0, 100.0]),
        layer([[1.0, 1.0], [2.0, 3.0]], [[1.0, 2.0, 3.0, 4.0, 5.0], [2.0] * 5], [1.0, 0.5]),
        layer([[5.0]], [[2.0]], [3.0]),
        layer([[2.0, 1.0, 4.0]], [[2.0], [3.0], [1.0]], [0.0, 1.0, 2.0]),
    ),
    hints=(
        "Four lines of it are wrong. Try one channel first, with two tokens and two taps, and look "
        "at the shape and the numbers after each line.",
        "How many places do x and the kernel need, on which axis of x does time run, how does "
        "`irfft` know whether the circle is odd, and which of its places are outputs?",
        "L + M - 1 places; `dim=0`; `n=places`; `[: len(x)]`. And D x_t isn't D.",
    ),
)

# --- kept back while grading ---


def spectral(x, kernel, D):
    places = len(x) + kernel.shape[1] - 1
    spectrum = torch.fft.rfft(x, n=places, dim=0)
    response = torch.fft.rfft(kernel, n=places).T
    return torch.fft.irfft(spectrum * response, n=places, dim=0)[: len(x)] + D * x


def summed(x, kernel, D):
    y = D * x
    for t in range(len(x)):
        for j in range(min(t + 1, kernel.shape[1])):
            y[t] = y[t] + kernel[:, j] * x[t - j]
    return y


def by_conv1d(x, kernel, D, back=None):
    """PyTorch's "convolution" doesn't turn the kernel round; it looks `back` taps back."""
    last = kernel.shape[1] - 1
    back = last if back is None else back
    y = conv1d(pad(x.T[None], (back, last - back)), kernel.flip(1)[:, None], groups=x.shape[1])
    return y[0].T + D * x


def transformed(
    places=lambda n, taps: n + taps - 1,
    told=True,
    read=lambda y, n: y[:n],
    skip=lambda y, D, x: y + D * x,
    taps=lambda kernel, n: kernel,
):
    """The function with other places, told to irfft or not, another end, skip or kernel."""

    def long_convolution(x, kernel, D):
        kernel = taps(kernel, len(x))
        n = places(len(x), kernel.shape[1])
        spectrum = torch.fft.rfft(x, n=n, dim=0)
        response = torch.fft.rfft(kernel, n=n).T
        y = torch.fft.irfft(spectrum * response, n=n if told else None, dim=0)
        return skip(read(y, len(x)), D, x)

    return long_convolution


def forward(x, kernel, D):
    return summed(x.flip(0), kernel, D).flip(0)


def added(y, D, x):
    return y + D


MISTAKES = {
    "you add D, and not D times the input.": (
        transformed(skip=added),
        transformed(lambda n, m: n + m, skip=added),
    ),
    "D is missing.": transformed(skip=lambda y, D, x: y),
    "you multiply by D where it is added.": (
        transformed(skip=lambda y, D, x: y * D),
        lambda x, k, D: spectral(x, torch.cat((k[:, :1] * D[:, None], k[:, 1:]), 1), 0 * D),
    ),
    "you add D to every tap. It is one tap.": lambda x, k, D: spectral(x, k + D[:, None], 0 * D),
    "`len(kernel)` counts channels, not taps.": lambda x, k, D: transformed(
        lambda n, m: n + len(k) - 1
    )(x, k, D),
    "you multiply D with the convolution's outputs. It meets the inputs.": transformed(
        skip=lambda y, D, x: y + D * y
    ),
    "your circle is too small: the last inputs act on the first outputs.": (
        transformed(lambda n, m: max(n, m)),
        transformed(lambda n, m: n),
        transformed(lambda n, m: n, taps=lambda k, n: k[:, :n]),
        transformed(lambda n, m: n + m - 2 if n + m > 2 else 1),
        transformed(lambda n, m: max(n, m), skip=added),
        transformed(lambda n, m: max(n, m), told=False),
        transformed(lambda n, m: max(n, m), told=False, skip=added),
        transformed(lambda n, m: max(n, m), told=False, skip=added, read=lambda y, n: y),
    ),
    "`irfft` isn't told how many places there are, and takes an even number. Some "
    "circles are odd.": (
        transformed(told=False),
        transformed(told=False, skip=added),
        transformed(lambda n, m: n + m, told=False),
    ),
    "twice as many places as tokens are too few where there are more taps than tokens: cut those "
    "taps, or take L + M - 1.": transformed(lambda n, m: 2 * n),
    "you read the last places of the circle. The outputs are its first.": transformed(
        read=lambda y, n: y[-n:]
    ),
    "you return all places of the circle. There is one output for each token.": (
        transformed(read=lambda y, n: y, skip=lambda y, D, x: y),
        transformed(
            read=lambda y, n: y, skip=lambda y, D, x: y + D * pad(x, (0, 0, 0, len(y) - len(x)))
        ),
    ),
    "you turn the kernel round: tap 0 belongs to the newest input.": transformed(
        taps=lambda k, n: k.flip(1)
    ),
    "your outputs look ahead: y_t gathers x_{t + j}. Does `conv1d` turn the kernel?": forward,
    "your kernel stands with its middle over the output: half of it looks ahead.": (
        lambda x, k, D: by_conv1d(x, k, D, back=(k.shape[1] - 1) // 2)
    ),
    "you leave out tap 0: an output meets its own input, too.": transformed(
        taps=lambda k, n: torch.cat((0 * k[:, :1], k[:, 1:]), dim=1)
    ),
    "your outputs come one token late.": (
        lambda x, k, D: torch.cat((0 * x[:1], spectral(x, k, 0 * D)[:-1])) + D * x
    ),
    "you use one kernel for all channels. Each has its own.": transformed(
        taps=lambda k, n: k[:1].expand_as(k)
    ),
    "you mix the channels: each output gathers from its own channel alone.": (
        lambda x, k, D: spectral(x, k, 0 * D).sum(1, keepdim=True) + D * x
    ),
    "your result lies on its side: one row a token is asked.": lambda *given: spectral(*given).T,
}

KNOWN = Known(
    right=(spectral, summed, by_conv1d),
    mistakes=MISTAKES,
    slips={
        "a tensor that was handed in has been changed": (
            lambda x, k, D: spectral(x, k, 0 * D) + x.mul_(D)
        ),
        "it raised RuntimeError": lambda x, k, D: torch.fft.rfft(x) * torch.fft.rfft(k).T,
        "expected real numbers in 2 axes": lambda *given: spectral(*given)[:, 0],
    },
    show=lambda x, kernel, D: (
        f"long_convolution({[[round(a, 2) for a in row] for row in x.tolist()]}, "
        f"{[[round(a, 2) for a in row] for row in kernel.tolist()]}, "
        f"{[round(a, 2) for a in D.tolist()]})"
        if x.numel() + kernel.numel() < 16
        else f"long_convolution, {len(x)} tokens, {kernel.shape[1]} taps, {len(D)} channels"
    ),
    place=lambda at: f"token {at[0]}, channel {at[1]}" if len(at) == 2 else "",
    name="{:.5g}".format,
)
