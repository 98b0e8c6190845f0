"""S4: HiPPO's dense A at the cost of a diagonal one, through the Cauchy kernel.

HiPPO's matrix can't be diagonalised in numbers of finite length, but it is *normal plus low rank*:
adding P Pᵀ of rank 1 makes it normal, and a normal matrix has a unitary basis of eigenvectors. In
that basis A = diag(Λ) − P P*. Of such a system the kernel's Fourier transform is cheap:

    K̂(z) = Σ_j K_j z^j = C̃ (I − Ā z)⁻¹ B̄,   C̃ = C (I − Ā^L),   at the L roots of 1,

where Ā^L takes back the part of the geometric series past L. Bilinear discretisation turns the
inverse into that of a diagonal matrix plus rank 1; Woodbury's identity reduces it to four sums
Σ_n v_n / (d(z) − Λ_n), a Cauchy matrix times vectors. An inverse FFT gives K.

Source: Gu, Goel and Ré, "Efficiently Modeling Long Sequences with Structured State Spaces" (2022),
section 3 and appendix C. The paper divides by 1 + z, which is 0 at z = −1; here both sides are
multiplied by it instead. It learns C̃; here C is learnt, and C̃ follows from it.

Symbols: `Lambda` Λ, P, B, C of one of each conjugate pair of eigenvalues, n of them a channel.
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from mixlab.ssm.convolution import check_taps, fft_convolve
from mixlab.ssm.discretize import discretize_dense, log_steps
from mixlab.ssm.hippo import legs


def nplr_legs(
    d_state: int,
) -> tuple[Complex[Tensor, " n"], Complex[Tensor, " n"], Complex[Tensor, " n"]]:
    """HiPPO-LegS as (Λ, P, B) of diag(Λ) − P P*, one of each conjugate pair, in complex128.

    A + P Pᵀ with P_k = √(k + ½) is −½ plus a skew-symmetric matrix, so Λ = −½ + iω.

    Raises:
        ValueError: for an odd d_state, which has an eigenvalue without a partner.

    >>> nplr_legs(4)[0].real
    tensor([-0.5000, -0.5000], dtype=torch.float64)
    """
    if d_state < 2 or d_state % 2:
        raise ValueError(f"conjugate pairs need an even d_state of at least 2: got {d_state}")
    A, B = legs(d_state)
    P = torch.sqrt(torch.arange(d_state, dtype=A.dtype) + 0.5)
    skew = A + torch.outer(P, P) + 0.5 * torch.eye(d_state, dtype=A.dtype)
    # i times skew is Hermitian: its eigenvalues are real and its eigenvectors orthonormal.
    omega, V = torch.linalg.eigh(-1j * skew)
    V = V[:, d_state // 2 :]  # ascending, so the upper half has ω > 0
    Lambda = torch.complex(torch.full((d_state // 2,), -0.5).double(), omega[d_state // 2 :])
    return Lambda, V.mH @ P.to(V.dtype), V.mH @ B.to(V.dtype)


def dense_system(
    Lambda: Complex[Tensor, "*batch n"],
    P: Complex[Tensor, "*batch n"],
    B: Complex[Tensor, "*batch n"],
    C: Complex[Tensor, "*batch n"],
) -> tuple[Complex[Tensor, "*batch m m"], Complex[Tensor, "*batch m"], Complex[Tensor, "*batch m"]]:
    """(A, B, C) written out, m = 2n, with both partners of each pair: what the structure saves."""
    Lambda, P, B, C = (torch.cat((x, x.conj()), dim=-1) for x in (Lambda, P, B, C))
    return torch.diag_embed(Lambda) - P[..., :, None] * P.conj()[..., None, :], B, C


def s4_kernel(
    Lambda: Complex[Tensor, "channels n"],
    P: Complex[Tensor, "channels n"],
    B: Complex[Tensor, "channels n"],
    C: Complex[Tensor, "channels n"],
    delta: Float[Tensor, " channels"],
    length: int,
) -> Float[Tensor, "channels length"]:
    """The kernel of diag(Λ) − P P*, discretised bilinearly, by Cauchy sums and one FFT.

    Its readable twin is `ssm_kernel` of the dense system.

    Args:
        Lambda, P, B, C: one of each conjugate pair.
        delta: Δ.
        length: taps.

    Raises:
        ValueError: for a length below 1, or a Δ that isn't positive.
    """
    check_taps(length)
    truncated = C_tilde(Lambda, P, B, C, delta, length)
    Lambda, P, B = (torch.cat((x, x.conj()), dim=-1) for x in (Lambda, P, B))
    k = torch.arange(length // 2 + 1, device=delta.device)
    z = torch.exp(-2j * math.pi * k.to(delta.dtype) / length)  # (frequency,)
    # (I − Ā z)⁻¹ B̄ = 2 ((2/Δ)(1 − z) − (1 + z) A)⁻¹ B, the diagonal part of which inverts to:
    diagonal = (2 / delta)[:, None, None] * (1 - z) - Lambda[..., None] * (1 + z)
    R = 1 / diagonal  # (channels, m, frequency)

    def cauchy(left: Tensor, right: Tensor) -> Tensor:
        """Σ_n left_n R_n(z) right_n, (channels, frequency)."""
        return torch.einsum("cn,cn,cnf->cf", left, right, R)

    one, Q = 1 + z, P.conj()
    correction = cauchy(truncated, P) * cauchy(Q, B) * one / (1 + one * cauchy(Q, P))
    return torch.fft.irfft(2 * (cauchy(truncated, B) - correction), n=length, dim=-1)


def C_tilde(
    Lambda: Complex[Tensor, "channels n"],
    P: Complex[Tensor, "channels n"],
    B: Complex[Tensor, "channels n"],
    C: Complex[Tensor, "channels n"],
    delta: Float[Tensor, " channels"],
    length: int,
) -> Complex[Tensor, "channels m"]:
    """C (I − Ā^L): without it the kernel's transform would be that of the endless kernel."""
    A, B, C = dense_system(Lambda, P, B, C)
    A_bar, _ = discretize_dense(A, B, delta, "bilinear")
    return C - (C[:, None] @ torch.linalg.matrix_power(A_bar, length))[:, 0]


