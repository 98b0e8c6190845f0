"""01.4 Count the parameters, kind by kind."""

from collections import namedtuple

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_count

KINDS = ("tables", "attention", "feed-forward", "norms")
Sizes = namedtuple("Sizes", "dim n_layers n_heads n_kv_heads head_dim hidden_dim vocab_size tied")


def draw(rng):
    drawn = []
    for number in range(6):
        kv, group = (int(n) for n in rng.integers(1, 5, 2))
        dim, inner, vocabulary = (int(n) for n in rng.integers(3, 90, 3))
        layers, head_dim = (int(n) for n in rng.integers(2, 12, 2))
        drawn.append((dim, layers, kv * group, kv, head_dim, inner, vocabulary, number % 2 == 0))
    return drawn


def read(value) -> np.ndarray:
    """Four whole numbers, in the order of KINDS."""
    try:
        numbers = [read_count(part) for part in value]
    except (TypeError, Unreadable):
        numbers = []
    if len(numbers) != len(KINDS):
        kinds = ", ".join(KINDS)
        raise Unreadable(f"expected four whole numbers ({kinds}): got {kind_of(value)}")
    return np.stack(numbers)


ASKED = Asked(
    draw=draw,
    read=read,
    examples=(
        (4, 2, 4, 2, 3, 6, 10, False),
        (5, 3, 2, 1, 2, 7, 11, True),
        (4096, 32, 32, 8, 128, 14_336, 32_000, False),
        (576, 30, 9, 3, 64, 1536, 49_152, True),
    ),
    hints=(
        "A matrix from a to b numbers has a · b parameters. What goes into each matrix of a layer, "
        "and what comes out?",
        "Queries: dim → n_heads · head_dim, and back from there to dim. Keys and values: dim → "
        "n_kv_heads · head_dim each. SwiGLU has three matrices.",
        "Norms: two a layer and one before the logits, dim factors each. Tables: the embedding, "
        "and, unless they are tied, an output table of the same size.",
    ),
)

# --- kept back while grading ---


def by_shapes(*given):
    s = Sizes(*given)
    q, kv = s.n_heads * s.head_dim, s.n_kv_heads * s.head_dim
    layers = s.n_layers
    shapes = [
        [(s.vocab_size, s.dim)] * (1 if s.tied else 2),
        [(q, s.dim), (kv, s.dim), (kv, s.dim), (s.dim, q)] * layers,
        [(s.hidden_dim, s.dim), (s.dim, s.hidden_dim), (s.hidden_dim, s.dim)] * layers,
        [(s.dim,)] * (2 * layers + 1),
    ]
    return [sum(int(np.prod(shape)) for shape in kind) for kind in shapes]


def counting(**rules):
    """A count in which some kinds have a rule of their own: functions of the sizes."""

    def count(*given):
        s = Sizes(*given)
        usual = dict(
            tables=(1 if s.tied else 2) * s.vocab_size * s.dim,
            attention=2 * s.n_layers * s.dim * (s.n_heads + s.n_kv_heads) * s.head_dim,
            feed_forward=3 * s.n_layers * s.dim * s.hidden_dim,
            norms=(2 * s.n_layers + 1) * s.dim,
        )
        return [rules[kind](s) if kind in rules else number for kind, number in usual.items()]

    return count


def attending(columns):
    return counting(attention=lambda s: s.n_layers * s.dim * columns(s))


