"""What the exercises of chapter 19 must return, in NumPy and in float64."""

from itertools import combinations

import numpy as np
import torch

from mixlab.checks.cases.mamba import EQUAL_AT_175, block_arguments, step_arguments, table_arguments
from mixlab.checks.cases.mamba_readers import READERS
from mixlab.checks.cases.mamba_scan import scan
from mixlab.checks.oracles import Misconception, Oracle


def _numpy(*tensors):
    return tuple(x.double().numpy() for x in tensors)


def _softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def _silu(x):
    return x / (1 + np.exp(-x))


# --- 19.1 one step -------------------------------------------------------------------------


def _step(h, u, delta, A, B, C, D, keep=np.exp, write=None, skip=True, read_new=True):
    h, u, delta, A, B, C, D = _numpy(h, u, delta, A, B, C, D)
    z = delta[:, None] * A
    written = (delta[:, None] * np.ones_like(A) if write is None else write(z, A)) * B
    new = keep(z) * h + written * u[:, None]
    y = (new if read_new else h) @ C + (D * u if skip else 0)
    return np.concatenate([y[:, None], new], axis=1)


def _place_step(index):
    if len(index) != 2:
        return ""
    channel, column = index
    return (
        f"y of channel {channel}"
        if column == 0
        else f"state of channel {channel}, number {column - 1}"
    )


# --- 19.2 the scan as a table --------------------------------------------------------------


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


# --- 19.3 and 19.4 the block ---------------------------------------------------------------

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
):
    w = {name: value.double().numpy() for name, value in w.items()}
    x, z = np.split(x.double().numpy() @ w["in_proj"].T, 2, axis=1)
    seq, taps = len(x), w["conv"].shape[1]
    left = taps // 2 if ahead else taps - 1
    padded = np.pad(x, ((left, taps - 1 - left), (0, 0)))
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
    delta = delta if raw else _softplus(delta)
    A = np.exp(w["A_log"]) * (1 if grows else -1)
    h, y = np.zeros_like(A), np.zeros_like(x)
    for t in range(seq):
        h = np.exp(delta[t][:, None] * A) * (0 if forgets else h)
        h += np.outer(delta[t] * u[t], B[t])
        y[t] = h @ C[t]
    opened = (z if plain_gate else _silu(z)) if gate else 1
    direct = w["D"] * u if skip else 0
    y = y * opened + direct if early else (y + direct) * opened
    return y @ w["out_proj"].T


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


def _four(value):
    return f"{value:.4f}"


# --- 19.5 the crossing point ---------------------------------------------------------------


