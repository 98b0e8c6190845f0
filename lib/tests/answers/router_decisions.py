"""Answers to chapter 08 as students write them, right and wrong."""

import math
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import torch

# --- 08.1 repetition(chosen, lengths) -------------------------------------------------------


def repeat_arrays(chosen, lengths):
    first = common = pairs = 0
    for text, length in zip(chosen, lengths, strict=True):
        before, after = text[: length - 1], text[1:length]
        first += (before[:, 0] == after[:, 0]).sum()
        common += (before[:, :, None] == after[:, None, :]).any(axis=(1, 2)).sum()
        pairs += length - 1
    return first / pairs, common / pairs


def repeat_sets(chosen, lengths):
    first, common = [], []
    for row, n in enumerate(lengths):
        for i in range(n - 1):
            a, b = chosen[row, i].tolist(), chosen[row, i + 1].tolist()
            first.append(a[0] == b[0])
            common.append(not set(a).isdisjoint(b))
    return [sum(first) / len(first), sum(common) / len(common)]


def repeat_mask(chosen, lengths):
    real = np.arange(1, chosen.shape[1]) < np.array(lengths)[:, None]  # the later of each pair
    same = chosen[:, 1:, :, None] == chosen[:, :-1, None, :]
    return np.array([same[..., 0, 0][real].mean(), same.any((-1, -2))[real].mean()])


def repeat_torch(chosen, lengths):
    kept = [torch.as_tensor(text[:n]) for text, n in zip(chosen, lengths, strict=True)]
    first = torch.cat([text[1:, 0] == text[:-1, 0] for text in kept])
    any_ = torch.cat([(text[1:, :, None] == text[:-1, None]).any(-1).any(-1) for text in kept])
    return first.float().mean(), any_.float().mean()


def repeat_with_padding(chosen, lengths):
    return repeat_arrays(chosen, [chosen.shape[1]] * len(chosen))


def repeat_flattened(chosen, lengths):
    flat = chosen.reshape(1, -1, chosen.shape[-1])
    return repeat_arrays(flat, [flat.shape[1]])


def repeat_across_borders(chosen, lengths):
    joined = np.concatenate([text[:n] for text, n in zip(chosen, lengths, strict=True)])
    return repeat_arrays(joined[None], [len(joined)])


def repeat_mean_of_texts(chosen, lengths):
    rates = [repeat_arrays(chosen[i : i + 1], [n]) for i, n in enumerate(lengths) if n > 1]
    return np.mean(rates, axis=0)


def repeat_same_rank(chosen, lengths):
    first = same = pairs = 0
    for text, n in zip(chosen, lengths, strict=True):
        equal = text[: n - 1] == text[1:n]
        first, same, pairs = first + equal[:, 0].sum(), same + equal.any(1).sum(), pairs + n - 1
    return first / pairs, same / pairs


def repeat_first_comes_back(chosen, lengths):
    kept = pairs = 0
    for text, n in zip(chosen, lengths, strict=True):
        kept += (text[: n - 1, :1] == text[1:n]).any(1).sum()
        pairs += n - 1
    return repeat_arrays(chosen, lengths)[0], kept / pairs


def repeat_over_tokens(chosen, lengths):
    pairs, tokens = sum(n - 1 for n in lengths), sum(lengths)
    return [rate * pairs / tokens for rate in repeat_arrays(chosen, lengths)]


def repeat_counted_twice(chosen, lengths):
    common = pairs = 0
    for text, n in zip(chosen, lengths, strict=True):
        common += (text[: n - 1, :, None] == text[1:n, None]).sum()
        pairs += n - 1
    return repeat_arrays(chosen, lengths)[0], common / pairs


def repeat_into_padding(chosen, lengths):
    return repeat_arrays(chosen, [min(n + 1, chosen.shape[1]) for n in lengths])


def repeat_all_equal(chosen, lengths):
    equal = []
    for text, n in zip(chosen.tolist(), lengths, strict=True):
        equal += [set(a) == set(b) for a, b in pairwise(text[:n])]
    return repeat_arrays(chosen, lengths)[0], np.mean(equal)


