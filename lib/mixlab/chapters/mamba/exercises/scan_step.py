"""19.1 One step of the selective scan."""

import numpy as np
import torch
from torch.nn import functional as F

import mixlab.chapters.mamba.exercises as shared
from mixlab.checks.exercise import Asked, Known, varied
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_reals


def draw(rng):
    """Layers of odd sizes; some tokens pass without a trace, and some wipe the state out."""
    sizes = [(3, 2), (2, 5), (4, 4), (1, 1), (1, 6), (5, 1), (150, 3)]
    sizes += [(int(rng.integers(2, 9)), int(rng.integers(2, 9))) for _ in range(4)]
    drawn = [arguments(rng, *size) for size in sizes]
    for _, _, delta, *_ in drawn[-4:]:
        delta[0], delta[1] = 0, 12
    return drawn


def arguments(rng, d_inner, d_state):
    """(h, u, delta, A, B, C, D) of one token."""
    return (
        shared.real(rng, d_inner, d_state),
        shared.real(rng, d_inner),
        shared.between(rng, 0.1, 1.6, d_inner),
        -shared.between(rng, 0.3, 2.0, d_inner, d_state),
        shared.real(rng, d_state),
        shared.real(rng, d_state),
        shared.real(rng, d_inner),
    )


def read(value):
    """y and the new state side by side, (d_inner, 1 + d_state)."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Unreadable(f"expected two things, y and the new state: got {kind_of(value)}")
    y, h = read_reals(1)(value[0]), read_reals(2)(value[1])
    if len(y) != len(h):
        raise Unreadable(
            "expected y of shape (d_inner,) and the new state of shape (d_inner, d_state): got "
            f"{y.shape} and {h.shape}"
        )
    return np.concatenate([y[:, None], h], axis=1)


ASKED = Asked(
    draw=draw,
    read=read,
    examples=tuple(
        arguments(np.random.default_rng(seed), *sizes)
        for seed, sizes in enumerate([(3, 2), (2, 4), (1, 1)])
    ),
    hints=(
        "Ā has the shape of the state, (d_inner, d_state): each channel's Δ times its own row "
        "of A. `delta[:, None]` makes a column of Δ.",
        "What the token writes is Δ times u, one number a channel, times B, one number a "
        "state: an outer product, of the state's shape too.",
        "New state first: `A_bar * h` plus what is written. Then read it with C, which leaves "
        "one number a channel, and add `D * u`.",
    ),
)

# --- kept back while grading ---


def stepping(
    keep=lambda delta, A: (delta * A).exp(),
    length=lambda delta, A: delta,
    given=lambda u, delta, B, C: (u, delta, B, C),
    read=lambda new, old: new,
    skip=lambda D, u, delta: D * u,
    state=lambda new, old: new,
):
    """A step with another idea of one of its parts; `keep` and `length` get Δ as a column."""

    def step(h, u, delta, A, B, C, D):
        h, u, delta, A, B, C, D = shared.in_float64(h, u, delta, A, B, C, D)
        enters, steps, B, C = given(u, delta, B, C)
        written = length(steps[:, None], A) * B * enters[:, None]
        new = keep(steps[:, None], A) * h + written
        return read(new, h) @ C + skip(D, u, delta), state(new, h)

    return step


def by_loops(h, u, delta, A, B, C, D):
    new, y = torch.empty_like(h), []
    for d in range(len(u)):
        for n in range(len(B)):
            new[d, n] = torch.exp(delta[d] * A[d, n]) * h[d, n] + delta[d] * B[n] * u[d]
        y.append((C * new[d]).sum() + D[d] * u[d])
    return torch.stack(y), new


KEEPS = {
    "A is discretised by Euler, 1 + ΔA. The share that is kept is exp(ΔA).": lambda d, A: 1 + d * A,
    "A is discretised by the bilinear rule. The share that is kept is exp(ΔA).": (
        lambda d, A: (1 + d * A / 2) / (1 - d * A / 2),
        lambda d, A: 1 / (1 - d * A),
    ),
    "the state decays by exp(A), as if every step had the length 1: Δ belongs into the "
    "exponent.": lambda d, A: A.exp(),
    "the state decays by Δ·exp(A): Δ belongs into the exponent.": lambda d, A: d * A.exp(),
    "the state decays by exp(-Δ·exp(A)), as if A were the A_log of a layer's weights. It is "
    "negative already.": lambda d, A: (-d * A.exp()).exp(),
    "the state isn't kept: exp(ΔA) times the old state is missing.": lambda d, A: 0 * A,
    "the state doesn't decay: each step keeps exp(ΔA) of it.": lambda d, A: torch.ones_like(A),
    "the state grows: exp(-ΔA). A is negative already.": lambda d, A: (-d * A).exp(),
    "ΔA itself multiplies the old state. The share that is kept is exp(ΔA).": lambda d, A: d * A,
}
LENGTHS = {
    "B is discretised by zero-order hold. That is what the paper's equation 4 says; the released "
    "code multiplies by Δ alone.": lambda d, A: torch.expm1(d * A) / A,
    "the input isn't multiplied by Δ: a token with Δ = 0 would still be written.": lambda d, A: 1,
    "what the token writes decays at once: exp(ΔA) multiplies the old state, and not the new "
    "token.": lambda d, A: d * (d * A).exp(),
}
GIVEN = {
    "what is written doesn't depend on u: the token's input is missing.": lambda u, d, B, C: (
        torch.ones_like(u),
        d,
        B,
        C,
    ),
    "Δ passes softplus, but `delta` is positive already: it is the length "
    "itself.": lambda u, d, B, C: (u, F.softplus(d), B, C),
    "Δ has no effect: the state decays by exp(A) and the token writes B·u, as if every step had "
    "the length 1.": lambda u, d, B, C: (u, torch.ones_like(d), B, C),
    "B and C are swapped: B says where to write, C where to read.": lambda u, d, B, C: (u, d, C, B),
    "the state is read with B. B says where to write, C where to read.": lambda u, d, B, C: (
        u,
        d,
        B,
        B,
    ),
}
SKIPS = {
    "D·u is missing: the skip adds the input itself to what was read.": lambda D, u, delta: 0 * u,
    "D is added by itself. The skip adds D·u, a factor a channel times the "
    "input.": lambda D, u, delta: D,
    "u is added without D. The skip adds D·u, a factor a channel times the "
    "input.": lambda D, u, delta: u,
    "the skip is multiplied by Δ. D·u goes past the scan, and Δ is a matter of the "
    "scan.": lambda D, u, delta: D * u * delta,
}
MISTAKES = {
    "y is read from the state before this token. A token is written first and read in the same "
    "step.": stepping(read=lambda new, old: old),
    **varied(stepping, "keep", KEEPS),
    **varied(stepping, "length", LENGTHS),
    **varied(stepping, "given", GIVEN),
    **varied(stepping, "skip", SKIPS),
    "C averages the states. It adds them up.": stepping(read=lambda new, old: new / new.shape[1]),
    "y is right, but the state that you return is the old one.": stepping(
        state=lambda new, old: old
    ),
}

KNOWN = Known(
    right=(stepping(), by_loops),
    mistakes=MISTAKES,
    slips={
        "expected two things": lambda *given: by_loops(*given)[0],
        "expected real numbers in 1 axis": lambda *given: by_loops(*given)[::-1],
        "it raised RuntimeError": lambda h, u, delta, A, B, C, D: (
            h @ C + D * u,
            torch.exp(delta * A) * h + delta * u * B,
        ),
    },
    show=lambda h, u, *rest: (
        f"scan_step(h, u, delta, A, B, C, D) with d_inner = {len(u)}, d_state = {h.shape[1]}"
    ),
    place=lambda at: (
        (f"state of channel {at[0]}, number {at[1] - 1}" if at[1] else f"y of channel {at[0]}")
        if at
        else ""
    ),
    name="{:.4f}".format,
)
