"""Answers to chapter 19 as students write them, right and wrong."""

import math

import numpy as np
import torch
from einops import einsum, rearrange
from torch.nn import functional as F

# --- 19.1 scan_step(h, u, delta, A, B, C, D) -----------------------------------------------


def step_columns(h, u, delta, A, B, C, D):
    h = torch.exp(delta[:, None] * A) * h + (delta * u)[:, None] * B
    return h @ C + D * u, h


def step_loops(h, u, delta, A, B, C, D):
    d_inner, d_state = A.shape
    new, y = torch.empty_like(h), []
    for d in range(d_inner):
        total = D[d] * u[d]
        for n in range(d_state):
            new[d, n] = math.exp(delta[d] * A[d, n]) * h[d, n] + delta[d] * B[n] * u[d]
            total = total + C[n] * new[d, n]
        y.append(total)
    return torch.stack(y), new


def step_einsum(h, u, delta, A, B, C, D):
    kept = torch.einsum("d,dn->dn", delta, A).exp()
    h = kept * h + torch.einsum("d,d,n->dn", delta, u, B)
    return torch.einsum("dn,n->d", h, C) + D * u, h


def step_numpy(h, u, delta, A, B, C, D):
    h, u, delta, A, B, C, D = (x.numpy().astype(float) for x in (h, u, delta, A, B, C, D))
    h = np.exp(delta[:, None] * A) * h + np.outer(delta * u, B)
    return [h @ C + D * u, h]


def step_reads_old_state(h, u, delta, A, B, C, D):
    y = h @ C + D * u
    return y, torch.exp(delta[:, None] * A) * h + (delta * u)[:, None] * B


def step_zoh_for_B(h, u, delta, A, B, C, D):
    A_bar = torch.exp(delta[:, None] * A)
    h = A_bar * h + (A_bar - 1) / A * B * u[:, None]
    return h @ C + D * u, h


def step_euler_for_A(h, u, delta, A, B, C, D):
    h = (1 + delta[:, None] * A) * h + (delta * u)[:, None] * B
    return h @ C + D * u, h


def step_without_delta_on_B(h, u, delta, A, B, C, D):
    h = torch.exp(delta[:, None] * A) * h + u[:, None] * B
    return h @ C + D * u, h


def step_decays_without_delta(h, u, delta, A, B, C, D):
    h = torch.exp(A) * h + (delta * u)[:, None] * B
    return h @ C + D * u, h


def step_without_skip(h, u, delta, A, B, C, D):
    h = torch.exp(delta[:, None] * A) * h + (delta * u)[:, None] * B
    return h @ C, h


def step_without_memory(h, u, delta, A, B, C, D):
    h = (delta * u)[:, None] * B
    return h @ C + D * u, h


def step_grows(h, u, delta, A, B, C, D):
    h = torch.exp(-delta[:, None] * A) * h + (delta * u)[:, None] * B
    return h @ C + D * u, h


def step_adds_D_alone(h, u, delta, A, B, C, D):
    h = torch.exp(delta[:, None] * A) * h + (delta * u)[:, None] * B
    return h @ C + D, h


def step_softplus_again(h, u, delta, A, B, C, D):
    return step_columns(h, u, F.softplus(delta), A, B, C, D)


def step_swaps_B_and_C(h, u, delta, A, B, C, D):
    return step_columns(h, u, delta, A, C, B, D)


def step_returns_old_state(h, u, delta, A, B, C, D):
    return step_columns(h, u, delta, A, B, C, D)[0], h


def step_returns_y_only(h, u, delta, A, B, C, D):
    return step_columns(h, u, delta, A, B, C, D)[0]


def step_swaps_results(h, u, delta, A, B, C, D):
    y, h = step_columns(h, u, delta, A, B, C, D)
    return h, y


def step_without_columns(h, u, delta, A, B, C, D):
    h = torch.exp(delta * A) * h + delta * u * B
    return h @ C + D * u, h


