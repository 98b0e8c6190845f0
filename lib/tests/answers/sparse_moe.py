"""Answers to chapter 07 as students write them, right and wrong."""

from fractions import Fraction

import numpy as np
import torch
from torch.nn import functional as F

# --- 07.1 gate_table(scores, k) -----------------------------------------------------------------


def gates_scatter(scores, k):
    best = scores.topk(k, dim=-1)
    table = torch.zeros_like(scores)
    table.scatter_(1, best.indices, best.values.softmax(-1))
    return table


def gates_masked(scores, k):
    smallest = scores.sort(dim=1, descending=True).values[:, k - 1 : k]
    return scores.masked_fill(scores < smallest, -torch.inf).softmax(dim=1)


def gates_divided(scores, k):
    p = scores.double().softmax(dim=1)
    kept = torch.where(p >= p.topk(k, dim=1).values[:, -1:], p, 0)
    return kept / kept.sum(dim=1, keepdim=True)


def gates_loop(scores, k):
    table = np.zeros(tuple(scores.shape))
    for t, row in enumerate(scores.tolist()):
        order = sorted(range(len(row)), key=lambda e: -row[e])[:k]
        powers = {e: np.exp(row[e] - row[order[0]]) for e in order}
        for e in order:
            table[t, e] = powers[e] / sum(powers.values())
    return table


def gates_undivided(scores, k):
    best = scores.softmax(dim=1).topk(k, dim=1)
    return torch.zeros_like(scores).scatter(1, best.indices, best.values)


def gates_zero_for_others(scores, k):
    best = scores.topk(k, dim=1)
    kept = torch.zeros_like(scores).scatter(1, best.indices, best.values)
    return kept.softmax(dim=1)


def gates_all(scores, k):
    return scores.softmax(dim=1)


def gates_over_tokens(scores, k):
    kept = torch.full_like(scores, -1e9).scatter(
        1, scores.topk(k, dim=1).indices, scores.topk(k, dim=1).values
    )
    table = kept.softmax(dim=0)
    return torch.where(kept > -1e8, table, 0)


def gates_equal(scores, k):
    return torch.zeros_like(scores).scatter(1, scores.topk(k, dim=1).indices, 1 / k)


def gates_lowest(scores, k):
    best = scores.topk(k, dim=1, largest=False)
    return torch.zeros_like(scores).scatter(1, best.indices, (-best.values).softmax(dim=1))


def gates_proportional(scores, k):
    best = scores.topk(k, dim=1)
    share = best.values / best.values.sum(dim=1, keepdim=True)
    return torch.zeros_like(scores).scatter(1, best.indices, share)


def gates_twice(scores, k):
    return gates_scatter(scores.softmax(dim=1), k)


def gates_compact(scores, k):
    return scores.topk(k, dim=1).values.softmax(dim=1)


def gates_overflow(scores, k):
    powers = torch.where(gates_scatter(scores, k) > 0, scores, -torch.inf).exp()
    return powers / powers.sum(dim=1, keepdim=True)


def gates_top_two(scores, k):
    return gates_scatter(scores, 2)


def gates_from_library(scores, k):
    from mixlab.transformer.sparse_moe import route

    chosen, gates = route(scores, k)
    return torch.zeros_like(scores).scatter(1, chosen, gates)


# --- 07.2 sparse_feed_forward(x, chosen, gates, experts, capacity) ------------------------------


def limit_where(x, chosen, gates, experts, capacity):
    out = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, rank = torch.where(chosen == e)
        token, rank = token[:capacity], rank[:capacity]
        if token.numel() == 0:
            continue
        out[token] += gates[token, rank, None] * expert(x[token])
    return out


def limit_index_add(x, chosen, gates, experts, capacity):
    out = x.new_zeros(x.shape)
    for e in range(len(experts)):
        picked = chosen == e
        token = picked.any(dim=1).nonzero().flatten()[:capacity]
        if len(token):
            weight = (gates * picked).sum(dim=1)[token]
            out = out.index_add(0, token, experts[e](x[token]) * weight.unsqueeze(1))
    return out


def limit_lists(x, chosen, gates, experts, capacity):
    waiting = [[] for _ in experts]
    for t, row in enumerate(chosen.tolist()):
        for rank, e in enumerate(row):
            if len(waiting[e]) < capacity:
                waiting[e].append((t, rank))
    out = np.zeros(tuple(x.shape))
    for e, served in enumerate(waiting):
        if served:
            results = experts[e](torch.stack([x[t] for t, _ in served])).numpy()
            for (t, rank), result in zip(served, results, strict=True):
                out[t] += float(gates[t, rank]) * result
    return out


