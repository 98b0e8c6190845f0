"""Inputs for the exercises of chapter 19: a step, a table, a block, its bytes, a padding test."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mixlab.checks.cases import (
    Cases,
    Unreadable,
    _array,
    _kind,
    read_count,
    read_reals,
    read_verdict,
)
from mixlab.checks.cases.mamba_readers import ROWS, made_from
from mixlab.checks.cases.mamba_scan import scan

_OURS = (
    "mixlab.ssm.selective_scan",
    "mixlab.ssm.chunked_scan",
    "mixlab.ssm.scan",
    "mixlab.ssm.discretize",
    "mixlab.ssm.short_convolution",
    "mixlab.ssm.mamba_block",
    "mixlab.chapters.mamba.traces",
)
_PLAIN = "mixlab.checks.cases.mamba_scan"
_READERS = "mixlab.checks.cases.mamba_readers"


def _real(rng: np.random.Generator, *shape: int, size: float = 1.0) -> Tensor:
    return torch.from_numpy(size * rng.standard_normal(shape)).float()


def _bounded(rng: np.random.Generator, *shape: int, size: float = 1.0) -> Tensor:
    """Normal numbers cut at one and a half.

    A block multiplies five of its numbers, and such products have long tails: uncut, one output in
    a hundred would be too large for a right answer in float32 to come within the tolerance.
    """
    return torch.from_numpy(size * np.clip(rng.standard_normal(shape), -1.5, 1.5)).float()


def _positive(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.uniform(0.1, 1.6, shape)).float()


def _rates(rng: np.random.Generator, d_inner: int, d_state: int) -> Tensor:
    return -torch.from_numpy(rng.uniform(0.3, 2.0, (d_inner, d_state))).float()


def step_arguments(rng: np.random.Generator, d_inner: int, d_state: int) -> tuple:
    """(h, u, delta, A, B, C, D) of one token."""
    return (
        _real(rng, d_inner, d_state),
        _real(rng, d_inner),
        _positive(rng, d_inner),
        _rates(rng, d_inner, d_state),
        _real(rng, d_state),
        _real(rng, d_state),
        _real(rng, d_inner),
    )


def _draw_step(rng: np.random.Generator) -> list[tuple]:
    sizes = [(3, 2), (2, 5), (4, 4), (1, 1), (1, 6), (5, 1)]
    sizes += [(int(rng.integers(2, 9)), int(rng.integers(2, 9))) for _ in range(4)]
    return [step_arguments(rng, *size) for size in sizes]


def read_step(value) -> np.ndarray:
    """y and the new state side by side, (d_inner, 1 + d_state)."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Unreadable(f"expected two things, y and the new state: got {_kind(value)}")
    y, h = read_reals(1)(value[0]), read_reals(2)(value[1])
    if len(y) != len(h):
        raise Unreadable(
            "expected y of shape (d_inner,) and the new state of shape (d_inner, d_state): got "
            f"{y.shape} and {h.shape}"
        )
    return np.concatenate([y[:, None], h], axis=1)


def table_arguments(rng: np.random.Generator, seq: int, d_state: int) -> tuple:
    """(delta, A, B, C) of one channel; a third of the tokens have a Δ of 0."""
    delta = _positive(rng, seq) * torch.from_numpy(rng.random(seq) < 0.7)
    return delta, _rates(rng, 1, d_state)[0], _real(rng, seq, d_state), _real(rng, seq, d_state)


def _draw_table(rng: np.random.Generator) -> list[tuple]:
    sizes = [(4, 2), (1, 3), (2, 1), (6, 6), (9, 4)]
    sizes += [(int(rng.integers(3, 16)), int(rng.integers(1, 7))) for _ in range(4)]
    return [table_arguments(rng, *size) for size in sizes]


def block_weights(
    rng: np.random.Generator, dim: int, d_inner: int, d_state: int, rank: int, taps: int
) -> dict[str, Tensor]:
    """A block's weights, every one different enough from the others to be told apart."""
    wanted = torch.from_numpy(rng.uniform(0.1, 0.7, d_inner)).float()
    states = torch.arange(1, d_state + 1).float()
    return {
        "in_proj": _bounded(rng, 2 * d_inner, dim, size=dim**-0.5),
        "conv": _bounded(rng, d_inner, taps, size=0.8),
        "conv_bias": _bounded(rng, d_inner, size=0.5),
        "x_proj": _bounded(rng, rank + 2 * d_state, d_inner, size=d_inner**-0.5),
        "dt_proj": _bounded(rng, d_inner, rank, size=rank**-0.5),
        "dt_bias": wanted + torch.log(-torch.expm1(-wanted)),
        "A_log": (states / 2).log() + _bounded(rng, d_inner, d_state, size=0.2),
        "D": _bounded(rng, d_inner) + 1,
        "out_proj": _bounded(rng, dim, d_inner, size=d_inner**-0.5),
    }


