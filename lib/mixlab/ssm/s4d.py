"""S4D: a state space model whose A is diagonal, so that its kernel is a sum of exponentials.

With diagonal A the states of a channel don't mix: K_j = Σ_n C_n B̄_n Ā_n^j, a Vandermonde matrix
times a vector. Complex rates oscillate while they decay; they come in conjugate pairs, of which one
is stored, and twice the real part stands for both. Two beginnings matter here: "lin", evenly spaced
frequencies, and "real", −1 … −N, which is the diagonal of HiPPO-LegS and what Mamba starts from.

Source: Gu, Goel, Gupta and Ré, "On the Parameterization and Initialization of Diagonal State Space
Models" (2022), sections 3 and 4.

Symbols: `Lambda` the diagonal of A, n of them stored a channel; `delta` Δ, one a channel.
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from mixlab.ssm.convolution import check_taps, fft_convolve
from mixlab.ssm.discretize import discretize_diagonal, log_steps

Rates = Float[Tensor, "channels n"] | Complex[Tensor, "channels n"]
States = Float[Tensor, "batch channels n"] | Complex[Tensor, "batch channels n"]


def s4d_rates(d_state: int, kind: str) -> Float[Tensor, " n"] | Complex[Tensor, " n"]:
    """The rates that training begins with.

    Args:
        d_state: N; even for "lin".
        kind: "real", Λ_n = −(n + 1), n < N; or "lin", Λ_n = −1/2 + iπn, n < N/2, one of each
            conjugate pair.

    Raises:
        ValueError: for another kind, an N below 1, or an odd N of pairs.

    >>> s4d_rates(4, "real")
    tensor([-1., -2., -3., -4.])
    >>> s4d_rates(4, "lin")
    tensor([-0.5000+0.0000j, -0.5000+3.1416j])
    """
    if not isinstance(d_state, int) or d_state < 1:
        raise ValueError(f"d_state must be a whole number, 1 or more: got {d_state!r}")
    if kind == "real":
        return -torch.arange(1.0, d_state + 1)
    if kind != "lin":
        raise ValueError(f"kind must be real or lin: got {kind!r}")
    if d_state % 2:
        raise ValueError(f"conjugate pairs need an even d_state: got {d_state}")
    n = torch.arange(d_state // 2, dtype=torch.float32)
    return torch.complex(torch.full_like(n, -0.5), math.pi * n)


def s4d_kernel(
    Lambda: Float[Tensor, "channels n"] | Complex[Tensor, "channels n"],
    B: Float[Tensor, "channels n"] | Complex[Tensor, "channels n"],
    C: Float[Tensor, "channels n"] | Complex[Tensor, "channels n"],
    delta: Float[Tensor, " channels"],
    length: int,
    method: str = "zoh",
) -> Float[Tensor, "channels length"]:
    """K_j = Σ_n C_n B̄_n Ā_n^j for every j at once; its readable twin is `ssm_kernel`.

    Args:
        Lambda, B, C: of each channel; if complex, one of each conjugate pair.
        delta: Δ.
        length: taps.
        method: of `mixlab.ssm.discretize`.

    Raises:
        ValueError: for a length below 1, a Δ that isn't positive, or an unknown method.

    >>> one = torch.ones(1, 1)
    >>> s4d_kernel(-one, one, one, torch.tensor([0.6931]), 3)  # halves at each step
    tensor([[0.5000, 0.2500, 0.1250]])
    """
    check_taps(length)
    A_bar, B_bar = discretize_diagonal(Lambda, B, delta[:, None], method)
    steps = torch.arange(length, device=Lambda.device)
    powers = A_bar[..., None] ** steps  # (channels, n, length)
    kernel = torch.einsum("cn,cnl->cl", C * B_bar, powers)
    return 2 * kernel.real if kernel.is_complex() else kernel


class S4D(nn.Module):
    """One diagonal SSM a channel, with a skip: (batch, seq, channels) to the same.

    Channels don't mix; put a linear layer after it.

    >>> S4D(channels=3, d_state=8)(torch.zeros(2, 50, 3)).shape
    torch.Size([2, 50, 3])
    """

    def __init__(
        self,
        channels: int,
        d_state: int = 64,
        kind: str = "lin",
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
    ):
        super().__init__()
        rates = s4d_rates(d_state, kind).expand(channels, -1)
        self.log_decay = nn.Parameter((-rates.real).log())
        self.frequency = nn.Parameter(rates.imag.clone()) if rates.is_complex() else None
        # Two numbers for a complex C, because optimizers know real ones only.
        parts = (*rates.shape, 2) if rates.is_complex() else rates.shape
        self.C = nn.Parameter(torch.randn(parts) * 0.5**0.5)
        self.log_delta = nn.Parameter(log_steps(channels, dt_min, dt_max))
        self.D = nn.Parameter(torch.ones(channels))

    def system(self) -> tuple[Rates, Rates, Rates, Float[Tensor, " channels"]]:
        """(Λ, B, C, Δ). Rates decay whatever is learnt; B is 1, since only C·B counts."""
        Lambda, C = -self.log_decay.exp(), self.C
        if self.frequency is not None:
            Lambda, C = torch.complex(Lambda, self.frequency), torch.view_as_complex(C)
        return Lambda, torch.ones_like(Lambda), C, self.log_delta.exp()

    def forward(
        self, u: Float[Tensor, "batch seq channels"]
    ) -> Float[Tensor, "batch seq channels"]:
        """The convolutional view, for training."""
        return fft_convolve(u, s4d_kernel(*self.system(), u.shape[1]), self.D)

    def init_state(self, batch: int) -> States:
        """The state before the first token: zeros."""
        Lambda = self.system()[0]
        return torch.zeros(batch, *Lambda.shape, dtype=Lambda.dtype, device=Lambda.device)

    def step(
        self, u: Float[Tensor, "batch channels"], state: States
    ) -> tuple[Float[Tensor, "batch channels"], States]:
        """The recurrent view, for one token: its output, and the state after it.

        Raises:
            ValueError: for other channels, or the state of another batch.
        """
        Lambda, B, C, delta = self.system()
        if u.shape[1:] != Lambda.shape[:1] or state.shape != (len(u), *Lambda.shape):
            raise ValueError(
                f"u must be (batch, {len(Lambda)}) and the state {(len(u), *Lambda.shape)}: got "
                f"{tuple(u.shape)} and {tuple(state.shape)}. Does it belong to another batch?"
            )
        A_bar, B_bar = discretize_diagonal(Lambda, B, delta[:, None])
        state = A_bar * state + B_bar * u[..., None]
        y = (C * state).sum(-1)
        return (2 * y.real if y.is_complex() else y) + self.D * u, state