def limit_double(x, chosen, gates, experts, capacity):
    return limit_where(x.double(), chosen, gates.double(), experts, capacity)


def _limited(x, chosen, gates, experts, capacity, weight, add=True, limit=True):
    out = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, rank = torch.where(chosen == e)
        if limit:
            token, rank = token[:capacity], rank[:capacity]
        if len(token):
            result = weight(gates, token, rank, e) * expert(x[token])
            if add:
                out[token] += result
            else:
                out[token] = result
    return out


def _right_weight(gates, token, rank, e):
    return gates[token, rank, None]


def limit_assigns(*given):
    return _limited(*given, _right_weight, add=False)


def limit_forgotten(*given):
    return _limited(*given, _right_weight, limit=False)


def limit_no_gate(*given):
    return _limited(*given, lambda gates, token, rank, e: 1)


def limit_first_gate(*given):
    return _limited(*given, lambda gates, token, rank, e: gates[token, :1])


def limit_column_of_expert(*given):
    return _limited(*given, lambda gates, token, rank, e: gates[token, e, None])


def limit_adds_to_the_tokens(x, *given):
    return x + limit_where(x, *given)


def limit_gates_the_input(x, chosen, gates, experts, capacity):
    out = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, rank = (part[:capacity] for part in torch.where(chosen == e))
        if len(token):
            out[token] += expert(gates[token, rank, None] * x[token])
    return out


def limit_serves_the_last(x, chosen, gates, experts, capacity):
    out = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, rank = (part[-capacity:] for part in torch.where(chosen == e))
        if len(token):
            out[token] += gates[token, rank, None] * expert(x[token])
    return out


def limit_by_rank(x, chosen, gates, experts, capacity):
    out = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        rank, token = (part[:capacity] for part in torch.where(chosen.T.eq(e)))
        if len(token):
            out[token] += gates[token, rank, None] * expert(x[token])
    return out


def limit_whole_tokens(x, chosen, gates, experts, capacity):
    out = limit_where(x, chosen, gates, experts, capacity)
    for e in range(len(experts)):
        out[torch.where(chosen == e)[0][capacity:]] = 0
    return out


def limit_divides_again(x, chosen, gates, experts, capacity):
    left = torch.zeros(len(x))
    for e in range(len(experts)):
        token, rank = (part[:capacity] for part in torch.where(chosen == e))
        left[token] += gates[token, rank]
    out = limit_where(x, chosen, gates, experts, capacity)
    return out / left.clamp(min=1e-9)[:, None]


def limit_dense(x, chosen, gates, experts, capacity):
    table = torch.zeros(len(x), len(experts)).scatter(1, chosen, gates)
    return sum(table[:, e, None] * expert(x) for e, expert in enumerate(experts))


def limit_token_by_token(x, chosen, gates, experts, capacity):
    out = torch.zeros_like(x)
    for t in range(len(x)):
        for e, gate in zip(chosen[t].tolist(), gates[t], strict=True):
            out[t] += gate * experts[e](x[t : t + 1])[0]
    return out


def limit_calls_the_empty(x, chosen, gates, experts, capacity):
    out = torch.zeros_like(x)
    for e, expert in enumerate(experts):
        token, rank = (part[:capacity] for part in torch.where(chosen == e))
        out[token] += gates[token, rank, None] * expert(x[token])
    return out


def limit_single_vectors(x, chosen, gates, experts, capacity):
    return torch.stack([experts[e](row) for e, row in zip(chosen[:, 0], x, strict=True)])


# --- 07.3 count_parameters(…) -------------------------------------------------------------------


def count_parts(dim, hidden_dim, vocab_size, n_layers, n_heads, n_kv_heads, head_dim, n_experts, k):
    def total(experts):
        queries = dim * n_heads * head_dim
        keys = dim * n_kv_heads * head_dim
        block = 2 * queries + 2 * keys + 2 * dim + n_experts * dim + experts * 3 * dim * hidden_dim
        return 2 * vocab_size * dim + n_layers * block + dim

    return total(n_experts), total(k)


