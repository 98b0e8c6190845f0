"""Oracles of exercises 19.1, one step of the selective scan, and 19.2, the scan as a table."""

import numpy as np
import torch
from torch.nn import functional as F

from mixlab.checks.cases.mamba import step_arguments, table_arguments
from mixlab.checks.oracles import Misconception, Oracle


def _numpy(*tensors):
    return tuple(x.double().numpy() for x in tensors)


def _step(h, u, delta, A, B, C, D, keep=np.exp, write=None, skip=True, read_new=True):
    h, u, delta, A, B, C, D = _numpy(h, u, delta, A, B, C, D)
    z = delta[:, None] * A
    written = (delta[:, None] * np.ones_like(A) if write is None else write(z, A)) * B
    new = keep(z) * h + written * u[:, None]
    y = (new if read_new else h) @ C + (D * u if skip else 0)
    return np.concatenate([y[:, None], new], axis=1)


def _step_adds_D(*args):
    given = _step(*args, skip=False)
    given[:, 0] += args[-1].numpy()
    return given


def _step_keeps_state(h, *rest):
    given = _step(h, *rest)
    given[:, 1:] = h.numpy()
    return given


def _place_step(index):
    if len(index) != 2:
        return ""
    channel, column = index
    return (
        f"y of channel {channel}"
        if column == 0
        else f"state of channel {channel}, number {column - 1}"
    )


def _table(delta, A, B, C, first=1, last=1, written=True, ahead=False):
    """first, last: the decay from s to t holds the Δ of tokens s + first … t - 1 + last."""
    delta, A, B, C = _numpy(delta, A, B, C)
    table = np.zeros((len(delta), len(delta)))
    for t in range(len(delta)):
        for s in range(len(delta) if ahead else t + 1):
            time = (
                delta[s + first : t + last].sum() if s <= t else -delta[t + first : s + last].sum()
            )
            table[t, s] = (C[t] * np.exp(A * time) * B[s]).sum() * (delta[s] if written else 1)
    return table


def _table_of_one_step(delta, A, B, C):
    """Every token in between decays as the last one does."""
    d, a, b, c = _numpy(delta, A, B, C)
    age = np.subtract.outer(np.arange(len(d)), np.arange(len(d)))[..., None]
    table = (c[:, None] * np.exp(a * d[:, None, None] * age) * b).sum(-1) * d
    return np.where(age[..., 0] >= 0, table, 0)


def _table_of_zoh(delta, A, B, C):
    return _table(delta, A, torch.expm1(delta[:, None] * A) / A * B, C, written=False)


def _four(value):
    return f"{value:.4f}"


_examples_of_steps = tuple(
    step_arguments(np.random.default_rng(seed), *sizes)
    for seed, sizes in enumerate([(3, 2), (2, 4), (1, 1)])
)
_examples_of_tables = tuple(
    table_arguments(np.random.default_rng(seed), *sizes)
    for seed, sizes in enumerate([(4, 2), (6, 3), (1, 2)], start=3)
)
EXERCISES = {
    "19.1": Oracle(
        expected=_step,
        show=lambda h, u, *rest: (
            f"scan_step(h, u, delta, A, B, C, D) with d_inner = {len(u)}, d_state = {h.shape[1]}"
        ),
        place=_place_step,
        name=_four,
        examples=_examples_of_steps,
        misconceptions=(
            Misconception(
                "y is read from the state before this token. A token is written first and read "
                "in the same step.",
                lambda *args: _step(*args, read_new=False),
            ),
            Misconception(
                "B is discretised by zero-order hold. That is what the paper's equation 4 says; "
                "the released code multiplies by Δ alone.",
                lambda *args: _step(*args, write=lambda z, A: np.expm1(z) / A),
            ),
            Misconception(
                "A is discretised by Euler, 1 + ΔA. The share that is kept is exp(ΔA).",
                lambda *args: _step(*args, keep=lambda z: 1 + z),
            ),
            Misconception(
                "the input isn't multiplied by Δ: a token with Δ = 0 would still be written.",
                lambda *args: _step(*args, write=lambda z, A: np.ones_like(A)),
            ),
            Misconception(
                "the state decays by exp(A), as if every step had the length 1: Δ belongs into "
                "the exponent.",
                lambda h, u, delta, A, *rest: _step(
                    *(h, u, delta, A, *rest), keep=lambda z: np.exp(*_numpy(A))
                ),
            ),
            Misconception(
                "D·u is missing: the skip adds the input itself to what was read.",
                lambda *args: _step(*args, skip=False),
            ),
            Misconception(
                "D is added by itself. The skip adds D·u, a factor a channel times the input.",
                _step_adds_D,
            ),
            Misconception(
                "Δ passes softplus, but `delta` is positive already: it is the length itself.",
                lambda h, u, delta, *rest: _step(h, u, F.softplus(delta), *rest),
            ),
            Misconception(
                "B and C are swapped: B says where to write, C where to read.",
                lambda h, u, delta, A, B, C, D: _step(h, u, delta, A, C, B, D),
            ),
            Misconception(
                "y is right, but the state that you return is the old one.", _step_keeps_state
            ),
            Misconception(
                "the state isn't kept: exp(ΔA) times the old state is missing.",
                lambda *args: _step(*args, keep=np.zeros_like),
            ),
            Misconception(
                "the state grows: exp(-ΔA). A is negative already.",
                lambda *args: _step(*args, keep=lambda z: np.exp(-z)),
            ),
        ),
    ),
    "19.2": Oracle(
        expected=_table,
        show=lambda delta, A, *rest: (
            f"influence(delta, A, B, C) with seq = {len(delta)}, d_state = {len(A)}"
        ),
        place=lambda index: f"output {index[0]}, input {index[1]}" if len(index) == 2 else "",
        name=_four,
        examples=_examples_of_tables,
        misconceptions=(
            Misconception(
                "token s decays by its own Δ before it is written. The time between s and t "
                "begins after s: the Δ of tokens s + 1 … t.",
                lambda *args: _table(*args, first=0),
            ),
            Misconception(
                "the time between s and t leaves out token t. The state decays, then token t is "
                "written, then C_t reads: the Δ of tokens s + 1 … t.",
                lambda *args: _table(*args, last=0),
            ),
            Misconception(
                "the time between s and t runs over the Δ of tokens s … t - 1, one place early: "
                "what decays the state at a token is that token's own Δ.",
                lambda *args: _table(*args, first=0, last=0),
            ),
            Misconception(
                "Δ_s is missing: what a token writes is Δ_s B_s u_s.",
                lambda *args: _table(*args, written=False),
            ),
            Misconception(
                "every step between s and t has its own Δ: add them up, instead of multiplying "
                "the last one by the distance.",
                _table_of_one_step,
            ),
            Misconception(
                "the time between s and t is counted in tokens. Each token lasts for its own Δ.",
                lambda delta, *rest: _table(torch.ones_like(delta), *rest) * delta.numpy(),
            ),
            Misconception(
                "nothing decays between s and t: each token between multiplies the state by "
                "exp(Δ A).",
                lambda delta, A, *rest: _table(delta, 0 * A, *rest),
            ),
            Misconception(
                "B is discretised by zero-order hold; as in 19.1, what is written is Δ_s B_s u_s.",
                _table_of_zoh,
            ),
            Misconception(
                "rows and columns are swapped: a row is an output t, a column an input s.",
                lambda *args: _table(*args).T,
            ),
            Misconception(
                "the entries above the diagonal must be 0: no output depends on a later input.",
                lambda *args: _table(*args, ahead=True),
            ),
        ),
    ),
}
