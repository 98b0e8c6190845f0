"""What each rank holds and what a token costs on the way, counted from a configuration.

Three cuts, as in `sharding`: "layers", "tensors", "experts". Sources: as there; what a ring
all-reduce sends is counted as in Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for
clusters of workstations" (2009), section 3.
"""

from dataclasses import dataclass

from mixlab.parallel.sharding import spans
from mixlab.transformer.config import TransformerConfig

CUTS = ("layers", "tensors", "experts")


@dataclass(frozen=True)
class Share:
    """What one rank holds.

    Attributes:
        parameters: how many.
        cached: numbers that it keeps of a token in its keys and values. Cut by experts, ranks read
            texts of their own: it keeps that much of its own tokens, and nothing of others'.
    """

    parameters: int
    cached: int


def plan(config: TransformerConfig, cut: str, n_ranks: int, ceiling: bool = False) -> list[Share]:
    """The share of each rank.

    Args:
        config: of the whole model.
        cut: one of `CUTS`.
        n_ranks: how many share it.
        ceiling: how layers are cut; see `spans`.

    Raises:
        ValueError: for another cut, or more ranks than there is something for.

    >>> [share.parameters for share in plan(TransformerConfig.mistral_7b(), "layers", 4)]
    [1875968000, 1744896000, 1744896000, 1875972096]
    """
    most = dict(layers=n_ranks, tensors=config.n_kv_heads, experts=config.n_experts)
    if cut not in most:
        raise ValueError(f"a model is cut by {', '.join(CUTS)}: got {cut!r}")
    if not 1 <= n_ranks <= most[cut]:
        raise ValueError(f"cut by {cut}, there is something for 1 to {most[cut]} ranks: {n_ranks}")
    size, kv = config.dim, config.n_kv_heads
    head = 2 * size * config.head_dim * (config.n_heads // kv + 1)  # a key/value head, its queries
    channel = 3 * size * config.n_experts  # one hidden channel of every expert
    router = size * config.n_experts if config.n_experts > 1 else 0
    rest = router + 2 * size  # the norms
    block = kv * head + config.hidden_dim * channel + rest
    embedding = config.vocab_size * size
    output = size + embedding  # with the last norm
    ends = output if config.tie_embeddings else embedding + output
    kept, n_layers = 2 * config.head_dim, config.n_layers  # of a token, by a head
    if cut == "layers":
        shares = []
        for rank, span in enumerate(spans(n_layers, n_ranks, ceiling)):
            own = len(span) * block
            own += (
                ends if n_ranks == 1 else embedding * (rank == 0) + output * (rank == n_ranks - 1)
            )
            shares.append(Share(own, len(span) * kv * kept))
        return shares
    if cut == "tensors":
        slices = zip(spans(kv, n_ranks), spans(config.hidden_dim, n_ranks), strict=True)
        return [
            Share(
                ends + n_layers * (len(heads) * head + len(hidden) * channel + rest),
                n_layers * len(heads) * kept,
            )
            for heads, hidden in slices
        ]
    expert = 3 * size * config.hidden_dim
    shared = ends + n_layers * (kv * head + rest)
    return [
        Share(shared + n_layers * len(held) * expert, n_layers * kv * kept)
        for held in spans(config.n_experts, n_ranks)
    ]


def token_numbers(config: TransformerConfig, cut: str, n_ranks: int) -> float:
    """Numbers that all ranks together send for one token, without what is sent of its logits.

    Layers: its hidden state over every border. Tensors: two ring all-reduces a layer. Experts: out
    to the rank of each expert and back, unless that is the token's own rank, if every expert is
    chosen equally often.

    Raises:
        ValueError: as `plan`.

    >>> token_numbers(TransformerConfig.mistral_7b(), "layers", 4) / 4096
    3.0
    """
    plan(config, cut, n_ranks)  # refuses what can't be
    away = n_ranks - 1
    times = dict(
        layers=away,
        tensors=config.n_layers * 2 * 2 * away,
        experts=config.n_layers * 2 * config.experts_per_token * away / n_ranks,
    )
    return float(config.dim * times[cut])