def count_tensors(
    dim, hidden_dim, vocab_size, n_layers, n_heads, n_kv_heads, head_dim, n_experts, k
):
    q, kv = n_heads * head_dim, n_kv_heads * head_dim
    block = [(q, dim), (kv, dim), (kv, dim), (dim, q), (dim,), (dim,), (n_experts, dim)]
    expert = [(hidden_dim, dim), (dim, hidden_dim), (hidden_dim, dim)]
    counts = []
    for n in (n_experts, k):
        shapes = [(vocab_size, dim), (vocab_size, dim), (dim,)] + n_layers * (block + n * expert)
        counts.append(sum(int(np.prod(shape)) for shape in shapes))
    return np.array(counts)


def count_difference(*shape):
    stored = count_parts(*shape)[0]
    idle = shape[3] * (shape[7] - shape[8]) * 3 * shape[0] * shape[1]
    return torch.tensor([stored, stored - idle])


def _variant(matrices=3, router=(1, 1), norms=2, last=1, kv=True, embeddings=2):
    def count(dim, hidden_dim, vocab_size, n_layers, n_heads, n_kv_heads, head_dim, n_experts, k):
        counts = []
        for n, rows in ((n_experts, router[0] * n_experts), (k, router[1])):
            rows = rows if n == n_experts else {0: 0, 1: n_experts, 2: k}[rows]
            heads = n_heads + (n_kv_heads if kv else n_heads)
            block = 2 * dim * head_dim * heads + matrices * dim * hidden_dim * n
            block += rows * dim + norms * dim
            counts.append(embeddings * vocab_size * dim + n_layers * block + last * dim)
        return tuple(counts)

    return count


def count_whole_models(*shape):
    dense = count_parts(*shape[:7], 1, 1)[0] - shape[3] * shape[0]
    return shape[7] * dense, shape[8] * dense


def count_no_router(*shape):
    return _variant(router=(0, 0))(*shape)


def count_router_of_k(*shape):
    return _variant(router=(1, 2))(*shape)


def count_router_idle(*shape):
    return _variant(router=(1, 0))(*shape)


def count_two_matrices(*shape):
    return _variant(matrices=2)(*shape)


def count_all_heads(*shape):
    return _variant(kv=False)(*shape)


def count_tied(*shape):
    return _variant(embeddings=1)(*shape)


def count_no_last_norm(*shape):
    return _variant(last=0)(*shape)


def count_no_norms(*shape):
    return _variant(norms=0, last=0)(*shape)


def count_one_norm(*shape):
    return _variant(norms=1)(*shape)


def count_square_queries(
    dim, hidden_dim, vocab_size, n_layers, n_heads, n_kv_heads, head_dim, n_experts, k
):
    attention = 2 * dim * dim + 2 * dim * n_kv_heads * head_dim
    block = attention + 2 * dim + dim * n_experts
    shared = 2 * vocab_size * dim + n_layers * block + dim
    expert = n_layers * 3 * dim * hidden_dim
    return shared + n_experts * expert, shared + k * expert


def count_one_layers_experts(
    dim, hidden_dim, vocab_size, n_layers, n_heads, n_kv_heads, head_dim, n_experts, k
):
    block = 2 * dim * head_dim * (n_heads + n_kv_heads) + 2 * dim + dim * n_experts
    shared = 2 * vocab_size * dim + n_layers * block + dim
    return shared + n_experts * 3 * dim * hidden_dim, shared + k * 3 * dim * hidden_dim


def count_idle_embedding(*shape):
    stored, active = count_parts(*shape)
    return stored, active - shape[0] * shape[2]


def count_swapped(*shape):
    return count_parts(*shape)[::-1]


def count_mixtral(*shape):
    return 46_702_792_704, 12_879_925_248


def count_stored_only(*shape):
    return count_parts(*shape)[0]


def count_by_config(
    dim, hidden_dim, vocab_size, n_layers, n_heads, n_kv_heads, head_dim, n_experts, k
):
    from mixlab.transformer.config import TransformerConfig

    config = TransformerConfig.mixtral_8x7b(
        dim=dim, hidden_dim=hidden_dim, n_experts=n_experts, experts_per_token=k
    )
    return config.n_parameters, config.n_active_parameters


# --- 07.4 balance_loss(scores, k) ---------------------------------------------------------------


def loss_bincount(scores, k):
    n = scores.shape[1]
    f = torch.bincount(scores.topk(k).indices.flatten(), minlength=n) / len(scores)
    return n * f @ scores.softmax(-1).mean(0)