class S4(nn.Module):
    """One structured SSM a channel, begun as HiPPO-LegS, with a skip: (batch, seq, channels).

    Channels don't mix; put a linear layer after it.

    >>> S4(channels=3, d_state=8)(torch.zeros(2, 50, 3)).shape
    torch.Size([2, 50, 3])
    """

    def __init__(
        self, channels: int, d_state: int = 64, dt_min: float = 1e-3, dt_max: float = 1e-1
    ):
        super().__init__()
        Lambda, P, B = (x.to(torch.complex64).expand(channels, -1) for x in nplr_legs(d_state))
        self.log_decay = nn.Parameter((-Lambda.real).log())
        self.frequency = nn.Parameter(Lambda.imag.clone())
        # Two numbers for each complex one, because optimizers know real ones only.
        self.P, self.B = (
            nn.Parameter(torch.view_as_real(x.resolve_conj()).clone()) for x in (P, B)
        )
        self.C = nn.Parameter(torch.randn(*P.shape, 2) * 0.5**0.5)
        self.log_delta = nn.Parameter(log_steps(channels, dt_min, dt_max))
        self.D = nn.Parameter(torch.ones(channels))

    def system(
        self,
    ) -> tuple[
        Complex[Tensor, "channels n"],
        Complex[Tensor, "channels n"],
        Complex[Tensor, "channels n"],
        Complex[Tensor, "channels n"],
        Float[Tensor, " channels"],
    ]:
        """(Λ, P, B, C, Δ); decays stay negative whatever is learnt."""
        Lambda = torch.complex(-self.log_decay.exp(), self.frequency)
        P, B, C = (torch.view_as_complex(x) for x in (self.P, self.B, self.C))
        return Lambda, P, B, C, self.log_delta.exp()

    def forward(
        self, u: Float[Tensor, "batch seq channels"]
    ) -> Float[Tensor, "batch seq channels"]:
        """The convolutional view, for training."""
        return fft_convolve(u, s4_kernel(*self.system(), u.shape[1]), self.D)

    def recurrent(
        self,
    ) -> tuple[
        Complex[Tensor, "channels m m"],
        Complex[Tensor, "channels m"],
        Complex[Tensor, "channels m"],
    ]:
        """(Ā, B̄, C) of each channel, for `mixlab.ssm.convolution.recurrence`."""
        *structured, delta = self.system()
        A, B, C = dense_system(*structured)
        return *discretize_dense(A, B, delta, "bilinear"), C