MISTAKES = {
    "tied tables are one tensor: count them once.": counting(
        tables=lambda s: 2 * s.vocab_size * s.dim
    ),
    "the embedding and the output table are two tensors, unless they are tied.": counting(
        tables=lambda s: s.vocab_size * s.dim
    ),
    "tied tables aren't gone: one of the two is there.": counting(
        tables=lambda s: 0 if s.tied else 2 * s.vocab_size * s.dim
    ),
    "you count an embedding in each layer. There is one.": counting(
        tables=lambda s: s.n_layers * (1 if s.tied else 2) * s.vocab_size * s.dim
    ),
    "keys and values have n_kv_heads heads, fewer than the queries.": attending(
        lambda s: 4 * s.n_heads * s.head_dim
    ),
    "all four of your attention matrices are dim × dim. They have heads of head_dim numbers, and "
    "those of keys and values fewer.": attending(lambda s: 4 * s.dim),
    "queries and outputs have n_heads · head_dim numbers. That is dim in Mistral only.": (
        attending(lambda s: 2 * s.dim + 2 * s.n_kv_heads * s.head_dim)
    ),
    "your heads have dim / n_heads numbers. `head_dim` is a size of its own.": (
        attending(lambda s: 2 * s.dim + 2 * s.n_kv_heads * (s.dim // s.n_heads)),
        attending(lambda s: 2 * (s.n_heads + s.n_kv_heads) * (s.dim // s.n_heads)),
    ),
    "attention has four matrices, two with queries' heads and two with keys'. You count one of "
    "each.": attending(lambda s: (s.n_heads + s.n_kv_heads) * s.head_dim),
    "the matrix that mixes the heads, back to dim, is missing.": attending(
        lambda s: (s.n_heads + 2 * s.n_kv_heads) * s.head_dim
    ),
    "keys and values have a matrix each: you count one for both.": attending(
        lambda s: (2 * s.n_heads + s.n_kv_heads) * s.head_dim
    ),
    "you count the group, n_heads / n_kv_heads, where the number of key heads belongs.": attending(
        lambda s: 2 * (s.n_heads + s.n_heads // s.n_kv_heads) * s.head_dim
    ),
    "SwiGLU has three matrices: two in and one out.": tuple(
        counting(feed_forward=lambda s, n=n: n * s.n_layers * s.dim * s.hidden_dim) for n in (2, 1)
    ),
    "you count 2017's feed-forward layer, 4 · dim wide. Its width is `hidden_dim` here.": tuple(
        counting(feed_forward=lambda s, n=n: n * s.n_layers * s.dim * 4 * s.dim) for n in (2, 3)
    ),
    "the matrices have no offsets: you count some.": (
        counting(feed_forward=lambda s: s.n_layers * (3 * s.hidden_dim * s.dim + s.dim)),
        counting(
            feed_forward=lambda s: (
                s.n_layers * (3 * s.hidden_dim * s.dim + 2 * s.hidden_dim + s.dim)
            )
        ),
    ),
    "the last norm, before the logits, is missing.": counting(
        norms=lambda s: 2 * s.n_layers * s.dim
    ),
    "there is one last norm, before the logits, and two in each layer: you count more.": (
        counting(norms=lambda s: (2 * s.n_layers + 2) * s.dim),
        counting(norms=lambda s: 3 * s.n_layers * s.dim),
        counting(norms=lambda s: (3 * s.n_layers + 1) * s.dim),
    ),
    "RMSNorm has factors and no offsets: you count twice as many.": counting(
        norms=lambda s: 2 * (2 * s.n_layers + 1) * s.dim
    ),
    "each layer has two norms, before attention and before the feed-forward layer.": counting(
        norms=lambda s: (s.n_layers + 1) * s.dim
    ),
    "each half of a layer has its norm, two a layer; you count one in all.": counting(
        norms=lambda s: s.n_layers * s.dim
    ),
    "a norm has a factor for each of dim numbers: you count norms.": counting(
        norms=lambda s: 2 * s.n_layers + 1
    ),
    "you count one layer of n_layers.": lambda *given: counting(
        attention=lambda s: by_shapes(*given)[1] // s.n_layers,
        feed_forward=lambda s: 3 * s.dim * s.hidden_dim,
        norms=lambda s: 3 * s.dim,
    )(*given),
    "the order is tables, attention, feed-forward, norms.": (
        lambda *given: [by_shapes(*given)[i] for i in (1, 2, 3, 0)],
        lambda *given: [by_shapes(*given)[i] for i in (0, 2, 1, 3)],
        lambda *given: [by_shapes(*given)[i] for i in (3, 2, 1, 0)],
    ),
    "your numbers run over: 32 bits hold no more than 2,147,483,647.": lambda *given: np.array(
        by_shapes(*given)
    ).astype(np.int32),
}

KNOWN = Known(
    right=(by_shapes, counting()),
    mistakes=MISTAKES,
    slips={"expected four whole numbers": lambda *given: sum(by_shapes(*given))},
    show=lambda *given: "count({})".format(
        ", ".join(f"{name}={size}" for name, size in zip(Sizes._fields, given, strict=True))
    ),
    place=lambda at: KINDS[at[0]] if at else "",
    name="{:,}".format,
)