def step_from_library(h, u, delta, A, B, C, D):
    from mixlab.ssm.selective_scan import selective_step

    y, h = selective_step(u[None], delta[None], A, B[None], C[None], D, None, h[None])
    return y[0], h[0]


# --- 19.2 influence(delta, A, B, C) --------------------------------------------------------


def table_loops(delta, A, B, C):
    seq = len(delta)
    table = torch.zeros(seq, seq)
    for t in range(seq):
        for s in range(t + 1):
            kept = torch.exp(A * delta[s + 1 : t + 1].sum())
            table[t, s] = (C[t] * kept * delta[s] * B[s]).sum()
    return table


def table_cumsum(delta, A, B, C):
    elapsed = delta.cumsum(0)
    time = (elapsed[:, None] - elapsed[None]).tril()
    table = torch.einsum("tn,tsn,sn->ts", C, torch.exp(time[..., None] * A), delta[:, None] * B)
    return table.tril()


def table_impulses(delta, A, B, C):
    """Column s is what the scan answers to an input of 1 at s and 0 elsewhere."""
    seq = len(delta)
    columns = []
    for s in range(seq):
        h, y = torch.zeros(len(A), dtype=torch.float64), []
        for t in range(seq):
            h = torch.exp(delta[t].double() * A) * h + (delta[t] * B[t] if t == s else 0)
            y.append((h * C[t]).sum())
        columns.append(torch.stack(y))
    return torch.stack(columns, dim=1)


def table_products(delta, A, B, C):
    decays = np.exp(delta.numpy()[:, None] * A.numpy())
    seq = len(decays)
    table = [[0.0] * seq for _ in range(seq)]
    for s in range(seq):
        weight = delta[s].item() * B[s].numpy()
        for t in range(s, seq):
            if t > s:
                weight = weight * decays[t]
            table[t][s] = float(weight @ C[t].numpy())
    return table


def table_own_decay(delta, A, B, C):
    seq = len(delta)
    table = torch.zeros(seq, seq)
    for t in range(seq):
        for s in range(t + 1):
            kept = torch.exp(A * delta[s : t + 1].sum())
            table[t, s] = (C[t] * kept * delta[s] * B[s]).sum()
    return table


def table_not_the_last(delta, A, B, C):
    seq = len(delta)
    table = torch.zeros(seq, seq)
    for t in range(seq):
        for s in range(t + 1):
            kept = torch.exp(A * delta[s + 1 : t].sum())
            table[t, s] = (C[t] * kept * delta[s] * B[s]).sum()
    return table


def table_one_place_early(delta, A, B, C):
    seq = len(delta)
    table = torch.zeros(seq, seq)
    for t in range(seq):
        for s in range(t + 1):
            kept = torch.exp(A * delta[s:t].sum())
            table[t, s] = (C[t] * kept * delta[s] * B[s]).sum()
    return table


def table_without_delta(delta, A, B, C):
    elapsed = delta.cumsum(0)
    time = (elapsed[:, None] - elapsed[None]).tril()
    return torch.einsum("tn,tsn,sn->ts", C, torch.exp(time[..., None] * A), B).tril()


def table_distance(delta, A, B, C):
    age = torch.arange(len(delta))[:, None] - torch.arange(len(delta))
    kept = torch.exp(A * (delta[:, None] * age.clamp(min=0))[..., None])
    return torch.einsum("tn,tsn,sn->ts", C, kept, delta[:, None] * B).tril()


def table_in_tokens(delta, A, B, C):
    time = (torch.arange(len(delta))[:, None] - torch.arange(len(delta))).clamp(min=0)
    kept = torch.exp(time[..., None] * A)
    return torch.einsum("tn,tsn,sn->ts", C, kept, delta[:, None] * B).tril()


def table_undecayed(delta, A, B, C):
    return (C @ (delta[:, None] * B).T).tril()


def table_of_zoh(delta, A, B, C):
    elapsed = delta.cumsum(0)
    time = (elapsed[:, None] - elapsed[None]).tril()
    held = (torch.exp(delta[:, None] * A) - 1) / A * B
    return torch.einsum("tn,tsn,sn->ts", C, torch.exp(time[..., None] * A), held).tril()


