"""Oracles of exercises 19.3, a block with four mistakes, and 19.4, the block token by token."""

from itertools import combinations

import numpy as np

from mixlab.checks.cases.mamba import STEPS_GIVE, block_arguments, table_of_steps
from mixlab.checks.cases.mamba_scan import scan
from mixlab.checks.oracles import Misconception, Oracle


def _softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def _silu(x):
    return x / (1 + np.exp(-x))


_WRONG = {
    "ahead": "the convolution still sees later inputs: output 0 may depend on input 0 alone",
    "raw": "Δ is still negative for some tokens: a length of time has to come out of softplus",
    "grows": "A is still positive, so the state grows instead of decaying",
    "early": "the gate still lets D·u past: it multiplies everything that leaves the scan",
}


def _block(x, w, wrong=(), **mistakes):
    """The block, with mistakes by name."""
    return _run_block(x, w, **dict.fromkeys(wrong, True), **mistakes)


def _run_block(
    x,
    w,
    *,
    ahead=False,
    raw=False,
    grows=False,
    early=False,
    reverse=False,
    skip=True,
    gate=True,
    activate=True,
    bias=True,
    forgets=False,
    past=True,
    choose_from_x=False,
    keeps_outputs=False,
    plain_gate=False,
    reads_old=False,
    hold=False,
    swapped=False,
    residual=False,
    positive=_softplus,
    plain_A=False,
    memory=None,
):
    w = {name: value.double().numpy() for name, value in w.items()}
    given = x.double().numpy()
    x, z = np.split(x.double().numpy() @ w["in_proj"].T, 2, axis=1)
    seq, taps = len(x), w["conv"].shape[1]
    left = taps // 2 if ahead else taps - 1
    padded = np.pad(x, ((left, taps - 1 - left), (0, 0)))
    if memory:
        padded[:left] = memory[0].numpy()
    order = range(taps - 1, -1, -1) if reverse else range(taps)
    u = np.zeros_like(x)
    for t in range(seq):
        for k, tap in enumerate(order):
            if past or k == taps - 1:
                u[t] += w["conv"][:, tap] * padded[t + k]
        u[t] += w["conv_bias"] if bias else 0
        u[t] = _silu(u[t]) if activate else u[t]
        if keeps_outputs:
            padded[t + left] = u[t]
    rank, n = w["dt_proj"].shape[1], w["A_log"].shape[1]
    first, B, C = np.split((x if choose_from_x else u) @ w["x_proj"].T, [rank, rank + n], axis=1)
    delta = first @ w["dt_proj"].T + w["dt_bias"]
    delta = delta if raw else positive(delta)
    B, C = (C, B) if swapped else (B, C)
    A = (w["A_log"] if plain_A else np.exp(w["A_log"])) * (1 if grows else -1)
    h, y = memory[1].double().numpy() if memory else np.zeros_like(A), np.zeros_like(x)
    histories, states = [], []
    for t in range(seq):
        decay, before = np.exp(delta[t][:, None] * A), 0 * h if forgets else h
        length = (decay - 1) / A if hold else delta[t][:, None]
        h = decay * before + length * np.outer(u[t], B[t])
        y[t] = (before if reads_old else h) @ C[t]
        histories.append(padded[t + 1 : t + taps])
        states.append(h)
    opened = (z if plain_gate else _silu(z)) if gate else 1
    direct = w["D"] * u if skip else 0
    y = y * opened + direct if early else (y + direct) * opened
    out = y @ w["out_proj"].T + (given if residual else 0)
    return table_of_steps((list(out), histories, states)) if memory else out


def _still(wrong):
    said = "; ".join(_WRONG[name] for name in wrong)
    return said if len(wrong) == 1 else f"{len(wrong)} mistakes are left: {said}"


def _unmended():
    """Every set of mistakes that can be left, the largest first, and what to say of it."""
    for count in range(len(_WRONG), 0, -1):
        for wrong in combinations(_WRONG, count):
            yield Misconception(
                _still(wrong) + ".", lambda x, w, s, wrong=wrong: _block(x, w, wrong)
            )


def _token_channel(index):
    return f"token {index[0]}, number {index[1]}" if len(index) == 2 else ""


def _token_part(index):
    if len(index) < 3:
        return _token_channel(index)
    return f"token {index[0]}, {STEPS_GIVE[index[1]]}, number {index[2]} of it, row by row"


def _from_memory(memory):
    return ", with a history and a state before the first" if memory and memory[1].any() else ""


def _four(value):
    return f"{value:.4f}"


# Seeds at which every single mistake shows in every text of more than one token.
_examples_of_blocks = tuple(
    block_arguments(np.random.default_rng(seed), *sizes)
    for seed, sizes in (
        (54, (3, 2, 3, 2, 1, 3)),
        (133, (4, 4, 5, 3, 2, 4)),
        (2, (1, 3, 4, 2, 2, 4)),
    )
)

