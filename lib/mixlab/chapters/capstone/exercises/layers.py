"""Layers that remember, for exercise 20.4: parts, their norms, and a text for them."""

import torch


def part(matrix, fade):
    """A part with a memory of its own: it returns its output and what it keeps then."""

    def run(x, state):
        kept = fade * state + x
        return torch.tanh(matrix @ kept), kept

    return run


def norm(factors):
    return lambda x: x / (x.square().mean() + 1e-5).sqrt() * factors


def made(generator, n_layers, dim, n_tokens=3):
    def drawn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    parts = [part(drawn(dim, dim), 0.2 + 0.15 * n) for n in range(n_layers)]
    norms = [norm(1.5 + 0.5 * drawn(dim).tanh()) for _ in range(n_layers)]
    return list(3 * drawn(n_tokens, dim)), parts, norms, list(drawn(n_layers, dim))
