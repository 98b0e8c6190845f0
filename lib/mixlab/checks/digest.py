"""A short text that two answers share exactly when they agree.

Whole numbers and truth values must agree exactly. Real numbers must agree to a tolerance, and a
hash cannot compare with a tolerance: so all real numbers together are reduced to four random
projections, each is rounded to a grid of thirty-two tolerances, and the marks are hashed. An
answer whose projection happens to lie near the border of two marks could be rounded to either by
a last-bit difference: `margin` tells how near the nearest border is, and whoever chooses the seed
(the course for its public one, a grader for a fresh one) takes a seed whose margin is wide for
the solution.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

_PROJECTIONS = 4
_GRID = 32  # width of one mark, in tolerances
SAFE_MARGIN = 2.0  # nearest border, in tolerances, that a seed must keep from the solution


@dataclass(frozen=True)
class Digest:
    """`text` identifies the values; `margin` is the distance to the nearest rounding border.

    Attributes:
        text: sixteen hexadecimal digits.
        margin: in tolerances; infinite if there were no real numbers.
    """

    text: str
    margin: float


def digest(values: list[np.ndarray], salt: str, atol: float) -> Digest:
    """Digest arrays in order: dtype kind, shape and content.

    Args:
        values: arrays of truth values, whole numbers, real numbers or text.
        salt: draws the projections; any text that both sides share.
        atol: tolerance of one real number.

    >>> a = digest([np.array([1.0, 2.0])], salt="s", atol=1e-4)
    >>> b = digest([np.array([1.0, 2.0 + 1e-7])], salt="s", atol=1e-4)
    >>> c = digest([np.array([1.0, 2.1])], salt="s", atol=1e-4)
    >>> a.text == b.text, a.text == c.text
    (True, False)
    """
    hashed = hashlib.sha256(salt.encode())
    reals = []
    for value in map(np.asarray, values):
        hashed.update(f"|{value.shape}".encode())
        if value.dtype.kind in "US":
            hashed.update(repr(value.tolist()).encode())
        elif value.dtype.kind in "biu":
            hashed.update(f"i{value.astype(np.int64).tolist()}".encode())
        else:
            flat = value.astype(np.float64).ravel()
            finite = np.isfinite(flat)
            # Where infinities and NaN stand must agree exactly; the projections see the rest.
            special = [(i, repr(flat[i].item())) for i in np.flatnonzero(~finite).tolist()]
            hashed.update(f"f{special}".encode())
            reals.append(np.where(finite, flat, 0.0))
    position = _project(reals, salt) / (_GRID * atol)
    if not position.size:
        return Digest(hashed.hexdigest()[:16], float("inf"))
    hashed.update(repr(np.floor(position).astype(int).tolist()).encode())
    margin = _GRID * np.abs(position - np.round(position)).min()
    return Digest(hashed.hexdigest()[:16], float(margin))


def _project(reals: list[np.ndarray], salt: str) -> np.ndarray:
    """A few random projections of all real numbers together, each array with equal weight."""
    seed = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    total = np.zeros(_PROJECTIONS if any(flat.size for flat in reals) else 0)
    for flat in filter(len, reals):
        directions = rng.standard_normal((_PROJECTIONS, flat.size))
        # By the expected length, not by each one's own: a single number would then count with 1 or
        # -1, and of two that are wrong by the same amount every sixteenth pair would cancel out.
        total += directions @ flat / (flat.size * len(reals)) ** 0.5
    return total
