"""03.4 Find the bug: a test that is easily fooled."""

from itertools import combinations

import numpy as np
import torch

import mixlab.chapters.receptive_field.exercises as shared
from mixlab.checks.exercise import Asked, Known
from mixlab.checks.readers import read_mask

# How a layer mixes, and how many layers there are: every way in which a derivative can hide.
HIDING = (
    *((shared.attention, 2), (shared.averages, 3), (shared.relu, 1), (shared.relu, 2)),
    *((shared.gate, 1), (shared.centred, 2), (shared.faint, 2), (shared.fading, 8)),
    *((shared.differences, 1), *((shared.one_channel, 1),) * shared.DIM),
    *((shared.from_one_channel, 1),) * shared.DIM,
)


def hiding(rng):
    """Stacks in which a derivative is easily missed, with windows and weights of their own."""

    def made(number, mix, windows, step=1):
        """The number says which channel is the one, if there is one."""
        layers = torch.stack([shared.layer(shared.band(int(w), step)) for w in windows])
        seed = shared.DIM * int(rng.integers(2**28)) + number % shared.DIM
        reads = ", then ".join(map(str, windows)) + " tokens" + ", every second" * (step > 1)
        return shared.stack_of(layers, mix, seed, f"layers that read {reads}: {mix.__doc__}")

    found = [made(n, mix, rng.integers(2, 5, layers)) for n, (mix, layers) in enumerate(HIDING)]
    found += [made(0, shared.attention, (2, 3), step=2), made(0, shared.averages, (1,))]
    return [found[i] for i in rng.permutation(len(found))]


def draw(rng):
    sizes = rng.integers(4, 12, len(HIDING) + 2)
    return [(f, int(seq), shared.DIM) for f, seq in zip(hiding(rng), sizes, strict=True)]


EXAMPLES = sorted(
    hiding(np.random.default_rng(0)), key=lambda f: shared.fading.__doc__ in f.__doc__
)

ASKED = Asked(
    draw=draw,
    read=read_mask(1),
    examples=tuple((f, 7, shared.DIM) for f in EXAMPLES),
    hints=(
        "Take the lines one by one. At which states does a ReLU pass nothing on? And a product of "
        "two channels? A difference of two tokens?",
        "What is the sum over channels after a layer norm? Whatever you feed in, it is the same: "
        "its derivative is 0. So read the last state in a direction that no layer can foresee.",
        "Random states, a random direction, and no threshold: a derivative that is not there is "
        "exactly 0, and a faint one is not. A norm squares it first.",
    ),
)

# --- kept back while grading ---


def in_another_state(f, seq, dim):
    """Exchange one token after the other: does the last output change?"""
    x = torch.randn(seq, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = []
    for j in range(seq):
        other = x.clone()
        other[j] = other[j].roll(1) + 1
        found.append(bool((f(other)[-1] != f(x)[-1]).any()))
    return np.array(found)


def normal(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_gradient(
    start=normal,
    direction=normal,
    found=lambda gradient: (gradient != 0).any(dim=1),
    row=lambda y: y[-1],
    kind=torch.float64,
):
    """The derivative of an output, with another idea of where, of which, or of what isn't none."""

    def depends_on(f, seq, dim):
        x = start(seq, dim).to(kind).requires_grad_()
        (row(f(x)) @ direction(dim).to(kind)).backward()
        return found(x.grad)

    return depends_on


def above(threshold):
    return lambda gradient: gradient.norm(dim=1) > threshold


LEFT = {
    "the states are still zeros, and at 0 a ReLU passes nothing on and a product is flat": {
        "start": torch.zeros
    },
    "the channels are still added up, and where a layer takes out their mean, that is 0": {
        "direction": torch.ones
    },
    "the threshold still throws away what is faint: a small derivative isn't none": {
        "found": above(1e-3)
    },
}


def remaining():
    """The draft with some of its mistakes left, the larger sets first."""
    for count in (3, 2, 1):
        for left in combinations(LEFT, count):
            opening = "all three mistakes are still there: " if count == 3 else ""
            flaws = {name: flaw for words in left for name, flaw in LEFT[words].items()}
            made = tuple(by_gradient(**flaws, kind=kind) for kind in (torch.float64, torch.float32))
            yield f"{opening}{'; '.join(left)}.", made


def but_for_the_faintest(answer):
    """Says nothing where a norm in float32 would: that may come with any mistake."""

    def depends_on(f, seq, dim):
        if shared.fading.__doc__ in f.__doc__:
            raise ValueError("here a norm decides")
        return answer(f, seq, dim)

    return depends_on


SMALL = {
    "what is small with you is none: a threshold still throws away what is faint, or a norm, which "
    "squares it, and the square of 1e-30 is 0 in float32. What isn't there is exactly 0.": (
        by_gradient(found=above(0), kind=torch.float32),
        *(by_gradient(found=above(10.0**-power)) for power in (1, 2, 5, 6, 7, 8, 12)),
    ),
}
OTHERS = {
    "your states are all alike, and where a layer takes a difference, its derivative is 0 there. "
    "Take states that no layer can foresee.": (
        by_gradient(torch.ones),
        by_gradient(lambda seq, dim: normal(1, dim).expand(seq, dim).clone()),
    ),
    "you read one channel. Another may know more: in some of these stacks a single channel looks "
    "around.": tuple(
        by_gradient(direction=lambda dim, c=c: torch.eye(dim)[c]) for c in range(shared.DIM)
    ),
    "you look at one channel of each input. The last output may depend on another of them.": tuple(
        by_gradient(found=lambda gradient, c=c: gradient[:, c] != 0) for c in range(shared.DIM)
    ),
    "you ask that all channels of an input have an effect. One is enough.": (
        by_gradient(found=lambda gradient: (gradient != 0).all(dim=1)),
    ),
    "you read the first token's output, not the last's.": (by_gradient(row=lambda y: y[0]),),
    "you say that the last token depends on every token. Do you read all tokens, and not the last "
    "one alone? What that one never sees has a derivative of exactly 0. (If you put NaN into a "
    "token: a hidden one has weight 0, and 0 times NaN is NaN.)": (
        lambda f, seq, dim: np.ones(seq, dtype=bool),
    ),
    "your mask is True where there is no dependence: True means that it depends.": (
        by_gradient(found=lambda gradient: (gradient == 0).all(dim=1)),
    ),
    "you gather over the tokens, and one value a channel is left: it is to be one a token.": (
        by_gradient(found=lambda gradient: (gradient != 0).any(dim=0)),
    ),
}
MISTAKES = {
    **{words: tuple(map(but_for_the_faintest, answers)) for words, answers in remaining()},
    **SMALL,
    **{words: tuple(map(but_for_the_faintest, answers)) for words, answers in OTHERS.items()},
}

KNOWN = Known(
    right=(in_another_state, by_gradient()),
    mistakes=MISTAKES,
    slips={
        "got other numbers": by_gradient(found=lambda gradient: gradient.norm(dim=1)),
        "expected a mask with 1 axis": by_gradient(found=lambda gradient: gradient != 0),
    },
    show=lambda f, seq, dim: f"depends_on(f, seq={seq}, dim={dim}), f being {f.__doc__}",
    place=lambda at: f"token {at[0]}" if at else "",
    name=lambda value: "True (depends on it)" if value else "False (doesn't)",
)
