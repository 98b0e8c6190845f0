"""04.3 Predict the memory: bytes of a batch's keys and values."""

import numpy as np

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count


def draw(rng):
    """Layers with and without windows, batches of 1 to 4 sequences, and more than 32 bits count."""
    drawn = [((None, 4096) * 40, (100_000, 70_000), 64, 8, 128, 2)]
    for _ in range(8):
        n_layers = int(rng.integers(1, 9))
        choices = [None, *rng.integers(1, 5000, size=3).tolist()]
        windows = tuple(choices[i] for i in rng.integers(0, 4, size=n_layers))
        lengths = tuple(rng.integers(1, 9000, size=int(rng.integers(1, 5))).tolist())
        groups, n_kv_heads = int(rng.integers(2, 9)), int(rng.integers(1, 9))
        head_dim = 2 * int(rng.integers(8, 80))
        n_bytes = (1, 2, 4)[int(rng.integers(0, 3))]
        drawn.append((windows, lengths, groups * n_kv_heads, n_kv_heads, head_dim, n_bytes))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        ((4,), (9,), 2, 1, 8, 2),
        ((6, None), (9, 1), 4, 2, 8, 2),
        ((4096,) * 32, (32_768,), 32, 8, 128, 2),
        ((None,), (5, 1), 6, 3, 4, 4),
    ),
    hints=(
        "One token takes, in one layer, a key and a value for each key/value head. Query heads "
        "keep nothing.",
        "How many tokens does a layer with window 4 hold of a sequence of 9? Of a sequence of "
        "3? And a layer without a window?",
        "Add up `length if window is None else min(length, window)` over all layers and "
        "sequences, and multiply by 2 * n_kv_heads * head_dim * bytes_per_number.",
    ),
)

# --- kept back while grading ---


def held(length, window):
    return length if window is None else min(length, window)


def cache_bytes(windows, lengths, n_heads, n_kv_heads, head_dim, b, held=held):
    tokens = sum(held(length, window) for window in windows for length in lengths)
    return 2 * tokens * n_kv_heads * head_dim * b


def in_numpy(windows, lengths, n_heads, n_kv_heads, head_dim, b):
    caps = np.array([float("inf") if w is None else w for w in windows])
    tokens = np.minimum(caps[:, None], np.array(lengths, dtype=float)[None]).sum()
    return tokens * 2 * n_kv_heads * head_dim * b


def holding(held):
    """Another idea of how many tokens a layer holds."""
    return lambda *given: cache_bytes(*given, held=held)


def paired(windows, lengths, *rest):
    return sum(cache_bytes((w,), (n,), *rest) for w, n in zip(windows, lengths, strict=False))


MISTAKES = {
    "you count the keys and not the values.": lambda *given: cache_bytes(*given) // 2,
    "you count query heads. They share keys and values: a cache holds `n_kv_heads` of each.": (
        lambda w, t, h, kv, d, b: cache_bytes(w, t, h, h, d, b),
        lambda w, t, h, kv, d, b: cache_bytes(w, t, h, h + kv, d, b),
    ),
    "query heads over key/value heads says how many share one, and not how many are held.": (
        lambda w, t, h, kv, d, b: cache_bytes(w, t, h, h // kv, d, b)
    ),
    "your windows have no effect: a ring holds at most W tokens.": holding(lambda n, w: n),
    "you count every slot of a ring, also those left empty.": holding(lambda n, w: w or n),
    "you hold W - 1 tokens in a full ring. The newest token's own key is in it too.": holding(
        lambda n, w: n if w is None or n < w else w - 1
    ),
    "you give every sequence of the batch as many tokens as the longest one has.": (
        lambda w, t, *rest: cache_bytes(w, (max(t),) * len(t), *rest)
    ),
    "you give every sequence the batch's average length. A short one may leave a ring half empty "
    "while a long one overflows its own.": (
        lambda w, t, *rest: cache_bytes(w, (sum(t) / len(t),) * len(t), *rest)
    ),
    "you add the sequences up before you apply the window. Each sequence has a ring of its own.": (
        lambda w, t, *rest: cache_bytes(w, (sum(t),), *rest)
    ),
    "you pair layers with sequences, the first with the first. Every layer keeps keys of every "
    "sequence.": paired,
    "a layer without a window holds all, not nothing.": holding(lambda n, w: min(n, w or 0)),
    "you leave out how many numbers a head has.": lambda *a: cache_bytes(*a[:4], 1, a[5]),
    "you count numbers and not bytes.": lambda *given: cache_bytes(*given[:-1], 1),
    "you count the larger of window and length. A ring never holds more than W, nor more than was "
    "written.": holding(lambda n, w: n if w is None else max(n, w)),
    "you count one sequence: each of the batch keeps its own keys and values.": (
        lambda w, t, *rest: cache_bytes(w, t[:1], *rest),
        lambda w, t, *rest: cache_bytes(w, (min(t),) * len(t), *rest),
    ),
    "you count one layer: each keeps its own.": lambda w, *rest: cache_bytes(w[:1], *rest),
    "you count bits: `bytes_per_number` is in bytes already.": lambda *a: 8 * cache_bytes(*a),
    "you count one layer's window for all layers: each has its own.": (
        lambda w, *rest: cache_bytes(w[:1] * len(w), *rest)
    ),
}


def advice(*given):
    """What is special about these sizes."""
    if cache_bytes(*given) > 2**24:
        return (
            "is your count right where it is small? int32 ends at 2^31, float32 rounds from 2^24."
        )
    return "write down how many tokens each layer holds of each sequence, and add them up."


KNOWN = Known(
    right=(cache_bytes, in_numpy),
    mistakes=MISTAKES,
    slips={"it raised TypeError": holding(min)},
    show=lambda w, t, h, kv, d, b: (
        f"cache_bytes({w}, {t}, n_heads={h}, n_kv_heads={kv}, head_dim={d}, bytes_per_number={b})"
    ),
    name="{:,}".format,
    advice=advice,
)