def repeat_swapped(chosen, lengths):
    return repeat_arrays(chosen, lengths)[::-1]


def repeat_one_number(chosen, lengths):
    return repeat_arrays(chosen, lengths)[0]


def repeat_from_library(chosen, lengths):
    from mixlab.traces.router import repetition

    return repetition(chosen), repetition(chosen, first_only=False)


# --- 08.2 chance(n_experts, k) --------------------------------------------------------------


def chance_comb(n_experts, k):
    return 1 - math.comb(n_experts - k, k) / math.comb(n_experts, k)


def chance_product(n_experts, k):
    missed = 1
    for i in range(k):
        missed *= (n_experts - k - i) / (n_experts - i)
    return 1 - missed


def chance_hypergeometric(n_experts, k):
    ways = sum(math.comb(k, j) * math.comb(n_experts - k, k - j) for j in range(1, k + 1))
    return torch.tensor(ways / math.comb(n_experts, k), dtype=torch.float64)


def chance_fraction(n_experts, k):
    return 1 - Fraction(math.comb(n_experts - k, k), math.comb(n_experts, k))


def chance_mean_overlap(n_experts, k):
    return k * k / n_experts


def chance_share(n_experts, k):
    return k / n_experts


def chance_first(n_experts, k):
    return 1 / n_experts


def chance_with_replacement(n_experts, k):
    return 1 - ((n_experts - k) / n_experts) ** k


def chance_of_none(n_experts, k):
    return math.comb(n_experts - k, k) / math.comb(n_experts, k)


def chance_of_one(n_experts, k):
    return k * math.comb(n_experts - k, k - 1) / math.comb(n_experts, k)


def chance_all_same(n_experts, k):
    return 1 / math.comb(n_experts, k)


def chance_k_two_only(n_experts, k):
    return 1 - max(0, n_experts - k) * max(0, n_experts - k - 1) / (n_experts * (n_experts - 1))


def chance_two_draws(n_experts, k):
    return 1 - (n_experts - 2) / n_experts * (n_experts - 3) / (n_experts - 1)


def chance_constant(n_experts, k):
    return 13 / 28


def chance_simulated(n_experts, k):
    rng = np.random.default_rng(0)
    hits = sum(len(set(rng.permutation(n_experts)[:k]) & set(range(k))) > 0 for _ in range(2000))
    return hits / 2000


# --- 08.3 dead_experts(chosen, n_experts) ---------------------------------------------------


def dead_bincount(chosen, n_experts):
    return np.stack([np.bincount(layer.ravel(), minlength=n_experts) == 0 for layer in chosen])


def dead_broadcast(chosen, n_experts):
    return ~(chosen[..., None] == np.arange(n_experts)).any(axis=(1, 2))


def dead_loop(chosen, n_experts):
    return [[e not in set(layer.ravel().tolist()) for e in range(n_experts)] for layer in chosen]


def dead_torch(chosen, n_experts):
    counts = torch.zeros(len(chosen), n_experts)
    flat = torch.as_tensor(chosen).flatten(1)
    return counts.scatter_add(1, flat, torch.ones(flat.shape)) == 0


def dead_as_given(chosen, n_experts):
    return np.bincount(chosen[..., 0].ravel()) == 0


def dead_minlength_mended(chosen, n_experts):
    return np.bincount(chosen[..., 0].ravel(), minlength=n_experts) == 0


def dead_pooled(chosen, n_experts):
    return np.bincount(chosen.ravel(), minlength=n_experts) == 0


def dead_pooled_rows(chosen, n_experts):
    return np.tile(dead_pooled(chosen, n_experts), (len(chosen), 1))


def dead_first_choice(chosen, n_experts):
    return dead_bincount(chosen[..., 0], n_experts)


def dead_without_minlength(chosen, n_experts):
    return np.stack([np.bincount(layer.ravel()) == 0 for layer in chosen])


