"""19.3 Find the bugs: a block."""

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

import mixlab.chapters.mamba.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """y_t = C_t · h_t for every token, (seq, d_inner) as u and delta; B, C are (seq, d_state)."""
    h, rows = torch.zeros_like(A), []
    for now in range(len(u)):
        h = torch.einsum("dn,dn->dn", (delta[now, :, None] * A).exp(), h)
        h = h + torch.einsum("d,d,n->dn", delta[now], u[now], B[now])
        rows.append(h @ C[now])
    return torch.stack(rows)


ASKED = Asked(
    draw=lambda rng: [(x, w, scan) for x, w in shared.draw_blocks(rng)],
    read=read_reals(2),
    examples=tuple((x, w, scan) for x, w in shared.EXAMPLES),
    hints=(
        "Go through the wiring diagram from left to right and compare piece by piece. Two "
        "mistakes stand before the scan, one in its rates, one after it.",
        "Which inputs does the output of token 0 depend on? Change the last token of x and "
        "see whether the first row of the result moves. And which sign has `delta`?",
        "All padding of the convolution belongs on the left. Δ is a length of time, so it "
        "needs softplus. A has to decay. The gate multiplies everything, D·u too.",
    ),
)

# --- kept back while grading ---


def mixing(left=lambda taps: taps - 1, halves=(0, 1), residual=0, **parts):
    """A block, token by token, with `left` rows of padding before the text, and other parts."""

    def mixer(x, w, scan):
        inputs, z = shared.halves(x, w, halves)
        taps = w["conv"].shape[1]
        padded = F.pad(inputs, (0, 0, left(taps), taps - 1 - left(taps)))
        h, rows = torch.zeros_like(w["A_log"]).double(), []
        for t in range(len(x)):
            out, _, h = shared.one_token(padded[t : t + taps], z[t], h, w, **parts)
            rows.append(out + residual * x[t])
        return torch.stack(rows)

    return mixer


def mended(x, w, scan):
    """With PyTorch's convolution, padded on both sides and cut, and the scan it is handed."""
    x, z = F.linear(x, w["in_proj"]).chunk(2, dim=-1)
    d_inner, taps = w["conv"].shape
    u = F.conv1d(x.T[None], w["conv"][:, None], w["conv_bias"], padding=taps - 1, groups=d_inner)
    u = F.silu(u[0, :, : len(x)].T)
    n = w["A_log"].shape[1]
    chosen = F.linear(u, w["x_proj"])
    delta = F.softplus(F.linear(chosen[:, : -2 * n], w["dt_proj"], w["dt_bias"]))
    y = scan(u, delta, -w["A_log"].exp(), chosen[:, -2 * n : -n], chosen[:, -n:])
    return F.linear((y + u * w["D"]) * F.silu(z), w["out_proj"])


# Half of the padding on the right, half of it rounded, or all of it.
AHEAD = (lambda taps: taps // 2, lambda taps: (taps - 1) // 2, lambda taps: 0)
FAULTS = {
    "the convolution still sees later inputs: output 0 may depend on input 0 alone": None,
    **shared.FAULTS,
}


def unmended():
    """Every set of the four mistakes that can be left, the largest first, and what to say of it."""
    for count in range(len(FAULTS), 0, -1):
        for left_in in combinations(FAULTS, count):
            parts = {key: part for said in left_in for key, part in (FAULTS[said] or {}).items()}
            ahead = any(FAULTS[said] is None for said in left_in)
            answers = [mixing(left, **parts) for left in AHEAD] if ahead else [mixing(**parts)]
            said = "; ".join(left_in) + "."
            yield said if count == 1 else f"{count} mistakes are left: {said}", tuple(answers)


MISTAKES = {
    **dict(unmended()),
    **{said: tuple(mixing(**parts) for parts in made) for said, made in shared.MISTAKES.items()},
    "D·u is gone. Move it inside the gate, don't drop it.": mixing(
        direct=lambda D, u, newest: 0 * u
    ),
    "the convolution sees only the newest input. Pad on the left, and keep all taps.": mixing(
        taps=lambda conv: F.pad(conv[:, -1:], (conv.shape[1] - 1, 0))
    ),
    "the convolution lacks the newest input: there is a row of padding too many on the left.": (
        mixing(
            taps=lambda conv: conv.roll(-1, 1) * (torch.arange(conv.shape[1]) < conv.shape[1] - 1)
        )
    ),
}

KNOWN = Known(
    right=(mixing(), mended),
    mistakes=MISTAKES,
    slips={},
    show=lambda x, w, scan: (
        f"mixer(x, w, scan) with {len(x)} tokens, d_inner = {len(w['D'])}, "
        f"d_conv = {w['conv'].shape[1]}"
    ),
    place=lambda at: f"token {at[0]}, number {at[1]}" if at else "",
    name="{:.4f}".format,
)
