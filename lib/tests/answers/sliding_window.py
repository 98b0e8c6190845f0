"""Answers to chapter 02 as students write them, right and wrong."""

import math
from fractions import Fraction

import numpy as np
import torch
from einops import rearrange
from torch.nn import functional as F

# --- 02.1 window_mask(seq, window) ---------------------------------------------------------


def mask_broadcast(seq, window):
    i = torch.arange(seq)
    d = i[:, None] - i
    return (d >= 0) & (d < window)


def mask_rows(seq, window):
    rows = [[max(0, r - window + 1) <= c <= r for c in range(seq)] for r in range(seq)]
    return torch.tensor(rows)


def mask_triangles(seq, window):
    ones = torch.ones(seq, seq)
    return torch.tril(ones) - torch.tril(ones, -window)  # 0 and 1 as floats


def mask_numpy(seq, window):
    return np.tri(seq, dtype=bool) & ~np.tri(seq, k=-window, dtype=bool)


def mask_w_plus_one(seq, window):
    i = torch.arange(seq)
    return (i[:, None] >= i) & (i[:, None] - i <= window)


def mask_hf_2024(seq, window):
    hidden = torch.ones(seq, seq, dtype=torch.bool).tril(-window - 1)
    return torch.ones(seq, seq, dtype=torch.bool).tril() & ~hidden


def mask_without_self(seq, window):
    i = torch.arange(seq)
    return (i[:, None] > i) & (i[:, None] - i <= window)


def mask_both_sides(seq, window):
    i = torch.arange(seq)
    return (i[:, None] - i).abs() < window


def mask_transposed(seq, window):
    return mask_broadcast(seq, window).T


def mask_inverted(seq, window):
    return ~mask_broadcast(seq, window)


def mask_causal_only(seq, window):
    return torch.ones(seq, seq, dtype=torch.bool).tril()


def mask_one_less(seq, window):
    i = torch.arange(seq)
    return (i[:, None] >= i) & (i[:, None] - i < window - 1)


def mask_slices(seq, window):
    mask = torch.zeros(seq, seq, dtype=torch.bool)
    for i in range(seq):
        mask[i, i - window + 1 : i + 1] = True
    return mask


def mask_chained_comparison(seq, window):
    i = torch.arange(seq)
    return 0 <= i[:, None] - i < window


def mask_additive(seq, window):
    return torch.zeros(seq, seq).masked_fill(~mask_broadcast(seq, window), -torch.inf)


def mask_returns_nothing(seq, window):
    mask_broadcast(seq, window)


def mask_wrong_size(seq, window):
    return mask_broadcast(window, window)


def mask_for_the_example_only(seq, window):
    return mask_broadcast(6, 3)


def mask_from_library(seq, window):
    import importlib

    return importlib.import_module("mixlab.transformer.window").window_mask(seq, window=window)


def mask_centred(seq, window):
    i = torch.arange(seq)
    return (i[:, None] - i).abs() <= window // 2


# --- 02.2 chunk_mask(n_queries, past, window) ----------------------------------------------


def chunk_two_diagonals(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(past) - ones.tril(past - window)).bool()


def chunk_positions(n_queries, past, window):
    q = torch.arange(past, past + n_queries).unsqueeze(1)
    k = torch.arange(past + n_queries).unsqueeze(0)
    return torch.logical_and(k <= q, k > q - window)


def chunk_last_rows(n_queries, past, window):
    return mask_broadcast(past + n_queries, window)[past:]


def chunk_as_given(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(0) - ones.tril(-window - 1)).bool()


def chunk_only_window_mended(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(0) - ones.tril(-window)).bool()


def chunk_only_past_mended(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(past) - ones.tril(past - window - 1)).bool()


def chunk_one_diagonal_moved(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(past).bool()) & ~(ones.tril(-window).bool())


def chunk_one_diagonal_moved_and_one_more(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(past) - ones.tril(-window - 1)).bool()


def chunk_one_less(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(past) - ones.tril(past - window + 1)).bool()


