"""What the exercises of chapter 08 share."""

import numpy as np

from mixlab.checks.messages import Unreadable
from mixlab.checks.readers import kind_of, read_real


def read_pair(value) -> np.ndarray:
    """A reader of two real numbers, as a tuple, a list or an array."""
    try:
        numbers = [read_real(part) for part in value]
    except (TypeError, Unreadable):
        numbers = []
    if len(numbers) != 2:
        raise Unreadable(f"expected two numbers: got {kind_of(value)}")
    return np.stack(numbers)


def choices(
    rng: np.random.Generator, shape: tuple[int, ...], n_experts: int, k: int, stay: float = 0.4
) -> np.ndarray:
    """Choices (*shape, k) of different experts, best first; neighbours often share them."""
    scores = rng.standard_normal((*shape, n_experts))
    for at in range(1, shape[-1]):
        kept = rng.random((*shape[:-1], 1)) < stay
        mixed = 0.9 * scores[..., at - 1, :] + 0.5 * scores[..., at, :]
        scores[..., at, :] = np.where(kept, mixed, scores[..., at, :])
    return np.argsort(-scores, axis=-1)[..., :k]