def dead_inverted(chosen, n_experts):
    return ~dead_bincount(chosen, n_experts)


def dead_rarely(chosen, n_experts):
    return np.stack([np.bincount(la.ravel(), minlength=n_experts) <= 1 for la in chosen])


def dead_first_two(chosen, n_experts):
    return dead_bincount(chosen[..., :2], n_experts)


def dead_never(chosen, n_experts):
    return np.zeros((len(chosen), n_experts), dtype=bool)


# --- 08.4 share_and_error(chosen, expert) ---------------------------------------------------


def error_numpy(chosen, expert):
    shares = (chosen == expert).mean(axis=(1, 2))
    return shares.mean(), shares.std(ddof=1) / math.sqrt(len(shares))


def error_torch(chosen, expert):
    shares = (torch.as_tensor(chosen) == expert).float().mean(dim=(1, 2))
    return shares.mean(), shares.std() / len(shares) ** 0.5  # torch divides by n - 1


def error_loop(chosen, expert):
    shares = [sum(row.count(expert) for row in text) for text in chosen.tolist()]
    shares = [count / (chosen.shape[1] * chosen.shape[2]) for count in shares]
    mean = sum(shares) / len(shares)
    squares = sum((share - mean) ** 2 for share in shares)
    return [mean, (squares / (len(shares) * (len(shares) - 1))) ** 0.5]


def _binomial(chosen, expert, n):
    p = (chosen == expert).mean()
    return p, (p * (1 - p) / n) ** 0.5


def error_of_choices(chosen, expert):
    return _binomial(chosen, expert, chosen.size)


def error_of_tokens(chosen, expert):
    return _binomial(chosen, expert, chosen.shape[0] * chosen.shape[1])


def error_of_texts(chosen, expert):
    return _binomial(chosen, expert, len(chosen))


def error_spread(chosen, expert):
    shares = (chosen == expert).mean(axis=(1, 2))
    return shares.mean(), shares.std(ddof=1)


def error_spread_numpy_default(chosen, expert):
    shares = (chosen == expert).mean(axis=(1, 2))
    return shares.mean(), shares.std()


def error_without_ddof(chosen, expert):
    shares = (chosen == expert).mean(axis=(1, 2))
    return shares.mean(), shares.std() / len(shares) ** 0.5


def error_share_of_tokens(chosen, expert):
    shares = (chosen == expert).any(axis=2).mean(axis=1)
    return shares.mean(), shares.std(ddof=1) / len(shares) ** 0.5


def error_first_only(chosen, expert):
    return error_numpy(chosen[..., :1], expert)


def error_squared(chosen, expert):
    share, error = error_numpy(chosen, expert)
    return share, error**2


def error_of_single_choices(chosen, expert):
    hits = (chosen == expert).ravel()
    return hits.mean(), hits.std(ddof=1) / math.sqrt(len(hits))


def error_of_single_tokens(chosen, expert):
    shares = (chosen == expert).mean(-1).ravel()
    return shares.mean(), shares.std(ddof=1) / math.sqrt(len(shares))


def error_over_n(chosen, expert):
    shares = (chosen == expert).mean((1, 2))
    return shares.mean(), shares.std(ddof=1) / len(shares)


def error_interval(chosen, expert):
    share, error = error_numpy(chosen, expert)
    return share, 1.96 * error


def error_share_alone(chosen, expert):
    return error_numpy(chosen, expert)[0]


# --- 08.5 information_given_token(expert, kind, token) --------------------------------------


def _entropy(*labels):
    counts = np.unique(np.stack(labels, axis=1), axis=0, return_counts=True)[1]
    return -(counts / counts.sum() * np.log2(counts / counts.sum())).sum()


def given_by_token(expert, kind, token):
    total = 0
    for value in np.unique(token):
        e, k = expert[token == value], kind[token == value]
        total += len(e) / len(token) * (_entropy(e) + _entropy(k) - _entropy(e, k))
    return total


