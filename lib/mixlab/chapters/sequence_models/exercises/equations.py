"""What 12.1 steps: equations by their words, so that a message can name them."""

import torch

# What an equation says of the speed; one of them changes with time alone, one doesn't know of it.
SLOPES = {
    "2 * x + t": lambda t, x: 2 * x + t,
    "t - x": lambda t, x: t - x,
    "x.flip(0) * torch.tensor([1, -1])": lambda t, x: x.flip(0) * torch.tensor([1, -1]),
    "x * (1 - x)": lambda t, x: x * (1 - x),
    "3 * t + 0 * x": lambda t, x: 3 * t + 0 * x,
    "x.sum() - x": lambda t, x: x.sum() - x,
}


def posed(equation, start, h, n):
    return SLOPES[equation], torch.tensor(start, dtype=torch.float64), h, n