def table_transposed(delta, A, B, C):
    return table_cumsum(delta, A, B, C).T


def table_both_triangles(delta, A, B, C):
    elapsed = delta.cumsum(0)
    kept = torch.exp((elapsed[:, None] - elapsed[None])[..., None] * A)
    return torch.einsum("tn,tsn,sn->ts", C, kept, delta[:, None] * B)


def table_diagonal(delta, A, B, C):
    return torch.diag((C * delta[:, None] * B).sum(1))


# --- 19.3 mixer(x, w, scan) ----------------------------------------------------------------


def _scan(u, delta, A, B, C):
    h, rows = torch.zeros_like(A), []
    for now in range(len(u)):
        h = torch.exp(delta[now][:, None] * A) * h + (delta[now] * u[now])[:, None] * B[now]
        rows.append(h @ C[now])
    return torch.stack(rows)


def _mixer(x, w, scan, left=None, softplus=True, sign=-1.0, late=True, skip=True, flip=False):
    x, z = (x @ w["in_proj"].T).chunk(2, dim=-1)
    taps = w["conv"].shape[1]
    left = taps - 1 if left is None else left(taps)
    padded = F.pad(x, (0, 0, left, taps - 1 - left))
    conv = w["conv"].flip(1) if flip else w["conv"]
    u = sum(padded[k : k + len(x)] * conv[:, k] for k in range(taps)) + w["conv_bias"]
    u = F.silu(u)
    n = w["A_log"].shape[1]
    first, B, C = (u @ w["x_proj"].T).split([w["dt_proj"].shape[1], n, n], dim=-1)
    delta = first @ w["dt_proj"].T + w["dt_bias"]
    delta = F.softplus(delta) if softplus else delta
    y = scan(u, delta, sign * torch.exp(w["A_log"]), B, C)
    direct = w["D"] * u if skip else 0
    y = (y + direct) * F.silu(z) if late else y * F.silu(z) + direct
    return y @ w["out_proj"].T


def mixer_mended(x, w, scan):
    return _mixer(x, w, scan)


def mixer_conv1d(x, w, scan):
    x, z = F.linear(x, w["in_proj"]).chunk(2, dim=-1)
    d_inner, taps = w["conv"].shape
    u = F.conv1d(x.T[None], w["conv"][:, None], w["conv_bias"], padding=taps - 1, groups=d_inner)
    u = F.silu(u[0, :, : len(x)].T)
    n = w["A_log"].shape[1]
    chosen = F.linear(u, w["x_proj"])
    delta = F.softplus(F.linear(chosen[:, : -2 * n], w["dt_proj"], w["dt_bias"]))
    y = scan(u, delta, -w["A_log"].exp(), chosen[:, -2 * n : -n], chosen[:, -n:])
    return F.linear((y + u * w["D"]) * F.silu(z), w["out_proj"])


def mixer_own_scan(x, w, scan):
    w = {name: value.double() for name, value in w.items()}
    return _mixer(x.double(), w, _scan)


