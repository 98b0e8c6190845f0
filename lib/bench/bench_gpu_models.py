"""Whole models on a GPU in bfloat16: experts in one grouped product, decoding in a CUDA graph.

Results are compared in float32, where both libraries agree closely; in bfloat16 a rounding may
send a token to another expert.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from bench.bench_decode import FEW_TOKENS, their_steps
from bench.bench_prefill import prefill_contest
from bench.models import describe, pair, random_tokens, ways
from bench.row import Contest, Peer, Row, Size, largest_difference

# Half of Mixtral 8x7B's width, and Mistral 7B's.
EXPERTS = dict(
    hidden_size=2048,
    num_hidden_layers=4,
    num_attention_heads=16,
    num_key_value_heads=4,
    head_dim=128,
    intermediate_size=7168,
    vocab_size=32_000,
    num_local_experts=8,
    num_experts_per_tok=2,
)
DENSE = {k: v for k, v in EXPERTS.items() if "experts" not in k} | {"num_hidden_layers": 16}


def half(model: nn.Module) -> nn.Module:
    """A copy in bfloat16."""
    return deepcopy(model).to(torch.bfloat16)


def experts(size: Size) -> Contest:
    """A long prompt through a sparse mixture of experts."""
    n_tokens = {"full": 4096, "quick": 1024, "tiny": 64}[size]
    ours, theirs = pair(EXPERTS, size, device="cuda")
    tokens = random_tokens(n_tokens, theirs.config.vocab_size, "cuda")
    exact = prefill_contest(ours, theirs, tokens[:, :64])
    note = f"{n_tokens:,} tokens, {describe(ours.config)}, bfloat16."
    timed = prefill_contest(half(ours), half(theirs), tokens, note)
    return Contest(timed.ours, timed.peers, exact.check, tolerance=1e-3, note=note)


def graph_steps(model: nn.Module, prompt: Tensor, following: Tensor) -> Callable[[], Tensor]:
    """As `bench_decode.our_steps`, with the step captured once and replayed for every token.

    A graph replays kernels on fixed addresses: the cache is static, and positions live on the GPU.
    """
    n_prompt = prompt.shape[1]
    token = following[:, 0].clone()
    with torch.inference_mode():
        cache = model.init_state(1, capacity=n_prompt + following.shape[1], static=True)
        model.prefill(prompt, cache)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # a first run outside the graph sets libraries up
            model.step(token, cache)
        torch.cuda.current_stream().wait_stream(side)
        cache.truncate([n_prompt])
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits, _ = model.step(token, cache)

    def run() -> Tensor:
        with torch.inference_mode():
            cache.positions.fill_(n_prompt)
            steps = []
            for following_token in following.T:
                token.copy_(following_token)
                graph.replay()
                steps.append(logits.clone())
            return torch.cat(steps)

    return run


def decode(size: Size) -> Contest:
    """Decoding, batch 1, replayed from a graph."""
    n_prompt, n_tokens = {"full": (512, 64), "quick": (128, 16), "tiny": (12, 4)}[size]
    ours, theirs = pair(DENSE, size, device="cuda")
    tokens = random_tokens(n_prompt + n_tokens, theirs.config.vocab_size, "cuda")
    prompt, following = tokens[:, :n_prompt], tokens[:, n_prompt:]

    def check() -> float:
        captured = graph_steps(ours, prompt, following)()
        plain = their_steps(theirs, prompt, following, static=False, experts=None)()
        return largest_difference(captured, plain)

    fast = half(theirs)
    return Contest(
        ours=graph_steps(half(ours), prompt, following),
        peers=[
            Peer(
                "transformers",
                their_steps(fast, prompt, following, static, way),
                "StaticCache" if static else "DynamicCache",
            )
            for way in ways(fast, FEW_TOKENS)
            for static in (False, True)
        ],
        check=check,
        tolerance=1e-3,
        note=f"{n_tokens} tokens after {n_prompt}, {describe(ours.config)}, bfloat16.",
    )


ROWS = [
    Row(
        "gpu_experts",
        "Mixtral reads a prompt, experts as one grouped product",
        {"transformers": 1.0},
        experts,
        device="cuda",
    ),
    Row(
        "gpu_decode_graph",
        "Mistral writes, batch 1, in a CUDA graph",
        {"transformers": 1.0},
        decode,
        device="cuda",
    ),
]