def block_arguments(rng: np.random.Generator, seq: int, *sizes: int) -> tuple:
    """(x, weights) for (dim, d_inner, d_state, rank, taps)."""
    return _bounded(rng, seq, sizes[0]), block_weights(rng, *sizes)


def _draw_blocks(rng: np.random.Generator) -> list[tuple]:
    sizes = [(5, 4, 6, 3, 2, 4), (1, 3, 5, 2, 1, 4), (2, 4, 4, 4, 4, 3), (3, 2, 5, 1, 2, 2)]
    for _ in range(3):
        widths = (int(rng.integers(2, 7)) for _ in range(4))
        sizes.append((int(rng.integers(3, 14)), *widths, int(rng.integers(2, 5))))
    return [block_arguments(rng, *size) for size in sizes]


def _draw_mixers(rng: np.random.Generator) -> list[tuple]:
    return [(x, w, scan) for x, w in _draw_blocks(rng)]


def _draw_steps(rng: np.random.Generator) -> list[tuple]:
    """Blocks, and what lies in their memory before the first token.

    A memory of random numbers shows which row of the history an answer takes for the oldest, and
    with which sign it keeps the state: from zeros, any convention of its own looks right.
    """
    drawn = []
    for number, (x, w) in enumerate(_draw_blocks(rng)):
        (d_inner, taps), d_state = w["conv"].shape, w["A_log"].shape[1]
        memory = _bounded(rng, taps - 1, d_inner), _bounded(rng, d_inner, d_state)
        empty = number % 3 == 2
        drawn.append((x, w, tuple(map(torch.zeros_like, memory)) if empty else memory))
    return drawn


STEPS_GIVE = ("the output", "the history", "the state")


