"""What a stack of layers keeps of a text, stores as weights and reads for one more token.

A layer is a mixer, which looks back, and a feed-forward part, which doesn't. Three mixers:
attention over everything, attention under a window, a selective scan. Their bytes follow from a
configuration, in 16 bits a number; a scan's state is kept in 32. The piece `stack` of the stage
computes the same in the page.

Sources: configurations as published, each named where it stands; "Jamba" (Lieber et al., 2024),
table 1 and section 3, for what a cache takes.
"""

from dataclasses import dataclass

WIDE = 2  # bytes of a number; a state's have twice as many
FULL, WINDOW, SCAN = "f", "w", "s"
DENSE, EXPERTS, NOTHING = "d", "e", "n"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of all layers of a stack; Mistral 7B's attention, with a Mamba of its width.

    Attributes:
        dim: of the stream.
        n_heads, n_kv_heads, head_dim: of attention.
        window: tokens that a layer with one holds.
        hidden_dim: of a feed-forward part, or of one expert.
        n_experts, experts_per_token: where a layer has experts.
        d_inner, d_state, d_conv, dt_rank: of a scan.
    """

    dim: int = 4096
    n_heads: int = 32
    n_kv_heads: int = 8
    head_dim: int = 128
    window: int = 4096
    hidden_dim: int = 14_336
    n_experts: int = 8
    experts_per_token: int = 2
    d_inner: int = 8192
    d_state: int = 16
    d_conv: int = 4
    dt_rank: int = 256


MISTRAL = Shape()
LAYERS = {  # eight layers each: the pattern that the model repeats
    "Mistral": ("wwwwwwww", "dddddddd"),  # "Mistral 7B" (2023), table 1
    "Mixtral": ("ffffffff", "eeeeeeee"),  # "Mixtral of Experts" (2024), table 1: no window
    "Mamba": ("ssssssss", "nnnnnnnn"),  # "Mamba" (2023), section 3.4
    "Samba": ("swswswsw", "dddddddd"),  # "Samba" (2024), section 2
    "Jamba": ("ssssfsss", "dededede"),  # "Jamba" (2024), figure 1: offsets 4 of 8, 1 of 2
}


@dataclass(frozen=True)
class Bill:
    """What a stack costs after some tokens.

    Attributes:
        kept: bytes that each layer keeps of the text.
        stored: bytes of weights, without embeddings.
        read: bytes that one more token reads: weights that it passes through, and all that is kept.
        fate: what is left of the text's first word: "held", "carried" or "gone".
    """

    kept: tuple[int, ...]
    stored: int
    read: int
    fate: str


def kept_by(mixer: str, tokens: int, shape: Shape = MISTRAL) -> int:
    """Bytes that one layer keeps after so many tokens.

    >>> kept_by(FULL, 32_768) // kept_by(WINDOW, 32_768)
    8
    """
    if mixer == SCAN:
        return shape.d_inner * (2 * WIDE * shape.d_state + WIDE * (shape.d_conv - 1))
    held = tokens if mixer == FULL else min(tokens, shape.window)
    return 2 * WIDE * shape.n_kv_heads * shape.head_dim * held


def weights_of(mixer: str, shape: Shape = MISTRAL) -> int:
    """Parameters of a mixer, norms left out."""
    dim, inner, rank, n = shape.dim, shape.d_inner, shape.dt_rank, shape.d_state
    if mixer == SCAN:
        projections = 3 * dim * inner + inner * (rank + 2 * n) + rank * inner
        return projections + inner * (shape.d_conv + 1) + inner * (n + 2)
    return 2 * dim * shape.head_dim * (shape.n_heads + shape.n_kv_heads)


def feed_weights(feed: str, experts: int, shape: Shape = MISTRAL) -> int:
    """Parameters of a feed-forward part of which so many experts count, the router included."""
    one = 3 * shape.dim * shape.hidden_dim
    if feed == EXPERTS:
        return experts * one + shape.dim * shape.n_experts
    return one if feed == DENSE else 0


def fate(mixers: str, tokens: int, shape: Shape = MISTRAL) -> str:
    """What is left of the first of so many tokens when the last one is read.

    "held": some layer still has the word's own key and value. "carried": it can have come here, in
    a scan's state or from window to window (chapter 03), and nothing says that it did. "gone": no
    way leads here.

    >>> fate("ww", 4097), fate("ww", 8191), fate("ww", 8192)
    ('carried', 'carried', 'gone')
    """
    distance, windows = tokens - 1, mixers.count(WINDOW)
    if FULL in mixers or (windows and distance < shape.window):
        return "held"
    if SCAN in mixers or distance <= windows * (shape.window - 1):
        return "carried"
    return "gone"


def trace_stack(mixers: str, feeds: str, tokens: int, shape: Shape = MISTRAL) -> Bill:
    """The bill of a stack of layers, from the lowest to the highest.

    Args:
        mixers: a letter a layer: f, attention over all; w, under a window; s, a scan.
        feeds: a letter a layer: d, one feed-forward part; e, experts; n, none.
        tokens: of the text, 1 or more.
        shape: of all layers.

    Raises:
        ValueError: for other letters, layers without a partner, or no token.

    >>> [round(n / 2**20, 2) for n in trace_stack("fws", "dde", 8192).kept]
    [32.0, 16.0, 0.55]
    """
    if len(mixers) != len(feeds) or set(mixers) - set("fws") or set(feeds) - set("den"):
        raise ValueError(
            "a stack has a mixer of f, w, s and a feed-forward part of d, e, n in each layer: got "
            f"{mixers!r} and {feeds!r}"
        )
    if tokens < 1:
        raise ValueError(f"a text has at least 1 token: got {tokens}")
    kept = tuple(kept_by(mixer, tokens, shape) for mixer in mixers)
    mixing = sum(weights_of(mixer, shape) for mixer in mixers)
    stored, active = (
        WIDE * (mixing + sum(feed_weights(feed, n, shape) for feed in feeds))
        for n in (shape.n_experts, shape.experts_per_token)
    )
    return Bill(kept, stored, active + sum(kept), fate(mixers, tokens, shape))
