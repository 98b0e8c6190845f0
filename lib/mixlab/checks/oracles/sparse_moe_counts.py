"""Oracles of chapter 07's numbers: parameters (07.3) and experts touched (07.6)."""

import numpy as np

from mixlab.checks.oracles import Misconception, Oracle


def _count(
    dim,
    hidden_dim,
    vocab_size,
    n_layers,
    n_heads,
    n_kv_heads,
    head_dim,
    n_experts,
    k,
    matrices=3,
    kv_heads=None,
    routers=lambda n_experts, k: (n_experts, n_experts),
    norms=2,
    last_norm=1,
    embeddings=2,
):
    """(stored, active); the arguments after k change one rule each, for usual mistakes."""
    kv_heads = n_kv_heads if kv_heads is None else kv_heads
    attention = 2 * dim * head_dim * (n_heads + kv_heads)
    once = embeddings * vocab_size * dim + last_norm * dim
    totals = []
    for experts, rows in zip((n_experts, k), routers(n_experts, k), strict=True):
        block = attention + matrices * dim * hidden_dim * experts + rows * dim + norms * dim
        totals.append(once + n_layers * block)
    return np.array(totals)


def _whole_models(*shape):
    """n_experts or k times the whole dense model."""
    dense = _count(*shape[:7], 1, 1, routers=lambda n, k: (0, 0))[0]
    return dense * np.array(shape[7:])


def _square_queries(*shape):
    """Queries and outputs of dim × dim, whatever the heads."""
    dim, n_layers, n_heads, head_dim = (shape[place] for place in (0, 3, 4, 6))
    return _count(*shape) + n_layers * 2 * dim * (dim - n_heads * head_dim)


def _experts_of_one_layer(*shape):
    """The experts counted once, not in each layer."""
    dim, hidden_dim, n_layers = shape[0], shape[1], shape[3]
    return _count(*shape) - (n_layers - 1) * 3 * dim * hidden_dim * np.array(shape[7:])


def _touched(chances, n_tokens):
    return np.array((1 - (1 - np.array(chances)) ** n_tokens).sum())


def _even(chances, n_tokens):
    return _touched([np.mean(chances)] * len(chances), n_tokens)


def _show_counts(*shape):
    names = "dim hidden_dim vocab_size n_layers n_heads n_kv_heads head_dim n_experts k".split()
    given = ", ".join(f"{name}={value}" for name, value in zip(names, shape, strict=True))
    return f"count_parameters({given})"


EXERCISES = {
    "07.3": Oracle(
        expected=_count,
        show=_show_counts,
        place=lambda index: ("stored", "active")[index[0]] if len(index) == 1 else "",
        name=lambda value: f"{value:,}",
        examples=(
            (4, 6, 10, 2, 4, 2, 3, 3, 1),
            (3, 5, 7, 3, 2, 1, 2, 4, 2),
            (4096, 14_336, 32_000, 32, 32, 8, 128, 8, 2),
        ),
        misconceptions=(
            Misconception(
                "you multiplied the whole model by the number of experts. Only the feed-forward "
                "layers come in several copies: attention, embeddings and norms are shared.",
                _whole_models,
            ),
            Misconception(
                "the routers are missing: one row of dim numbers for each expert, in each layer.",
                lambda *s: _count(*s, routers=lambda n, k: (0, 0)),
            ),
            Misconception(
                "of the router too you counted only k rows as active. But it scores every expert "
                "for every token; otherwise it could not choose.",
                lambda *s: _count(*s, routers=lambda n, k: (n, k)),
            ),
            Misconception(
                "the router is missing from the active parameters: every token goes through it.",
                lambda *s: _count(*s, routers=lambda n, k: (n, 0)),
            ),
            Misconception(
                "an expert has three matrices, w1, w2 and w3: you counted two.",
                lambda *s: _count(*s, matrices=2),
            ),
            Misconception(
                "keys and values have n_kv_heads heads, fewer than the queries'.",
                lambda *s: _count(*s, kv_heads=s[4]),
            ),
            Misconception(
                "queries and outputs are dim × (n_heads · head_dim) each. That is dim × dim only "
                "where n_heads · head_dim happens to be dim, as in Mixtral.",
                _square_queries,
            ),
            Misconception(
                "you counted the experts of one layer. Each layer has its own.",
                _experts_of_one_layer,
            ),
            Misconception(
                "the embedding is missing from the active parameters. By custom all of it counts, "
                "though a token reads one row.",
                lambda *s: _count(*s) - [0, s[0] * s[2]],
            ),
            Misconception(
                "one of two matrices is missing: the embedding and the output layer are separate "
                "tensors, of vocab_size × dim each.",
                lambda *s: _count(*s, embeddings=1),
            ),
            Misconception(
                "the last norm is missing, dim numbers after the last layer.",
                lambda *s: _count(*s, last_norm=0),
            ),
            Misconception(
                "the norms are missing: two of dim numbers in each layer, and one at the end.",
                lambda *s: _count(*s, norms=0, last_norm=0),
            ),
            Misconception(
                "each layer has two norms, one before attention and one before the experts.",
                lambda *s: _count(*s, norms=1),
            ),
            Misconception(
                "the two numbers are swapped: stored first, then active.",
                lambda *s: _count(*s)[::-1],
            ),
        ),
    ),
    "07.6": Oracle(
        expected=_touched,
        show=lambda chances, n: f"expected_touched({[round(q, 3) for q in chances]}, {n})",
        place=lambda index: "",
        name=lambda value: f"{value:.4f}",
        examples=(
            ([0.25, 0.75, 1.0], 2),
            ([0.5, 0.5, 0.5, 0.5], 3),
            ([0.1, 0.9], 4),
            ([0.3, 0.1, 0.3, 0.1, 0.2], 2),
        ),
        misconceptions=(
            Misconception(
                "you gave every expert the average chance. Experts that are rarely chosen stay "
                "untouched more often than favourites gain: sum over the experts.",
                _even,
            ),
            Misconception(
                "this is the number of all experts. A few tokens leave some untouched.",
                lambda q, n: np.array(float(len(q))),
            ),
            Misconception(
                "you count choices, not experts: an expert that several tokens choose is touched "
                "once.",
                lambda q, n: np.array(n * np.sum(q)),
            ),
            Misconception(
                "you count choices, up to the number of experts. Tokens often choose the same "
                "expert long before all are touched.",
                lambda q, n: np.array(min(len(q), n * np.sum(q))),
            ),
            Misconception(
                "this is the expected number of experts that are *not* touched.",
                lambda q, n: len(q) - _touched(q, n),
            ),
            Misconception(
                "you add the chances that *all* tokens choose an expert. One token is enough.",
                lambda q, n: np.array((np.array(q) ** n).sum()),
            ),
            Misconception(
                "this is the number for a single token. The chance to be missed shrinks with each "
                "further one: to the power of n.",
                lambda q, n: np.array(np.sum(q)),
            ),
            Misconception(
                "this is the share of experts touched, between 0 and 1. The number is asked.",
                lambda q, n: _touched(q, n) / len(q),
            ),
            Misconception(
                "you drew each of a token's k choices by itself, so that both may fall on one "
                "expert. The chance q already says how often a token chooses the expert at all.",
                lambda q, n: np.array((1 - (1 - np.array(q) / np.sum(q)) ** (n * np.sum(q))).sum()),
            ),
        ),
    ),
}