def table_of_steps(parts: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Outputs, histories and states side by side: (seq, 3, width), padded with zeros."""
    flat = [[np.ravel(one) for one in part] for part in parts]
    width = max(len(part[0]) for part in flat)
    padded = [[np.pad(one, (0, width - len(one))) for one in part] for part in flat]
    return np.array(padded).swapaxes(0, 1)


def call_stepping(answer, x: Tensor, w: dict[str, Tensor], memory=None) -> np.ndarray:
    """The answer token by token, handed its own memory.

    Args:
        answer: the step.
        x: (seq, dim).
        w: the block's weights.
        memory: history and state before the first token; zeros if there are none.

    Returns:
        One row of output a token, (seq, dim); with a `memory`, all three results of every token,
        as `table_of_steps` lays them out.
    """
    (d_inner, taps), d_state = w["conv"].shape, w["A_log"].shape[1]
    history, h = memory or (torch.zeros(taps - 1, d_inner), torch.zeros(d_inner, d_state))
    rows, handed = [], []
    for number, token in enumerate(x):
        handed.append((token, history.clone(), h.clone()))
        value = answer(token.clone(), history, h, w)
        if not isinstance(value, tuple | list) or len(value) != 3:
            raise Unreadable(
                f"expected three things, the output, the history and the state: got {_kind(value)}"
            )
        wanted = ((len(token),), (taps - 1, d_inner), (d_inner, d_state))
        # Not the answer's own tensors, but what is in them: it may have returned lists.
        found = [read_reals(len(shape))(part) for shape, part in zip(wanted, value, strict=True)]
        for name, part, shape in zip(STEPS_GIVE, found, wanted, strict=True):
            if part.shape != shape:
                raise Unreadable(
                    f"after token {number}, {name} has shape {part.shape}: expected {shape}"
                )
        rows.append(found)
        history, h = (torch.from_numpy(part).float() for part in found[1:])
    for number in sorted({0, len(x) // 2, len(x) - 1}, reverse=True):
        again = answer(*(part.clone() for part in handed[number]), w)
        if not np.allclose(_array(again[0]), rows[number][0], atol=1e-4):
            raise Unreadable(
                f"called for token {number} a second time, with the memory it had then, the answer "
                "returns another output: it may use no memory but the one that it is handed"
            )
    parts = list(zip(*rows, strict=True))
    return table_of_steps(parts) if memory else np.stack(parts[0])


# (n_layers, d_inner, d_state, d_conv) of a Mamba, (n_layers, n_kv_heads, head_dim) of a transformer
EQUAL_AT_175 = (64, 5120, 16, 4), (32, 8, 128)  # mamba-2.8b and Mistral 7B


def _draw_crossing(rng: np.random.Generator) -> list[tuple]:
    drawn = [EQUAL_AT_175, ((24, 1536, 16, 4), (30, 3, 64)), ((1, 8, 1, 2), (40, 8, 128))]
    for _ in range(8):
        mamba = (int(rng.integers(4, 65)), 128 * int(rng.integers(2, 41)))
        mamba += (int(rng.integers(1, 65)), int(rng.integers(2, 6)))
        transformer = (int(rng.integers(1, 49)), int(rng.integers(1, 9)))
        drawn.append((mamba, (*transformer, 16 * int(rng.integers(2, 9)))))
    return drawn


def _draw_readers(rng: np.random.Generator) -> list[tuple]:
    return [(made_from(ROWS[i]),) for i in rng.permutation(len(ROWS))]


EXERCISES = {
    "19.1": Cases(
        draw=_draw_step,
        read=read_step,
        seed=1,
        forbids=(*_OURS, _PLAIN, _READERS),
        hints=(
            "Ā has the shape of the state, (d_inner, d_state): each channel's Δ times its own row "
            "of A. `delta[:, None]` makes a column of Δ.",
            "What the token writes is Δ times u, one number a channel, times B, one number a "
            "state: an outer product, of the state's shape too.",
            "New state first: `A_bar * h` plus what is written. Then read it with C, which leaves "
            "one number a channel, and add `D * u`.",
        ),
    ),
    "19.2": Cases(
        draw=_draw_table,
        read=read_reals(2),
        seed=2,
        forbids=(*_OURS, _PLAIN, _READERS),
        hints=(
            "Follow one token. It writes Δ_s B_s u_s into the state; then each later token "
            "multiplies the state by its own exp(Δ A); then C_t reads it.",
            "The product of exponentials is the exponential of a sum: A times the Δ of tokens "
            "s + 1 … t. Token s itself isn't in that sum: nothing has decayed when it is written.",
            "`elapsed = delta.cumsum(0)`; `elapsed[t] - elapsed[s]` is the time between s and t. "
            "Sum over the states C[t] * exp(A * time) * delta[s] * B[s], where s ≤ t.",
        ),
    ),
    "19.3": Cases(
        draw=_draw_mixers,
        read=read_reals(2),
        seed=1,
        forbids=(*_OURS, _READERS),
        hints=(
            "Go through the wiring diagram from left to right and compare piece by piece. Two "
            "mistakes stand before the scan, one in its rates, one after it.",
            "Which inputs does the output of token 0 depend on? Change the last token of x and "
            "see whether the first row of the result moves. And which sign has `delta`?",
            "All padding of the convolution belongs on the left. Δ is a length of time, so it "
            "needs softplus. A has to decay. The gate multiplies everything, D·u too.",
        ),
    ),
    "19.4": Cases(
        draw=_draw_steps,
        read=np.asarray,  # `call_stepping` has read it
        call=call_stepping,
        seed=2,
        forbids=(*_OURS, _PLAIN, _READERS),
        hints=(
            "Put the new input under the taps: the history, then x, is (d_conv, d_inner). Each "
            "channel multiplies its column by its row of `conv`, adds up, adds the bias, silu.",
            "From u: split `x_proj @ u` into rank, d_state and d_state numbers. Δ is "
            "softplus(dt_proj @ first + dt_bias); then one step of the scan, + D·u, · silu(z).",
            "The history that you return is what the taps saw, without its oldest row: inputs of "
            "the convolution, not its outputs. Return new tensors, don't change the old ones.",
        ),
    ),
    "19.5": Cases(
        draw=_draw_crossing,
        read=read_count,
        forbids=(),
        hints=(
            "Mamba, once: a layer keeps d_inner × d_state numbers of 4 bytes and (d_conv - 1) × "
            "d_inner numbers of 2 bytes.",
            "The cache, a token: a key and a value in every layer, each n_kv_heads × head_dim "
            "numbers of 2 bytes.",
            "Whole tokens, and strictly more bytes: if the two are equal at 175 tokens, the "
            "answer is 176. `state // per_token + 1`.",
        ),
    ),
    "19.6": Cases(
        draw=_draw_readers,
        read=read_verdict,
        forbids=(*_OURS, _PLAIN),
        hints=(
            "Make a batch of rows with different numbers of real tokens, and hold each row's "
            "state against `read` of that row alone, without filler and with a mask of all True.",
            "What could hide a leak? Filler of zeros; filler on one side only; a row that is "
            "full; a single token of filler; a third row. Try other filler, both sides at once.",
            "Real numbers: compare with `torch.allclose(…, atol=1e-5)`. Return False at the "
            "first difference, True after the last row.",
        ),
    ),
}
