"""A bucket that is carried along a text of capitals and dots: its level, and whose share it is.

One number of state, stepped by Mamba's recurrence h ← Ā h + B̄ x. A token lasts for a Δ that
depends on how long ago the last capital came; a capital brings x = 1, a dot nothing. The recurrence
is linear in x, so a token's share of the level is the level that it would make alone: all are
scanned at once, a row each. The piece `bucket` of the stage computes the same in the page.

Symbols: Δ is `delta`, Ā and B̄ are `discretize_diagonal`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mixlab.ssm.discretize import discretize_diagonal
from mixlab.ssm.scan import linear_recurrence

DOT = "·"


@dataclass(frozen=True)
class BucketTrace:
    """The bucket's way along a text, in float64; axis 0 is time.

    Attributes:
        delta: (seq,), how long each token lasts.
        kept: (seq,), Ā, the share of the level that is kept meanwhile.
        written: (seq,), what is poured in.
        shares: (seq, seq), what is in the bucket after each token of each token.
    """

    delta: np.ndarray
    kept: np.ndarray
    written: np.ndarray
    shares: np.ndarray

    @property
    def levels(self) -> np.ndarray:
        """(seq,): the level after each token."""
        return self.shares.sum(axis=1)


def kinds_of(text: str, count: int) -> list[int]:
    """For each token how many tokens ago the last capital came, count − 1 at most.

    >>> kinds_of("·C··F·", 2), kinds_of("·C···F", 3)
    ([1, 0, 1, 1, 0, 1], [2, 0, 1, 2, 2, 0])
    """
    since, kinds = count, []
    for letter in text:
        since = since + 1 if letter == DOT else 0
        kinds.append(min(since, count - 1))
    return kinds


def trace_bucket(
    text: str, delta: Sequence[float], taps: int = 1, A: float = -1.0, method: str = "mamba"
) -> BucketTrace:
    """Carry a bucket along a text.

    Args:
        text: capitals and dots.
        delta: the Δ of each kind of token, by `kinds_of`: two for capitals and dots.
        taps: places of the convolution. A token is poured in when it reaches the oldest of them.
        A: the rate at which the level leaks, negative.
        method: of `discretize_diagonal`.

    Raises:
        ValueError: for an empty text or an unknown method.

    Nothing leaks while dots last for no time, and the next capital finds e^−1 of the first:

    >>> trace_bucket("C··F", delta=[1, 0]).levels.round(2).tolist()
    [1.0, 1.0, 1.0, 1.37]
    """
    if not text:
        raise ValueError("a bucket is carried along at least one token: got an empty text")
    lengths = torch.tensor(delta, dtype=torch.float64)[kinds_of(text, len(delta))]
    rate, one = torch.full_like(lengths, A), torch.ones_like(lengths)
    shortest = torch.finfo(lengths.dtype).tiny  # stands for 0, which no rule divides by
    kept, weight = discretize_diagonal(rate, one, lengths.clamp(min=shortest), method)
    capital = torch.tensor([letter != DOT for letter in text])
    age = torch.arange(len(text))[:, None] - torch.arange(len(text))  # (time, token)
    written = ((age == taps - 1) & capital) * weight[:, None]
    shares = linear_recurrence(kept.expand(len(text), -1), written.T)
    return BucketTrace(
        delta=lengths.numpy(),
        kept=kept.numpy(),
        written=written.sum(dim=1).numpy(),
        shares=shares.T.numpy(),
    )
