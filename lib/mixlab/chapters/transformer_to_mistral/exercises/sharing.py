"""01.3 Grouped queries: which query head reads which key head."""

import numpy as np
import torch

from mixlab.chapters.transformer_to_mistral.exercises import normal
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    sizes = [(6, 2, 5, 4), (6, 3, 3, 2), (4, 1, 2, 8), (3, 3, 4, 6), (1, 1, 1, 1), (32, 8, 3, 128)]
    return [(normal(rng, h, t, d), normal(rng, kv, t, d)) for h, kv, t, d in sizes]


def told(h, kv, tokens, d):
    """Queries and keys that tell their head: small whole numbers."""
    q = torch.arange(1.0, h + 1)[:, None, None] * torch.arange(1.0, tokens + 1)[None, :, None]
    k = torch.arange(1.0, kv + 1)[:, None, None] ** 2 + torch.arange(float(tokens))[None, :, None]
    return q.expand(h, tokens, d).clone(), k.expand(kv, tokens, d).clone()


ASKED = Asked(
    draw=draw,
    read=read_reals(3),
    examples=(told(4, 2, 2, 4), told(6, 2, 3, 1), told(3, 3, 2, 9), told(2, 1, 1, 4)),
    hints=(
        "Six query heads, two key heads: write down for each query head which key head it reads. "
        "A group is a run of neighbours.",
        "Query head h reads key head h // group, where group = n_heads // n_kv_heads. `repeat` "
        "and `expand` give another order than `repeat_interleave`.",
        "`k.repeat_interleave(len(q) // len(k), dim=0)`, then one matrix product a head, over the "
        "root of head_dim.",
    ),
)

# --- kept back while grading ---


def one_by_one(q, k):
    group, d = len(q) // len(k), q.shape[2]
    q, k = q.double().numpy(), k.double().numpy()
    return np.stack([q[h] @ k[h // group].T / np.sqrt(d) for h in range(len(q))])


def by_groups(q, k):
    grouped = q.double().unflatten(0, (len(k), -1))  # (key head, member, tokens, head_dim)
    scores = torch.einsum("ghid,gjd->ghij", grouped, k.double())
    return scores.flatten(0, 1) / q.shape[2] ** 0.5


def scoring(share=lambda h, n, m: h // (n // m), scale=lambda q: q.shape[2] ** 0.5, finish=None):
    """Another idea of who shares with whom, of the divisor, or of what is returned."""

    def scores(q, k):
        shared = k[[share(h, len(q), len(k)) for h in range(len(q))]]
        made = q.double() @ shared.double().transpose(1, 2) / scale(q)
        return finish(made) if finish else made

    return scores


def causal(made):
    return made.masked_fill(~torch.ones_like(made).tril().bool(), -torch.inf)


def tied(h, n, m):
    return h % m


MISTAKES = {
    "the code is as it was given: there are two faults, in who shares and in the divisor.": scoring(
        tied, lambda q: q.shape[1] ** 0.5
    ),
    "your groups are dealt out like cards: query heads 0 and n_kv_heads share a key. A group is a "
    "run of neighbours.": scoring(tied),
    "your groups are dealt out like cards, and no score is divided by the root of head_dim.": (
        scoring(tied, lambda q: 1)
    ),
    "your query heads read the mean, or the sum, of the key heads. Each reads one.": (
        lambda q, k: scoring()(q, k.mean(0, keepdim=True)),
        lambda q, k: scoring()(q, k.sum(0, keepdim=True)),
    ),
    "your tables come in another order than the query heads: readers of a key stay together.": (
        lambda q, k: by_groups(q, k).unflatten(0, (len(k), -1)).transpose(0, 1).flatten(0, 1),
        lambda q, k: by_groups(q.unflatten(0, (-1, len(k))).transpose(0, 1).flatten(0, 1), k),
    ),
    "all your query heads read key head 0.": scoring(lambda h, n, m: 0),
    "your last query heads all read the last key head: head h reads h // group, not h.": scoring(
        lambda h, n, m: min(h, m - 1)
    ),
    "your groups come in the reverse order.": scoring(lambda h, n, m: m - 1 - h // (n // m)),
    "each group has as many query heads as there are key heads. It has n_heads / n_kv_heads.": (
        scoring(lambda h, n, m: min(h // m, m - 1))
    ),
    "the scores aren't divided by the root of head_dim.": scoring(scale=lambda q: 1),
    "you divide by head_dim, not by its root.": scoring(scale=lambda q: q.shape[2]),
    "you divide by the root of all heads' numbers together: each head stands for itself.": scoring(
        scale=lambda q: (q.shape[0] * q.shape[2]) ** 0.5
    ),
    "you divide by the root of the number of tokens. It is head_dim that makes products large.": (
        scoring(scale=lambda q: q.shape[1] ** 0.5)
    ),
    "you divide by the root of the number of heads. It is head_dim that makes products large.": (
        scoring(scale=lambda q: q.shape[0] ** 0.5)
    ),
    "you multiply by the root of head_dim.": scoring(scale=lambda q: q.shape[2] ** -0.5),
    "rows are queries and columns are keys: your table lies on its side.": scoring(
        finish=lambda made: made.transpose(1, 2)
    ),
    "you return the softmax. Asked for are the scores before it.": scoring(
        finish=lambda made: made.softmax(-1)
    ),
    "you hide the future. Here every query scores every key.": (
        scoring(finish=causal),
        scoring(finish=lambda made: made.tril()),
    ),
    "you have one table a *key* head: the queries of a group are added up or averaged. Each asks "
    "for itself.": (
        lambda q, k: by_groups(q, k).unflatten(0, (len(k), -1)).sum(1),
        lambda q, k: by_groups(q, k).unflatten(0, (len(k), -1)).mean(1),
    ),
    "you leave out query heads: there is a table for each of them.": lambda q, k: by_groups(q, k)[
        : len(k)
    ],
}

KNOWN = Known(
    right=(one_by_one, by_groups, scoring()),
    mistakes=MISTAKES,
    slips={"expected real numbers in 3 axes": lambda q, k: by_groups(q, k)[0]},
    show=lambda q, k: (
        f"scores with {len(q)} query heads, {len(k)} key heads, {q.shape[1]} tokens, "
        f"head_dim {q.shape[2]}"
    ),
    place=lambda at: f"query head {at[0]}, query {at[1]}, key {at[2]}" if at else "",
    name="{:.4f}".format,
)
