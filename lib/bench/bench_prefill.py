"""Reading a prompt: Mistral and Mixtral against transformers, and against the machine itself.

Both libraries leave a cache and compute the logits of the last position only, which is all that
generation needs and the fastest that transformers offers (`logits_to_keep=1`).
"""

import torch
from torch import Tensor, nn

from bench.machine import SIDE, square_product
from bench.models import MIXTRAL, SMOLLM2, WIDE, ExactAngles, describe, pair, random_tokens, ways
from bench.row import Contest, Peer, Row, Size, largest_difference
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.window import first_visible, n_visible_pairs

# grouped_mm and eager are the peer's ways of running experts over many tokens. batched_mm copies
# the weights of two experts for every token, which takes tens of gigabytes here.
MANY_TOKENS = ("grouped_mm", "eager")


# A longer prompt goes in chunks, whose activations stay in the caches: 1.4 times as fast.
CHUNK = 2048


def prefill_contest(ours: nn.Module, theirs: nn.Module, tokens: Tensor, note: str = "") -> Contest:
    """One prompt through both models."""
    from transformers import DynamicCache

    def run_ours() -> Tensor:
        with torch.inference_mode():
            return ours.prefill(tokens, chunk_size=None if tokens.is_cuda else CHUNK)[0]

    def run_theirs(experts: str | None) -> Tensor:
        if experts:
            theirs.set_experts_implementation(experts)
        with torch.inference_mode():
            cache = DynamicCache(config=theirs.config)
            return theirs(tokens, past_key_values=cache, logits_to_keep=1).logits[:, -1]

    peers = [
        Peer(
            "transformers",
            lambda way=way: run_theirs(way),
            setting=", ".join(["sdpa", *([way] if way else [])]),
        )
        for way in ways(theirs, MANY_TOKENS)
    ]
    return Contest(
        ours=run_ours,
        peers=peers,
        check=lambda: max(largest_difference(run_ours(), peer.run()) for peer in peers),
        note=note,
        operations=n_operations(ours.config, tokens.shape[1]),
    )


def prefill(shape: dict, tokens: dict[Size, int], window: int | None = None):
    """The `setup` of a row that reads `tokens[size]` tokens."""

    def setup(size: Size) -> Contest:
        ours, theirs = pair(shape, size, window)
        theirs.model.rotary_emb = ExactAngles(ours.config.head_dim, ours.config.rope_theta)
        prompt = random_tokens(tokens[size], theirs.config.vocab_size)
        note = f"{tokens[size]:,} tokens, {describe(ours.config)}."
        return prefill_contest(ours, theirs, prompt, note)

    return setup


def matmul_rate(size: Size) -> Contest:
    """Ours at dim 1024 against a square matrix product, scaled to the same number of operations."""
    ours, theirs = pair(WIDE, size)
    tokens = random_tokens({"full": 1024, "quick": 256, "tiny": 16}[size], theirs.config.vocab_size)
    contest = prefill_contest(ours, theirs, tokens)
    side = SIDE if size == "full" else 256
    scale = contest.operations / (2 * side**3)
    peers = [
        Peer("matrix product", square_product(library, side), library, scale)
        for library in ("MKL", "oneDNN")
    ]
    return Contest(
        ours=contest.ours,
        peers=peers,
        check=contest.check,
        note=f"{tokens.shape[1]:,} tokens, {describe(ours.config)}; the peer is a {side}³ product.",
    )


def n_operations(config: TransformerConfig, n_tokens: int) -> int:
    """Multiplications and additions that a pre-fill must do: two a weight and token, and attention.

    The output layer runs for the last token only, and so does the last block, except for its keys
    and values. Attention scores and mixes the pairs that the window and the causal rule allow.

    >>> config = TransformerConfig.tiny(n_layers=1, window=3)
    >>> n_operations(config, 8) - n_operations(config, 7)  # one token's keys and values
    8192
    """
    embeddings = config.vocab_size * config.dim
    norms = config.dim * (2 * config.n_layers + 1)
    n_weights = config.n_active_parameters - norms
    n_weights -= embeddings * (1 if config.tie_embeddings else 2)
    keys_values = 2 * config.dim * config.n_kv_heads * config.head_dim
    spared = (n_tokens - 1) * (n_weights // config.n_layers - keys_values)
    *whole, last = config.layer_windows
    pairs = sum(n_visible_pairs(n_tokens, window) for window in whole)
    pairs += n_tokens - first_visible(n_tokens - 1, last)  # of the last token alone
    attention = 4 * config.n_heads * config.head_dim * pairs
    return 2 * (n_weights * n_tokens - spared) + 2 * embeddings + attention


SIZES = {"full": 1024, "quick": 256, "tiny": 16}
ROWS = [
    Row(
        "prefill_mistral",
        "Mistral reads a prompt",
        {"transformers": 1.5},
        prefill(WIDE, SIZES),
    ),
    Row(
        "prefill_smollm2",
        "SmolLM2's shape reads a prompt",
        {"transformers": 1.5},
        prefill(SMOLLM2, SIZES),
    ),
    Row(
        "prefill_mixtral",
        "Mixtral reads a prompt",
        {"transformers": 1.3},
        prefill(MIXTRAL, SIZES),
    ),
    Row(
        "prefill_window",
        "Mistral reads a long prompt with a window of 128",
        {"transformers": 10.0},
        # Few layers, because the peer takes 8 seconds for each.
        prefill(
            SMOLLM2 | {"num_hidden_layers": 4}, {"full": 16_384, "quick": 4096, "tiny": 300}, 128
        ),
    ),
    Row(
        "prefill_matmul_rate",
        "Mistral at dim 1024 reads a prompt, against the machine's own matrix product",
        {"matrix product": 0.6},
        matmul_rate,
    ),
]
