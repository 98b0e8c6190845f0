"""01.2 RoPE at any positions: each pair turned by its own angle."""

import numpy as np
import torch

from mixlab.chapters.transformer_to_mistral.exercises import normal
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_reals


def draw(rng):
    drawn = []
    for n_tokens, head_dim in ((1, 2), (5, 4), (4, 8), (3, 128), (6, 64)):
        positions = torch.from_numpy(rng.integers(0, 4000, n_tokens))
        theta = float(rng.choice([100.0, 10_000.0, 1_000_000.0]))
        drawn.append((normal(rng, n_tokens, head_dim), positions, theta))
    return drawn


ASKED = Asked(
    draw=draw,
    read=read_reals(2),
    atol=5e-3,  # an angle in float32 will do
    examples=(
        (torch.tensor([[1.0, 2.0]]), torch.tensor([1]), 10_000.0),
        (torch.tensor([[1.0, 0.5, -2.0, 3.0]]), torch.tensor([2]), 100.0),
        (
            torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, 1.0], [3.0, 1.0, 4.0, 1.0]]),
            torch.tensor([0, 700, 3]),
            10_000.0,
        ),
        (torch.arange(16.0).reshape(2, 8), torch.tensor([1001, 5]), 500.0),
    ),
    hints=(
        "One token first: a list of head_dim / 2 angles, its position times the speed of each "
        "pair. Pair 0 turns by one radian a token.",
        "The first half of a token's numbers are all the a's, the second half all the b's. (a, b) "
        "turned by an angle is (a cos − b sin, a sin + b cos).",
        "`speed = theta ** (-torch.arange(half) / half)`, `angle = positions[:, None] * speed`, "
        "and the two halves joined again along the last axis.",
    ),
)

# --- kept back while grading ---


def by_complex(x, positions, theta):
    """Each pair as one complex number, times e^(i angle), in float64."""
    x, p, half = x.double().numpy(), positions.double().numpy(), x.shape[1] // 2
    angle = p[:, None] * theta ** (-np.arange(half) / half)
    turned = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * angle)
    return np.hstack([turned.real, turned.imag])


def by_loop(x, positions, theta):
    out, half = x.double().clone(), x.shape[1] // 2
    for row, p in enumerate(positions.tolist()):
        for c in range(half):
            angle = torch.tensor(p / theta ** (2 * c / (2 * half)), dtype=torch.float64)
            a, b = x[row, c].double(), x[row, c + half].double()
            out[row, c] = a * angle.cos() - b * angle.sin()
            out[row, c + half] = a * angle.sin() + b * angle.cos()
    return out


def usual(positions, half, theta):
    return positions[:, None] * theta ** (-torch.arange(half).double() / half)


def turning(angle=usual, join=lambda a, b, cos, sin: (a * cos - b * sin, a * sin + b * cos)):
    """Another idea of the angles, (tokens, half), or of how a pair is turned."""

    def turn(x, positions, theta):
        a, b = x.double().chunk(2, dim=1)
        angles = angle(positions.double(), a.shape[1], theta)
        return torch.cat(join(a, b, angles.cos(), angles.sin()), dim=1)

    return turn


def neighbours(x, positions, theta):
    order = torch.arange(x.shape[1]).reshape(-1, 2).T.flatten()  # 0, 2, 4, … 1, 3, 5, …
    return turning()(x[:, order], positions, theta)[:, order.argsort()]


def slower(power):
    return lambda p, half, theta: p[:, None] * theta ** power(torch.arange(half).double(), half)