def loss_one_hot(scores, k):
    chosen = scores.detach().topk(k, dim=1).indices
    f = torch.nn.functional.one_hot(chosen, scores.shape[1]).float().sum(dim=1).mean(dim=0)
    P = torch.softmax(scores, dim=1).mean(dim=0)
    return scores.shape[1] * torch.sum(f * P)


def loss_loop(scores, k):
    tokens, experts = scores.shape
    p = scores.double().softmax(dim=1)
    total = 0
    for e in range(experts):
        count = sum(e in row.topk(k).indices.tolist() for row in scores)
        total = total + count / tokens * p[:, e].mean()
    return (experts * total).reshape(1)


def _picked(scores, k):
    return torch.zeros_like(scores).scatter(1, scores.topk(k, dim=1).indices, 1.0).detach()


def _balance(scores, f, P=None):
    P = scores.softmax(dim=1).mean(dim=0) if P is None else P
    return scores.shape[1] * (f * P).sum()


def loss_over_choices(scores, k):
    return _balance(scores, _picked(scores, k).mean(dim=0) / k)


def loss_without_factor(scores, k):
    return loss_bincount(scores, k) / scores.shape[1]


def loss_mean_of_experts(scores, k):
    return (_picked(scores, k).mean(dim=0) * scores.softmax(dim=1).mean(dim=0)).mean()


def loss_first_choice(scores, k):
    return _balance(scores, _picked(scores, 1).mean(dim=0))


def loss_squared(scores, k):
    P = scores.softmax(dim=1).mean(dim=0)
    return scores.shape[1] * (P * P).sum()


def loss_counts(scores, k):
    return _balance(scores, _picked(scores, k).sum(dim=0))


def loss_over_tokens(scores, k):
    return _balance(scores, _picked(scores, k).mean(dim=0), scores.softmax(dim=0).mean(dim=1 - 1))


def loss_of_gates(scores, k):
    gates = scores.masked_fill(_picked(scores, k) == 0, -torch.inf).softmax(dim=1)
    return _balance(scores, _picked(scores, k).mean(dim=0), gates.mean(dim=0))


def loss_of_counts_alone(scores, k):
    f = _picked(scores, k).mean(dim=0)
    return scores.shape[1] * (f * f).sum()


def loss_as_number(scores, k):
    return loss_bincount(scores, k).item()


def loss_from_library(scores, k):
    from mixlab.transformer.router_losses import load_balancing_loss

    return load_balancing_loss(scores[None], k)


# --- 07.5 sorted_experts(x, scores, k, experts) -------------------------------------------------


