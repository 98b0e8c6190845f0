"""The selective scan on a GPU: one fused Triton kernel forward, one backward.

The readable twin, of the same signature, is `mixlab.ssm.selective_scan.selective_scan_reference`;
the kernels and the idea behind them are in `selective_scan_forward` and `selective_scan_backward`.
Imported only when a CUDA tensor asks for it. Without a GPU, Triton's interpreter runs the same
kernels on a CPU, slowly: set TRITON_INTERPRET=1 before anything imports triton.

For backward the inputs are kept, and of the states one in every `chunk` tokens: `saved_bytes`
counts them.
"""

import math
from dataclasses import dataclass

import torch
import triton
from jaxtyping import Bool, Float
from torch import Tensor

from mixlab.kernels.selective_scan_backward import backward_kernel
from mixlab.kernels.selective_scan_forward import forward_kernel
from mixlab.ssm.selective_scan_shared import check_scan

INTERPRETED = triton.knobs.runtime.interpret


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How the work is cut up; results don't depend on it.

    Attributes:
        num_warps: warps a program, each with 32 channels.
        tile: tokens fetched at once, forward.
        backward_tile: the same, backward; its states live in registers, so it is small.
        chunk: tokens between the states that are kept for backward; a multiple of both tiles.
    """

    num_warps: int = 1
    tile: int = 8
    backward_tile: int = 2
    chunk: int = 32

    def __post_init__(self) -> None:
        for name in ("num_warps", "tile", "backward_tile"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name} must be a power of two: got {value}")
        if self.chunk % self.tile or self.chunk % self.backward_tile:
            raise ValueError(
                f"chunk must be a multiple of tile and backward_tile: got chunk={self.chunk}, "
                f"tile={self.tile}, backward_tile={self.backward_tile}"
            )

    @property
    def block(self) -> int:
        """Channels a program: one a thread."""
        return 32 * self.num_warps


def saved_bytes(
    batch: int, seq: int, d_inner: int, d_state: int, itemsize: int, chunk: int = Launch.chunk
) -> int:
    """Bytes kept for backward: u, Δ and z as they came; B, C, A and a state a chunk in float32.

    Args:
        itemsize: bytes a number of u, Δ and z.

    192 MiB of it are u, Δ and z, which the layers around keep anyway; every state would be 2,048:

    >>> saved_bytes(8, 2048, 2048, 16, itemsize=2) / 2**20  # MiB
    258.125
    """
    tokens = batch * seq * (3 * d_inner * itemsize + 2 * d_state * 4)
    states = batch * math.ceil(seq / chunk) * d_inner * d_state * 4
    return tokens + states + d_inner * d_state * 4


def selective_scan_triton(
    u: Float[Tensor, "batch seq d_inner"],
    delta: Float[Tensor, "batch seq d_inner"],
    A: Float[Tensor, "d_inner d_state"],
    B: Float[Tensor, "batch seq d_state"],
    C: Float[Tensor, "batch seq d_state"],
    D: Float[Tensor, " d_inner"] | None = None,
    z: Float[Tensor, "batch seq d_inner"] | None = None,
    state: Float[Tensor, "batch d_inner d_state"] | None = None,
    *,
    delta_bias: Float[Tensor, " d_inner"] | None = None,
    delta_softplus: bool = False,
    starts: Bool[Tensor, "batch seq"] | None = None,
    launch: Launch | None = None,
) -> tuple[Float[Tensor, "batch seq d_inner"], Float[Tensor, "batch d_inner d_state"]]:
    """As `mixlab.ssm.selective_scan.selective_scan`; softplus, skip and gate are in the kernel.

    Args:
        launch: how to cut up the work; the default suits an H100 and d_state 16.

    Raises:
        ValueError: as `selective_scan` does, and for tensors that are not on a GPU, unless Triton
            interprets.
    """
    check_scan(u, delta, A, B, C, D, z, state, delta_bias, delta_softplus, starts)
    if not (u.is_cuda or INTERPRETED):
        raise ValueError(
            f"the Triton kernel runs on a GPU, and u is on {u.device}. On a CPU use path='chunked',"
            " or set TRITON_INTERPRET=1 before Python starts to run the kernel in its interpreter"
        )
    if torch.float64 in (u.dtype, delta.dtype):
        raise ValueError("the Triton kernel computes in float32: got float64. Use path='chunked'")
    u, delta, z = (x if x is None or x.stride(-1) == 1 else x.contiguous() for x in (u, delta, z))
    start = None if state is None else state.float().mT.contiguous()  # (batch, d_state, d_inner)
    flags = None if starts is None else starts.contiguous().view(torch.uint8)
    # B and C are small, and every program reads them: convert them once.
    A, B, C = A.float(), B.float(), C.float()
    inputs = (u, delta, A, B, C, D, z, start, delta_bias)
    training = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    y, last = _SelectiveScan.apply(
        u,
        delta,
        A,
        B,
        C,
        D,
        z,
        start,
        delta_bias,
        delta_softplus,
        flags,
        launch or Launch(),
        training,
    )
    return y, last.mT


def _strides(**tensors: Tensor) -> dict[str, int]:
    """How far apart rows of the batch (_b) and tokens (_t) lie, named as in the kernels."""
    return {
        f"{name}_{axis}": stride
        for name, x in tensors.items()
        for axis, stride in zip("bt", x.stride()[:2], strict=True)
    }


class _SelectiveScan(torch.autograd.Function):
    """The two kernels as one differentiable function; states are (batch, d_state, d_inner)."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, state, bias, softplus, starts, launch, training):
        batch, seq, d_inner = u.shape
        d_state, n_chunks = A.shape[1], triton.cdiv(seq, launch.chunk)
        rates, B, C = A.T.contiguous(), B.contiguous(), C.contiguous()
        y = torch.empty_like(u, memory_format=torch.contiguous_format)
        last = rates.new_empty(batch, d_state, d_inner)
        boundaries = rates.new_empty((batch, n_chunks, d_state, d_inner) if training else 0)
        options = dict(
            HAS_Z=z is not None,
            HAS_D=D is not None,
            HAS_BIAS=bias is not None,
            HAS_STARTS=starts is not None,
            SOFTPLUS=softplus,
            N=d_state,
            N_PADDED=triton.next_power_of_2(d_state),
            BLOCK=launch.block,
            CHUNK=launch.chunk,
            num_warps=launch.num_warps,
        )
        given = dict(u=u, delta=delta, z=z, A=rates, B=B, C=C, D=D, bias=bias, starts=starts)
        # Absent tensors are never read; any pointer will do.
        inputs = {name: u if x is None else x for name, x in given.items()}
        strides = _strides(**{name: inputs[name] for name in ("u", "delta", "z", "B", "C")})
        with torch.cuda.device_of(u):  # Triton launches on the current device
            forward_kernel[triton.cdiv(d_inner, launch.block), batch](
                **inputs,
                **strides,
                **_strides(y=y),
                **options,
                state=rates if state is None else state,
                y=y,
                last=last,
                boundaries=boundaries,
                L=seq,
                d_inner=d_inner,
                HAS_STATE=state is not None,
                STORE=training,
                TILE=launch.tile,
            )
        if training:
            ctx.save_for_backward(u, delta, rates, B, C, D, z, bias, starts, boundaries)
            ctx.how = options, strides, launch
        return y, last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_y, grad_last):
        u, delta, rates, B, C, D, z, bias, starts, boundaries = ctx.saved_tensors
        options, strides, launch = ctx.how
        (batch, seq, d_inner), d_state = u.shape, len(rates)
        blocks = triton.cdiv(d_inner, launch.block)
        grad_y = grad_y if grad_y.stride(-1) == 1 else grad_y.contiguous()
        grad_u, grad_delta, grad_z = (
            torch.empty_like(u if x is None else x, memory_format=torch.contiguous_format)
            for x in (u, delta, z)
        )
        grad_A = rates.new_empty(batch, d_state, d_inner)  # summed over the batch below
        grad_state = torch.empty_like(grad_A)
        grad_D = rates.new_empty(batch, d_inner)
        # Every block of channels adds to B's and C's derivatives: one part each, summed below, in
        # a fixed order, so that training can be repeated to the last bit.
        parts_B, parts_C = rates.new_empty(2, blocks, batch, seq, d_state)
        states = launch.chunk // launch.backward_tile
        scratch = rates.new_empty(batch, blocks, states, options["N_PADDED"], launch.block)
        given = dict(u=u, delta=delta, z=z, A=rates, B=B, C=C, D=D, bias=bias, starts=starts)
        with torch.cuda.device_of(u):  # Triton launches on the current device
            backward_kernel[blocks, batch](
                **{name: u if x is None else x for name, x in given.items()},
                **strides,
                **_strides(y=grad_y),
                **options,
                boundaries=boundaries,
                grad_y=grad_y,
                grad_last=grad_last.contiguous(),
                scratch=scratch,
                grad_u=grad_u,
                grad_delta=grad_delta,
                grad_z=grad_z,
                grad_A=grad_A,
                grad_B=parts_B,
                grad_C=parts_C,
                grad_D=grad_D,
                grad_state=grad_state,
                L=seq,
                d_inner=d_inner,
                batch=batch,
                TILE=launch.backward_tile,
            )
        grad_bias = None if bias is None else grad_delta.float().sum((0, 1)).to(bias.dtype)
        return (
            grad_u,
            grad_delta,
            grad_A.sum(0).T,
            parts_B.sum(0),
            parts_C.sum(0),
            None if D is None else grad_D.sum(0).to(D.dtype),
            None if z is None else grad_z,
            grad_state if ctx.needs_input_grad[7] else None,
            grad_bias,
            None,
            None,
            None,
            None,
        )
