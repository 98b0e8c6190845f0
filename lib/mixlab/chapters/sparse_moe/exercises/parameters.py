"""07.3 Count the parameters: stored, and active for one token."""

from collections import namedtuple

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_count

Sizes = namedtuple(
    "Sizes", "dim hidden_dim vocab_size n_layers n_heads n_kv_heads head_dim n_experts k"
)


def draw(rng):
    drawn = []
    for _ in range(5):
        kv, group, head_dim = (int(rng.integers(*ends)) for ends in ((1, 4), (2, 5), (1, 9)))
        n_experts = int(rng.integers(3, 17))
        dim, hidden_dim, vocab_size, n_layers, k = (
            int(rng.integers(*ends))
            for ends in ((2, 60), (2, 90), (5, 300), (2, 12), (1, n_experts))
        )
        heads = kv * group, kv, head_dim
        drawn.append((dim, hidden_dim, vocab_size, n_layers, *heads, n_experts, k))
    return [*drawn, (1023, 4095, 32_001, 31, 33, 11, 65, 9, 4)]  # too long for float32


def read(value) -> np.ndarray:
    """Two whole numbers: stored and active."""
    try:
        numbers = [read_count(part) for part in value]
    except (TypeError, Unreadable):
        numbers = []
    if len(numbers) != 2:
        raise Unreadable(f"expected two whole numbers, (stored, active): got {kind_of(value)}")
    return np.stack(numbers)


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(
        (4, 6, 10, 2, 4, 2, 3, 3, 1),
        (4, 5, 7, 3, 2, 1, 3, 4, 2),
        (4096, 14_336, 32_000, 32, 32, 8, 128, 8, 2),
    ),
    hints=(
        "Count one layer: four attention matrices, the router, the experts, two norms. Then "
        "times n_layers, plus what there is only once.",
        "Queries and outputs are dim × (n_heads · head_dim) each; keys and values dim × "
        "(n_kv_heads · head_dim) each. One expert has 3 · dim · hidden_dim.",
        "Stored and active differ in one factor: n_experts against k experts. The router "
        "scores all experts for every token, so all of it is active.",
    ),
)

# --- kept back while grading ---


def by_tensors(dim, hidden_dim, vocab_size, n_layers, n_heads, n_kv_heads, head_dim, n_experts, k):
    q, kv = n_heads * head_dim, n_kv_heads * head_dim
    layer = [(q, dim), (kv, dim), (kv, dim), (dim, q), (dim,), (dim,), (n_experts, dim)]
    expert = [(hidden_dim, dim), (dim, hidden_dim), (hidden_dim, dim)]
    once = [(vocab_size, dim), (dim,), (vocab_size, dim)]
    shapes = [once + n_layers * (layer + n * expert) for n in (n_experts, k)]
    return [sum(int(np.prod(shape)) for shape in model) for model in shapes]


def counting(**rules):
    """A count in which some parts, all per `dim`, have a rule of their own: functions of sizes."""

    def count(*given):
        s = Sizes(*map(int, given))

        def part(name, usual):
            return rules[name](s) if name in rules else usual

        attention = part("queries", 2 * s.n_heads * s.head_dim)
        attention += part("keys", 2 * s.n_kv_heads * s.head_dim)
        expert = part("expert", 3 * s.hidden_dim) * part("layers", s.n_layers)
        router = part("router", s.n_experts)
        once = part("embeddings", 2 * s.vocab_size) + part("last_norm", 1)
        once += s.n_layers * (attention + part("norms", 2))
        stored = once + s.n_layers * router + s.n_experts * expert
        active = once + s.n_layers * part("active_router", router) + s.k * expert
        return s.dim * stored, s.dim * (active - part("idle", 0))

    return count


