"""Writing: one token at a time after a prompt, batch 1, and what that holds in memory.

Each step reads every weight that takes part once, so memory bounds it, and the cost of calling
many small operations comes on top. Both libraries get the same tokens, whatever they predict.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.models import MIXTRAL, SMOLLM2, WIDE, describe, pair, random_tokens, ways
from bench.row import Contest, Peer, Row, Size, largest_difference
from mixlab.compiled import compiled
from mixlab.generate import StatefulModel
from mixlab.transformer.config import TransformerConfig
from mixlab.transformer.rolling_cache import cache_bytes

FEW_TOKENS = ("grouped_mm", "batched_mm", "eager")


def our_steps(model: StatefulModel, prompt: Tensor, following: Tensor) -> Callable[[], Tensor]:
    """A callable that feeds `following` token by token: logits (n_tokens, vocab). Repeatable."""
    n_prompt = prompt.shape[1]
    with torch.inference_mode():
        _, cache = model.prefill(
            prompt, model.init_state(1, capacity=n_prompt + following.shape[1])
        )

    def run() -> Tensor:
        with torch.inference_mode():
            cache.truncate([n_prompt])
            return torch.cat([model.step(token, cache)[0] for token in following.T])

    return run


def their_steps(
    model: nn.Module, prompt: Tensor, following: Tensor, static: bool, experts: str | None
) -> Callable[[], Tensor]:
    """The same for transformers, with a cache that grows or one allocated whole."""
    from transformers import DynamicCache, StaticCache

    n_prompt, n_tokens = prompt.shape[1], following.shape[1]
    if static:
        cache = StaticCache(config=model.config, max_cache_len=n_prompt + n_tokens)
    else:
        cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model(prompt, past_key_values=cache, logits_to_keep=1)

    def run() -> Tensor:
        if experts:
            model.set_experts_implementation(experts)
        if static:
            for layer in cache.layers:
                layer.cumulative_length.fill_(n_prompt)
        else:
            cache.crop(min(0, n_prompt - cache.get_seq_length()))
        with torch.inference_mode():
            steps = [model(token[None], past_key_values=cache).logits for token in following.T]
        return torch.cat(steps)[:, -1]

    return run


def decode(shape: dict):
    """The `setup` of a row that decodes with a model of `shape`, its steps compiled."""

    def setup(size: Size) -> Contest:
        n_prompt, n_tokens = {"full": (512, 32), "quick": (128, 8), "tiny": (12, 4)}[size]
        ours, theirs = pair(shape, size)
        vocab_size = theirs.config.vocab_size
        tokens = random_tokens(n_prompt + n_tokens, vocab_size)
        prompt, following = tokens[:, :n_prompt], tokens[:, n_prompt:]
        run = our_steps(compiled(ours), prompt, following)
        peers = [
            Peer(
                "transformers",
                their_steps(theirs, prompt, following, static, way),
                setting=", ".join(filter(None, ("StaticCache" if static else "DynamicCache", way))),
            )
            for way in ways(theirs, FEW_TOKENS)
            for static in (False, True)
        ]
        return Contest(
            ours=run,
            peers=peers,
            check=lambda: max(largest_difference(run(), peer.run()) for peer in peers),
            note=f"{n_tokens} tokens after {n_prompt}, {describe(ours.config)}.",
            bytes_read=n_tokens * bytes_a_token(ours.config, n_prompt),
        )

    return setup


def bytes_a_token(config: TransformerConfig, n_held: int) -> int:
    """What one step reads in float32: the weights that take part, and the keys and values held.

    Of the embedding that is one row, unless the output layer shares it and reads it whole.
    """
    embeddings = 0 if config.tie_embeddings else config.vocab_size * config.dim
    weights = 4 * (config.n_active_parameters - embeddings)
    return weights + cache_bytes(config, n_held, torch.float32)


def memory(size: Size) -> Contest:
    """Bytes of keys and values after a long context against a short one, under a window."""
    from mixlab.transformer.model import Transformer

    window = 128
    short, long = {"full": (4096, 65_536), "quick": (1024, 8192), "tiny": (256, 512)}[size]
    torch.manual_seed(0)
    model = Transformer(TransformerConfig.tiny(window=window)).eval()
    tokens = random_tokens(long + 1, model.config.vocab_size)

    def held(context: int) -> int:
        """Chunked pre-fill, then one step, as generation does it."""
        _, cache = model.prefill(tokens[:, :context], chunk_size=1024)
        model.step(tokens[:, context], cache)
        return cache.n_bytes

    def check() -> float:
        """The last logits of a cached pass and of a plain one over what the windows reach."""
        n_tokens = 2 * model.config.n_layers * window
        logits, cache = model.prefill(tokens[:, : n_tokens - 1], chunk_size=100)
        logits, _ = model.step(tokens[:, n_tokens - 1], cache)
        return largest_difference(logits, model(tokens[:, :n_tokens])[:, -1])

    return Contest(
        ours=lambda: held(long),
        peers=[Peer("itself", lambda: held(short), f"after {short:,} tokens")],
        check=torch.no_grad()(check),
        note=f"Keys and values after {long:,} tokens, window {window}, two layers.",
    )


ROWS = [
    Row(
        "decode_mistral",
        "Mistral writes, batch 1",
        {"transformers": 2.0},
        decode(WIDE),
    ),
    Row(
        "decode_smollm2",
        "SmolLM2's shape writes, batch 1",
        {"transformers": 2.0},
        decode(SMOLLM2),
    ),
    Row(
        "decode_mixtral",
        "Mixtral writes, batch 1",
        {"transformers": 2.0},
        decode(MIXTRAL),
    ),
    Row(
        "decode_memory",
        "memory of decoding does not grow with the context",
        {"itself": 1.0},
        memory,
        unit="bytes",
    ),
]
