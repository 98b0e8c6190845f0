"""SmolLM2 itself, beside engines in C++: reading a prompt and writing after it.

In float32 everyone must choose the same tokens. In 8 bits we round weights once more, llama.cpp its
inputs, so what must agree is how probable the likeliest next token is: within 0.3 of its
logarithm, in the mean over six places.
"""

from collections.abc import Callable
from pathlib import Path

import torch

import mixlab
from bench.bench_decode import bytes_a_token, our_steps
from bench.engines import Apart, CTranslate2, LlamaCpp, stored_as
from bench.models import describe, random_tokens
from bench.row import Contest, Peer, Row, Size
from mixlab.compiled import compiled
from mixlab.generate import generate
from mixlab.transformer.rolling_cache import cache_bytes

SIZES: dict[Size, tuple[int, int]] = {"full": (512, 32), "quick": (128, 8), "tiny": (12, 4)}


def ordinary_tokens(n_tokens: int) -> list[int]:
    """Random tokens of words: the first 17 of this vocabulary are marks of a chat."""
    return (random_tokens(n_tokens, 49_152 - 17) + 17)[0].tolist()


def float32_peers() -> tuple[Apart, Apart]:
    """llama.cpp and CTranslate2 with the numbers that we have."""
    return Apart(LlamaCpp, stored_as("F32")), Apart(CTranslate2)


def write_float32(size: Size) -> Contest:
    """All write greedily in float32 after one prompt."""
    llama, translate = float32_peers()
    n_prompt, n_tokens = SIZES[size]
    prompt = ordinary_tokens(n_prompt)
    model = compiled(mixlab.load(mixlab.smollm2()))
    ours = generate(model, [prompt], max_tokens=n_tokens)[0]
    following = torch.tensor([prompt[-1:] + ours[:-1]])

    def check() -> float:
        token, logprob = llama.first(prompt)
        differ = sum(a != b for a, b in zip(ours, translate.write(prompt, n_tokens), strict=True))
        return differ + abs(logprob - our_logprob(model, prompt, token))

    return Contest(
        ours=our_steps(model, torch.tensor([prompt[:-1]]), following),
        peers=[
            Peer("CTranslate2", lambda: translate.write(prompt, n_tokens), "float32"),
            Peer("llama.cpp", lambda: llama.write(prompt, n_tokens), "F32"),
        ],
        check=check,
        tolerance=0.02,  # llama.cpp keeps keys and values in float16
        note=f"{n_tokens} tokens after {n_prompt}, {describe(model.config)}.",
        bytes_read=n_tokens * bytes_a_token(model.config, n_prompt),
    )


def read_float32(size: Size) -> Contest:
    """All read a prompt in float32 and give the token after it."""
    llama, translate = float32_peers()
    prompt = ordinary_tokens(SIZES[size][0])
    model = mixlab.load(mixlab.smollm2())
    rows = torch.tensor([prompt])

    def check() -> float:
        token, logprob = llama.first(prompt)
        differs = float(translate.read(prompt) != [token])
        return differs + abs(logprob - our_logprob(model, prompt, token))

    config = model.config
    layers = config.n_parameters - config.vocab_size * config.dim
    return Contest(
        ours=lambda: model.prefill(rows)[0].argmax(),
        peers=[
            Peer("CTranslate2", lambda: translate.read(prompt), "float32"),
            Peer("llama.cpp", lambda: llama.read(prompt), "F32"),
        ],
        check=check,
        tolerance=0.02,
        note=f"{len(prompt)} tokens, {describe(config)}.",
        operations=2 * len(prompt) * layers,
    )


def write_quantised(file: Callable[[], Path], kind: str):
    """The `setup` of a row in 8 bits, from a file that is read by us and by llama.cpp."""

    def setup(size: Size) -> Contest:
        llama = Apart(LlamaCpp, file())
        n_prompt, n_tokens = SIZES[size]
        prompt = ordinary_tokens(n_prompt)
        model = compiled(mixlab.load(file(), keep_quantised=True))
        ours = generate(model, [prompt], max_tokens=n_tokens)[0]
        following = torch.tensor([prompt[-1:] + ours[:-1]])
        held = cache_bytes(model.config, n_prompt, torch.float32)  # keys are not rounded

        def check() -> float:
            differences = []
            for last in range(n_prompt - 6, n_prompt):
                token, logprob = llama.first(prompt[:last])
                differences.append(abs(logprob - our_logprob(model, prompt[:last], token)))
            return sum(differences) / len(differences)

        return Contest(
            ours=our_steps(model, torch.tensor([prompt[:-1]]), following),
            peers=[Peer("llama.cpp", lambda: llama.write(prompt, n_tokens), kind)],
            check=check,
            tolerance=0.3,
            note=f"{n_tokens} tokens after {n_prompt}; we compute with 8 bits a weight.",
            bytes_read=n_tokens * (bytes_a_token(model.config, 0) / 4 + held),
        )

    return setup


@torch.no_grad()
def our_logprob(model, prompt: list[int], token: int) -> float:
    """The log-probability that our model gives to `token` after `prompt`."""
    return model.prefill([prompt])[0].log_softmax(-1)[0, token].item()


ROWS = [
    Row(
        "engines_write_float32",
        "SmolLM2 writes, float32",
        {"CTranslate2": 1.0, "llama.cpp": 1.0},
        write_float32,
    ),
    Row(
        "engines_read_float32",
        "SmolLM2 reads, float32",
        {"CTranslate2": 1.1, "llama.cpp": 1.1},
        read_float32,
    ),
    Row(
        "engines_write_q8_0",
        "SmolLM2 writes, from Q8_0",
        {"llama.cpp": 0.8},
        write_quantised(lambda: stored_as("Q8_0"), "Q8_0"),
    ),
    Row(
        "engines_write_q4_1",
        "SmolLM2 writes, from Q4_1",
        {"llama.cpp": 0.8},
        write_quantised(mixlab.smollm2, "Q4_1"),
    ),
]