def given_chain_rule(expert, kind, token):
    return (
        _entropy(expert, token)
        + _entropy(kind, token)
        - _entropy(token)
        - _entropy(expert, kind, token)
    )


def given_counters(expert, kind, token):
    tables = defaultdict(Counter)
    for e, k, t in zip(expert.tolist(), kind.tolist(), token.tolist(), strict=True):
        tables[t][e, k] += 1
    bits = 0.0
    for table in tables.values():
        n, by_e, by_k = sum(table.values()), Counter(), Counter()
        for (e, k), count in table.items():
            by_e[e] += count
            by_k[k] += count
        for (e, k), count in table.items():
            bits += count * math.log2(count * n / by_e[e] / by_k[k])
    return bits / len(expert)


def given_tables(expert, kind, token):
    joint = np.zeros((token.max() + 1, expert.max() + 1, kind.max() + 1))
    np.add.at(joint, (token, expert, kind), 1 / len(token))
    product = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
    alone = joint.sum((1, 2), keepdims=True) * np.ones_like(joint)
    seen = joint > 0
    return (joint[seen] * np.log2(joint[seen] * alone[seen] / product[seen])).sum()


def given_nothing(expert, kind, token):
    return _entropy(expert) + _entropy(kind) - _entropy(expert, kind)


def given_in_nats(expert, kind, token):
    return given_by_token(expert, kind, token) * math.log(2)


def _each_token(expert, kind, token):
    for value in np.unique(token):
        e, k = expert[token == value], kind[token == value]
        yield _entropy(e) + _entropy(k) - _entropy(e, k)


def given_unweighted(expert, kind, token):
    return np.mean(list(_each_token(expert, kind, token)))


def given_added(expert, kind, token):
    return sum(_each_token(expert, kind, token))


def given_the_kind(expert, kind, token):
    return given_by_token(expert, token, kind)


def given_together(expert, kind, token):
    return _entropy(expert) + _entropy(kind, token) - _entropy(expert, kind, token)


def given_entropy(expert, kind, token):
    return _entropy(expert, token) - _entropy(token)


def given_token_alone(expert, kind, token):
    return _entropy(expert) + _entropy(token) - _entropy(expert, token)


def given_what_is_left(expert, kind, token):
    return _entropy(expert, kind, token) - _entropy(kind, token)


def given_difference(expert, kind, token):
    def information(x, y):
        return _entropy(x) + _entropy(y) - _entropy(x, y)

    return information(expert, kind) - information(expert, token)


def given_zero(expert, kind, token):
    return 0.0


# --- 08.6 weights_without(logits, removed, k) -----------------------------------------------


def without_scatter(logits, removed, k):
    left = logits.clone()
    left[:, removed] = -torch.inf
    scores, chosen = left.topk(k, dim=1)
    return torch.zeros_like(logits).scatter(1, chosen, scores.softmax(1))


def without_columns(logits, removed, k):
    kept = [e for e in range(logits.shape[1]) if e not in removed]
    scores, at = logits[:, kept].topk(k)
    out = torch.zeros(logits.shape)
    for token in range(len(logits)):
        for weight, place in zip(scores[token].softmax(0), at[token], strict=True):
            out[token, kept[place]] = weight
    return out


def without_the_worst(logits, removed, k):
    left = logits.clone()
    left[:, removed] = logits.min(dim=1, keepdim=True).values
    scores, chosen = left.topk(k, dim=1)
    return torch.zeros_like(logits).scatter(1, chosen, scores.softmax(1))


def without_numpy(logits, removed, k):
    x = logits.numpy().astype(float)
    x[:, removed] = -np.inf
    floor = np.sort(x, axis=1)[:, -k][:, None]
    e = np.where(x >= floor, np.exp(x - x.max(axis=1, keepdims=True)), 0)
    return e / e.sum(axis=1, keepdims=True)


def without_softmax_first(logits, removed, k):
    p = logits.double().softmax(-1)
    p[:, removed] = 0
    kept = torch.zeros_like(p).scatter(1, p.topk(k).indices, 1.0)
    return p * kept / (p * kept).sum(1, keepdim=True)


