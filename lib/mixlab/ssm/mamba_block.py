"""The Mamba block: a gated selective scan behind a short convolution; no attention, no MLP.

The stream is widened twice over: one half passes the convolution, silu and the selective scan; the
other half, through silu, gates the result, which is narrowed again. Three things are called skip
here: D·u past the scan, the gate's path past it, and the residual past the block.

Source: Gu and Dao, "Mamba" (2023), section 3.4 and figure 3; initialisation: section 3.6 and the
authors' code, which draws Δ evenly in log Δ where the paper's text says evenly in Δ.
Parameters carry the names of the authors' code.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from mixlab.common.linear import Linear, linear
from mixlab.common.norm import RMSNorm
from mixlab.ssm.config import MambaConfig
from mixlab.ssm.selective_scan import selective_scan, selective_step
from mixlab.ssm.short_convolution import next_history, short_convolution


@dataclass(frozen=True)
class LayerState:
    """What one layer remembers of the tokens before."""

    history: Float[Tensor, "batch past d_inner"]
    scan: Float[Tensor, "batch d_inner d_state"]


class MambaMixer(nn.Module):
    """The block's inside: widen, convolve, scan, gate, narrow."""

    def __init__(self, config: MambaConfig):
        super().__init__()
        dim, d_inner, d_state = config.dim, config.d_inner, config.d_state
        projection = nn.Linear if config.bias else Linear
        self.sizes = [config.dt_rank, d_state, d_state]
        self.in_proj = projection(dim, 2 * d_inner)
        self.conv1d = nn.Conv1d(
            d_inner, d_inner, config.d_conv, groups=d_inner, bias=config.conv_bias
        )
        self.x_proj = Linear(d_inner, config.dt_rank + 2 * d_state)
        self.dt_proj = nn.Linear(config.dt_rank, d_inner, bias=True)
        self.A_log = nn.Parameter(torch.empty(d_inner, d_state))
        self.D = nn.Parameter(torch.empty(d_inner))
        self.out_proj = projection(d_inner, dim)
        self.reset_parameters(config)

    @torch.no_grad()
    def reset_parameters(self, config: MambaConfig) -> None:
        """A = −1 … −N in every channel, D = 1, and a bias that makes Δ log-uniform."""
        n = torch.arange(1, config.d_state + 1, dtype=torch.float32, device=self.A_log.device)
        self.A_log.copy_(n.log().expand_as(self.A_log))
        self.D.fill_(1.0)
        nn.init.uniform_(self.dt_proj.weight, -(config.dt_rank**-0.5), config.dt_rank**-0.5)
        log_min, log_max = math.log(config.dt_min), math.log(config.dt_max)
        delta = nn.init.uniform_(self.dt_proj.bias, log_min, log_max).exp().clamp(min=1e-4)
        self.dt_proj.bias.copy_(delta + torch.log(-torch.expm1(-delta)))  # softplus, undone
        nn.init.kaiming_uniform_(self.out_proj.weight, a=math.sqrt(5))
        self.out_proj.weight /= math.sqrt(config.n_layers)
        for projection in (self.in_proj, self.out_proj):
            if projection.bias is not None:
                nn.init.zeros_(projection.bias)

    def forward(
        self,
        x: Float[Tensor, "batch seq dim"],
        state: LayerState,
        mask: Bool[Tensor, "batch seq"] | None = None,
        starts: Bool[Tensor, "batch seq"] | None = None,
    ) -> tuple[Float[Tensor, "batch seq dim"], LayerState]:
        """A sequence, from the state before it to the state after it."""
        x, z = self.in_proj(x).chunk(2, dim=-1)  # (batch, seq, d_inner) each
        if mask is not None:
            x = x * mask[..., None]
        weight, bias = self.conv1d.weight[:, 0], self.conv1d.bias
        u = F.silu(short_convolution(x, weight, bias, state.history, starts))
        delta, B, C = self.select(u)
        if mask is not None:
            delta = delta.masked_fill(~mask[..., None], -torch.inf)  # softplus makes it 0
        y, scanned = selective_scan(
            u,
            delta,
            self.rates(),
            B,
            C,
            self.D,
            z,
            state.scan,
            delta_bias=self.dt_proj.bias,
            delta_softplus=True,
            starts=starts,
        )
        return self.out_proj(y), LayerState(next_history(x, state.history, mask), scanned)

    def select(
        self, u: Float[Tensor, "*batch d_inner"]
    ) -> tuple[
        Float[Tensor, "*batch d_inner"],
        Float[Tensor, "*batch d_state"],
        Float[Tensor, "*batch d_state"],
    ]:
        """Δ, B and C of each token, read off the token itself; the paper's section 3.2.

        Args:
            u: what the convolution and its silu give, with any axes before the last.

        Returns:
            Δ before its bias and softplus, which the scan applies (`step_lengths` does so alone);
            B, how the token is written to the state; C, how the state is read.

        >>> mixer = MambaMixer(MambaConfig.tiny())
        >>> [x.shape for x in mixer.select(torch.zeros(5, 128))]
        [torch.Size([5, 128]), torch.Size([5, 8]), torch.Size([5, 8])]
        """
        delta, B, C = self.x_proj(u).split(self.sizes, dim=-1)
        return linear(delta, self.dt_proj.weight), B, C

    def rates(self) -> Float[Tensor, "d_inner d_state"]:
        """A, negative whatever was learnt, and at least in float32."""
        return -torch.exp(self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)))

    def step(
        self, x: Float[Tensor, "batch dim"], state: LayerState
    ) -> tuple[Float[Tensor, "batch dim"], LayerState]:
        """One token: the same, without the axis of time."""
        x, z = self.in_proj(x).chunk(2, dim=-1)  # (batch, d_inner) each
        window = torch.cat((state.history, x[:, None]), dim=1)  # (batch, d_conv, d_inner)
        u = (window * self.conv1d.weight[:, 0].T).sum(1)
        u = F.silu(u if self.conv1d.bias is None else u + self.conv1d.bias)
        delta, B, C = self.select(u)
        y, scanned = selective_step(
            u,
            delta,
            self.rates(),
            B,
            C,
            self.D,
            z,
            state.scan,
            delta_bias=self.dt_proj.bias,
            delta_softplus=True,
        )
        return self.out_proj(y), LayerState(window[:, 1:], scanned)


class Block(nn.Module):
    """Normalise, mix, add back."""

    def __init__(self, config: MambaConfig):
        super().__init__()
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.mixer = MambaMixer(config)

    def forward(
        self,
        x: Float[Tensor, "batch seq dim"],
        state: LayerState,
        mask: Bool[Tensor, "batch seq"] | None = None,
        starts: Bool[Tensor, "batch seq"] | None = None,
    ) -> tuple[Float[Tensor, "batch seq dim"], LayerState]:
        """One layer of the model, over a sequence."""
        mixed, state = self.mixer(self.norm(x.to(self.norm.weight.dtype)), state, mask, starts)
        return x + mixed, state

    def step(
        self, x: Float[Tensor, "batch dim"], state: LayerState
    ) -> tuple[Float[Tensor, "batch dim"], LayerState]:
        """One layer of the model, for one token."""
        mixed, state = self.mixer.step(self.norm(x.to(self.norm.weight.dtype)), state)
        return x + mixed, state