# What both the block and its step may do otherwise.
_OF_BOTH = (
    Misconception(
        "Δ is positive now, and another number than softplus makes of it.",
        lambda x, w, *scan: _block(x, w, positive=np.exp),
    ),
    *(
        Misconception(
            "Δ isn't negative any more, and another number than softplus makes of it: a token "
            "whose Δ is cut off, or turned round, is read with the wrong length.",
            lambda x, w, *scan, how=how: _block(x, w, positive=how),
        )
        for how in (lambda d: d.clip(0), np.abs)
    ),
    Misconception(
        "A_log is the logarithm of the rates: A is -exp(A_log).",
        lambda x, w, *scan: _block(x, w, plain_A=True),
    ),
    Misconception(
        "B and C are swapped: `x_proj` gives the rows of Δ, of B and of C, in this order.",
        lambda x, w, *scan: _block(x, w, swapped=True),
    ),
    Misconception(
        "the input itself is added. The residual stands outside of the block.",
        lambda x, w, *scan: _block(x, w, residual=True),
    ),
)

EXERCISES = {
    "19.3": Oracle(
        expected=lambda x, w, scan: _block(x, w),
        show=lambda x, w, scan: (
            f"mixer(x, w, scan) with {len(x)} tokens, d_inner = {len(w['D'])}, "
            f"d_conv = {w['conv'].shape[1]}"
        ),
        place=_token_channel,
        name=_four,
        examples=tuple((x, w, scan) for x, w in _examples_of_blocks),
        misconceptions=(
            *_unmended(),
            Misconception(
                "the taps are in the wrong order: the last column of `conv` belongs to the newest "
                "input.",
                lambda x, w, s: _block(x, w, reverse=True),
            ),
            *_OF_BOTH,
            Misconception(
                "the gate is z itself now: it has to pass silu, as before.",
                lambda x, w, s: _block(x, w, plain_gate=True),
            ),
            Misconception(
                "D·u is gone. Move it inside the gate, don't drop it.",
                lambda x, w, s: _block(x, w, skip=False),
            ),
            Misconception(
                "the convolution sees only the newest input. Pad on the left, and keep all taps.",
                lambda x, w, s: _block(x, w, past=False),
            ),
        ),
    ),
    "19.4": Oracle(
        expected=lambda x, w, memory=None: _block(x, w, memory=memory),
        show=lambda x, w, memory=None: (
            f"step(x, history, h, w), called for {len(x)} tokens in a row{_from_memory(memory)}, "
            f"d_inner = {len(w['D'])}, d_conv = {w['conv'].shape[1]}"
        ),
        place=_token_part,
        name=_four,
        examples=_examples_of_blocks,
        misconceptions=(
            Misconception(
                "the history doesn't move on: every token sees zeros before it. Return the last "
                "d_conv - 1 inputs, this one included.",
                lambda x, w: _block(x, w, past=False),
            ),
            Misconception(
                "the state isn't handed on: every token starts from an empty one. Return the new "
                "state.",
                lambda x, w: _block(x, w, forgets=True),
            ),
            Misconception(
                "the history holds what came out of the convolution. It has to hold what goes in.",
                lambda x, w: _block(x, w, keeps_outputs=True),
            ),
            Misconception(
                "the taps are in the wrong order: the history is oldest first, and the last "
                "column of `conv` belongs to the newest input.",
                lambda x, w: _block(x, w, reverse=True),
            ),
            Misconception(
                "Δ, B and C are computed from the convolution's input. They are chosen from u, "
                "what comes out of it after silu.",
                lambda x, w: _block(x, w, choose_from_x=True),
            ),
            *_OF_BOTH,
            Misconception(
                "silu after the convolution is missing.", lambda x, w: _block(x, w, activate=False)
            ),
            Misconception(
                "the convolution's bias is missing.", lambda x, w: _block(x, w, bias=False)
            ),
            Misconception(
                "the gate is z itself: it has to pass silu.",
                lambda x, w: _block(x, w, plain_gate=True),
            ),
            Misconception("the gate is missing.", lambda x, w: _block(x, w, gate=False)),
            Misconception("D·u is missing.", lambda x, w: _block(x, w, skip=False)),
            Misconception(
                "y is read from the state before this token. A token is written first and read "
                "in the same step.",
                lambda x, w: _block(x, w, reads_old=True),
            ),
            Misconception(
                "B is discretised by zero-order hold. As in 19.1, the token writes Δ·u times B.",
                lambda x, w: _block(x, w, hold=True),
            ),
            *(
                Misconception(_WRONG[name] + ".", lambda x, w, name=name: _block(x, w, (name,)))
                for name in ("raw", "grows", "early")
            ),
        ),
    ),
}