def _crossing(mamba, transformer, scan_bytes=4, pairs=2, past=None, layers=None, equal=False):
    n_layers, d_inner, d_state, d_conv = mamba
    depth, n_kv_heads, head_dim = transformer
    past = d_conv - 1 if past is None else past(d_conv)
    state = (layers or n_layers) * d_inner * (scan_bytes * d_state + 2 * past)
    token = depth * n_kv_heads * head_dim * pairs * 2
    return np.array(-(-state // token) if equal else state // token + 1)


# --- 19.6 a test of padding ----------------------------------------------------------------


def _batch(side, filler, lengths=(3, 5, 1)):
    """(x, mask, rows): rows of real tokens, with filler to their left or right, or both."""
    rng = np.random.default_rng(7)
    width = max(lengths) + (2 if side == "both" else 0)
    x, mask, rows = np.full((len(lengths), width, 4), filler), np.zeros((len(lengths), width)), []
    for number, length in enumerate(lengths):
        start = {"right": 0, "left": width - length, "both": 1}[side]
        rows.append(rng.standard_normal((length, 4)))
        x[number, start : start + length], mask[number, start : start + length] = rows[-1], 1
    return torch.from_numpy(x).float(), torch.from_numpy(mask).bool(), rows


def _safe_on(read, side, filler, lengths=(3, 5, 1)):
    x, mask, rows = _batch(side, filler, lengths)
    for state, row in zip(read(x, mask), rows, strict=True):
        row = torch.from_numpy(row).float()[None]
        if not torch.allclose(state, read(row, torch.ones(row.shape[:2], dtype=torch.bool))[0]):
            return False
    return True


def _is_safe(read):
    sides = ("left", "right", "both")
    return np.array(all(_safe_on(read, side, filler) for side in sides for filler in (0.0, 2.0)))


def _judged(*tried):
    return lambda read: np.array(all(_safe_on(read, *batch) for batch in tried))


def _ignores_filler(read):
    """Whether the result is the same for two kinds of filler, without asking what it should be."""
    pairs = [(_batch(side, 0.0), _batch(side, 2.0)) for side in ("left", "right")]
    return np.array(all(torch.allclose(read(*a[:2]), read(*b[:2])) for a, b in pairs))


_examples_of_steps = tuple(
    step_arguments(np.random.default_rng(seed), *sizes)
    for seed, sizes in enumerate([(3, 2), (2, 4), (1, 1)])
)
_examples_of_tables = tuple(
    table_arguments(np.random.default_rng(seed), *sizes)
    for seed, sizes in enumerate([(4, 2), (6, 3), (1, 2)], start=3)
)
# Seeds at which every single mistake shows in every text of more than one token.
_examples_of_blocks = tuple(
    block_arguments(np.random.default_rng(seed), *sizes)
    for seed, sizes in (
        (54, (3, 2, 3, 2, 1, 3)),
        (133, (4, 4, 5, 3, 2, 4)),
        (2, (1, 3, 4, 2, 2, 4)),
    )
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
                "rows and columns are swapped: a row is an output t, a column an input s.",
                lambda *args: _table(*args).T,
            ),
            Misconception(
                "the entries above the diagonal must be 0: no output depends on a later input.",
                lambda *args: _table(*args, ahead=True),
            ),
        ),
    ),
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
        expected=_block,
        show=lambda x, w: (
            f"step(x, history, h, w), called for {len(x)} tokens in a row, d_inner = "
            f"{len(w['D'])}, d_conv = {w['conv'].shape[1]}"
        ),
        place=_token_channel,
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
            *(
                Misconception(_WRONG[name] + ".", lambda x, w, name=name: _block(x, w, (name,)))
                for name in ("raw", "grows", "early")
            ),
        ),
    ),
    "19.5": Oracle(
        expected=_crossing,
        show=lambda mamba, transformer: f"crossing(mamba={mamba}, transformer={transformer})",
        place=lambda index: "",
        examples=(EQUAL_AT_175, ((2, 8, 4, 4), (1, 1, 16)), ((24, 1536, 16, 4), (30, 3, 64))),
        misconceptions=(
            Misconception(
                "at your number of tokens the two can take equally many bytes. The cache has to "
                "take more.",
                lambda m, t: _crossing(m, t, equal=True),
            ),
            Misconception(
                "you count one number a token, head and channel. A cache holds two: a key and a "
                "value.",
                lambda m, t: _crossing(m, t, pairs=1),
            ),
            Misconception(
                "the scan's state is kept in float32: 4 bytes a number, not 2.",
                lambda m, t: _crossing(m, t, scan_bytes=2),
            ),
            Misconception(
                "the history holds d_conv - 1 inputs: the newest comes with the token.",
                lambda m, t: _crossing(m, t, past=lambda d_conv: d_conv),
            ),
            Misconception(
                "the convolution's history is missing from the state.",
                lambda m, t: _crossing(m, t, past=lambda d_conv: 0),
            ),
            Misconception(
                "the history is kept in bfloat16: 2 bytes a number, not 4.",
                lambda m, t: _crossing(m, t, past=lambda d_conv: 2 * (d_conv - 1)),
            ),
            Misconception(
                "every layer keeps a state of its own: count all of Mamba's.",
                lambda m, t: _crossing(m, t, layers=1),
            ),
        ),
    ),
    "19.6": Oracle(
        expected=_is_safe,
        show=lambda read: f"keeps_filler_out on a layer with {read.__doc__}",
        place=lambda index: "",
        name=lambda value: "True (filler kept out)" if value else "False (filler leaks)",
        examples=tuple((read,) for read in READERS),
        misconceptions=(
            Misconception(
                "your test accepts everything. Does it return False anywhere, for a batch in "
                "which filler would change a row's state?",
                lambda read: np.array(True),
            ),
            Misconception(
                "your test rejects everything, safe layers too. Real numbers differ in the last "
                "digits: compare with torch.allclose. And compare each row with itself alone.",
                lambda read: np.array(False),
            ),
            Misconception(
                "your test only tries filler behind the text. Some layers leak filler that stands "
                "before it.",
                _judged(("right", 2.0)),
            ),
            Misconception(
                "your test only tries filler before the text. Some layers leak filler that stands "
                "behind it.",
                _judged(("left", 2.0)),
            ),
            Misconception(
                "your filler is all zeros, and some layers only leak other numbers.",
                _judged(("left", 0.0), ("right", 0.0)),
            ),
            Misconception(
                "your test asks whether two kinds of filler give the same state. A layer can turn "
                "all filler into one and the same wrong step: hold each row against itself alone.",
                _ignores_filler,
            ),
        ),
    ),
}
