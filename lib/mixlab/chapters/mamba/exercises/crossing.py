"""19.5 Predict the crossing: when a cache outgrows a Mamba's memory."""

import math

from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_count

# (n_layers, d_inner, d_state, d_conv) of a Mamba, (n_layers, n_kv_heads, head_dim) of a transformer
EQUAL_AT_175 = (64, 5120, 16, 4), (32, 8, 128)  # mamba-2.8b and Mistral 7B
EQUAL_AT_8192 = (128, 65_536, 64, 5), (33, 8, 256)  # more bytes than 32 bits count
JUST_BELOW_66131 = (1, 65_365, 128, 4), (1, 1, 128)  # by less than float32 can tell


def draw(rng):
    """Models of many sizes; some that are equal at a whole token, one that is crossed at once."""
    drawn = [
        *(EQUAL_AT_175, EQUAL_AT_8192, JUST_BELOW_66131),
        *(((24, 1536, 16, 4), (30, 3, 64)), ((1, 8, 1, 2), (40, 8, 128))),
    ]
    for _ in range(8):
        mamba = (int(rng.integers(4, 65)), 128 * int(rng.integers(2, 41)))
        mamba += (int(rng.integers(1, 65)), int(rng.integers(2, 6)))
        transformer = (int(rng.integers(1, 49)), int(rng.integers(1, 9)))
        drawn.append((mamba, (*transformer, 16 * int(rng.integers(2, 9)))))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_count,
    examples=(
        EQUAL_AT_175,
        ((2, 8, 4, 4), (1, 1, 16)),
        ((24, 1536, 16, 4), (30, 3, 64)),
        ((4, 64, 2, 5), (1, 1, 2)),
        ((1, 10, 2, 4), (1, 1, 8)),
    ),
    hints=(
        "Mamba, once: a layer keeps d_inner × d_state numbers of 4 bytes and (d_conv - 1) × "
        "d_inner numbers of 2 bytes.",
        "The cache, a token: a key and a value in every layer, each n_kv_heads × head_dim "
        "numbers of 2 bytes.",
        "Whole tokens, and strictly more bytes: if the two are equal at 175 tokens, the "
        "answer is 176. `state // per_token + 1`.",
    ),
)

# --- kept back while grading ---


def memory(mamba, past=lambda d_conv: d_conv - 1, scan_bytes=4, past_bytes=2, wide=None, deep=None):
    n_layers, d_inner, d_state, d_conv = mamba
    history = (deep or n_layers) * (wide or d_inner) * past(d_conv)
    return n_layers * d_inner * d_state * scan_bytes + history * past_bytes


def per_token(transformer, pairs=2, n_bytes=2):
    return pairs * n_bytes * math.prod(transformer)


def crossing(
    first=lambda state, token: state // token + 1,
    pairs=2,
    n_bytes=2,
    mamba_of=lambda mamba: mamba,
    transformer_of=lambda transformer: transformer,
    **counted,
):
    """An answer with another idea of what to count, or of which whole number to return."""
    return lambda mamba, transformer: first(
        memory(mamba_of(mamba), **counted), per_token(transformer_of(transformer), pairs, n_bytes)
    )


def by_trying(mamba, transformer):
    n_layers, d_inner, d_state, d_conv = mamba
    numbers = 2 * d_inner * d_state + (d_conv - 1) * d_inner
    tokens = 0
    while 2 * tokens * math.prod(transformer) <= n_layers * numbers:
        tokens += 1
    return tokens


def one_layer(sizes):
    return (1, *sizes[1:])


MISTAKES = {
    "at your number of tokens the two can take equally many bytes. The cache has to take "
    "more.": crossing(lambda state, token: -(-state // token)),
    "you round to the nearest number of tokens. The cache has to take more bytes than the state, "
    "be it by one.": crossing(lambda state, token: round(state / token)),
    "at your number of tokens the cache isn't larger yet. The first that is larger has one token "
    "more.": crossing(lambda state, token: state // token),
    "your number is one token too many: round the quotient down before you add one.": (
        crossing(lambda state, token: -(-state // token) + 1),
        crossing(lambda state, token: round(state / token) + 1),
        crossing(lambda state, token: state // token + 2),
    ),
    "you count one number a token, head and channel. A cache holds two: a key and a "
    "value.": crossing(pairs=1),
    "the cache is kept in bfloat16: 2 bytes a number, not 4.": crossing(n_bytes=4),
    "the history is kept in bfloat16 and the state in float32: you have them the other way "
    "round.": crossing(scan_bytes=2, past_bytes=4),
    "all your numbers take equally many bytes. The scan's state is kept in float32, 4 bytes a "
    "number, the history and the cache in bfloat16, 2 bytes.": crossing(scan_bytes=2),
    "the history holds d_conv - 1 inputs: the newest comes with the token.": crossing(
        past=lambda d_conv: d_conv
    ),
    "the convolution's history is missing from the state.": crossing(past=lambda d_conv: 0),
    "the scan's state is missing: you count the history alone.": crossing(scan_bytes=0),
    "the history is kept in bfloat16: 2 bytes a number, not 4.": crossing(past_bytes=4),
    "the history holds whole inputs of d_inner numbers: you count one number for each.": crossing(
        wide=1
    ),
    "every layer keeps a history of its own, as it does a state: you count one.": crossing(deep=1),
    "you compare one layer with one layer: both models have several, and not equally "
    "many.": crossing(mamba_of=one_layer, transformer_of=one_layer),
    "every layer keeps a state of its own: count all of Mamba's.": crossing(mamba_of=one_layer),
    "you count one head. The cache holds keys and values of all n_kv_heads.": crossing(
        transformer_of=lambda sizes: (sizes[0], 1, sizes[2])
    ),
    "every layer keeps keys and values of its own: count all of the transformer's.": crossing(
        transformer_of=one_layer
    ),
    "this is the quotient as it is, and no token is divided: return the first whole number above "
    "it.": crossing(lambda state, token: state / token),
}

KNOWN = Known(
    right=(crossing(), by_trying),
    mistakes=MISTAKES,
    slips={"expected a whole number": crossing(lambda state, token: state / token + 0.5)},
    show=lambda mamba, transformer: f"crossing(mamba={mamba}, transformer={transformer})",
    name="{:,}".format,
)