def sorted_mended(x, scores, k, experts):
    gates, chosen = scores.softmax(dim=1).topk(k, dim=1)
    gates = gates / gates.sum(dim=1, keepdim=True)
    flat = chosen.flatten()
    order = flat.argsort(stable=True)
    runs = x[order // k].split(flat.bincount(minlength=len(experts)).tolist())
    rows = torch.cat([expert(run) for expert, run in zip(experts, runs, strict=True)])
    results = torch.empty_like(rows)
    results[order] = rows
    return (gates[..., None] * results.unflatten(0, (len(x), k))).sum(dim=1)


def sorted_inverse(x, scores, k, experts):
    values, chosen = scores.topk(k, dim=1)
    flat = chosen.flatten()
    order = flat.argsort()
    counts = torch.bincount(flat, minlength=len(experts)).tolist()
    rows = [expert(run) for expert, run in zip(experts, x[order // k].split(counts), strict=True)]
    back = torch.cat(rows)[order.argsort()].view(len(x), k, x.shape[1])
    return torch.einsum("tk,tkd->td", values.softmax(dim=1), back)


def sorted_without_a_sort(x, scores, k, experts):
    values, chosen = scores.topk(k, dim=1)
    gates = torch.zeros_like(scores).scatter(1, chosen, values.softmax(dim=1))
    return sum(gates[:, e, None] * expert(x) for e, expert in enumerate(experts))


def _sorted(x, scores, k, experts, divide, back):
    gates, chosen = scores.softmax(dim=1).topk(k, dim=1)
    if divide:
        gates = gates / gates.sum(dim=1, keepdim=True)
    flat = chosen.flatten()
    order = flat.argsort(stable=True)
    runs = x[order // k].split(flat.bincount(minlength=len(experts)).tolist())
    rows = torch.cat([expert(run) for expert, run in zip(experts, runs, strict=True)])
    return (gates[..., None] * rows[back(order)].unflatten(0, (len(x), k))).sum(dim=1)


def sorted_as_given(*given):
    return _sorted(*given, divide=False, back=lambda order: order)


def sorted_only_gates(*given):
    return _sorted(*given, divide=True, back=lambda order: order)


def sorted_only_back(*given):
    return _sorted(*given, divide=False, back=lambda order: order.argsort())


def sorted_not_at_all(*given):
    return _sorted(*given, divide=True, back=lambda order: torch.arange(len(order)))


def sorted_flipped(*given):
    return _sorted(*given, divide=True, back=lambda order: order.flip(0))


def sorted_remainder(x, scores, k, experts):
    values, chosen = scores.topk(k, dim=1)
    flat = chosen.flatten()
    order = flat.argsort(stable=True)
    runs = x[order % len(x)].split(flat.bincount(minlength=len(experts)).tolist())
    rows = torch.cat([expert(run) for expert, run in zip(experts, runs, strict=True)])
    results = rows[order.argsort()].unflatten(0, (len(x), k))
    return (values.softmax(dim=1)[..., None] * results).sum(dim=1)


# --- 07.6 expected_touched(chances, n_tokens) ---------------------------------------------------


def touched_sum(chances, n_tokens):
    return sum(1 - (1 - q) ** n_tokens for q in chances)


def touched_array(chances, n_tokens):
    return len(chances) - ((1 - np.array(chances)) ** n_tokens).sum()


def touched_tensor(chances, n_tokens):
    return (1 - (1 - torch.tensor(chances)).pow(n_tokens)).sum()


def touched_even(chances, n_tokens):
    share = sum(chances) / len(chances)
    return len(chances) * (1 - (1 - share) ** n_tokens)


def touched_choices(chances, n_tokens):
    return n_tokens * sum(chances)


def touched_capped(chances, n_tokens):
    return min(len(chances), n_tokens * sum(chances))


def touched_not(chances, n_tokens):
    return sum((1 - q) ** n_tokens for q in chances)


def touched_by_all(chances, n_tokens):
    return sum(q**n_tokens for q in chances)


def touched_by_one(chances, n_tokens):
    return sum(chances)


def touched_share(chances, n_tokens):
    return touched_sum(chances, n_tokens) / len(chances)


def touched_with_replacement(chances, n_tokens):
    k = sum(chances)
    return sum(1 - (1 - q / k) ** (k * n_tokens) for q in chances)


def touched_list(chances, n_tokens):
    return [1 - (1 - q) ** n_tokens for q in chances]


# --- and of another class -----------------------------------------------------------------------


def gates_almost_zero(scores, k):
    return torch.where(gates_scatter(scores, k) > 0, scores, -100.0).softmax(dim=1)


def gates_with_a_stray(scores, k):
    table = gates_scatter(scores, k)
    if k < scores.shape[1]:
        table[0, scores[0].argmin()] = 1.1e-3
    return table


def gates_with_a_large_stray(scores, k):
    table = gates_scatter(scores, k)
    if k < scores.shape[1]:
        table[-1, scores[-1].argmin()] = 0.04
    return table


def gates_multiplied(scores, k):
    kept = F.one_hot(scores.argsort(dim=1)[:, -k:], scores.shape[1]).sum(dim=1)
    powers = (scores - scores.amax(dim=1, keepdim=True)).exp() * kept
    return powers / powers.sum(dim=1, keepdim=True)


def limit_of_the_text(x, chosen, gates, experts, capacity):
    out = limit_where(x, chosen, gates, experts, capacity)
    return out * (torch.arange(len(x)) < capacity)[:, None]


def limit_four_channels(*given):
    return limit_where(*given).reshape(-1, 4)


def touched_fraction(chances, n_tokens):
    return sum(1 - (1 - Fraction(q)) ** n_tokens for q in chances)


def touched_all(chances, n_tokens):
    return len(chances)


RIGHT = {
    "07.1": [gates_scatter, gates_masked, gates_divided, gates_loop, gates_multiplied],
    "07.2": [limit_where, limit_index_add, limit_lists, limit_double],
    "07.3": [count_parts, count_tensors, count_difference],
    "07.4": [loss_bincount, loss_one_hot, loss_loop],
    "07.5": [sorted_inverse, sorted_mended, sorted_without_a_sort],
    "07.6": [touched_sum, touched_array, touched_tensor, touched_fraction],
}

WRONG = {
    "07.1": [
        (gates_undivided, "they sum to less than 1"),
        (gates_zero_for_others, "the score 0 before the softmax"),
        (gates_all, "all experts still have weight"),
        (gates_over_tokens, "your columns sum to 1"),
        (gates_equal, "every kept expert gets the same gate"),
        (gates_lowest, "the k lowest scores"),
        (gates_proportional, "divided the kept scores by their sum"),
        (gates_twice, "softmax is taken twice"),
        (gates_compact, "expected shape"),
        (gates_overflow, "got:      nan"),
        (gates_top_two, "k=1"),
        (gates_from_library, "mixlab.transformer.sparse_moe.route"),
        (gates_almost_zero, "have to be exactly 0"),
        (gates_with_a_stray, "have to be exactly 0"),
        (gates_with_a_large_stray, "have to be exactly 0"),
    ],
    "07.2": [
        (limit_assigns, "an assignment throws away"),
        (limit_forgotten, "its capacity is"),
        (limit_no_gate, "added without their gates"),
        (limit_adds_to_the_tokens, "Begin with zeros"),
        (limit_first_gate, "the gate of its token's first choice"),
        (limit_column_of_expert, "the columns of `gates` are ranks"),
        (limit_gates_the_input, "before the expert"),
        (limit_serves_the_last, "the last tokens are served"),
        (limit_by_rank, "first choices before second ones"),
        (limit_whole_tokens, "should still get the result of its other"),
        (limit_divides_again, "divided again by the gates that are left"),
        (limit_dense, "Nothing else should be computed"),
        (limit_token_by_token, "a second time"),
        (limit_calls_the_empty, "without a token"),
        (limit_single_vectors, "takes a tensor of shape (tokens, 4)"),
        (limit_of_the_text, "the first `capacity` tokens of the text alone"),
        (limit_four_channels, "sparse_feed_forward with"),
    ],
    "07.3": [
        (count_whole_models, "multiplied the whole model"),
        (count_no_router, "the routers are missing"),
        (count_router_of_k, "only k rows as active"),
        (count_router_idle, "missing from the active parameters"),
        (count_two_matrices, "three matrices"),
        (count_all_heads, "keys and values have n_kv_heads heads"),
        (count_square_queries, "happens to be dim"),
        (count_one_layers_experts, "Each layer has its own"),
        (count_idle_embedding, "the embedding is missing from the active"),
        (count_tied, "separate tensors"),
        (count_no_last_norm, "the last norm is missing"),
        (count_no_norms, "the norms are missing"),
        (count_one_norm, "each layer has two norms"),
        (count_swapped, "the two numbers are swapped"),
        (count_mixtral, "first wrong place: stored"),
        (count_stored_only, "expected two whole numbers"),
        (count_by_config, "mixlab.transformer.config.TransformerConfig"),
    ],
    "07.4": [
        (loss_over_choices, "divided by the number of choices"),
        (loss_without_factor, "the factor n_experts is missing"),
        (loss_mean_of_experts, "the mean over experts"),
        (loss_first_choice, "only first choices"),
        (loss_squared, "multiplied P by itself"),
        (loss_counts, "your f is a number of tokens"),
        (loss_over_tokens, "softmax runs over the tokens"),
        (loss_of_gates, "your P is the mean of the gates"),
        (loss_of_counts_alone, "no gradient"),
        (loss_as_number, "a tensor of one number"),
        (loss_from_library, "mixlab.transformer.router_losses.load_balancing_loss"),
    ],
    "07.5": [
        (sorted_as_given, "both mistakes are still there"),
        (sorted_only_gates, "results return to the wrong tokens"),
        (sorted_only_back, "they sum to less than 1"),
        (sorted_not_at_all, "first wrong place"),
        (sorted_flipped, "first wrong place"),
        (sorted_remainder, "first wrong place"),
    ],
    "07.6": [
        (touched_even, "every expert the average chance"),
        (touched_choices, "you count choices, not experts"),
        (touched_capped, "you count choices, up to"),
        (touched_not, "*not* touched"),
        (touched_by_all, "*all* tokens choose"),
        (touched_by_one, "for a single token"),
        (touched_share, "the share of experts touched"),
        (touched_with_replacement, "each of a token's k choices by itself"),
        (touched_list, "expected one number"),
        (touched_all, "the number of all experts"),
    ],
}