def without_zero(logits, removed, k):
    left = logits.clone()
    left[:, removed] = 0
    scores, chosen = left.topk(k, dim=1)
    return torch.zeros_like(logits).scatter(1, chosen, scores.softmax(1))


def without_after(logits, removed, k):
    out = without_scatter(logits, [], k)
    out[:, removed] = 0
    return out


def without_after_renormalised(logits, removed, k):
    out = without_after(logits, removed, k)
    return out / out.sum(1, keepdim=True).clamp(min=1e-9)


def without_softmax_of_everyone(logits, removed, k):
    kept = without_scatter(logits, removed, k) > 0
    return logits.softmax(1) * kept


def without_softmax_of_the_rest(logits, removed, k):
    left = logits.clone()
    left[:, removed] = -torch.inf
    return left.softmax(1) * (without_scatter(logits, removed, k) > 0)


def without_choosing(logits, removed, k):
    left = logits.clone()
    left[:, removed] = -torch.inf
    return left.softmax(1)


def without_removing(logits, removed, k):
    return without_scatter(logits, [], k)


def without_columns_back(logits, removed, k):
    left = logits.clone()
    left[:, removed] = -torch.inf
    return left.topk(k, dim=1).values.softmax(1)


def without_renumbered(logits, removed, k):
    kept = [e for e in range(logits.shape[1]) if e not in removed]
    scores, chosen = logits[:, kept].topk(k, dim=1)
    return torch.zeros_like(logits).scatter(1, chosen, scores.softmax(1))


def without_library(logits, removed, k):
    from mixlab.transformer.sparse_moe import route

    chosen, gates = route(logits.masked_fill(torch.zeros(1, dtype=torch.bool), 0), k)
    return torch.zeros_like(logits).scatter(1, chosen, gates)


def chance_enumerated(n_experts, k):
    if math.comb(n_experts, k) > 5000:
        return chance_comb(n_experts, k)
    sets = list(combinations(range(n_experts), k))
    return sum(any(e < k for e in one) for one in sets) / len(sets)


# --- and of another class -------------------------------------------------------------------


def repeat_first_and_last_rank(chosen, lengths):
    return repeat_arrays(chosen[..., [0, -1]], lengths)


def repeat_one_twice(chosen, lengths):
    return [repeat_arrays(chosen, lengths)[0]] * 2


def dead_without_the_first_token(chosen, n_experts):
    return dead_bincount(chosen[:, 1:], n_experts)


def given_numbered_tokens(expert, kind, token):
    total = 0
    for value in range(len(set(token.tolist()))):
        here = token == value
        if here.any():
            e, k = expert[here], kind[here]
            total += here.mean() * (_entropy(e) + _entropy(k) - _entropy(e, k))
    return total


def without_by_ten(logits, removed, k):
    left = logits.clone()
    left[:, removed] -= 10
    scores, chosen = left.topk(k, dim=1)
    return torch.zeros_like(logits).scatter(1, chosen, scores.softmax(1))


RIGHT = {
    "08.1": [repeat_arrays, repeat_sets, repeat_mask, repeat_torch],
    "08.2": [
        chance_comb,
        chance_product,
        chance_hypergeometric,
        chance_enumerated,
        chance_fraction,
    ],
    "08.3": [dead_bincount, dead_broadcast, dead_loop, dead_torch],
    "08.4": [error_numpy, error_torch, error_loop],
    "08.5": [given_by_token, given_chain_rule, given_counters, given_tables],
    "08.6": [without_scatter, without_columns, without_numpy, without_softmax_first],
}

