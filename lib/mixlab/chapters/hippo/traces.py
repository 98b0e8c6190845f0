"""What two memories of N numbers hold of a signal: LegS with its 1/t, and without.

The figure in the page computes the same under the same names, by projecting the signal; here the
library steps it sample by sample.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from mixlab.ssm.hippo import recall, recall_fading, remember, remember_fading

SAMPLES = 64  # of a signal
FADES = 16  # samples after which the memory without 1/t weighs by 1/e
MOST_NUMBERS = 24

# Ready-made signals, from a share of the time to a value between -1 and 1.
SHAPES = {
    "waves": lambda s: 0.8 * math.sin(6 * math.pi * s),
    "steps": lambda s: (0.7, -0.5, 0.2, -0.8)[int(4 * s)],
    "hill": lambda s: 1.6 * math.exp(-((s - 0.25) ** 2) / 0.01) - 0.7,
    "chirp": lambda s: 0.8 * math.cos(9 * math.pi * s**2),
    "still": lambda s: 0.5,
}


def shape(name: str) -> list[float]:
    """A ready-made signal: each sample is taken in the middle of its stretch.

    >>> shape("steps")[15:17]
    [0.7, -0.5]
    """
    return [SHAPES[name]((k + 0.5) / SAMPLES) for k in range(SAMPLES)]


@dataclass(frozen=True)
class Memory:
    """What N numbers hold of the samples heard so far.

    Attributes:
        numbers: (d_state,), the state.
        recalled: (heard,), the signal that they stand for, in the middle of each sample.
        errors: root mean square error of that in the older half of the samples heard and in the
            newer one, to which a middle sample belongs; 0 for an empty half.
    """

    numbers: np.ndarray
    recalled: np.ndarray
    errors: tuple[float, float]


def trace_memory(signal: list[float], d_state: int, heard: int) -> dict[str, Memory]:
    """Both memories after `heard` samples: "whole", with 1/t, and "fading", without.

    Args:
        signal: at least `heard` samples.
        d_state: N.
        heard: at least 1.

    >>> memories = trace_memory(shape("still"), d_state=3, heard=64)
    >>> [round(memory.errors[0], 2) for memory in memories.values()]
    [0.0, 0.06]
    """
    x = torch.tensor(signal[:heard], dtype=torch.float64)
    middles = torch.arange(heard, dtype=torch.float64) + 0.5
    whole = remember(x, d_state, "zoh")[-1]
    fading = remember_fading(x, d_state, 1 / FADES)[-1]
    return {
        "whole": _memory(x, whole, recall(whole, middles / heard)),
        "fading": _memory(x, fading, recall_fading(fading, (heard - middles) / FADES)),
    }


def _memory(x: torch.Tensor, numbers: torch.Tensor, recalled: torch.Tensor) -> Memory:
    square = (recalled - x).square()
    halves = square[: len(x) // 2], square[len(x) // 2 :]
    errors = tuple(half.mean().sqrt().item() if len(half) else 0.0 for half in halves)
    return Memory(numbers.numpy(), recalled.numpy(), errors)
