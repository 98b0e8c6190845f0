"""07.3 Count the parameters: stored, and active for one token."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_count

SIZES = "dim hidden_dim vocab_size n_layers n_heads n_kv_heads head_dim n_experts k".split()


def draw(rng):
    drawn = []
    for _ in range(6):
        kv, group, head_dim = (int(rng.integers(*ends)) for ends in ((1, 4), (2, 5), (1, 9)))
        n_experts = int(rng.integers(3, 17))
        dim, hidden_dim, vocab_size, n_layers, k = (
            int(rng.integers(*ends))
            for ends in ((2, 60), (2, 90), (5, 300), (2, 12), (1, n_experts))
        )
        heads = kv * group, kv, head_dim
        drawn.append((dim, hidden_dim, vocab_size, n_layers, *heads, n_experts, k))
    return drawn


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
    forbids=("mixlab.transformer.config", "mixlab.transformer.model"),
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
    """A count in which some parts have a rule of their own: a number, or a function of sizes."""

    def count(*given):
        sizes = {name: int(size) for name, size in zip(SIZES, given, strict=True)}

        def part(name, usual):
            rule = rules.get(name, usual)
            return rule(**sizes) if callable(rule) else rule

        dim, n_layers, n, k = (sizes[name] for name in ("dim", "n_layers", "n_experts", "k"))
        queries, keys = (sizes[name] * sizes["head_dim"] for name in ("n_heads", "n_kv_heads"))
        layer = dim * (part("queries", 2 * queries) + part("keys", 2 * keys) + part("norms", 2))
        once = dim * (part("embeddings", 2 * sizes["vocab_size"]) + part("last_norm", 1))
        once += n_layers * layer
        expert = part("matrices", 3) * dim * sizes["hidden_dim"] * part("layers", n_layers)
        routers = n_layers * dim * part("router", n), n_layers * dim * part("active_router", n)
        stored = once + routers[0] + n * expert
        return stored, once + routers[1] + k * expert - part("idle", 0)

    return count


def whole_models(*given):
    dense = counting(router=0, active_router=0, n_experts=1)(*given[:7], 1, 1)[0]
    return given[7] * dense, given[8] * dense


def of_vocabulary(used):
    """How much of the two large matrices is not active, if one token uses `used` rows of them."""
    return lambda dim, vocab_size, **rest: dim * (2 * vocab_size - used(vocab_size))


MISTAKES = {
    "you multiplied the whole model by the number of experts. Only the feed-forward layers come in "
    "several copies: attention, embeddings and norms are shared.": whole_models,
    "the routers are missing: one row of dim numbers for each expert, in each layer.": counting(
        router=0, active_router=0
    ),
    "you counted one router. Each layer has its own.": counting(
        router=lambda n_experts, n_layers, **rest: n_experts / n_layers,
        active_router=lambda n_experts, n_layers, **rest: n_experts / n_layers,
    ),
    "of the router too you counted only k rows as active. But it scores every expert for every "
    "token; otherwise it could not choose.": counting(active_router=lambda k, **rest: k),
    "the router is missing from the active parameters: every token goes through it.": counting(
        active_router=0
    ),
    "an expert has three matrices, w1, w2 and w3: you counted two.": counting(matrices=2),
    "an expert has three matrices, w1, w2 and w3: you counted one.": counting(matrices=1),
    "keys and values have n_kv_heads heads, fewer than the queries'.": counting(
        keys=lambda n_heads, head_dim, **rest: 2 * n_heads * head_dim
    ),
    "queries, keys and values are three matrices; the output matrix of attention, the fourth, is "
    "missing.": counting(queries=lambda n_heads, head_dim, **rest: n_heads * head_dim),
    "keys and values have a matrix each: you counted one of the two.": counting(
        keys=lambda n_kv_heads, head_dim, **rest: n_kv_heads * head_dim
    ),
    "your heads have a width of dim / n_heads. Here `head_dim` is a size of its own, and "
    "n_heads · head_dim need not be dim.": counting(
        queries=lambda dim, **rest: 2 * dim,
        keys=lambda dim, n_heads, n_kv_heads, **rest: 2 * n_kv_heads * (dim // n_heads),
    ),
    "queries and outputs are dim × (n_heads · head_dim) each. That is dim × dim only where "
    "n_heads · head_dim happens to be dim, as in Mixtral.": counting(
        queries=lambda dim, **rest: 2 * dim
    ),
    "all four of your attention matrices are dim × dim. Queries and outputs have n_heads heads of "
    "width head_dim, keys and values n_kv_heads.": counting(
        queries=lambda dim, **rest: 2 * dim, keys=lambda dim, **rest: 2 * dim
    ),
    "you counted the experts of one layer. Each layer has its own.": counting(layers=1),
    "of the embedding you count the one row that a token reads as active. By custom all of it "
    "counts: it says how large the model is that runs.": (
        counting(idle=of_vocabulary(lambda vocab_size: vocab_size + 1)),
        counting(idle=of_vocabulary(lambda vocab_size: 2)),
    ),
    "the embedding is missing from the active parameters. By custom all of it counts, though a "
    "token reads one row.": (
        counting(idle=of_vocabulary(lambda vocab_size: vocab_size)),
        counting(idle=of_vocabulary(lambda vocab_size: 0)),
    ),
    "one of two matrices is missing: the embedding and the output layer are separate tensors, of "
    "vocab_size × dim each.": counting(embeddings=lambda vocab_size, **rest: vocab_size),
    "the last norm is missing, dim numbers after the last layer.": counting(last_norm=0),
    "the norms are missing: two of dim numbers in each layer, and one at the end.": counting(
        norms=0, last_norm=0
    ),
    "each layer has two norms, one before attention and one before the experts.": counting(norms=1),
    "the two numbers are swapped: stored first, then active.": lambda *given: by_tensors(*given)[
        ::-1
    ],
    "your second number counts what is idle for one token. Active is what it runs through.": (
        lambda *given: (by_tensors(*given)[0], -np.diff(by_tensors(*given))[0])
    ),
    "active is not the share k / n_experts of what is stored. Only the experts are thinned out; "
    "every token runs through all the rest.": lambda *given: (
        by_tensors(*given)[0],
        by_tensors(*given)[0] * given[8] // given[7],
    ),
    "your active parameters hold one expert. A token runs through k of them in each block.": (
        lambda *given: (by_tensors(*given)[0], by_tensors(*given[:8], 1)[1])
    ),
}

KNOWN = Known(
    right=(by_tensors, counting()),
    mistakes=MISTAKES,
    slips={
        "first wrong place: stored": lambda *given: (46_702_792_704, 12_879_925_248),
        "expected two whole numbers": lambda *given: by_tensors(*given)[0],
    },
    examples=(
        (4, 6, 10, 2, 4, 2, 3, 3, 1),
        (3, 5, 7, 3, 2, 1, 2, 4, 2),
        (4096, 14_336, 32_000, 32, 32, 8, 128, 8, 2),
    ),
    show=lambda *given: "count_parameters({})".format(
        ", ".join(f"{name}={size}" for name, size in zip(SIZES, given, strict=True))
    ),
    place=lambda at: ("stored", "active")[at[0]] if at else "",
    name="{:,}".format,
)
