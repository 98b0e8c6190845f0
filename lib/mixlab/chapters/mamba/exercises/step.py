"""19.4 The block, one token at a time."""

from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

import mixlab.chapters.mamba.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_reals

GIVES = ("the output", "the history", "the state")


def draw(rng):
    """Blocks, and what lies in their memory before the first token.

    A memory of random numbers shows which row of the history an answer takes for the oldest, and
    with which sign it keeps the state: from zeros, any convention of its own looks right.
    """
    return [
        (x, w, remembered(rng, w, empty=number % 3 == 2))
        for number, (x, w) in enumerate(shared.draw_blocks(rng))
    ]


def remembered(rng, w, empty):
    """A history and a state."""
    (d_inner, taps), d_state = w["conv"].shape, w["A_log"].shape[1]
    make = torch.zeros if empty else partial(shared.bounded, rng)
    return make(taps - 1, d_inner), make(d_inner, d_state)


def call(answer, x, w, memory):
    """All three results for each token, padded with zeros: (seq, 3, width)."""
    history, h = memory
    shapes = x.shape[1:], history.shape, h.shape
    handed, rows = [], []
    for number, token in enumerate(x):
        handed.append((token, history.clone(), h.clone()))
        found = read_three(answer(token.clone(), history, h, w))
        for name, part, shape in zip(GIVES, found, shapes, strict=True):
            if part.shape != shape:
                raise Unreadable(
                    f"after token {number}, {name} has shape {part.shape}: expected {tuple(shape)}"
                )
        rows.append(found)
        history, h = (torch.from_numpy(part).float() for part in found[1:])
    for number in sorted({0, len(x) // 2, len(x) - 1}, reverse=True):
        again = read_three(answer(*(part.clone() for part in handed[number]), w))
        if not np.allclose(again[0], rows[number][0], atol=1e-4):
            raise Unreadable(
                f"called for token {number} a second time, with the memory it had then, the answer "
                "returns another output: it may use no memory but the one that it is handed"
            )
    width = max(shape.numel() for shape in shapes)
    return np.array(
        [[np.pad(part.ravel(), (0, width - part.size)) for part in found] for found in rows]
    )


def read_three(value):
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise Unreadable(
            f"expected three things, the output, the history and the state: got {kind_of(value)}"
        )
    return [read_reals(n_dims)(part) for n_dims, part in zip((1, 2, 2), value, strict=True)]


ASKED = Asked(
    draw=draw,
    call=call,
    read=np.asarray,
    examples=tuple(
        (x, w, remembered(np.random.default_rng(len(x)), w, empty))
        for empty, blocks in ((True, shared.EXAMPLES), (False, shared.EXAMPLES[::2]))
        for x, w in blocks
    ),
    hints=(
        "Put the new input under the taps: the history, then x, is (d_conv, d_inner). Each "
        "channel multiplies its column by its row of `conv`, adds up, adds the bias, silu.",
        "From u: split `x_proj @ u` into rank, d_state and d_state numbers. Δ is "
        "softplus(dt_proj @ first + dt_bias); then one step of the scan, + D·u, · silu(z).",
        "The history that you return is what the taps saw, without its oldest row: inputs of "
        "the convolution, not its outputs. Return new tensors, don't change the old ones.",
    ),
)

# --- kept back while grading ---


def stepping(
    halves=(0, 1),
    residual=0,
    under_taps=lambda history, new: torch.cat((history, new[None])),
    kept=lambda under_taps, history, u: under_taps[1:],
    state=lambda new, old: new,
    **parts,
):
    """A step with other parts, or with another idea of what to remember."""

    def step(x, history, h, w):
        new, z = shared.halves(x, w, halves)
        (history, h), old = shared.in_float64(history, h), h
        seen = under_taps(history, new)
        out, u, h = shared.one_token(seen, z, h, w, **parts)
        return out + residual * x, kept(seen, history, u), state(h, old)

    return step


def with_conv1d(x, history, h, w):
    """The convolution by the library, everything in one row each."""
    x, z = F.linear(x[None], w["in_proj"]).chunk(2, dim=1)
    inputs = torch.cat([history, x])
    taps = w["conv"][:, None]
    u = F.silu(F.conv1d(inputs.T[None], taps, w["conv_bias"], groups=len(taps))[0, :, 0])
    n = w["A_log"].shape[1]
    chosen = F.linear(u, w["x_proj"])
    delta = F.softplus(F.linear(chosen[: -2 * n], w["dt_proj"], w["dt_bias"]))
    h = h * torch.exp(-torch.einsum("d, dn -> dn", delta, w["A_log"].exp()))
    h += torch.outer(delta * u, chosen[-2 * n : -n])
    y = (h @ chosen[-n:] + w["D"] * u) * F.silu(z[0])
    return F.linear(y, w["out_proj"]), inputs[-len(history) :], h


def remembering(x, history, h, w, memory={}):  # noqa: B006
    """Keeps the memory itself, and looks at the one that it is handed only once."""
    out, *memory[id(w)] = stepping()(x, *memory.get(id(w), (history, h)), w)
    return out, *memory[id(w)]


MISTAKES = {
    "the history doesn't move on: every token sees zeros before it. Return the last d_conv - 1 "
    "inputs, this one included.": (
        stepping(kept=lambda seen, history, u: history),
        stepping(kept=lambda seen, history, u: 0 * history),
        stepping(under_taps=lambda history, new: torch.cat((0 * history, new[None]))),
    ),
    "the state isn't handed on: every token starts from an empty one. Return the new state.": (
        stepping(state=lambda new, old: old),
        stepping(before=lambda h: 0 * h),
    ),
    "the history holds what came out of the convolution. It has to hold what goes in.": stepping(
        kept=lambda seen, history, u: torch.cat((history[1:], u[None]))
    ),
    "your history is newest first. It comes oldest first, and has to go back so.": (
        stepping(kept=lambda seen, history, u: seen[1:].flip(0)),
        stepping(kept=lambda seen, history, u: torch.cat((seen[-1:], history[:-1]))),
        stepping(
            under_taps=lambda history, new: torch.cat((history.flip(0), new[None])),
            kept=lambda seen, history, u: seen[1:].flip(0),
        ),
    ),
    **{said: tuple(stepping(**parts) for parts in made) for said, made in shared.MISTAKES.items()},
    "D·u is missing.": stepping(direct=lambda D, u, newest: 0 * u),
    "y is read from the state before this token. A token is written first and read in the same "
    "step.": stepping(read=lambda new, old: old),
    "B is discretised by zero-order hold. As in 19.1, the token writes Δ·u times B.": stepping(
        length=lambda delta, A: torch.expm1(delta * A) / A
    ),
    "what the token writes isn't multiplied by Δ.": stepping(length=lambda delta, A: 1),
    "A is discretised by Euler, 1 + ΔA. The share that is kept is exp(ΔA).": stepping(
        keep=lambda exponent: 1 + exponent
    ),
    **{f"{said}.": stepping(**parts) for said, parts in shared.FAULTS.items()},
}

KNOWN = Known(
    right=(stepping(), with_conv1d),
    mistakes=MISTAKES,
    slips={
        "the history has shape (3, 3): expected (2, 3)": stepping(
            kept=lambda seen, history, u: seen
        ),
        "expected three things": lambda *given: stepping()(*given)[0],
        "no memory but the one that it is handed": remembering,
    },
    show=lambda x, w, memory: (
        f"step(x, history, h, w), called for {len(x)} tokens in a row"
        f"{', with a history and a state before the first' if memory[1].any() else ''}, "
        f"d_inner = {len(w['D'])}, d_conv = {w['conv'].shape[1]}"
    ),
    place=lambda at: (
        f"token {at[0]}, {GIVES[at[1]]}, number {at[2]} of it, row by row" if at else ""
    ),
    name="{:.4f}".format,
)