MISTAKES = {
    "you pair neighbours, 0 with 1 and 2 with 3. Here number c is paired with number c + half.": (
        neighbours,
        lambda x, p, t: turning()(x.reshape(len(x), -1, 2).transpose(1, 2).flatten(1), p, t),
    ),
    "you turn the other way round: (a, b) becomes (a cos − b sin, a sin + b cos).": turning(
        join=lambda a, b, cos, sin: (a * cos + b * sin, b * cos - a * sin)
    ),
    "sine and cosine have changed places: at position 0 nothing turns.": turning(
        join=lambda a, b, cos, sin: (a * sin - b * cos, a * cos + b * sin)
    ),
    "you turn token 0 by position 0, token 1 by 1 and so on. `positions` says where they stand.": (
        turning(lambda p, half, theta: usual(torch.arange(len(p)).double(), half, theta)),
        turning(lambda p, half, theta: usual(p[0] + torch.arange(len(p)), half, theta)),
    ),
    "your positions begin with 1: at position 0 nothing turns.": turning(
        lambda p, half, theta: usual(p + 1, half, theta)
    ),
    "your last pair is too fast: the exponents run from 0 to nearly −1, in steps of one over the "
    "number of *pairs*.": turning(slower(lambda c, half: -c / (2 * half))),
    "your exponents run from 0 to −1 and reach it. The last pair's is one step before.": turning(
        slower(lambda c, half: -c / max(1, half - 1))
    ),
    "your first pair has exponent −1/half: it should turn by one radian a token.": turning(
        slower(lambda c, half: -(c + 1) / half)
    ),
    "your exponents are twice too large.": turning(slower(lambda c, half: -2 * c / half)),
    "your exponents are positive: from pair to pair the hands get slower.": turning(
        slower(lambda c, half: c / half)
    ),
    "you turn all pairs by the same angle: each has its own speed.": turning(
        slower(lambda c, half: 0 * c)
    ),
    "you use 10,000 whatever `theta` is.": turning(lambda p, half, theta: usual(p, half, 10_000.0)),
    "your angles are in degrees: cos and sin take radians.": turning(
        lambda p, half, theta: usual(p, half, theta) * torch.pi / 180
    ),
    "your speeds miss the sign and the power: pair c turns by theta ** (−c / half).": turning(
        lambda p, half, theta: p[:, None] / (theta * (torch.arange(half).double() / half + 1e-9))
    ),
    "you add the old pattern of sines. RoPE turns the vectors.": turning(
        join=lambda a, b, cos, sin: (a + cos, b + sin)
    ),
    "you add the old pattern of sines, sine first. RoPE turns the vectors.": turning(
        join=lambda a, b, cos, sin: (a + sin, b + cos)
    ),
    "you multiply a by the cosine and b by the sine, and mix nothing: a turned point takes from "
    "both.": turning(join=lambda a, b, cos, sin: (a * cos, b * sin)),
    "only the first half is turned right: its second number is a sin + b cos.": (
        turning(join=lambda a, b, cos, sin: (a * cos - b * sin, b)),
        turning(join=lambda a, b, cos, sin: (a * cos - b * sin, b * cos - a * sin)),
    ),
    "the second number is made of the first one *after* it was turned. Keep the old a.": turning(
        join=lambda a, b, cos, sin: (a * cos - b * sin, (a * cos - b * sin) * sin + b * cos)
    ),
    "a minus is missing: a turned point is (a cos − b sin, a sin + b cos).": (
        turning(join=lambda a, b, cos, sin: (a * cos + b * sin, a * sin + b * cos)),
        turning(join=lambda a, b, cos, sin: (a * cos - b * sin, a * sin - b * cos)),
    ),
    "the two halves come back in the other order.": turning(
        join=lambda a, b, cos, sin: (a * sin + b * cos, a * cos - b * sin)
    ),
    "your positions are rounded: float16 and bfloat16 hold only the first few hundred or thousand "
    "whole numbers.": turning(lambda p, half, theta: usual(p.bfloat16().double(), half, theta)),
}

KNOWN = Known(
    right=(by_complex, by_loop, turning()),
    mistakes=MISTAKES,
    slips={"expected real numbers in 2 axes": lambda x, p, theta: turning()(x, p, theta)[0]},
    show=lambda x, p, theta: (
        f"turn(x of {tuple(x.shape)}, positions {p.tolist()}, theta={theta:g})"
    ),
    place=lambda at: f"token {at[0]}, number {at[1]}" if at else "",
    name="{:.4f}".format,
)