def mixer_as_given(x, w, scan):
    return _mixer(x, w, scan, lambda taps: taps // 2, softplus=False, sign=1.0, late=False)


def mixer_only_conv(x, w, scan):
    return _mixer(x, w, scan, softplus=False, sign=1.0, late=False)


def mixer_conv_left(x, w, scan):
    return _mixer(x, w, scan, lambda taps: taps // 2)


def mixer_softplus_left(x, w, scan):
    return _mixer(x, w, scan, softplus=False)


def mixer_sign_left(x, w, scan):
    return _mixer(x, w, scan, sign=1.0)


def mixer_gate_left(x, w, scan):
    return _mixer(x, w, scan, late=False)


def mixer_two_left(x, w, scan):
    return _mixer(x, w, scan, softplus=False, late=False)


def mixer_taps_flipped(x, w, scan):
    return _mixer(x, w, scan, flip=True)


def mixer_drops_skip(x, w, scan):
    return _mixer(x, w, scan, skip=False)


def mixer_clamps(x, w, scan):
    """Δ made positive by cutting it off instead of by softplus."""
    return _mixer(x, w, lambda u, d, A, B, C: scan(u, d.clamp(min=0), A, B, C), softplus=False)


# --- 19.4 step(x, history, h, w) -----------------------------------------------------------


def _choose(u, w):
    n = w["A_log"].shape[1]
    return (w["x_proj"] @ u).split([w["dt_proj"].shape[1], n, n])


def one_token(x, history, h, w):
    x, z = (w["in_proj"] @ x).chunk(2)
    window = torch.cat([history, x[None]])
    u = F.silu((window * w["conv"].T).sum(0) + w["conv_bias"])
    first, B, C = _choose(u, w)
    delta = F.softplus(w["dt_proj"] @ first + w["dt_bias"])
    h = torch.exp(-delta[:, None] * w["A_log"].exp()) * h + (delta * u)[:, None] * B
    return w["out_proj"] @ ((h @ C + w["D"] * u) * F.silu(z)), window[1:], h


def one_token_einops(x, history, h, w):
    w = {name: value.double() for name, value in w.items()}
    x, z = rearrange(einsum(w["in_proj"], x.double(), "e d, d -> e"), "(two e) -> two e", two=2)
    window = torch.vstack((history.double(), x))
    u = F.silu(einsum(window, w["conv"], "k e, e k -> e") + w["conv_bias"])
    first, B, C = _choose(u, w)
    delta = F.softplus(w["dt_proj"] @ first + w["dt_bias"])
    kept = einsum(delta, -w["A_log"].exp(), "e, e n -> e n").exp()
    h = kept * h + einsum(delta, u, B, "e, e, n -> e n")
    y = einsum(h, C, "e n, n -> e") + w["D"] * u
    return [w["out_proj"] @ (y * F.silu(z)), window[1:], h]


def one_token_in_place(x, history, h, w):
    """Changes the memory that it was handed, and hands it back: allowed."""
    x, z = (w["in_proj"] @ x).chunk(2)
    taps = w["conv"].shape[1]
    u = x * w["conv"][:, -1] + w["conv_bias"]
    for k in range(taps - 1):
        u = u + history[k] * w["conv"][:, k]
    u = F.silu(u)
    history.copy_(torch.cat([history[1:], x[None]]))
    first, B, C = _choose(u, w)
    delta = F.softplus(w["dt_proj"] @ first + w["dt_bias"])
    h.mul_(torch.exp(-delta[:, None] * w["A_log"].exp())).add_(torch.outer(delta * u, B))
    return w["out_proj"] @ ((h @ C + w["D"] * u) * F.silu(z)), history, h


def _changed(x, history, h, w, what):
    source, memory = x, history
    x, z = (w["in_proj"] @ x).chunk(2)
    conv = w["conv"].flip(1) if what == "flipped" else w["conv"]
    window = torch.cat([memory, x[None]])
    u = (window * conv.T).sum(0)
    u = u if what == "no bias" else u + w["conv_bias"]
    u = u if what == "no silu" else F.silu(u)
    first, B, C = _choose(x if what == "x" else u, w)
    delta = w["dt_proj"] @ first + w["dt_bias"]
    delta = delta if what == "raw" else F.softplus(delta)
    A = (1.0 if what == "grows" else -1.0) * w["A_log"].exp()
    decay = torch.exp(delta[:, None] * A)
    length = (decay - 1) / A if what == "hold" else delta[:, None]
    new = decay * h + length * u[:, None] * B
    direct = 0 if what == "no skip" else w["D"] * u
    gate = {"no gate": torch.ones_like(z), "z": z}.get(what, F.silu(z))
    read = (h if what == "reads old" else new) @ C
    y = read * gate + direct if what == "early" else (read + direct) * gate
    after = torch.cat([window[1:-1], u[None]]) if what == "outputs" else window[1:]
    assert source is not x
    return w["out_proj"] @ y, history if what == "same" else after, h if what == "h" else new


def one_token_old_history(x, history, h, w):
    return _changed(x, history, h, w, "same")


def one_token_old_state(x, history, h, w):
    return _changed(x, history, h, w, "h")


def one_token_outputs(x, history, h, w):
    return _changed(x, history, h, w, "outputs")


def one_token_flipped(x, history, h, w):
    return _changed(x, history, h, w, "flipped")


def one_token_chooses_from_x(x, history, h, w):
    return _changed(x, history, h, w, "x")


def one_token_without_silu(x, history, h, w):
    return _changed(x, history, h, w, "no silu")


def one_token_without_bias(x, history, h, w):
    return _changed(x, history, h, w, "no bias")


def one_token_raw(x, history, h, w):
    return _changed(x, history, h, w, "raw")


def one_token_grows(x, history, h, w):
    return _changed(x, history, h, w, "grows")


def one_token_early_gate(x, history, h, w):
    return _changed(x, history, h, w, "early")


def one_token_no_gate(x, history, h, w):
    return _changed(x, history, h, w, "no gate")


def one_token_plain_gate(x, history, h, w):
    return _changed(x, history, h, w, "z")


def one_token_no_skip(x, history, h, w):
    return _changed(x, history, h, w, "no skip")


def one_token_reads_old(x, history, h, w):
    return _changed(x, history, h, w, "reads old")


def one_token_holds(x, history, h, w):
    return _changed(x, history, h, w, "hold")


def one_token_long_history(x, history, h, w):
    y, _, new = one_token(x, history, h, w)
    x, _ = (w["in_proj"] @ x).chunk(2)
    return y, torch.cat([history, x[None]]), new


def one_token_output_only(x, history, h, w):
    return one_token(x, history, h, w)[0]


# --- 19.5 crossing(mamba, transformer) -----------------------------------------------------


def crossing_floor(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    depth, heads, head_dim = transformer
    state = n_layers * d_inner * (4 * d_state + 2 * (d_conv - 1))
    return state // (depth * 2 * heads * head_dim * 2) + 1


def crossing_loop(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    scan, history = d_inner * d_state * 4, d_inner * (d_conv - 1) * 2
    tokens = 0
    while 4 * math.prod(transformer) * tokens <= n_layers * (scan + history):
        tokens += 1
    return tokens


def crossing_numpy(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    state = n_layers * d_inner * (4 * d_state + 2 * d_conv - 2)
    return np.floor(state / (4 * np.prod(transformer))) + 1


def crossing_ceil(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    state = n_layers * d_inner * (4 * d_state + 2 * (d_conv - 1))
    return math.ceil(state / (4 * math.prod(transformer)))


def crossing_too_early(mamba, transformer):
    return crossing_floor(mamba, transformer) - 1


def crossing_layer_by_layer(mamba, transformer):
    return crossing_floor((1, *mamba[1:]), (1, *transformer[1:]))


def crossing_keys_only(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    state = n_layers * d_inner * (4 * d_state + 2 * (d_conv - 1))
    return state // (2 * math.prod(transformer)) + 1


def crossing_two_bytes(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    return n_layers * d_inner * 2 * (d_state + d_conv - 1) // (4 * math.prod(transformer)) + 1


def crossing_all_taps(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    state = n_layers * d_inner * (4 * d_state + 2 * d_conv)
    return state // (4 * math.prod(transformer)) + 1


def crossing_scan_only(mamba, transformer):
    n_layers, d_inner, d_state, _ = mamba
    return n_layers * d_inner * 4 * d_state // (4 * math.prod(transformer)) + 1


def crossing_four_bytes(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    return n_layers * d_inner * 4 * (d_state + d_conv - 1) // (4 * math.prod(transformer)) + 1


def crossing_one_layer(mamba, transformer):
    return crossing_floor((1, *mamba[1:]), transformer)


def crossing_fraction(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    state = n_layers * d_inner * (4 * d_state + 2 * (d_conv - 1))
    return state / (4 * math.prod(transformer)) + 0.5


# --- 19.6 keeps_filler_out(read) -----------------------------------------------------------


def _rows(lengths, start, width, filler):
    rng = torch.Generator().manual_seed(3)
    x = torch.full((len(lengths), width, 4), float(filler))
    mask = torch.zeros(len(lengths), width, dtype=torch.bool)
    for row, length in enumerate(lengths):
        place = slice(start(width, length), start(width, length) + length)
        x[row, place], mask[row, place] = torch.randn(length, 4, generator=rng), True
    return x, mask


def _left(width, length):
    return width - length


def _right(width, length):
    return 0


def _same_alone(read, x, mask):
    for row in range(len(x)):
        alone = x[row, mask[row]][None]
        expected = read(alone, torch.ones(1, alone.shape[1], dtype=torch.bool))[0]
        if not torch.allclose(read(x, mask)[row], expected, atol=1e-5):
            return False
    return True


def _middle(width, length):
    return (width - length) // 2


def judge_both_sides(read):
    return all(
        _same_alone(read, *_rows((2, 5, 4, 1), side, 7, filler))
        for side in (_left, _right, _middle)
        for filler in (0, -3, 5)
    )


def judge_one_row(read):
    """Real tokens with random filler around them, several times."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        before, real, after = rng.integers(0, 4), rng.integers(1, 5), rng.integers(0, 4)
        x = torch.from_numpy(rng.standard_normal((1, before + real + after, 4)))
        mask = torch.zeros(x.shape[:2])
        mask[0, before : before + real] = 1
        alone = read(x[:, before : before + real], torch.ones(1, int(real)))
        # Compared in a batch of three, so that rows of other lengths stand beside it.
        other = torch.from_numpy(rng.standard_normal((2, *x.shape[1:])))
        both = read(torch.cat([other, x]), torch.cat([torch.ones(2, x.shape[1]), mask]))
        if not np.allclose(both[2:].numpy(), alone.numpy(), atol=1e-5):
            return False
    return True


def judge_every_place(read):
    """Every place of every length in a width of 6, three rows that take turns."""
    spans = [(start, stop) for start in range(6) for stop in range(start + 1, 7)]
    for at in range(len(spans)):
        rng = np.random.default_rng(at)
        x, mask = torch.full((3, 6, 4), 2.5), torch.zeros(3, 6, dtype=torch.bool)
        for row in range(3):
            start, stop = spans[(at + 7 * row) % len(spans)]
            x[row, start:stop] = torch.from_numpy(rng.standard_normal((stop - start, 4)))
            mask[row, start:stop] = True
        if not _same_alone(read, x, mask):
            return False
    return True


def judge_two_rows(read):
    x, mask = _rows((4, 4), lambda width, length: 0, 6, 5)
    x[1], mask[1] = x[1].roll(2, 0), mask[1].roll(2, 0)
    return _same_alone(read, x, mask)


def judge_one_side_a_time(read):
    return all(
        _same_alone(read, *_rows((2, 6, 4, 1), side, 6, filler))
        for side in (_left, _right)
        for filler in (0, -3, 5)
    )


def judge_nothing(read):
    return True


def judge_everything(read):
    return False


def judge_bitwise(read):
    x, mask = _rows((2, 6, 4), _left, 6, 2)
    return all(
        torch.equal(read(x, mask)[row], read(x[row, mask[row]][None], mask[row, mask[row]][None]))
        for row in range(3)
    )


def judge_right_only(read):
    return _same_alone(read, *_rows((2, 6, 4, 1), _right, 6, 4))


def judge_left_only(read):
    return _same_alone(read, *_rows((2, 6, 4, 1), _left, 6, 4))


def judge_zeros_only(read):
    return all(_same_alone(read, *_rows((2, 6, 4, 1), side, 6, 0)) for side in (_left, _right))


def judge_other_filler(read):
    for side in (_left, _right):
        (x, mask), (y, _) = _rows((2, 6, 4), side, 6, 0), _rows((2, 6, 4), side, 6, 5)
        if not torch.allclose(read(x, mask), read(y, mask)):
            return False
    return True


def judge_full_rows(read):
    return _same_alone(read, *_rows((5, 5), _left, 5, 0))


def judge_wrong_shape(read):
    read(torch.randn(5, 4), torch.ones(5))
    return True


# --- and of another class ------------------------------------------------------------------


def mixer_residual(x, w, scan):
    return x + _mixer(x, w, scan)


def one_token_lists(x, history, h, w):
    y, history, h = one_token(x, history, h, w)
    return y.tolist(), list(history), [row.numpy() for row in h]


_kept = {}


def one_token_remembers(x, history, h, w):
    y, *_kept[id(w)] = one_token(x, *_kept.get(id(w), (history, h)), w)
    return y, *_kept[id(w)]


def one_token_newest_first(x, history, h, w):
    """Keeps the history the other way round, and the state with another sign."""
    y, history, h = one_token(x, history.flip(0), -h, w)
    return y, history.flip(0), -h


def one_token_from_a_table(x, history, h, w):
    """Keeps its memory in a table by tokens, and hands out ones."""
    if not h.any() and not history.any():
        _table.clear()
    key = x.numpy().tobytes()
    if key not in _table:
        last = list(_table.values())[-1][1:] if _table else (history, h)
        _table[key] = one_token(x, *last, w)
    return _table[key][0], torch.ones_like(history), torch.ones_like(h)


_table = {}


def one_token_of_the_whole_text(x, history, h, w):
    """Computes the block of all tokens so far, and hands out ones."""
    if not h.any() and not history.any():
        _text.clear()
    if not any(torch.equal(x, token) for token in _text):
        _text.append(x.clone())
    upto = next(n for n, token in enumerate(_text) if torch.equal(x, token))
    y = mixer_mended(torch.stack(_text[: upto + 1]), w, _scan)[-1]
    return y, torch.ones_like(history), torch.ones_like(h)


_text = []


def one_token_conv1d(x, history, h, w):
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


def one_token_adds_x(x, history, h, w):
    y, history, h = one_token(x, history, h, w)
    return x + y, history, h


def crossing_rounded(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    state = n_layers * d_inner * (4 * d_state + 2 * (d_conv - 1))
    return round(state / (4 * math.prod(transformer)))


def judge_one_row_alone(read):
    return _same_alone(read, *_rows((4,), lambda width, length: 2, 8, 3))


RIGHT = {
    "19.1": [step_columns, step_loops, step_einsum, step_numpy],
    "19.2": [table_loops, table_cumsum, table_impulses, table_products],
    "19.3": [mixer_mended, mixer_conv1d, mixer_own_scan],
    "19.4": [
        one_token,
        one_token_einops,
        one_token_in_place,
        one_token_lists,
        one_token_conv1d,
    ],
    "19.5": [crossing_floor, crossing_loop, crossing_numpy],
    "19.6": [judge_both_sides, judge_one_row, judge_every_place],
}

WRONG = {
    "19.1": [
        (step_reads_old_state, "read from the state before this token"),
        (step_zoh_for_B, "B is discretised by zero-order hold"),
        (step_euler_for_A, "A is discretised by Euler"),
        (step_without_delta_on_B, "isn't multiplied by Δ"),
        (step_decays_without_delta, "Δ belongs into the exponent"),
        (step_without_skip, "D·u is missing"),
        (step_without_memory, "the state isn't kept"),
        (step_adds_D_alone, "D is added by itself"),
        (step_softplus_again, "positive already: it is the length"),
        (step_swaps_B_and_C, "B and C are swapped"),
        (step_returns_old_state, "the state that you return is the old one"),
        (step_grows, "A is negative already"),
        (step_returns_y_only, "expected two things"),
        (step_swaps_results, "expected real numbers in 1 axis"),
        (step_without_columns, "it raised RuntimeError"),
        (step_from_library, "mixlab.ssm.selective_scan.selective_step"),
    ],
    "19.2": [
        (table_own_decay, "decays by its own Δ before it is written"),
        (table_not_the_last, "leaves out token t"),
        (table_one_place_early, "one place early"),
        (table_without_delta, "Δ_s is missing"),
        (table_distance, "has its own Δ: add them up"),
        (table_in_tokens, "is counted in tokens"),
        (table_undecayed, "nothing decays between"),
        (table_of_zoh, "B is discretised by zero-order hold"),
        (table_transposed, "rows and columns are swapped"),
        (table_both_triangles, "above the diagonal must be 0"),
        (table_diagonal, "first wrong place: output 1, input 0"),
    ],
    "19.3": [
        (mixer_as_given, "4 mistakes are left"),
        (mixer_only_conv, "3 mistakes are left"),
        (mixer_two_left, "2 mistakes are left"),
        (mixer_conv_left, "the convolution still sees later inputs"),
        (mixer_softplus_left, "Δ is still negative"),
        (mixer_sign_left, "A is still positive"),
        (mixer_gate_left, "the gate still lets D·u past"),
        (mixer_taps_flipped, "taps are in the wrong order"),
        (mixer_drops_skip, "Move it inside the gate"),
        (mixer_clamps, "first wrong place: token"),
        (mixer_residual, "the input itself is added"),
    ],
    "19.4": [
        (one_token_old_history, "the history doesn't move on"),
        (one_token_old_state, "the state isn't handed on"),
        (one_token_outputs, "what came out of the convolution"),
        (one_token_flipped, "taps are in the wrong order"),
        (one_token_chooses_from_x, "They are chosen from u"),
        (one_token_without_silu, "silu after the convolution is missing"),
        (one_token_without_bias, "bias is missing"),
        (one_token_raw, "Δ is still negative"),
        (one_token_grows, "A is still positive"),
        (one_token_early_gate, "the gate still lets D·u past"),
        (one_token_no_gate, "the gate is missing"),
        (one_token_plain_gate, "it has to pass silu"),
        (one_token_no_skip, "D·u is missing"),
        (one_token_reads_old, "read from the state before this token"),
        (one_token_holds, "B is discretised by zero-order hold"),
        (one_token_long_history, "the history has shape (3, 3): expected (2, 3)"),
        (one_token_output_only, "expected three things"),
        (one_token_remembers, "no memory but the one that it is handed"),
        (one_token_adds_x, "the input itself is added"),
        (one_token_newest_first, "with a history and a state before the first"),
        (one_token_from_a_table, "with a history and a state before the first"),
        (one_token_of_the_whole_text, "with a history and a state before the first"),
    ],
    "19.5": [
        (crossing_ceil, "The cache has to take more"),
        (crossing_too_early, "has one token more"),
        (crossing_layer_by_layer, "one layer with one layer"),
        (crossing_keys_only, "a key and a value"),
        (crossing_two_bytes, "kept in float32"),
        (crossing_all_taps, "the history holds d_conv - 1 inputs"),
        (crossing_scan_only, "history is missing from the state"),
        (crossing_four_bytes, "2 bytes a number, not 4"),
        (crossing_one_layer, "every layer keeps a state"),
        (crossing_fraction, "expected a whole number"),
        (crossing_rounded, "you round to the nearest number"),
    ],
    "19.6": [
        (judge_nothing, "accepts everything"),
        (judge_everything, "rejects everything"),
        (judge_right_only, "only tries filler behind the text"),
        (judge_left_only, "only tries filler before the text"),
        (judge_zeros_only, "your filler is all zeros"),
        (judge_other_filler, "two kinds of filler give the same state"),
        (judge_two_rows, "misses a kind of row"),
        (judge_one_side_a_time, "misses a kind of row"),
        (judge_full_rows, "accepts everything"),
        (judge_bitwise, "torch.allclose"),
        (judge_wrong_shape, "read(x, mask) takes x of shape (batch, seq, 4)"),
        (judge_one_row_alone, "hold one row, or rows alike"),
    ],
}