WRONG = {
    "08.1": [
        (repeat_with_padding, "you have counted padding. What follows"),
        (repeat_flattened, "counted padding, and compared across"),
        (repeat_across_borders, "across the borders of texts: the last"),
        (repeat_mean_of_texts, "you take the mean over texts"),
        (repeat_same_rank, "may have another rank"),
        (repeat_first_comes_back, "the earlier token's first choice comes back"),
        (repeat_over_tokens, "you divide by tokens"),
        (repeat_counted_twice, "one repetition, not two"),
        (repeat_into_padding, "the padding after it"),
        (repeat_all_equal, "all choices agree"),
        (repeat_swapped, "the two numbers are swapped"),
        (repeat_one_number, "expected two numbers"),
        (repeat_from_library, "mixlab.traces.router.repetition"),
        (repeat_first_and_last_rank, "with an expert in common"),
        (repeat_one_twice, "asks for equal first choices, too"),
    ],
    "08.2": [
        (chance_mean_overlap, "in common on average"),
        (chance_share, "one given expert is among the k"),
        (chance_first, "for the first choice alone"),
        (chance_with_replacement, "you draw with replacement"),
        (chance_of_none, "nothing in common"),
        (chance_of_one, "exactly one in common"),
        (chance_all_same, "the same k experts"),
        (chance_k_two_only, "draws k times, not twice"),
        (chance_two_draws, "the first token takes k experts"),
        (chance_constant, "chance(n_experts=5, k=2)"),
        (chance_simulated, "is not right yet: chance(n_experts=8, k=2)"),
    ],
    "08.3": [
        (dead_as_given, "all three mistakes are still there"),
        (dead_minlength_mended, "all layers are pooled, and only first choices"),
        (dead_pooled, "all layers are pooled. Expert 3"),
        (dead_pooled_rows, "every row is the same"),
        (dead_first_choice, "you look at first choices only"),
        (dead_without_minlength, "a dead last expert is never"),
        (dead_inverted, "True where an expert is alive"),
        (dead_rarely, "first wrong place: layer"),
        (dead_first_two, "expected: alive"),
        (dead_never, "first wrong place: layer"),
        (dead_without_the_first_token, "first wrong place: layer"),
    ],
    "08.4": [
        (error_of_choices, "takes all choices for independent"),
        (error_of_tokens, "takes the tokens for independent"),
        (error_of_texts, "wholly for or against"),
        (error_spread, "this is the spread of the texts, not"),
        (error_spread_numpy_default, "with n below the sum of squares, not the error"),
        (error_without_ddof, "unless it is told ddof=1"),
        (error_share_of_tokens, "tokens that chose the expert at all"),
        (error_first_only, "you look at first choices only"),
        (error_squared, "take the root"),
        (error_of_single_choices, "observations are single choices"),
        (error_of_single_tokens, "observations are single tokens"),
        (error_over_n, "should be by √n"),
        (error_interval, "1.96 standard errors"),
        (error_share_alone, "expected two numbers"),
    ],
    "08.5": [
        (given_nothing, "the token isn't held fixed"),
        (given_in_nats, "logarithm to base 2"),
        (given_unweighted, "every token counts alike"),
        (given_added, "added up without weights"),
        (given_the_kind, "once the kind is known"),
        (given_together, "what token and kind tell together"),
        (given_entropy, "how uncertain the expert is"),
        (given_token_alone, "ask what the kind adds"),
        (given_what_is_left, "the part that neither explains"),
        (given_difference, "expected:"),
        (given_zero, "expected:"),
        (given_numbered_tokens, "expected:"),
    ],
    "08.6": [
        (without_zero, "a score of 0 is a score"),
        (without_after, "no longer add up to 1"),
        (without_after_renormalised, "runs through fewer experts"),
        (without_softmax_of_everyone, "the removed too"),
        (without_softmax_of_the_rest, "over all experts that are left"),
        (without_choosing, "Only the k best run"),
        (without_removing, "nothing has been removed"),
        (without_columns_back, "expected shape"),
        (without_renumbered, "right weights in wrong columns"),
        (without_library, "mixlab.transformer.sparse_moe.route"),
        (without_by_ten, "first wrong place: token"),
        (without_the_worst, "first wrong place: token"),
    ],
}