MISTAKES = {
    "you multiplied the whole model by the number of experts. Only the feed-forward layers come in "
    "several copies: attention, embeddings and norms are shared.": lambda *given: (
        counting(router=lambda s: 0)(*given[:7], 1, 1)[0] * np.array(given[7:])
    ),
    "the routers are missing: one row of dim numbers for each expert, in each layer.": counting(
        router=lambda s: 0
    ),
    "you counted one router. Each layer has its own.": counting(
        router=lambda s: s.n_experts / s.n_layers
    ),
    "of the router too you counted only k rows as active. But it scores every expert for every "
    "token; otherwise it could not choose.": counting(active_router=lambda s: s.k),
    "the router is missing from the active parameters: every token goes through it.": counting(
        active_router=lambda s: 0
    ),
    "an expert has three matrices, w1, w2 and w3. You counted another number.": tuple(
        counting(expert=lambda s, n=n: n * s.hidden_dim) for n in (1, 2, 4)
    ),
    "keys and values have n_kv_heads heads, fewer than the queries'.": counting(
        keys=lambda s: 2 * s.n_heads * s.head_dim
    ),
    "queries, keys and values are three matrices; the output matrix of attention, the fourth, is "
    "missing.": counting(queries=lambda s: s.n_heads * s.head_dim),
    "keys and values have a matrix each: you counted one of the two.": counting(
        keys=lambda s: s.n_kv_heads * s.head_dim
    ),
    "your heads have a width of dim / n_heads. Here `head_dim` is a size of its own, and "
    "n_heads · head_dim need not be dim.": counting(
        queries=lambda s: 2 * s.dim,
        keys=lambda s: 2 * s.n_kv_heads * (s.dim // s.n_heads),
    ),
    "queries and outputs are dim × (n_heads · head_dim) each. That is dim × dim only where "
    "n_heads · head_dim happens to be dim, as in Mixtral.": counting(queries=lambda s: 2 * s.dim),
    "all four of your attention matrices are dim × dim. Queries and outputs have n_heads heads of "
    "width head_dim, keys and values n_kv_heads.": counting(
        queries=lambda s: 2 * s.dim, keys=lambda s: 2 * s.dim
    ),
    "you counted the experts of one layer. Each layer has its own.": counting(layers=lambda s: 1),
    "of the embedding you count the one row that a token reads as active. By custom all of it "
    "counts: it says how large the model is that runs.": (
        counting(idle=lambda s: s.vocab_size - 1),
        counting(idle=lambda s: 2 * s.vocab_size - 2),
    ),
    "the embedding is missing from the active parameters. By custom all of it counts, though a "
    "token reads one row.": (
        counting(idle=lambda s: s.vocab_size),
        counting(idle=lambda s: 2 * s.vocab_size),
    ),
    "one of two matrices is missing: the embedding and the output layer are separate tensors, of "
    "vocab_size × dim each.": counting(embeddings=lambda s: s.vocab_size),
    "the last norm is missing, dim numbers after the last layer.": counting(last_norm=lambda s: 0),
    "norms are missing: there are two of dim numbers in each layer, and one at the end.": (
        counting(norms=lambda s: 0, last_norm=lambda s: 0),
        counting(norms=lambda s: 0),
    ),
    "your norms have one number each. Each has `dim`.": counting(
        norms=lambda s: 2 / s.dim, last_norm=lambda s: 1 / s.dim
    ),
    "each layer has two norms, one before attention and one before the experts.": counting(
        norms=lambda s: 1
    ),
    "you count one expert of each layer as active. Each token runs through k of "
    "them.": lambda *given: (by_tensors(*given)[0], by_tensors(*given[:8], 1)[1]),
    "the two numbers are swapped: stored first, then active.": lambda *given: by_tensors(*given)[
        ::-1
    ],
    "there are no biases: you counted some.": (
        counting(router=lambda s: s.n_experts * (1 + 1 / s.dim)),
        counting(expert=lambda s: 3 * s.hidden_dim + 2 * s.hidden_dim / s.dim + 1),
    ),
    "your second number counts what is idle for one token. Active is what it runs "
    "through.": lambda *given: (by_tensors(*given)[0], -np.diff(by_tensors(*given))[0]),
    "active is not the share k / n_experts of what is stored. Only the experts are thinned out; "
    "every token runs through all the rest.": lambda *given: (
        by_tensors(*given)[0],
        by_tensors(*given)[0] * given[8] // given[7],
    ),
    "your numbers run over: 32 bits hold no more than 2,147,483,647.": lambda *given: np.array(
        by_tensors(*given)
    ).astype(np.int32),
}

KNOWN = Known(
    right=(by_tensors, counting()),
    mistakes=MISTAKES,
    slips={
        "first wrong place: stored": lambda *given: (46_702_792_704, 12_879_925_248),
        "expected two whole numbers": lambda *given: by_tensors(*given)[0],
    },
    show=lambda *given: "count_parameters({})".format(
        ", ".join(f"{name}={size}" for name, size in zip(Sizes._fields, given, strict=True))
    ),
    place=lambda at: ("stored", "active")[at[0]] if at else "",
    name="{:,}".format,
)