def chunk_subtracts_truth(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries, dtype=torch.bool)
    return ones.tril(past) - ones.tril(past - window)


def chunk_no_window(n_queries, past, window):
    return torch.ones(n_queries, past + n_queries).tril(past).bool()


def chunk_square(n_queries, past, window):
    return mask_broadcast(n_queries, window)


def chunk_moved_left(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(-past) - ones.tril(-past - window)).bool()


def chunk_causal_not_moved(n_queries, past, window):
    ones = torch.ones(n_queries, past + n_queries)
    return (ones.tril(0) - ones.tril(past - window)).bool()


# --- 02.3 n_scores(seq, window) ------------------------------------------------------------


def count_single_precision(seq, window):
    return torch.arange(1, seq + 1).clamp(max=window).float().sum().item()


def count_closed(seq, window):
    w = min(seq, window)
    return w * (w + 1) // 2 + (seq - w) * w


def count_rows(seq, window):
    return sum(min(row + 1, window) for row in range(seq))


def count_difference(seq, window):
    beyond = max(0, seq - window)
    return seq * (seq + 1) / 2 - beyond * (beyond + 1) / 2


def count_numpy(seq, window):
    return np.minimum(np.arange(1, seq + 1), window).sum()


def count_rectangle(seq, window):
    return seq * window


def count_clipped_rectangle(seq, window):
    return seq * min(seq, window)


def count_all_causal(seq, window):
    return seq * (seq + 1) // 2


def count_small_triangle(seq, window):
    w = min(seq, window)
    return w * (w - 1) // 2 + (seq - w) * w


def count_small_triangle_too_long(seq, window):
    return window * (window - 1) // 2 + (seq - window) * window


def count_window_too_long(seq, window):
    return window * (window + 1) // 2 + (seq - window) * window


def count_one_more(seq, window):
    return count_closed(seq, window + 1)


def count_string(seq, window):
    return str(count_closed(seq, window))


# --- 02.4 banded(q, k, v, window) ----------------------------------------------------------


def band_loop(q, k, v, window):
    out = torch.empty_like(v)
    for i in range(len(q)):
        start = max(0, i - window + 1)
        weights = (k[start : i + 1] @ q[i] / math.sqrt(q.shape[1])).softmax(0)
        out[i] = weights @ v[start : i + 1]
    return out


def band_gather(q, k, v, window):
    i = torch.arange(len(q))[:, None]
    j = i - torch.arange(window)  # (seq, window)
    scores = torch.einsum("s d, s w d -> s w", q, k[j.clamp(min=0)]) / q.shape[1] ** 0.5
    weights = scores.masked_fill(j < 0, -torch.inf).softmax(-1)
    return torch.einsum("s w, s w d -> s d", weights, v[j.clamp(min=0)])


