"""Inputs for the exercises of chapter 03: windows, masks, and stacks of layers to examine."""

import numpy as np
import torch

from mixlab.checks.cases import Cases, read_count, read_mask, read_verdict
from mixlab.checks.cases.reach_stacks import DIM, hand_out, hiding

_TRACES = "mixlab.chapters.receptive_field.traces"
_STACKS = "mixlab.checks.cases.reach_stacks"


def _draw_mixed(rng: np.random.Generator) -> list[tuple]:
    def stack(n_layers: int, none: bool) -> list[int | None]:
        windows: list[int | None] = [int(w) for w in rng.integers(1, 9, n_layers)]
        if none:
            windows[int(rng.integers(n_layers))] = None
        return windows

    drawn = [(stack(int(rng.integers(2, 7)), False), int(rng.integers(40, 90))) for _ in range(4)]
    drawn += [(stack(int(rng.integers(1, 6)), True), int(rng.integers(3, 60))) for _ in range(3)]
    drawn += [(stack(int(rng.integers(4, 9)), False), int(rng.integers(0, 9))) for _ in range(3)]
    mistral = [4096] * int(rng.integers(20, 40))
    drawn += [([2, None, 3], int(rng.integers(9, 40))), ([None, 2], int(rng.integers(9, 40)))]
    return [*drawn, (mistral, int(rng.integers(200_000, 300_000))), ([1, 1, 1], 7), ([None], 0)]


def _draw_layers(rng: np.random.Generator) -> list[tuple]:
    def far(window: int, times: int, more: int) -> tuple[int, int, int]:
        j = int(rng.integers(0, 50))
        return j + times * (window - 1) + more, j, window

    drawn = [far(int(rng.integers(3, 12)), int(rng.integers(1, 9)), 0) for _ in range(3)]
    drawn += [far(int(rng.integers(4, 12)), int(rng.integers(0, 9)), 1) for _ in range(3)]
    drawn += [far(int(rng.integers(5, 12)), int(rng.integers(1, 9)), 3) for _ in range(2)]
    drawn += [far(int(rng.integers(1002, 5000)), int(rng.integers(100, 300)), n) for n in (1, 999)]
    i = int(rng.integers(3, 60))
    return [*drawn, (i, i, 4), (i, i, 1), (i, i - 2, 1), (i - 2, i, 5), (i, i - 3, 2)]


def _draw_masks(rng: np.random.Generator) -> list[tuple]:
    """Stacks of masks that differ from layer to layer, some hiding the token itself."""

    def mask(seq: int, chance: float) -> torch.Tensor:
        return torch.from_numpy(np.tril(rng.random((seq, seq)) < chance))

    sizes = [(2, 6, 0.35), (3, 9, 0.25), (2, 12, 0.2), (4, 7, 0.2), (1, 5, 0.5)]
    drawn = [([mask(seq, chance) for _ in range(n)],) for n, seq, chance in sizes]
    # So many layers that the number of paths outgrows 64 bits.
    deep = [mask(40, 0.9) for _ in range(int(rng.integers(68, 76)))]
    for layer in deep:  # their number doubles at every layer here: in 64 bits it comes to 0
        layer[:2, :2] = True
    both_ways = [torch.from_numpy(rng.random((8, 8)) < 0.15) for _ in range(2)]
    return [*drawn, (both_ways,), (deep,)]


def _draw_hiding(rng: np.random.Generator) -> list[tuple]:
    return [(stack, int(rng.integers(4, 12)), DIM) for stack in hiding(rng)]


def _draw_stacks(rng: np.random.Generator) -> list[tuple]:
    return hand_out(rng)


EXERCISES = {
    "03.1": Cases(
        draw=_draw_mixed,
        read=read_count,
        forbids=(_TRACES, _STACKS),
        hints=(
            "Do one layer in your head: a window of 4 adds three tokens to what was known. A "
            "second layer with a window of 2 adds one more.",
            "Every layer with window W adds W - 1, whatever the others do. Start from the one "
            "token that is known before any layer.",
            "Two limits: nobody knows more tokens than there are, which is position + 1, and a "
            "layer without a window shows all of these at once.",
        ),
    ),
    "03.2": Cases(
        draw=_draw_layers,
        read=read_count,
        forbids=(_TRACES, _STACKS),
        hints=(
            "Make a table for a window of 4: which distances does one layer bridge? Which two?",
            "k layers bridge k (window - 1). You look for the smallest k for which that is at "
            "least the distance i - j: round up, not down.",
            "Before you divide: the token itself needs no layer; a later token is never reached; "
            "and with a window of 1 there is nothing to divide by.",
        ),
    ),
    "03.3": Cases(
        draw=_draw_masks,
        read=read_mask(),
        forbids=(_TRACES, _STACKS),
        hints=(
            "Keep a table `known`: row i says which input tokens token i knows. Before the first "
            "layer it is the identity. How does one mask change it?",
            "After a layer, token i knows what any token it sees knew before: that is `mask @ "
            "known`, with the layer's mask on the left, wherever it is above 0. torch multiplies "
            "numbers, not truth values: `mask.float() @ known.float()`.",
            "Turn the product into True and False after every layer, or seventy layers of counts "
            "overflow. And the residual: `known` itself stays known.",
        ),
    ),
    "03.4": Cases(
        draw=_draw_hiding,
        read=read_mask(1),
        forbids=(_TRACES,),
        hints=(
            "Take the lines one by one. At which states does a ReLU pass nothing on? And a "
            "product of two channels?",
            "What is the sum over channels after a layer norm? Whatever you feed in, it is the "
            "same: its derivative is 0. So read the last state in a direction that no layer can "
            "foresee.",
            "Random states, a random direction, and no threshold: a derivative that is not there "
            "is exactly 0, and a faint one is not.",
        ),
    ),
    "03.5": Cases(
        draw=_draw_stacks,
        read=read_verdict,
        forbids=(_TRACES,),
        hints=(
            "Decide for every pair of tokens whether token i should depend on token j: the "
            "distance i - j must lie between 0 and n_layers (window - 1).",
            "To learn whether it does, run the model twice, with another state at token j the "
            "second time, and see which rows of the result changed.",
            "Take a seq three or more tokens longer than the reach, or nothing lies beyond it; try "
            "every j; compare every row, the early ones and the ones before j too.",
        ),
    ),
}
