"""19.1 One step of the selective scan."""

import numpy as np
import torch
from torch.nn import functional as F

import mixlab.chapters.mamba.exercises as shared
from mixlab.checks.exercise import Asked, Known
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
    keep=lambda z, A: z.exp(),
    write=lambda z, A: z / A,
    enters=lambda u: u,
    update=lambda kept, h, written: kept * h + written,
    read=lambda new, old: new,
    skip=lambda D, u, delta: D * u,
    state=lambda new, old: new,
    given=lambda delta, B, C: (delta, B, C),
):
    """A step with another idea of one of its parts. z is ΔA, of the state's shape."""

    def step(h, u, delta, A, B, C, D):
        h, u, delta, A, B, C, D = shared.in_float64(h, u, delta, A, B, C, D)
        delta, B, C = given(delta, B, C)
        z = delta[:, None] * A
        new = update(keep(z, A), h, write(z, A) * B * enters(u)[:, None])
        return read(new, h) @ C + skip(D, u, delta), state(new, h)

    return step


def by_loops(h, u, delta, A, B, C, D):
    new, y = torch.empty_like(h), []
    for d in range(len(u)):
        for n in range(len(B)):
            new[d, n] = torch.exp(delta[d] * A[d, n]) * h[d, n] + delta[d] * B[n] * u[d]
        y.append((C * new[d]).sum() + D[d] * u[d])
    return torch.stack(y), new


MISTAKES = {
    "y is read from the state before this token. A token is written first and read in the same "
    "step.": stepping(read=lambda new, old: old),
    "B is discretised by zero-order hold. That is what the paper's equation 4 says; the released "
    "code multiplies by Δ alone.": stepping(write=lambda z, A: torch.expm1(z) / A),
    "A is discretised by Euler, 1 + ΔA. The share that is kept is exp(ΔA).": stepping(
        keep=lambda z, A: 1 + z
    ),
    "A is discretised by the bilinear rule. The share that is kept is exp(ΔA).": (
        stepping(keep=lambda z, A: (1 + z / 2) / (1 - z / 2)),
        stepping(keep=lambda z, A: 1 / (1 - z)),
    ),
    "Δ has no effect: the state decays by exp(A) and the token writes B·u, as if every step had "
    "the length 1.": stepping(keep=lambda z, A: A.exp(), write=lambda z, A: torch.ones_like(A)),
    "the input isn't multiplied by Δ: a token with Δ = 0 would still be written.": stepping(
        write=lambda z, A: torch.ones_like(A)
    ),
    "the state decays by exp(A), as if every step had the length 1: Δ belongs into the "
    "exponent.": stepping(keep=lambda z, A: A.exp()),
    "the state decays by Δ·exp(A): Δ belongs into the exponent.": stepping(
        keep=lambda z, A: z / A * A.exp()
    ),
    "what is written doesn't depend on u: the token's input is missing.": stepping(
        enters=torch.ones_like
    ),
    "what the token writes decays at once: exp(ΔA) multiplies the old state, and not the new "
    "token.": stepping(update=lambda kept, h, written: kept * (h + written)),
    "D·u is missing: the skip adds the input itself to what was read.": stepping(
        skip=lambda D, u, delta: 0 * u
    ),
    "D is added by itself. The skip adds D·u, a factor a channel times the input.": stepping(
        skip=lambda D, u, delta: D
    ),
    "u is added without D. The skip adds D·u, a factor a channel times the input.": stepping(
        skip=lambda D, u, delta: u
    ),
    "the skip is multiplied by Δ. D·u goes past the scan, and Δ is a matter of the scan.": stepping(
        skip=lambda D, u, delta: D * u * delta
    ),
    "C averages the states. It adds them up.": stepping(read=lambda new, old: new / new.shape[1]),
    "Δ passes softplus, but `delta` is positive already: it is the length itself.": stepping(
        given=lambda delta, B, C: (F.softplus(delta), B, C)
    ),
    "B and C are swapped: B says where to write, C where to read.": stepping(
        given=lambda delta, B, C: (delta, C, B)
    ),
    "the state is read with B. B says where to write, C where to read.": stepping(
        given=lambda delta, B, C: (delta, B, B)
    ),
    "y is right, but the state that you return is the old one.": stepping(
        state=lambda new, old: old
    ),
    "the state isn't kept: exp(ΔA) times the old state is missing.": stepping(
        keep=lambda z, A: 0 * z
    ),
    "the state doesn't decay: each step keeps exp(ΔA) of it.": stepping(
        keep=lambda z, A: torch.ones_like(z)
    ),
    "the state grows: exp(-ΔA). A is negative already.": stepping(keep=lambda z, A: (-z).exp()),
    "ΔA itself multiplies the old state. The share that is kept is exp(ΔA).": stepping(
        keep=lambda z, A: z
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