def band_blocks(q, k, v, window):
    seq, dim = q.shape
    n = -(-seq // window)
    pad = n * window - seq
    q = torch.cat([q, q.new_zeros(pad, dim)])
    k, v = (torch.cat([x.new_zeros(window, dim), x, x.new_zeros(pad, dim)]) for x in (k, v))
    q = rearrange(q, "(n w) d -> n w d", w=window)
    k, v = (x.unfold(0, 2 * window, window).transpose(1, 2) for x in (k, v))
    query = torch.arange(n * window).view(n, window, 1)
    key = torch.arange(-window, window) + window * torch.arange(n)[:, None]  # (n, 2 w)
    distance = query - key[:, None]
    seen = (distance >= 0) & (distance < window) & (key[:, None] >= 0)
    scores = (q @ k.transpose(1, 2) / dim**0.5).masked_fill(~seen, -torch.inf)
    return (scores.softmax(-1) @ v).flatten(0, 1)[:seq]


def band_double(q, k, v, window):
    return band_loop(q.double(), k.double(), v.double(), window)


def band_dense(q, k, v, window):
    scores = q @ k.T / q.shape[1] ** 0.5
    return scores.masked_fill(~mask_broadcast(len(q), window), -torch.inf).softmax(-1) @ v


def band_dense_in_rows(q, k, v, window):
    """All seq × seq scores, fifty rows at a time."""
    rows = []
    for start in range(0, len(q), 50):
        query = torch.arange(len(q))[start : start + 50, None]
        distance = query - torch.arange(len(q))
        scores = q[start : start + 50] @ k.T / q.shape[1] ** 0.5
        hidden = (distance < 0) | (distance >= window)
        rows.append(scores.masked_fill(hidden, -torch.inf).softmax(1) @ v)
    return torch.cat(rows)


def band_dense_below_the_diagonal(q, k, v, window):
    """All earlier keys of each query, of which the last ones are used."""
    rows = []
    for i in range(len(q)):
        scores = (q[i] * k[: i + 1]).sum(1) / q.shape[1] ** 0.5
        weights = scores.masked_fill(torch.arange(i + 1) <= i - window, -torch.inf).softmax(0)
        rows.append((weights[:, None] * v[: i + 1]).sum(0))
    return torch.stack(rows)


def band_fused_in_rows(q, k, v, window):
    """All scores inside a fused operation, a hundred rows at a time."""
    rows = []
    for start in range(0, len(q), 100):
        query = torch.arange(len(q))[start : start + 100, None]
        distance = query - torch.arange(len(q))
        seen = ((distance >= 0) & (distance < window))[None]
        part = q[None, start : start + 100]
        rows.append(F.scaled_dot_product_attention(part, k[None], v[None], attn_mask=seen)[0])
    return torch.cat(rows)


def band_diagonals(q, k, v, window):
    """Offset by offset: all queries with the keys that lie so many places back."""
    seq, reach = len(q), min(window, len(q))
    scores = q.new_full((seq, reach), -torch.inf)
    for back in range(reach):
        scores[back:, back] = (q[back:] * k[: seq - back]).sum(1) / q.shape[1] ** 0.5
    weights, out = scores.softmax(1), torch.zeros_like(v)
    for back in range(reach):
        out[back:] += weights[back:, back, None] * v[: seq - back]
    return out


def band_large_blocks(q, k, v, window):
    """Blocks of 256 queries, with the keys of their own windows and no others."""
    rows = []
    for start in range(0, len(q), 256):
        first, end = max(0, start - window + 1), min(len(q), start + 256)
        distance = torch.arange(start, end)[:, None] - torch.arange(first, end)
        scores = q[start:end] @ k[first:end].T / q.shape[1] ** 0.5
        hidden = (distance < 0) | (distance >= window)
        rows.append(scores.masked_fill(hidden, -torch.inf).softmax(1) @ v[first:end])
    return torch.cat(rows)


def band_fused(q, k, v, window):
    """One query after the other through the fused operation."""
    rows = []
    for i in range(len(q)):
        near = slice(max(0, i - window + 1), i + 1)
        rows.append(F.scaled_dot_product_attention(q[i : i + 1], k[near], v[near])[0])
    return torch.stack(rows)


def band_without_scale(q, k, v, window):
    return band_loop(q * q.shape[1] ** 0.5, k, v, window)


def band_one_more(q, k, v, window):
    return band_loop(q, k, v, window + 1)


def band_divides_by_seq(q, k, v, window):
    return band_loop(q * (q.shape[1] / q.shape[0]) ** 0.5, k, v, window)


def band_one_less(q, k, v, window):
    return band_loop(q, k, v, max(1, window - 1))


def band_slices(q, k, v, window):
    rows = []
    for i in range(len(q)):
        near = slice(i - window + 1, i + 1)
        rows.append((k[near] @ q[i] / q.shape[1] ** 0.5).softmax(0) @ v[near])
    return torch.stack(rows)


def band_both_sides(q, k, v, window):
    rows = []
    for i in range(len(q)):
        near = slice(max(0, i - window + 1), i + window)
        rows.append((k[near] @ q[i] / q.shape[1] ** 0.5).softmax(0) @ v[near])
    return torch.stack(rows)


def band_no_window(q, k, v, window):
    return band_loop(q, k, v, len(q))


def band_zero_padding(q, k, v, window):
    pad = q.new_zeros(window - 1, q.shape[1])
    k, v = (torch.cat([pad, x]).unfold(0, window, 1).transpose(1, 2) for x in (k, v))
    weights = (torch.einsum("s d, s w d -> s w", q, k) / q.shape[1] ** 0.5).softmax(-1)
    return torch.einsum("s w, s w d -> s d", weights, v)


def band_drops_last_block(q, k, v, window):
    whole = len(q) // window * window
    return band_loop(q[:whole], k[:whole], v[:whole], window)


def band_wraps_around(q, k, v, window):
    j = torch.arange(len(q))[:, None] - torch.arange(window)  # negative indices wrap around
    j = j.clamp(min=-len(q))
    weights = (torch.einsum("s d, s w d -> s w", q, k[j]) / q.shape[1] ** 0.5).softmax(-1)
    return torch.einsum("s w, s w d -> s d", weights, v[j])


def band_divides_by_head_dim(q, k, v, window):
    return band_loop(q / q.shape[1] ** 0.5, k, v, window)


def band_hides_after_softmax(q, k, v, window):
    rows = []
    for i in range(len(q)):
        near = slice(max(0, i - window + 1), i + 1)
        rows.append((k @ q[i] / q.shape[1] ** 0.5).softmax(0)[near] @ v[near])
    return torch.stack(rows)


def band_without_softmax(q, k, v, window):
    rows = []
    for i in range(len(q)):
        near = slice(max(0, i - window + 1), i + 1)
        rows.append(k[near] @ q[i] / q.shape[1] ** 0.5 @ v[near])
    return torch.stack(rows)


# --- 02.5 is_window_mask(make_mask) --------------------------------------------------------


def band_dense_in_numpy(q, k, v, window):
    q, k, v = q.numpy(), k.numpy(), v.numpy()
    scores = q @ k.T / np.sqrt(q.shape[1])
    scores[~mask_broadcast(*scores.shape[:1], window).numpy()] = -np.inf
    weights = np.exp(scores - scores.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True) @ v


def band_dense_in_lists(q, k, v, window):
    scores = [[float(a) for a in k.numpy() @ query] for query in q.numpy()]
    rows = []
    for i, row in enumerate(scores):
        start = max(0, i - window + 1)
        weights = torch.tensor(row[start : i + 1]).div(q.shape[1] ** 0.5).softmax(0)
        rows.append(weights @ v[start : i + 1])
    return torch.stack(rows)


def band_gather_in_numpy(q, k, v, window):
    q, k, v = (x.numpy().astype(float) for x in (q, k, v))
    key = np.arange(len(q))[:, None] - np.arange(window)
    scores = (q[:, None] * k[key.clip(0)]).sum(-1) / np.sqrt(q.shape[1])
    weights = np.where(key >= 0, np.exp(scores), 0.0)
    return ((weights / weights.sum(1, keepdims=True))[..., None] * v[key.clip(0)]).sum(1)


def judge_pairs(make_mask):
    for seq in range(1, 9):
        for window in range(1, seq + 2):
            mask = make_mask(seq, window)
            for i in range(seq):
                for j in range(seq):
                    if bool(mask[i, j]) != (0 <= i - j < window):
                        return False
    return True


def judge_reference(make_mask):
    return all(
        torch.equal(make_mask(seq, window).bool(), mask_broadcast(seq, window))
        for seq in (1, 2, 3, 4, 5, 6, 7, 8, 12)
        for window in range(1, seq + 2)
    )


def judge_largest_first(make_mask):
    """The sizes turned round, and every row as the list of keys that it shows."""
    for seq in range(8, 0, -1):
        for window in range(seq + 1, 0, -1):
            for i, row in enumerate(make_mask(seq, window)):
                keys = list(range(max(0, i - window + 1), i + 1))
                if row.nonzero().flatten().tolist() != keys:
                    return False
    return True


def judge_lazily(make_mask):
    return True


def judge_never(make_mask):
    return False


def judge_causality(make_mask):
    mask = make_mask(8, 3)
    return not bool(mask.triu(1).any())


def judge_counts(make_mask):
    return make_mask(9, 3).sum(1).tolist() == [1, 2, 3, 3, 3, 3, 3, 3, 3]


def judge_last_row(make_mask):
    return make_mask(9, 3)[-1].tolist() == [False] * 6 + [True] * 3


def judge_one_odd_size(make_mask):
    return torch.equal(make_mask(6, 3), mask_broadcast(6, 3))


def judge_one_even_size(make_mask):
    return torch.equal(make_mask(10, 4), mask_broadcast(10, 4))


def judge_window_one(make_mask):
    return torch.equal(make_mask(6, 1), torch.eye(6, dtype=torch.bool))


def judge_the_wrong_way_round(make_mask):
    return not judge_pairs(make_mask)


def judge_returns_mask(make_mask):
    return make_mask(4, 2)


# --- and of another class ------------------------------------------------------------------


def count_fraction(seq, window):
    w = min(seq, window)
    return Fraction(w * (2 * seq - w + 1), 2)


def chunk_sees_all_cached(n_queries, past, window):
    own = mask_broadcast(n_queries, window)
    return torch.cat((torch.ones(n_queries, past, dtype=torch.bool), own), dim=1)


def judge_as_number(make_mask):
    ok = 1
    for seq in range(1, 10):
        for window in range(1, 11):
            ok *= int(torch.equal(make_mask(seq, window), mask_broadcast(seq, window)))
    return ok


def judge_powers_of_two(make_mask):
    sizes = [(seq, window) for seq in (1, 2, 4, 8, 16) for window in (1, 2, 4, 8)]
    return all(torch.equal(make_mask(*size), mask_broadcast(*size)) for size in sizes)


def _judge_sizes(make_mask, sizes):
    return all(torch.equal(make_mask(*size), mask_broadcast(*size)) for size in sizes)


def judge_some_sizes(make_mask):
    return _judge_sizes(make_mask, [(s, w) for s in (1, 2, 5, 12) for w in (1, 2, 3, 12)])


def judge_one_length(make_mask):
    return _judge_sizes(make_mask, [(8, w) for w in range(1, 8)])


def judge_two_even_sizes(make_mask):
    return _judge_sizes(make_mask, [(2, 1), (7, 6)])


def judge_short_texts(make_mask):
    return _judge_sizes(make_mask, [(s, w) for s in range(1, 7) for w in range(1, s + 2)])


def judge_short_windows(make_mask):
    return _judge_sizes(make_mask, [(s, w) for s in range(1, 11) for w in range(1, s)])


def judge_wrong_reference(make_mask):
    return all(torch.equal(make_mask(9, w), mask_broadcast(9, w + 1)) for w in range(1, 9))


def judge_hidden_only(make_mask):
    return all(bool((make_mask(9, w) <= mask_broadcast(9, w)).all()) for w in range(1, 10))


RIGHT = {
    "02.1": [mask_broadcast, mask_rows, mask_triangles, mask_numpy],
    "02.2": [chunk_two_diagonals, chunk_positions, chunk_last_rows],
    "02.3": [count_closed, count_rows, count_difference, count_numpy, count_fraction],
    "02.4": [
        band_loop,
        band_gather,
        band_blocks,
        band_double,
        band_gather_in_numpy,
        band_diagonals,
        band_large_blocks,
        band_fused,
    ],
    "02.5": [judge_pairs, judge_reference, judge_as_number, judge_largest_first],
}

WRONG = {
    "02.1": [
        (mask_w_plus_one, "W + 1 keys"),
        (mask_hf_2024, "W + 1 keys"),
        (mask_without_self, "don't see themselves"),
        (mask_both_sides, "also see later keys"),
        (mask_transposed, "rows and columns are swapped"),
        (mask_inverted, "True where the key is hidden"),
        (mask_causal_only, "only the future is hidden"),
        (mask_one_less, "W - 1 keys"),
        (mask_slices, "a slice that starts below 0"),
        (mask_chained_comparison, "ask for one truth value, and a tensor has many"),
        (mask_additive, "the mask to add to the scores"),
        (mask_returns_nothing, "None (does the function return"),
        (mask_wrong_size, "expected shape"),
        (mask_for_the_example_only, "expected shape"),
        (mask_centred, "also see later keys"),
        (mask_from_library, "mixlab.transformer.window.window_mask"),
    ],
    "02.2": [
        (chunk_as_given, "both mistakes are still there"),
        (chunk_only_window_mended, "the diagonals ignore the cached keys"),
        (chunk_only_past_mended, "W + 1 keys"),
        (chunk_one_diagonal_moved, "the other one has not"),
        (chunk_one_diagonal_moved_and_one_more, "it still keeps one key too many"),
        (chunk_one_less, "W - 1 keys"),
        (chunk_subtracts_truth, "truth values can't be subtracted"),
        (chunk_no_window, "only the future is hidden"),
        (chunk_square, "expected shape"),
        (chunk_moved_left, "the wrong way"),
        (chunk_causal_not_moved, "the causal one has not"),
        (chunk_sees_all_cached, "every cached key stays visible"),
    ],
    "02.3": [
        (count_rectangle, "you give every query W keys. The first"),
        (count_clipped_rectangle, "or all `seq` when"),
        (count_all_causal, "the window has no effect"),
        (count_small_triangle, "counted it without"),
        (count_small_triangle_too_long, "And the window may be longer"),
        (count_window_too_long, "longer than the sequence"),
        (count_one_more, "counts the token itself, so W in all"),
        (count_string, "expected one whole number"),
        (count_single_precision, "got:      "),
    ],
    "02.4": [
        (band_dense, "inside the window should ever be computed"),
        (band_dense_in_numpy, "inside the window should ever be computed"),
        (band_dense_in_lists, "inside the window should ever be computed"),
        (band_dense_in_rows, "scores were computed in all, a few at a time"),
        (band_dense_below_the_diagonal, "scores were computed in all, a few at a time"),
        (band_fused_in_rows, "scores were computed in all, a few at a time"),
        (band_without_scale, "not divided by √head_dim"),
        (band_one_more, "W + 1 keys"),
        (band_divides_by_seq, "divided by √seq"),
        (band_one_less, "W - 1 keys"),
        (band_slices, "a slice that starts below 0"),
        (band_both_sides, "also see later keys"),
        (band_no_window, "the window has no effect"),
        (band_zero_padding, "share their attention with padding"),
        (band_drops_last_block, "expected shape"),
        (band_wraps_around, "first wrong place: query 0"),
        (band_divides_by_head_dim, "divided by head_dim, not by its root"),
        (band_hides_after_softmax, "before the softmax, not after"),
        (band_without_softmax, "serve as weights as they are"),
    ],
    "02.5": [
        (judge_lazily, "accepts everything"),
        (judge_never, "rejects everything"),
        (judge_the_wrong_way_round, "the wrong way round"),
        (judge_causality, "only asks for causality"),
        (judge_counts, "counts the keys of a row"),
        (judge_last_row, "looks at the last row only"),
        (judge_one_odd_size, "your test tries one size only"),
        (judge_one_even_size, "your test tries one size only"),
        (judge_window_one, "is_window_mask on a mask of"),
        (judge_returns_mask, "expected True or False"),
        (judge_powers_of_two, "your test tries too few windows"),
        (judge_some_sizes, "your test tries too few windows"),
        (judge_one_length, "one length of text only"),
        (judge_two_even_sizes, "your test tries one size only"),
        (judge_short_texts, "stops at short texts"),
        (judge_short_windows, "no window longer than the text"),
        (judge_wrong_reference, "counts W + 1 keys"),
        (judge_hidden_only, "show too little"),
    ],
}
